from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import pytest

from gitops_release.app.promote import Promoter
from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ConflictError,
    GitopsReleaseError,
    ServiceError,
    UsageError,
)
from gitops_release.core.image import ImageReference
from gitops_release.core.observation import assume, refuse
from gitops_release.core.promoting import IfTargetExists, PromoteRequest
from gitops_release.core.published import PublishedImage, Source
from gitops_release.core.publishing import (
    REVISION_LABEL,
    SOURCE_LABEL,
    ImageDescription,
)
from tests.fakes import FakeRegistry, image

SOURCE: Final = ImageReference.parse("from.example.com/team/app:1")
TARGET: Final = ImageReference.parse("to.example.com/prod/app:1.0")
REQUEST: Final = PromoteRequest(SOURCE, TARGET, IfTargetExists.MOVE)
IMAGE: Final = image(
    "the release",
    {SOURCE_LABEL: "https://github.com/acme/app", REVISION_LABEL: "a" * 40},
    platforms=("linux/amd64", "linux/arm64"),
)
OTHER: Final = image("something else")


@dataclass
class FakeCopier:
    """Copies what one fake registry says into another; ``failure`` is raised before that."""

    source: FakeRegistry
    target: FakeRegistry
    failure: GitopsReleaseError | None = None
    instead: ImageDescription | None = None  # another job's, which is faster
    copied: list[tuple[ImageReference, ImageReference]] = field(default_factory=list)

    def copy(self, source: ImageReference, target: ImageReference) -> None:
        self.copied.append((source, target))
        if self.failure is not None:
            raise self.failure
        found = self.source.describe(source)
        assert found is not None
        assert target.tag is not None
        self.target.put(target.repository, self.instead or found, [target.tag])


@dataclass
class World:
    """Two registries, and what was announced."""

    source: FakeRegistry = field(default_factory=FakeRegistry)
    target: FakeRegistry = field(default_factory=FakeRegistry)
    announced: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.copier = FakeCopier(self.source, self.target)
        self.promoter = Promoter(self.source, self.target, self.copier, self.announced.append)

    def promote(self, request: PromoteRequest = REQUEST) -> PublishedImage:
        return self.promoter.execute(request, self.promoter.plan(request, refuse))


@pytest.fixture
def world() -> World:
    world = World()
    world.source.put(SOURCE.repository, IMAGE, ["1"])
    return world


def test_an_image_is_copied_and_described_by_the_target(world: World) -> None:
    assert world.promote() == PublishedImage(
        repository=TARGET.repository,
        tags=("1.0",),
        digest=IMAGE.digest,
        platforms=("linux/amd64", "linux/arm64"),
        created=IMAGE.created,
        reused=False,
        source=Source(repository="https://github.com/acme/app", revision="a" * 40),
    )
    assert world.copier.copied == [(replace(SOURCE, digest=IMAGE.digest), TARGET)]
    assert world.announced == [f"copy {SOURCE}@{IMAGE.digest} to {TARGET}"]


def test_planning_writes_nothing(world: World) -> None:
    world.promoter.plan(REQUEST, refuse)
    assert world.copier.copied == []
    assert world.announced == []
    assert world.target.repositories == {}


def test_the_second_run_copies_nothing_and_reports_the_same(world: World) -> None:
    first = world.promote()
    second = world.promote()
    assert second == replace(first, reused=True)
    assert len(world.copier.copied) == 1


def test_what_was_planned_is_copied_though_the_tag_has_moved_meanwhile(world: World) -> None:
    plan = world.promoter.plan(REQUEST, refuse)
    world.source.put(SOURCE.repository, OTHER, ["1"])
    assert world.promoter.execute(REQUEST, plan).digest == IMAGE.digest


def test_a_tag_that_another_job_moves_at_the_same_time_is_no_success(world: World) -> None:
    world.copier.instead = OTHER
    with pytest.raises(BuildError, match=str(OTHER.digest)) as caught:
        world.promote()
    assert "at the same time" in (caught.value.hint or "")


def test_what_is_gone_afterwards_is_no_success(world: World) -> None:
    world.promote()
    plan = world.promoter.plan(REQUEST, refuse)
    world.target.repositories.clear()
    with pytest.raises(BuildError, match="found nothing"):
        world.promoter.execute(REQUEST, plan)


def test_a_conflict_copies_nothing(world: World) -> None:
    world.target.put(TARGET.repository, OTHER, ["1.0"])
    with pytest.raises(ConflictError):
        world.promote(replace(REQUEST, if_exists=IfTargetExists.FAIL))
    assert world.copier.copied == []


def test_a_missing_source_copies_nothing(world: World) -> None:
    with pytest.raises(UsageError):
        world.promote(replace(REQUEST, source=replace(SOURCE, tag="2")))
    assert world.copier.copied == []


def test_a_copy_that_fails_is_told_as_it_is(world: World) -> None:
    world.copier.failure = ServiceError("reset")
    with pytest.raises(ServiceError, match="reset"):
        world.promote()


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_run_that_writes_needs_its_facts(world: World, side: str) -> None:
    getattr(world, side).failure = AuthenticationError("no password")
    with pytest.raises(AuthenticationError):
        world.promote()
    assert world.copier.copied == []


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("failure", [AuthenticationError("no password"), ServiceError("down")])
def test_a_dry_run_assumes_what_it_cannot_read(
    world: World, side: str, failure: GitopsReleaseError
) -> None:
    getattr(world, side).failure = failure
    plan = world.promoter.plan(REQUEST, assume)
    assert len(plan.actions) == 1
    (assumption,) = plan.assumptions
    assert failure.message in assumption


def test_each_registry_is_asked_about_its_own_image_alone(world: World) -> None:
    world.source.login = Credentials("user", Secret("hunter22"))
    world.promote()
    assert {asked.repository for asked in world.source.asked} == {SOURCE.repository}
    assert {asked.repository for asked in world.target.asked} == {TARGET.repository}
