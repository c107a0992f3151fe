from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from gitops_release.app.publish import Publisher
from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ConflictError,
    ImmutableTagError,
    MachineError,
    ServiceError,
)
from gitops_release.core.image import Digest, ImageReference, Repository
from gitops_release.core.observation import assume, refuse
from gitops_release.core.published import PublishedImage, Source
from gitops_release.core.publishing import (
    AddTags,
    Build,
    BuildAndPush,
    IfExists,
    ImageDescription,
    PublishRequest,
    labelled,
)
from tests.fakes import FakeEngine, FakeRegistry, image

if TYPE_CHECKING:
    from gitops_release.core.observation import Unreadable

REPOSITORY = Repository.parse("r.example.com/acme/web")
REQUEST = PublishRequest(
    repository=REPOSITORY,
    tags=("1", "latest"),
    build=Build(context=".", dockerfile="Dockerfile"),
    source=Source(repository="https://github.com/acme/web", revision="a" * 40),
)
BUILD = BuildAndPush(labelled(REQUEST), REQUEST.references, "a fake engine")


@dataclass
class World:
    """A registry, an engine that pushes there, and what was announced."""

    registry: FakeRegistry = field(default_factory=FakeRegistry)
    announced: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = FakeEngine(self.registry)
        self.publisher = Publisher(self.registry, self.engine, self.announced.append)

    def publish(self, request: PublishRequest = REQUEST) -> PublishedImage:
        return self.publisher.execute(request, self.publisher.plan(request, refuse))

    def tags(self) -> dict[str, Digest]:
        return self.registry.repositories[REPOSITORY].tags


@pytest.fixture
def world() -> World:
    return World()


def test_an_image_is_built_pushed_and_described_by_the_registry(world: World) -> None:
    published = world.publish()
    assert world.engine.builds == [BUILD]
    assert published == PublishedImage(
        repository=REPOSITORY,
        tags=("1", "latest"),
        digest=world.tags()["1"],
        platforms=("linux/amd64",),
        created="2026-01-02T03:04:05Z",
        reused=False,
        source=REQUEST.source,
    )
    assert world.tags() == {"1": published.digest, "latest": published.digest}


def test_each_action_is_announced_before_it_is_done(world: World) -> None:
    world.publish()
    assert world.announced == [BUILD.describe()]


def test_the_push_is_proved_by_digest(world: World) -> None:
    published = world.publish()
    proof = ImageReference(REPOSITORY, "1", published.digest)
    looked_at, proved = world.registry.asked[:2], world.registry.asked[2:]
    assert looked_at == list(REQUEST.references)
    assert proved[0] == proof


def test_the_second_run_has_an_empty_plan_and_the_same_digest(world: World) -> None:
    first = world.publish()
    decision = world.publisher.plan(REQUEST, refuse)
    assert decision.plan.actions == ()
    assert world.publish() == replace(first, reused=True)
    assert len(world.engine.builds) == 1


def test_a_run_that_was_killed_between_two_tags_is_resumed(world: World) -> None:
    digest = world.publish().digest
    del world.tags()["latest"]
    published = world.publish()
    assert world.registry.writes == [AddTags(REPOSITORY, digest, ("latest",))]
    assert published.reused
    assert world.tags() == {"1": digest, "latest": digest}
    assert len(world.engine.builds) == 1


def test_other_options_build_again_and_move_the_tag(world: World) -> None:
    first = world.publish()
    other = replace(REQUEST, build=replace(REQUEST.build, build_args=(("A", "1"),)))
    second = world.publish(other)
    assert second.digest != first.digest
    assert world.tags()["1"] == second.digest


def test_nothing_is_built_where_the_tag_must_not_exist(world: World) -> None:
    world.publish()
    with pytest.raises(ConflictError):
        world.publish(replace(REQUEST, if_exists=IfExists.FAIL))
    assert len(world.engine.builds) == 1


@pytest.mark.parametrize("unreadable", [assume, refuse])
def test_planning_writes_nothing(world: World, unreadable: Unreadable) -> None:
    world.publisher.plan(REQUEST, unreadable)
    assert world.engine.builds == []
    assert world.registry.writes == []
    assert world.registry.repositories == {}
    assert world.announced == []


@pytest.mark.parametrize("failure", [AuthenticationError("no password"), ServiceError("down")])
def test_a_dry_run_assumes_an_empty_registry_where_it_cannot_look(
    world: World, failure: AuthenticationError | ServiceError
) -> None:
    world.registry.failure = failure
    decision = world.publisher.plan(REQUEST, assume)
    assert decision.plan.actions == (BUILD,)
    (assumption,) = decision.plan.assumptions
    assert failure.message in assumption


def test_a_run_that_writes_needs_its_registry(world: World) -> None:
    world.registry.failure = AuthenticationError("no password")
    with pytest.raises(AuthenticationError):
        world.publisher.plan(REQUEST, refuse)


def test_a_dry_run_assumes_an_engine_where_there_is_none(world: World) -> None:
    world.engine.missing = MachineError("no docker")
    assert world.publisher.plan(REQUEST, assume).plan.assumptions == (
        "an engine builds it (no docker)",
    )


def test_a_run_that_writes_needs_its_engine(world: World) -> None:
    world.engine.missing = MachineError("no docker")
    with pytest.raises(MachineError, match="no docker"):
        world.publisher.plan(REQUEST, refuse)


def immutable(world: World, built: Digest | None) -> ImmutableTagError:
    """Let the registry have the image, and the engine's push be refused."""
    there = image("web")
    world.registry.put(REPOSITORY, there, ["1"])
    error = ImmutableTagError("the tag is immutable", built=built)
    world.engine.failure = error
    return error


def test_an_immutable_tag_of_the_same_image_is_taken_as_it_is(world: World) -> None:
    there = image("web").digest
    immutable(world, there)
    published = world.publish()
    assert published.digest == there
    assert world.tags() == {"1": there, "latest": there}
    assert world.announced[1].endswith(f"is there already: {there}")


@pytest.mark.parametrize("built", [image("other").digest, None])
def test_an_immutable_tag_of_another_image_is_a_conflict(
    built: Digest | None, world: World
) -> None:
    immutable(world, built)
    with pytest.raises(ConflictError, match=str(image("web").digest)):
        world.publish()
    assert world.registry.writes == []


def test_an_immutable_tag_that_names_nothing_is_a_conflict(world: World) -> None:
    world.engine.failure = ImmutableTagError("the tag is immutable", built=image("web").digest)
    with pytest.raises(ConflictError, match="names nothing"):
        world.publish()


def test_a_build_that_fails_leaves_the_registry_as_it_was(world: World) -> None:
    world.engine.failure = BuildError("RUN false")
    with pytest.raises(BuildError):
        world.publish()
    assert world.registry.repositories == {}


def test_the_engine_pushes_with_the_credentials_of_the_registry(world: World) -> None:
    world.registry.users = {"user": "hunter22"}
    world.registry.login = Credentials("user", Secret("hunter22"))
    assert world.publish().digest in world.registry.repositories[REPOSITORY].manifests


@dataclass
class ForgetfulRegistry(FakeRegistry):
    """Accepts images and has lost them when it is asked for a digest."""

    def describe(self, image: ImageReference) -> ImageDescription | None:
        return None if image.digest is not None else super().describe(image)


def test_an_image_that_is_not_found_after_its_push_is_a_build_error() -> None:
    world = World(ForgetfulRegistry())
    with pytest.raises(BuildError, match="after the push, found nothing"):
        world.publish()


@dataclass
class BusyRegistry(FakeRegistry):
    """Another build takes the tags (or a person removes them) as soon as they are pushed."""

    taken: ImageDescription | None = None

    def describe(self, image: ImageReference) -> ImageDescription | None:
        if image.digest is not None:
            tags = self.repositories[image.repository].tags
            tags.clear()
            if self.taken is not None:
                self.put(image.repository, self.taken, ["1", "latest"])
        return super().describe(image)


@pytest.mark.parametrize(
    ("taken", "where"), [(image("other"), str(image("other").digest)), (None, "nothing")]
)
def test_a_tag_that_moved_meanwhile_is_a_warning(
    taken: ImageDescription | None, where: str
) -> None:
    world = World(BusyRegistry(taken=taken))
    published = world.publish()
    warnings = [line for line in world.announced if line.startswith("warning: ")]
    assert [line.partition(":")[2].split(",")[0] for line in warnings] == [
        f" the tag {tag} names {where} now" for tag in ("1", "latest")
    ]
    assert all(f"not {published.digest}" in line for line in warnings)
