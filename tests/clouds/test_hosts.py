"""A host that looks like a cloud's gets nothing that is meant for a cloud."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

from gitops_release.core.errors import UsageError
from gitops_release.core.image import ImageReference
from gitops_release.registries.kinds import kind_of
from tests.clouds.world import PKG_DEV, ROLE, SERVICE_ACCOUNT, Clouds, service_account_key
from tests.integration.program import Program
from tests.standins import box
from tests.standins.clouds import ca
from tests.standins.clouds.ca import Certificates
from tests.standins.clouds.fronts import Answer, Exchange, Front
from tests.standins.clouds.router import HTTPS, Router

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ADDRESS: Final = "127.0.0.2"  # not the clouds'
IMPOSTORS: Final = (
    "evil-gcr.io",
    "gcr.io.evil.test",
    "europe-west1-docker.pkg.dev.evil.test",
    "docker.pkg.dev",
    "evil.test",
    "x-docker-pkg.dev",
    "acme.azurecr.io.evil.test",
    "azurecr.io",
    "acme-azurecr.io",
    "sub.other.azurecr.io",
    "1234.dkr.ecr.eu-west-1.amazonaws.com.evil.test",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.test",
    "123456789012.dkr.ecr.evil.test",
    "1234.dkr.ecr.eu-west-1.amazonaws.com",
    "public.ecr.aws.evil.test",
    "evil-public.ecr.aws",
)
# A port makes another registry of a name: no cloud serves its registries at one.
WITH_PORTS: Final = (
    "gcr.io:443",
    "europe-west1-docker.pkg.dev:8443",
    "other.azurecr.io:443",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443",
    "public.ecr.aws:443",
)
REFUSED: Final = (
    "x.azurecr.io@evil.test/a/b:1",
    "gcr.io@evil.test/a/b:1",
    "GCR.io/a/b:1",
    "gcr.IO/a/b:1",
    "Europe-West1-Docker.pkg.dev/a/b/c:1",
    "OTHER.azurecr.io/a:1",
    "Public.ECR.aws/a/b:1",
    "gcr.io./a/b:1",
    "gcr.io\\.evil.test/a/b:1",
    "gcr.io%2eevil.test/a/b:1",
    "gcr.io?.evil.test/a/b:1",
    "gcr.io#.evil.test/a/b:1",
    "user:password@gcr.io/a/b:1",
    "https://gcr.io/a/b:1",
    "gcr.io\n.evil.test/a/b:1",
    "gcr.io:443:1/a/b:1",
    "gcr.ıo/a/b:1",  # noqa: RUF001 - that it looks alike is the point
)


@pytest.mark.parametrize("host", [*IMPOSTORS, *WITH_PORTS])
def test_a_host_that_looks_like_a_clouds_is_generic(host: str) -> None:
    assert ImageReference.parse(f"{host}/a/b/c:1").repository.host == host
    assert kind_of(host).name == "generic"


@pytest.mark.parametrize("host", ["GCR.io", "gcr.io\n", "other.azurecr.io\n", "Public.ECR.aws"])
def test_the_table_of_kinds_takes_no_spelling_but_one(host: str) -> None:
    assert kind_of(host).name == "generic"


@pytest.mark.parametrize("reference", REFUSED)
def test_a_reference_that_could_be_read_in_two_ways_is_refused(reference: str) -> None:
    with pytest.raises(UsageError):
        ImageReference.parse(reference)


class Listener(Front):
    """A registry that wants to know who comes, in a way that a test chooses."""

    challenge = ""

    def answer(self, exchange: Exchange) -> None:
        """Ask for credentials, again and again."""
        challenge = ("WWW-Authenticate", self.challenge.format(exchange.received.host))
        exchange.send(Answer(401, b"{}", (challenge,)))


@dataclass
class Trap:
    """An impostor's registry, and a job that has an identity at every cloud."""

    clouds: Clouds
    listener: Listener
    program: Program
    identities: Sequence[str]
    cloud_secrets: set[str] = field(default_factory=set)

    def run(self, *arguments: str) -> int:
        ended = self.program.run(*arguments, *self.identities)
        assert "Traceback" not in ended.stderr
        return ended.exit_code


@pytest.fixture(scope="module")
def clouds(router: Router, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    with Clouds.running(tmp_path_factory.mktemp("clouds"), router) as running:
        yield running


@contextmanager
def known_hosts(names: Sequence[str], address: str) -> Iterator[None]:
    """Let names have an address, in this box alone."""
    before = box.HOSTS.read_text(encoding="utf-8")
    lines = "".join(f"{address} {name}\n" for name in names)
    box.HOSTS.write_text(before + lines, encoding="utf-8")
    try:
        yield
    finally:
        box.HOSTS.write_text(before, encoding="utf-8")


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Listener, Path]]:
    """Return an impostor at all of the names, and a bundle that believes its certificate."""
    directory = tmp_path_factory.mktemp("impostor")
    ca.create(directory, IMPOSTORS)
    certificates = Certificates.within(directory)
    bundle = directory / "bundle.pem"
    bundle.write_bytes(box.BUNDLE.read_bytes() + b"\n" + certificates.authority.read_bytes())
    with (
        Listener().serving() as listening,
        Router.running(
            dict.fromkeys(IMPOSTORS, listening.port),
            certificates=certificates,
            address=(ADDRESS, HTTPS),
        ) as impostor,
        known_hosts(IMPOSTORS, ADDRESS),
    ):
        yield listening, bundle
    assert impostor.troubles == []


@pytest.fixture
def trap(clouds: Clouds, listener: tuple[Listener, Path], tmp_path: Path) -> Trap:
    listening, bundle = listener
    listening.requests.clear()
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    key = clouds.aws.add_key("123456789012")
    token = clouds.circleci.mint()
    google_key = service_account_key(clouds)
    program = Program.at_home(tmp_path, tmp_path)
    program = program.with_variables(
        **clouds.program_environment(),
        **dict.fromkeys(box.BUNDLE_VARIABLES, str(bundle)),
        AWS_ACCESS_KEY_ID=key.access_key_id,
        AWS_SECRET_ACCESS_KEY=key.secret_access_key,
        AZURE_SP_PASSWORD=clouds.application_secret,
        CIRCLE_OIDC_TOKEN_V2=token,
        CIRCLE_SHA1="0123456789" * 4,
        GCLOUD_SERVICE_KEY=google_key,
    )
    identities = (
        f"--gcp-workload-identity-provider={clouds.provider.resource}",
        f"--gcp-service-account={SERVICE_ACCOUNT}",
        f"--aws-role-arn={ROLE}",
        f"--azure-client-id={clouds.application.client_id}",
        f"--azure-tenant-id={clouds.application.tenant}",
    )
    secrets = {
        key.secret_access_key,
        token,
        clouds.application_secret,
        json.loads(google_key)["private_key_id"],
    }
    return Trap(clouds, listening, program, identities, secrets)


@pytest.mark.parametrize("challenge", ['Basic realm="{0}"', 'Bearer realm="https://{0}/token"'])
@pytest.mark.parametrize("host", IMPOSTORS)
def test_an_impostor_gets_no_credentials_and_no_cloud_is_asked(
    trap: Trap, host: str, challenge: str
) -> None:
    trap.listener.challenge = challenge
    before = len(trap.clouds.router.connections)

    exit_code = trap.run("describe-image", "--image", f"{host}/a/b/c:1")

    assert exit_code == 3
    assert trap.listener.requests, "nobody came"
    _assert_nothing_was_given(trap)
    assert trap.clouds.router.connections[before:] == []


COMMANDS: Final = {
    "build": ("build-and-push-image", "--registry={0}/a/b", "--image=c", "--dry-run"),
    "create": (
        *("build-and-push-image", "--registry={0}/a/b", "--image=c", "--dry-run"),
        "--create-repository",
    ),
    "from it": ("promote-image", "--source={0}/a/b/c:1", f"--target={PKG_DEV}/a/b/c:1"),
    "to it": ("promote-image", f"--source={PKG_DEV}/acme/b/c:1", "--target={0}/a/b/c:1"),
    "doctor": ("doctor", "--registry={0}/a/b", "--image=c"),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("host", ["evil-gcr.io", "acme.azurecr.io.evil.test"])
def test_no_command_gives_an_impostor_anything(trap: Trap, host: str, name: str) -> None:
    trap.listener.challenge = 'Bearer realm="https://{0}/token",service="gcr.io"'

    trap.run(*(argument.format(host) for argument in COMMANDS[name]))

    _assert_nothing_was_given(trap)
    if name not in {"from it", "to it"}:
        assert trap.listener.requests


@pytest.mark.parametrize("realm", ["https://gcr.io/v2/token", "https://evil.test/token"])
def test_an_impostor_cannot_send_anybody_to_a_cloud(trap: Trap, realm: str) -> None:
    trap.listener.challenge = f'Bearer realm="{realm}",service="gcr.io"'
    before = len(trap.clouds.router.connections)

    exit_code = trap.run("describe-image", "--image", "evil-gcr.io/a/b/c:1")

    assert exit_code == 3
    _assert_nothing_was_given(trap)
    assert trap.clouds.router.connections[before:] == []


@pytest.mark.parametrize("reference", ["x.azurecr.io@evil.test/a/b:1", "GCR.io/a/b:1"])
def test_a_refused_reference_reaches_nobody(trap: Trap, reference: str) -> None:
    before = len(trap.clouds.router.connections)

    exit_code = trap.run("describe-image", "--image", reference)

    assert exit_code == 2
    assert trap.listener.requests == []
    assert trap.clouds.router.connections[before:] == []


def _assert_nothing_was_given(trap: Trap) -> None:
    for request in trap.listener.requests:
        assert request.header("Authorization") is None
        said = f"{request.target} {request.headers}"
        assert not [secret for secret in trap.cloud_secrets if secret in said]
        assert not [secret for secret in trap.clouds.secrets() if secret in said]
