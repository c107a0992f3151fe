from __future__ import annotations

import pytest

from gitops_release.core.hosts import is_loopback
from gitops_release.registries.hosts import is_acr, is_ecr, is_ecr_public, is_google


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("127.0.0.1:5000", True),
        ("127.1.2.3:80", True),
        ("[::1]", True),
        ("[::1]:5000", True),
        ("evil-localhost", False),
        ("localhost.evil.test", False),
        ("evil.test:localhost", False),
        ("127.0.0.1.evil.test", False),
        ("127.0.0.1.evil.test:5000", False),
        ("evil.test/127.0.0.1", False),
        ("user@127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - a row
        ("0.0.0.0:5000", False),
        ("[::]:5000", False),
        ("[::2]:5000", False),
        ("10.0.0.1:5000", False),
        ("128.0.0.1", False),
        ("127.1", False),
        ("2130706433", False),
        ("::1", False),
        ("r.example.com", False),
        ("", False),
        (":5000", False),
    ],
)
def test_only_this_machine_is_spoken_to_in_the_clear(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("host", "kinds"),
    [
        ("gcr.io", {"google"}),
        ("asia.gcr.io", {"google"}),
        ("europe-west1-docker.pkg.dev", {"google"}),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", {"ecr"}),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", {"ecr"}),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", {"ecr"}),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", {"ecr"}),
        ("public.ecr.aws", {"ecr-public"}),
        ("acme1.azurecr.io", {"acr"}),
        ("r.example.com", set()),
        ("docker.io", set()),
        ("evil.gcr.io.test", set()),
        ("gcr.io.evil.test", set()),
        ("evilgcr.io", set()),
        ("evil.gcr.io", set()),
        ("gcr.io:5000", set()),
        ("docker.pkg.dev", set()),
        ("x-docker.pkg.dev.evil.test", set()),
        ("12345678901.dkr.ecr.eu-west-1.amazonaws.com", set()),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.test", set()),
        ("x123456789012.dkr.ecr.eu-west-1.amazonaws.com", set()),
        ("public.ecr.aws.evil.test", set()),
        ("acme.azurecr.io", set()),
        ("evil.acme1.azurecr.io", set()),
        ("acme1.azurecr.io.evil.test", set()),
        ("acme1xazurecr.io", set()),
    ],
)
def test_a_cloud_s_hosts_are_its_own(host: str, kinds: set[str]) -> None:
    tests = {"google": is_google, "ecr": is_ecr, "ecr-public": is_ecr_public, "acr": is_acr}
    assert {name for name, test in tests.items() if test(host)} == kinds
