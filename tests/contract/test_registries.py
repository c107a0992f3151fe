"""Every registry keeps the contract: the fake, and each kind against a real registry."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError, ServiceError
from gitops_release.core.image import ImageReference, Repository
from gitops_release.core.repository_settings import RepositorySettings
from gitops_release.registries.connection import Connection
from gitops_release.registries.kinds import registry_for
from gitops_release.system.http import HttpClient
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy
from tests.contract.oci_push import OciPush
from tests.contract.registry_contract import RegistryContract, RegistryWorld
from tests.fakes import FakeEngine, FakeRegistry, image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gitops_release.core.ports import Engine, Registry
    from gitops_release.core.publishing import ImageDescription

ATTEMPTS: Final = 3


@dataclass
class FakeWorld:
    login: Credentials
    repository: Repository
    behind: FakeRegistry = field(init=False)

    def __post_init__(self) -> None:
        users = {self.login.username: self.login.password.reveal()}
        self.behind = FakeRegistry(users, self.login, creates_on_push=False)
        self.behind.create_repository(self.repository, RepositorySettings())

    def client(self, login: Credentials | None) -> Registry:
        return replace(self.behind, login=login, writes=[], asked=[])

    def unavailable(self) -> Registry:
        return FakeRegistry(failure=ServiceError("the registry is down"))

    def push(
        self, tags: Sequence[str], labels: Mapping[str, str], platforms: Sequence[str]
    ) -> ImageDescription:
        pushed = image(f"for {platforms}", labels, platforms=tuple(platforms))
        self.behind.put(self.repository, pushed, tags)
        return pushed


class TestFakeRegistry(RegistryContract):
    creates_on_push = False
    settings = RepositorySettings(immutable_tags=True, tags=(("team", "shop"),))

    @pytest.fixture
    def world(self) -> FakeWorld:
        login = Credentials("ci", Secret("registry-password"))
        return FakeWorld(login, Repository("registry.example.com", "team/app"))

    @pytest.fixture
    def engine(self, world: FakeWorld) -> Engine:
        return FakeEngine(world.behind)

    def settings_of(self, world: RegistryWorld, repository: Repository) -> RepositorySettings:
        assert isinstance(world, FakeWorld)
        return world.behind.repositories[repository].settings

    def make_immutable(self, world: RegistryWorld, image: ImageReference) -> bool:
        assert isinstance(world, FakeWorld)
        world.behind.repositories[image.repository].immutable.add(image.tag or "")
        return True


@dataclass
class GenericWorld:
    login: Credentials
    repository: Repository
    waits: list[str] = field(default_factory=list)

    def client(self, login: Credentials | None) -> Registry:
        return self.at(self.repository.host, login)

    def unavailable(self) -> Registry:
        return self.at(closed_port(), self.login)

    def push(
        self, tags: Sequence[str], labels: Mapping[str, str], platforms: Sequence[str]
    ) -> ImageDescription:
        return OciPush(self.repository, self.login).image(tags, labels, platforms)

    def at(self, host: str, login: Credentials | None) -> Registry:
        retry = RetryPolicy(self.waits.append, attempts=ATTEMPTS, first_wait=0.001)
        http = HttpClient(retry, user_agent="test")
        return registry_for(host, Connection(http, Redactor(), lambda: login))


class TestGenericRegistry(RegistryContract):
    @pytest.fixture
    def world(self, login: Credentials, image_repository: Repository) -> GenericWorld:
        return GenericWorld(login, image_repository)

    def test_a_registry_that_is_down_is_tried_a_few_times(self, world: GenericWorld) -> None:
        with pytest.raises(ServiceError, match=rf"Connection refused \(tried {ATTEMPTS} times\)"):
            world.unavailable().describe(ImageReference(world.repository, "1.0"))

        assert len(world.waits) == ATTEMPTS - 1

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_a_registry_that_is_overloaded_is_tried_a_few_times(
        self, world: GenericWorld, status: int
    ) -> None:
        with answering(status) as server, pytest.raises(ServiceError, match=f"HTTP {status}"):
            world.at(server.host, world.login).describe(ImageReference(world.repository, "1.0"))

        assert len(server.authorizations) == ATTEMPTS

    def test_somebody_elses_404_is_not_a_missing_image(self, world: GenericWorld) -> None:
        with (
            answering(404, body=b"<h1>Not Found</h1>") as server,
            pytest.raises(ServiceError, match="without an error code"),
        ):
            world.at(server.host, None).describe(ImageReference(world.repository, "1.0"))

        assert len(server.authorizations) == 1

    def test_a_denied_request_is_not_a_missing_image(self, world: GenericWorld) -> None:
        body = b'{"errors": [{"code": "DENIED", "message": "or it may not exist"}]}'
        with (
            answering(403, body=body) as server,
            pytest.raises(AuthenticationError, match="or it may not exist"),
        ):
            world.at(server.host, None).describe(ImageReference(world.repository, "1.0"))

    @pytest.mark.parametrize(
        "realm", ["http://127.0.0.1:1/token", "https://evil.example/token", "http://HOST@evil/t"]
    )
    def test_a_registry_cannot_send_the_password_to_another_host(
        self, world: GenericWorld, realm: str
    ) -> None:
        with answering(401) as server:
            realm = realm.replace("HOST", server.host)
            server.headers["WWW-Authenticate"] = f'Bearer realm="{realm}",service="x"'
            with pytest.raises(AuthenticationError, match="take its own credentials"):
                world.at(server.host, world.login).describe(ImageReference(world.repository, "1.0"))

        assert server.authorizations == [None]

    def test_a_redirect_gets_no_password(self, world: GenericWorld) -> None:
        with answering(200) as other, answering(307) as server:
            server.headers["Location"] = f"http://{other.host}/v2/"
            with pytest.raises(ServiceError, match="HTTP 307"):
                world.at(server.host, world.login).describe(ImageReference(world.repository, "1.0"))

        assert other.authorizations == []

    def test_a_refusal_names_the_options_and_not_the_password(self, world: GenericWorld) -> None:
        wrong = Credentials(world.login.username, Secret("wrong-password"))

        with pytest.raises(AuthenticationError) as refused:
            world.client(wrong).describe(ImageReference(world.repository, "1.0"))

        assert "--registry-password-env" in (refused.value.hint or "")
        assert "wrong-password" not in f"{refused.value} {refused.value.hint}"


@dataclass
class Answering:
    """A server that gives every request the same answer and remembers who came."""

    host: str
    headers: dict[str, str] = field(default_factory=dict)
    authorizations: list[str | None] = field(default_factory=list)


@contextmanager
def answering(status: int, *, body: bytes = b"") -> Iterator[Answering]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.authorizations.append(self.headers.get("Authorization"))
            self.send_response(status)
            for name, value in {**server.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: the requests are remembered."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server = Answering(f"127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def closed_port() -> str:
    """Return an address of this machine at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"
