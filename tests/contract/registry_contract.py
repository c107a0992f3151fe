"""What every registry promises, and how a test brings images into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError, ServiceError
from gitops_release.core.image import ImageReference, Repository
from tests.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gitops_release.core.ports import Registry
    from gitops_release.core.publishing import ImageDescription

NOWHERE = digest_of("nothing has this digest")
LABELS = {"org.opencontainers.image.revision": "0" * 40, "said": 'a "b"\n$(c) ünïcödé'}


class RegistryWorld(Protocol):
    """A registry that wants a password, seen from outside."""

    login: Credentials
    repository: Repository  # empty at first, and nobody else's

    def client(self, login: Credentials | None) -> Registry:
        """Return the registry under test, given these credentials."""
        ...

    def unavailable(self) -> Registry:
        """Return a registry that fails whatever it is asked."""
        ...

    def push(
        self, tags: Sequence[str], labels: Mapping[str, str], platforms: Sequence[str]
    ) -> ImageDescription:
        """Put an image into the repository; return what the registry should say of it."""
        ...


class RegistryContract:
    """Subclasses give the fixture ``world``."""

    @pytest.fixture
    def registry_under_test(self, world: RegistryWorld) -> Registry:
        return world.client(world.login)

    def test_an_image_is_described_by_its_tag(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        pushed = world.push(["1.0", "latest"], LABELS, ["linux/amd64"])

        by_tag = registry_under_test.describe(ImageReference(world.repository, "1.0"))

        assert by_tag == pushed
        assert by_tag.labels == LABELS
        assert by_tag.platforms == ("linux/amd64",)
        assert by_tag.size > 0

    def test_an_image_is_described_by_its_digest_whatever_its_tag_names(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        first = world.push(["1.0"], {"build": "1"}, ["linux/amd64"])
        second = world.push(["1.0"], {"build": "2"}, ["linux/amd64"])

        by_digest = registry_under_test.describe(
            ImageReference(world.repository, digest=first.digest)
        )
        by_both = registry_under_test.describe(
            ImageReference(world.repository, "1.0", first.digest)
        )
        by_tag = registry_under_test.describe(ImageReference(world.repository, "1.0"))

        assert by_digest == by_both == first
        assert by_tag == second

    def test_an_image_for_several_platforms_names_them(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        platforms = ("linux/amd64", "linux/arm/v7")
        pushed = world.push(["1.0"], {"build": "1"}, platforms)

        described = registry_under_test.describe(ImageReference(world.repository, "1.0"))

        assert described == pushed
        assert described.platforms == platforms

    def test_what_is_not_there_is_none(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        world.push(["1.0"], {}, ["linux/amd64"])

        assert registry_under_test.describe(ImageReference(world.repository, "2.0")) is None
        assert (
            registry_under_test.describe(ImageReference(world.repository, digest=NOWHERE)) is None
        )
        assert (
            registry_under_test.describe(ImageReference(world.repository, "1.0", NOWHERE)) is None
        )

    def test_an_image_of_an_unknown_repository_is_none(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        unknown = Repository(world.repository.host, f"{world.repository.path}/unknown")

        assert registry_under_test.describe(ImageReference(unknown, "1.0")) is None

    def test_tags_are_added_to_a_digest(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        first = world.push(["1.0", "stable"], {"build": "1"}, ["linux/amd64", "linux/arm64"])
        world.push(["2.0", "latest"], {"build": "2"}, ["linux/amd64"])

        registry_under_test.add_tags(world.repository, first.digest, ["latest", "new"])

        for tag in ("1.0", "stable", "latest", "new"):
            assert registry_under_test.describe(ImageReference(world.repository, tag)) == first
        second = registry_under_test.describe(ImageReference(world.repository, "2.0"))
        assert second is not None
        assert second.labels == {"build": "2"}

    def test_adding_tags_twice_changes_nothing(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        pushed = world.push(["1.0"], {}, ["linux/amd64"])

        registry_under_test.add_tags(world.repository, pushed.digest, ["1.0", "new"])
        registry_under_test.add_tags(world.repository, pushed.digest, ["1.0", "new"])

        assert registry_under_test.describe(ImageReference(world.repository, "new")) == pushed

    def test_what_is_not_there_gets_no_tags(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        world.push(["1.0"], {}, ["linux/amd64"])

        with pytest.raises(ServiceError, match=str(NOWHERE)):
            registry_under_test.add_tags(world.repository, NOWHERE, ["new"])

        assert registry_under_test.describe(ImageReference(world.repository, "new")) is None

    def test_the_credentials_given_are_those_supplied(self, world: RegistryWorld) -> None:
        assert world.client(world.login).credentials() == world.login
        assert world.client(None).credentials() is None

    @pytest.mark.parametrize(
        "unwelcome",
        [
            None,
            Credentials("ci", Secret("wrong-password")),
            Credentials("nobody", Secret("wrong-password")),
        ],
        ids=["no password", "a wrong password", "a stranger"],
    )
    def test_nobody_gets_in_without_the_password(
        self, world: RegistryWorld, unwelcome: Credentials | None
    ) -> None:
        pushed = world.push(["1.0"], {}, ["linux/amd64"])
        refused = world.client(unwelcome)

        with pytest.raises(AuthenticationError):
            refused.describe(ImageReference(world.repository, "1.0"))
        with pytest.raises(AuthenticationError):
            refused.describe(ImageReference(world.repository, "not-there"))
        with pytest.raises(AuthenticationError):
            refused.add_tags(world.repository, pushed.digest, ["new"])

        allowed = world.client(world.login)
        assert allowed.describe(ImageReference(world.repository, "new")) is None

    def test_what_can_be_pushed_to_exists(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        world.push(["1.0"], {}, ["linux/amd64"])

        assert registry_under_test.repository_exists(world.repository)

    def test_a_registry_that_fails_is_not_a_registry_without_the_image(
        self, world: RegistryWorld
    ) -> None:
        with pytest.raises(ServiceError):
            world.unavailable().describe(ImageReference(world.repository, "1.0"))
