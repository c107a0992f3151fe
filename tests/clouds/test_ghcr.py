"""GitHub Container Registry, added as docs/how-to/add-a-registry.md describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.image import ImageReference, Repository
from gitops_release.registries.connection import Connection
from gitops_release.registries.kinds import kind_of, registry_for
from gitops_release.system.http import HttpClient
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy
from tests.contract.oci_push import OciPush
from tests.contract.registry_contract import RegistryContract
from tests.standins.clouds.fronts import Grant, Refused, TokenFront, TokenRequest, registries
from tests.standins.github.faults import Fault, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gitops_release.core.ports import Registry
    from gitops_release.core.publishing import ImageDescription
    from tests.standins.clouds.router import Router

HOST = "ghcr.io"
IMAGE = Repository(HOST, "acme/app")
LOGIN = Credentials("somebody", Secret("ghp-like-token"))


def granted(asked: TokenRequest) -> Grant:
    """Return the scopes that were asked for, to the one who has the token."""
    login = asked.login
    if login is None or login.password != LOGIN.password.reveal():
        raise Refused(401, "UNAUTHORIZED", "authentication required")
    return Grant(login.user, asked.scopes)


@dataclass
class GhcrWorld:
    front: TokenFront
    storage: str  # the address of the registry behind the front
    repository: Repository = IMAGE
    login: Credentials = LOGIN

    def client(self, login: Credentials | None) -> Registry:
        retry = RetryPolicy(lambda _: None, attempts=3, first_wait=0.001)
        http = HttpClient(retry, user_agent="test")
        return registry_for(HOST, Connection(http, Redactor(), lambda: login))

    def unavailable(self) -> Registry:
        self.front.faults.add(Fault("GET", "/v2/.*", Reply(503), times=100))
        return self.client(self.login)

    def push(
        self, tags: Sequence[str], labels: Mapping[str, str], platforms: Sequence[str]
    ) -> ImageDescription:
        behind = Repository(self.storage, self.repository.path)
        return OciPush(behind, self.login).image(tags, labels, platforms)


class TestGhcrRegistry(RegistryContract):
    @pytest.fixture
    def world(self, tmp_path: Path, router: Router) -> Iterator[GhcrWorld]:
        with (
            registries(tmp_path, [HOST]) as upstreams,
            TokenFront.running(upstreams, granted) as front,
            router.routing({HOST: front.port}),
        ):
            yield GhcrWorld(front, upstreams[HOST])

    def test_its_kind_is_its_own(self, world: GhcrWorld) -> None:
        assert kind_of(world.repository.host).name == "ghcr"

    def test_a_token_is_asked_for_the_image_alone(self, world: GhcrWorld) -> None:
        world.push(["1"], {}, ["linux/amd64"])
        assert world.client(LOGIN).describe(ImageReference(world.repository, "1")) is not None
        asked = [request for request in world.front.requests if "token" in request.path]
        assert [request.query for request in asked] == [
            "service=ghcr.io&scope=repository%3Aacme%2Fapp%3Apull"
        ]
