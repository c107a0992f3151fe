"""What every registry promises, and how a test brings images into one."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import pytest

from gitops_release.app.publish import Publisher
from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import (
    AuthenticationError,
    ConflictError,
    ServiceError,
    UsageError,
)
from gitops_release.core.image import ImageReference, Repository
from gitops_release.core.observation import refuse
from gitops_release.core.publishing import Build, IfExists, PublishRequest
from gitops_release.core.repository_settings import RepositorySettings
from gitops_release.engines.docker import DockerEngine
from gitops_release.system.processes import Processes
from gitops_release.system.retry import RetryPolicy
from tests.fakes import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gitops_release.core.ports import Engine, Registry
    from gitops_release.core.published import PublishedImage
    from gitops_release.core.publishing import ImageDescription
    from tests.standins.dockerd import DockerClient, DockerDaemon

NOWHERE = digest_of("nothing has this digest")
LABELS = {"org.opencontainers.image.revision": "0" * 40, "said": 'a "b"\n$(c) ünïcödé'}
DOCKERFILE: Final = "FROM scratch\nCOPY busybox /busybox\nLABEL build={}\n"
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
CREATORS: Final = 2
# A list is as long as the repository is old: ten thousand tags in a hundred pages.
LISTS: Final = re.compile(
    r"/tags/list|/_catalog|/_tags$|/_manifests$|/dockerImages$|/packages$|/tags$"
    r"|(?:ListImages|DescribeImages|DescribeImageTags)$"
)


class RegistryWorld(Protocol):
    """A registry that wants to know who comes, seen from outside."""

    login: Any  # what `client` takes: a user name and a password, or who somebody is at a cloud
    repository: Repository  # there, empty at first, and nobody else's

    def client(self, login: Any) -> Registry:  # noqa: ANN401 - as above
        """Return the registry under test for one who comes with this; ``None`` is nobody."""
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
    """Subclasses give the fixture ``world``.

    What a kind of registry has besides images is said by the hooks, down to the first test; as they
    are here, it makes repositories by itself, and its tags and passwords stay what they are.
    """

    creates_on_push: ClassVar[bool] = True
    # All that can be wanted of a new repository, and what can be wanted elsewhere only.
    settings: ClassVar[RepositorySettings] = RepositorySettings()
    lacking: ClassVar[Mapping[str, RepositorySettings]] = {}

    @pytest.fixture
    def registry_under_test(self, world: RegistryWorld) -> Registry:
        return world.client(world.login)

    @pytest.fixture
    def strangers(self, world: RegistryWorld) -> Mapping[str, Registry]:
        """Return the registry for those who may not do anything there."""
        return {
            "no password": world.client(None),
            "a wrong password": world.client(Credentials("ci", Secret("wrong-password"))),
            "a stranger": world.client(Credentials("nobody", Secret("wrong-password"))),
        }

    @pytest.fixture
    def missing(self, world: RegistryWorld) -> Repository:
        """Return a repository that is not there but could be."""
        return Repository(world.repository.host, f"{world.repository.path}-missing")

    @pytest.fixture
    def engine(
        self, docker_client: DockerClient, daemon: DockerDaemon, announced: list[str]
    ) -> Engine:
        environ = {**docker_client.environment(), "DOCKER_HOST": daemon.host}
        retry = RetryPolicy(announced.append, attempts=2, first_wait=0.001)
        return DockerEngine(Processes(environ), retry, announced.append, timeout=60)

    @pytest.fixture
    def announced(self) -> list[str]:
        return []

    def check_credentials(self, world: RegistryWorld, credentials: Credentials | None) -> None:
        """Assert that these are the credentials of ``world.login``."""
        assert credentials == world.login

    def settings_of(self, world: RegistryWorld, repository: Repository) -> RepositorySettings:
        """Return how a repository is set, as the registry has it."""
        raise NotImplementedError

    def make_immutable(self, world: RegistryWorld, image: ImageReference) -> bool:
        """Let a tag not move any more; ``False`` where tags always do."""
        del world, image
        return False

    @contextmanager
    def expiring(self, world: RegistryWorld) -> Iterator[list[str]]:
        """Let all that was issued expire in the middle of a push; note when that has happened.

        What is noted stays empty where passwords do not age.
        """
        del world
        yield []

    def requests(self, world: RegistryWorld) -> Sequence[str]:
        """Return what the registry was asked for: paths, and actions of its API."""
        del world
        return ()

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

    def test_the_credentials_given_are_those_supplied(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        self.check_credentials(world, registry_under_test.credentials())

    def test_nobody_else_gets_in(
        self, world: RegistryWorld, strangers: Mapping[str, Registry]
    ) -> None:
        pushed = world.push(["1.0"], {}, ["linux/amd64"])
        assert strangers

        for stranger, refused in strangers.items():
            with pytest.raises(AuthenticationError):
                pytest.fail(f"{stranger}: {refused.describe(_tagged(world, '1.0'))}")
            with pytest.raises(AuthenticationError):
                pytest.fail(f"{stranger}: {refused.describe(_tagged(world, 'not-there'))}")
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

    def test_a_repository_that_is_missing_has_no_images(
        self, registry_under_test: Registry, missing: Repository
    ) -> None:
        assert registry_under_test.repository_exists(missing) is self.creates_on_push
        assert registry_under_test.describe(ImageReference(missing, "1.0")) is None
        assert registry_under_test.describe(ImageReference(missing, digest=NOWHERE)) is None

    def test_a_repository_is_created_as_it_is_wanted(
        self, world: RegistryWorld, registry_under_test: Registry, missing: Repository
    ) -> None:
        registry_under_test.check_settings(self.settings)
        if self.creates_on_push:
            # Nothing is wanted of it, and the first push does the rest.
            registry_under_test.create_repository(missing, self.settings)
            return

        registry_under_test.create_repository(missing, self.settings)

        assert registry_under_test.repository_exists(missing)
        assert self.settings_of(world, missing) == self.settings

    def test_a_repository_that_is_there_stays_as_it_is(
        self, world: RegistryWorld, registry_under_test: Registry, missing: Repository
    ) -> None:
        if self.creates_on_push:
            return
        registry_under_test.create_repository(missing, RepositorySettings())
        before = self.settings_of(world, missing)

        registry_under_test.create_repository(missing, self.settings)

        assert self.settings_of(world, missing) == before

    def test_several_may_create_a_repository_at_once(
        self, world: RegistryWorld, registry_under_test: Registry, missing: Repository
    ) -> None:
        if self.creates_on_push:
            return
        clients = [world.client(world.login) for _ in range(CREATORS)]

        with ThreadPoolExecutor(CREATORS) as pool:
            list(pool.map(lambda one: one.create_repository(missing, self.settings), clients))

        assert registry_under_test.repository_exists(missing)
        assert self.settings_of(world, missing) == self.settings

    def test_a_setting_that_this_kind_lacks_is_refused_by_name(
        self, registry_under_test: Registry, missing: Repository
    ) -> None:
        lacking = dict(self.lacking)
        if self.creates_on_push:
            lacking["without settings"] = RepositorySettings(immutable_tags=True)
        for name, settings in lacking.items():
            with pytest.raises(UsageError, match=name):
                registry_under_test.check_settings(settings)
            with pytest.raises(UsageError, match=name):
                registry_under_test.create_repository(missing, settings)

        assert registry_under_test.repository_exists(missing) is self.creates_on_push

    def test_a_build_is_pushed_and_proved_and_a_second_one_finds_it(
        self,
        world: RegistryWorld,
        registry_under_test: Registry,
        engine: Engine,
        build_context: Path,
        announced: list[str],
    ) -> None:
        publisher = Publisher(registry_under_test, engine, announced.append)
        build = _build(build_context, "one")

        published = _published(publisher, world.repository, build, ["1.0", "latest"])
        again = _published(publisher, world.repository, build, ["1.0", "latest"])

        described = registry_under_test.describe(_tagged(world, "latest"))
        assert described is not None
        assert described.digest == published.digest == again.digest
        assert described.platforms == published.platforms
        assert registry_under_test.describe(_tagged(world, "1.0")) == described
        listed = [request for request in self.requests(world) if LISTS.search(request)]
        assert listed == []

    def test_a_tag_that_does_not_move_takes_the_same_image_again(
        self,
        world: RegistryWorld,
        registry_under_test: Registry,
        engine: Engine,
        build_context: Path,
        announced: list[str],
    ) -> None:
        publisher = Publisher(registry_under_test, engine, announced.append)
        build = _build(build_context, "one")
        first = _published(publisher, world.repository, build, ["1.0"])
        self.make_immutable(world, _tagged(world, "1.0"))

        again = _published(publisher, world.repository, build, ["1.0", "2.0"])

        assert again.digest == first.digest
        for tag in ("1.0", "2.0"):
            found = registry_under_test.describe(_tagged(world, tag))
            assert found is not None
            assert found.digest == first.digest

    def test_a_tag_that_does_not_move_is_a_conflict_for_another_image(
        self,
        world: RegistryWorld,
        registry_under_test: Registry,
        engine: Engine,
        build_context: Path,
        announced: list[str],
    ) -> None:
        publisher = Publisher(registry_under_test, engine, announced.append)
        first = _published(publisher, world.repository, _build(build_context, "one"), ["1.0"])
        immutable = self.make_immutable(world, _tagged(world, "1.0"))
        other = _build(build_context, "two")

        if not immutable:
            second = _published(publisher, world.repository, other, ["1.0"])
            found = registry_under_test.describe(_tagged(world, "1.0"))
            assert found is not None
            assert found.digest == second.digest != first.digest
            return
        with pytest.raises(ConflictError) as conflict:
            _published(publisher, world.repository, other, ["1.0"])

        assert conflict.value.exit_code == 4
        shown = DIGEST.findall(conflict.value.message)
        assert len(set(shown)) == 2
        assert str(first.digest) in shown
        found = registry_under_test.describe(_tagged(world, "1.0"))
        assert found is not None
        assert found.digest == first.digest

    def test_a_tag_that_does_not_move_is_not_added_to_another_image(
        self, world: RegistryWorld, registry_under_test: Registry
    ) -> None:
        first = world.push(["1.0"], {"build": "1"}, ["linux/amd64"])
        second = world.push(["2.0"], {"build": "2"}, ["linux/amd64"])
        if not self.make_immutable(world, _tagged(world, "1.0")):
            return

        with pytest.raises(ConflictError):
            registry_under_test.add_tags(world.repository, second.digest, ["1.0"])

        assert registry_under_test.describe(_tagged(world, "1.0")) == first

    def test_a_push_survives_the_end_of_its_credentials(
        self,
        world: RegistryWorld,
        registry_under_test: Registry,
        engine: Engine,
        build_context: Path,
        announced: list[str],
    ) -> None:
        publisher = Publisher(registry_under_test, engine, announced.append)
        build = _build(build_context, "one")

        with self.expiring(world) as expired:
            published = _published(publisher, world.repository, build, ["1.0"])

        described = registry_under_test.describe(_tagged(world, "1.0"))
        assert described is not None
        assert described.digest == published.digest
        tried_again = [line for line in announced if "trying again" in line]
        assert len(tried_again) == len(expired)


def _tagged(world: RegistryWorld, tag: str) -> ImageReference:
    return ImageReference(world.repository, tag)


def _build(context: Path, text: str) -> Build:
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(DOCKERFILE.format(text))
    return Build(context=str(context), dockerfile=str(dockerfile), labels=(("test", text),))


def _published(
    publisher: Publisher, repository: Repository, build: Build, tags: Sequence[str]
) -> PublishedImage:
    """Build and push, whatever is there already."""
    request = PublishRequest(
        repository=repository, tags=tuple(tags), build=build, if_exists=IfExists.REBUILD
    )
    return publisher.execute(request, publisher.plan(request, refuse))
