from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from gitops_release.core.errors import UsageError
from gitops_release.registries.connection import Connection
from gitops_release.registries.kinds import KINDS, kind_of, registry_for
from gitops_release.system.redaction import Redactor
from tests.unit.system.scripted import FakeTransport, http_client

if TYPE_CHECKING:
    from tests.unit.system.command_line import CommandLine

ECR: Final = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
CLOUDS: Final = [
    ("europe-docker.pkg.dev", "google", "google.auth"),
    ("gcr.io", "google", "google.oauth2"),
    (ECR, "ecr", "boto3"),
    (ECR, "ecr", "botocore.config"),
    ("public.ecr.aws", "ecr", "boto3"),
    ("acme0.azurecr.io", "acr", "azure.identity"),
]


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("europe-west1-docker.pkg.dev", "google"),
        ("asia.gcr.io", "google"),
        (ECR, "ecr"),
        ("public.ecr.aws", "ecr-public"),
        ("acme0.azurecr.io", "acr"),
        ("docker.io", "generic"),
        ("127.0.0.1:5000", "generic"),
        # Never by substring: these are nobody's we know.
        ("evil-gcr.io", "generic"),
        ("gcr.io.evil.test", "generic"),
        ("gcr.io:443", "generic"),
        (f"{ECR}.evil.test", "generic"),
        ("public.ecr.aws.evil.test", "generic"),
        ("acme0.azurecr.io.evil.test", "generic"),
    ],
)
def test_a_host_is_of_one_kind(host: str, kind: str) -> None:
    assert kind_of(host).name == kind


@pytest.mark.parametrize("host", [host for host, _, _ in CLOUDS])
def test_no_two_kinds_own_a_host(host: str) -> None:
    assert [kind.name for kind in KINDS if kind.owns(host)][1:] == ["generic"]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let our own modules of the clouds be imported anew."""
    for name in ("google", "google_api", "aws", "ecr", "acr"):
        monkeypatch.delitem(sys.modules, f"gitops_release.registries.{name}", raising=False)
    return monkeypatch


@pytest.mark.parametrize(("host", "extra", "module"), CLOUDS)
def test_a_missing_extra_is_named_with_the_line_to_install_it(
    host: str, extra: str, module: str, without: pytest.MonkeyPatch
) -> None:
    without.setitem(sys.modules, module, None)
    connection = Connection(http_client(FakeTransport([])), Redactor())
    with pytest.raises(
        UsageError, match=rf"\[{extra}\] for {host}, found no module {module}"
    ) as caught:
        registry_for(host, connection)
    assert caught.value.hint == f"pip install 'gitops-release[{extra}]'"


@pytest.mark.parametrize(
    "arguments",
    [
        ("describe-image", "--image", f"{ECR}/app:1"),
        ("promote-image", "--source", f"{ECR}/app:1", "--target", "127.0.0.1:5000/app:1"),
        ("promote-image", "--source", "127.0.0.1:5000/app:1", "--target", f"{ECR}/app:1"),
        ("doctor", "--registry", ECR, "--image", "app"),
    ],
)
def test_every_command_says_so(
    arguments: tuple[str, ...], command_line: CommandLine, without: pytest.MonkeyPatch
) -> None:
    without.setitem(sys.modules, "boto3", None)
    without.setattr("gitops_release.engines.docker.DockerEngine.describe", lambda _: "docker")
    ended = command_line(*arguments)
    assert ended.code == 2
    assert "hint: pip install 'gitops-release[ecr]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_other_registries_need_no_extra(without: pytest.MonkeyPatch) -> None:
    for module in ("boto3", "botocore", "google.auth", "azure.identity"):
        without.setitem(sys.modules, module, None)
    registry_for("registry.example.com", Connection(http_client(FakeTransport([])), Redactor()))
    assert not [name for name in sys.modules if name.startswith("gitops_release.registries.ecr")]
