"""Which requests carry which authorization; ``test_oci`` has the challenges themselves."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.image import Repository
from gitops_release.registries.connection import Connection
from gitops_release.registries.session import RegistrySession
from gitops_release.system.redaction import Redactor
from tests.unit.system.scripted import Answer, FakeTransport, Sent, http_client

HOST: Final = "r.example.com"
WEB: Final = Repository(HOST, "acme/web")
BASE: Final = Repository(HOST, "acme/base")
PULL: Final = "repository:acme/web:pull"
PUSH: Final = "repository:acme/web:pull,push"
READING: Final = "repository:acme/base:pull"


class Registry:
    """A registry whose tokens are the scopes that they are good for."""

    def __init__(self) -> None:
        self.transport = FakeTransport(self.answer)
        self.scopes: list[list[str]] = []
        self.revoked: set[str] = set()
        connection = Connection(http_client(self.transport), Redactor())
        self.passwords = ["first", "second"]
        self.session = RegistrySession(HOST, connection, self.supply)

    def supply(self) -> Credentials:
        return Credentials("user", Secret(self.passwords[0]))

    def answer(self, sent: Sent) -> Answer:
        url = urlsplit(sent.url)
        if url.path == "/token":
            self.scopes.append(parse_qs(url.query)["scope"])
            token = f"{' '.join(self.scopes[-1])} #{len(self.scopes)}".encode().hex()
            return Answer(200, f'{{"token": "{token}"}}'.encode())
        given = sent.headers.get("Authorization", "")
        if not given or given in self.revoked:
            challenge = f'Bearer realm="https://{HOST}/token",service="{HOST}"'
            return Answer(401, headers={"WWW-Authenticate": challenge})
        return Answer(202)

    @property
    def basics(self) -> list[str]:
        """The passwords that were sent for tokens."""
        sent = [s.headers["Authorization"] for s in self.transport.sent if "/token" in s.url]
        return [
            base64.b64decode(value.removeprefix("Basic ")).decode().split(":")[1] for value in sent
        ]


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_a_mount_asks_for_both_repositories_in_one_token(registry: Registry) -> None:
    registry.session.send("POST", WEB, "blobs/uploads/?mount=x", body=b"", reading=BASE)
    assert registry.scopes == [[PUSH, READING]]


def test_a_token_is_used_for_its_own_scopes_alone(registry: Registry) -> None:
    for _ in range(2):
        registry.session.send("HEAD", WEB, "blobs/x")
        registry.session.send("GET", WEB, "manifests/x")
        registry.session.send("POST", WEB, "blobs/uploads/")
        registry.session.send("PUT", WEB, "manifests/x")
        registry.session.send("POST", WEB, "blobs/uploads/", reading=BASE)
        registry.session.send("GET", BASE, "manifests/x")
    assert registry.scopes == [[PULL], [PUSH], [PUSH, READING], [READING]]


def test_a_token_that_is_no_longer_good_is_replaced_with_current_credentials(
    registry: Registry,
) -> None:
    registry.session.send("GET", WEB, "manifests/x")
    registry.revoked.add(registry.transport.sent[-1].headers["Authorization"])
    registry.passwords.pop(0)
    assert registry.session.send("GET", WEB, "manifests/x").status == 202
    assert registry.scopes == [[PULL], [PULL]]
    assert registry.basics == ["first", "second"]


def test_a_body_is_sent_again_with_the_answer_to_a_challenge(registry: Registry) -> None:
    registry.session.send("PUT", WEB, "manifests/x", headers={"Content-Type": "t"}, body=b"body")
    refused, _, accepted = registry.transport.sent
    for sent in (refused, accepted):
        assert (sent.body, sent.headers["Content-Type"]) == (b"body", "t")


@pytest.mark.parametrize(
    "url",
    [
        f"https://{HOST}/v2/acme/web/blobs/uploads/7",
        "/v2/acme/web/blobs/uploads/7",
        "7?digest=x",
        f"//{HOST}/elsewhere",
    ],
)
def test_an_address_of_the_registry_gets_what_the_last_request_had(
    registry: Registry, url: str
) -> None:
    registry.session.send("POST", WEB, "blobs/uploads/")
    given = registry.transport.sent[-1].headers["Authorization"]
    assert registry.session.authorization("POST", WEB, url) == {"Authorization": given}


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.net/7",
        "//cdn.example.net/7",
        f"https://{HOST}.evil.test/7",
        f"https://{HOST}@evil.test/7",
        f"https://user@{HOST}/7",
        f"https://{HOST}:8443/7",
        f"https://evil-{HOST}/7",
    ],
)
def test_another_address_gets_nothing(registry: Registry, url: str) -> None:
    registry.session.send("POST", WEB, "blobs/uploads/")
    assert registry.session.authorization("POST", WEB, url) == {}


def test_nothing_is_known_before_the_first_request(registry: Registry) -> None:
    assert registry.session.authorization("POST", WEB, "/v2/") == {}
    registry.session.send("GET", WEB, "manifests/x")
    assert registry.session.authorization("POST", WEB, "/v2/") == {}
    assert registry.session.authorization("GET", BASE, "/v2/") == {}
