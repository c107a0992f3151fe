from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from gitops_release.app.release import Decision, Releaser
from gitops_release.core.errors import (
    AuthenticationError,
    ConflictError,
    GitopsReleaseError,
    ManifestError,
    ServiceError,
    UsageError,
)
from gitops_release.core.git import Author
from gitops_release.core.image import Digest, ImageReference
from gitops_release.core.manifest import Pin, Selection
from gitops_release.core.observation import assume, refuse
from gitops_release.core.release_request import ReleaseImage, ReleaseRequest, Wording
from gitops_release.core.releasing import (
    OpenPullRequest,
    Operation,
    PublishBranch,
    ReleaseResult,
    UpdatePullRequest,
)
from gitops_release.manifests import ManifestEditor
from tests.fakes import FakeManifestRepository, FakePullRequests, digest_of

if TYPE_CHECKING:
    from tests.fakes import Tree

NEW, OLD = digest_of("new"), digest_of("old")
IMAGE = ImageReference.parse("r.example.com/acme/web:2")
REQUEST = ReleaseRequest(images=(ReleaseImage(IMAGE),))
BRANCH = "release-web-2"
ADA = Author("Ada", "ada@example.com")


def pod(image: str) -> bytes:
    return f"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: {image}\n".encode()


BEFORE, AFTER = pod("r.example.com/acme/web:1"), pod("r.example.com/acme/web:2")
FILES = {"web.yaml": ("100644", BEFORE), "README.md": ("100644", b"web\n")}
RELEASED = {**FILES, "web.yaml": ("100644", AFTER)}


@dataclass
class World:
    """A manifest repository, its pull requests, and what was asked and announced."""

    files: Tree = field(default_factory=lambda: FILES)
    has_forge: bool = True
    announced: list[str] = field(default_factory=list)
    resolved: list[ImageReference] = field(default_factory=list)
    failure: GitopsReleaseError | None = None

    def __post_init__(self) -> None:
        self.repository = FakeManifestRepository()
        self.repository.commit("main", self.files)
        self.pulls = FakePullRequests(self.repository)
        self.releaser = Releaser(
            self.repository,
            self.pulls if self.has_forge else None,
            ManifestEditor(),
            self.resolve,
            self.announced.append,
        )

    def resolve(self, image: ImageReference) -> Digest:
        self.resolved.append(image)
        if self.failure is not None:
            raise self.failure
        return NEW

    def plan(self, request: ReleaseRequest = REQUEST) -> Decision:
        return self.releaser.plan(request, refuse)

    def release(self, request: ReleaseRequest = REQUEST) -> ReleaseResult:
        return self.releaser.execute(self.plan(request))

    def writes(self) -> list[type]:
        return [type(write) for write in (*self.repository.writes, *self.pulls.writes)]


@pytest.fixture
def world() -> World:
    return World()


def test_a_release_is_one_branch_and_one_pull_request(world: World) -> None:
    result = world.release()
    assert result.operation is Operation.CREATED
    assert result.changed
    assert result.branch == BRANCH
    assert result.commit == world.repository.branches[BRANCH]
    assert result.pull_request == world.pulls.pulls[1].request
    assert world.repository.files_of(BRANCH) == RELEASED
    assert world.repository.files_of("main") == FILES
    assert world.writes() == [PublishBranch, OpenPullRequest]


def test_the_branch_is_there_before_the_pull_request(world: World) -> None:
    decision = world.plan()
    world.releaser.execute(decision)
    assert [type(action) for action in decision.release.plan.actions] == [
        PublishBranch,
        OpenPullRequest,
    ]
    assert world.announced == [action.describe() for action in decision.release.plan.actions]


def test_the_result_names_the_places_that_change() -> None:
    world = World({**FILES, "done.yaml": ("100644", AFTER)})
    result = world.release(replace(REQUEST, selection=Selection(all_files=True)))
    assert [str(slot.location) for slot in result.slots] == ["web.yaml:5 .spec.containers[0].image"]


def test_planning_writes_nothing(world: World) -> None:
    before = dict(world.repository.branches)
    world.plan()
    assert world.writes() == []
    assert world.repository.branches == before
    assert world.announced == []


def test_the_second_run_has_an_empty_plan_and_the_same_result(world: World) -> None:
    first = world.release()
    assert world.plan().release.plan.actions == ()
    second = world.release()
    assert second == replace(first, operation=Operation.UNCHANGED, changed=False)
    assert world.writes() == [PublishBranch, OpenPullRequest]


def test_a_run_that_was_killed_before_its_pull_request_is_resumed(world: World) -> None:
    world.pulls.failure = ServiceError("down")
    with pytest.raises(ServiceError):
        world.release()
    world.pulls.failure = None
    result = world.release()
    assert result.operation is Operation.CREATED
    assert world.writes() == [PublishBranch, OpenPullRequest]


def test_a_title_that_a_person_changed_is_put_right(world: World) -> None:
    world.release()
    number = next(iter(world.pulls.pulls))
    pull = world.pulls.pulls[number]
    world.pulls.pulls[number] = replace(pull, request=replace(pull.request, title="x"))
    result = world.release()
    assert result.operation is Operation.UPDATED
    assert world.writes()[-1] is UpdatePullRequest
    assert result.pull_request is not None
    assert result.pull_request.title == "Release web 2"


def test_a_branch_that_fell_behind_is_built_again_on_top_of_itself(world: World) -> None:
    world.release()
    head = world.repository.branches[BRANCH]
    moved = {**FILES, "web.yaml": ("100644", BEFORE + b"# more\n")}
    world.repository.commit("main", moved)
    result = world.release()
    commit = world.repository.commits[result.commit or ""]
    assert commit.parents == (head, world.repository.branches["main"])
    assert commit.files["web.yaml"] == ("100644", AFTER + b"# more\n")
    assert world.writes().count(OpenPullRequest) == 1


def test_a_persons_commit_on_the_branch_is_not_overwritten(world: World) -> None:
    world.release()
    mine = world.repository.commit(BRANCH, FILES, "keep the old one", author=ADA)
    with pytest.raises(ConflictError, match="Ada"):
        world.release()
    assert world.repository.branches[BRANCH] == mine


def test_a_branch_that_moved_after_the_plan_is_not_overwritten(world: World) -> None:
    decision = world.plan()
    mine = world.repository.commit(BRANCH, FILES, author=ADA)
    with pytest.raises(ConflictError):
        world.releaser.execute(decision)
    assert world.repository.branches[BRANCH] == mine
    assert world.pulls.writes == []


def test_a_merged_release_is_done(world: World) -> None:
    world.release()
    world.pulls.merge(1)
    result = world.release()
    assert (result.operation, result.changed) == (Operation.MERGED, False)


def test_a_merged_release_that_was_reverted_is_a_conflict(world: World) -> None:
    world.release()
    world.pulls.merge(1)
    world.repository.commit("main", FILES, "Revert")
    with pytest.raises(ConflictError, match="undone"):
        world.release()


def test_a_closed_pull_request_is_respected(world: World) -> None:
    world.release()
    world.pulls.close(1)
    result = world.release()
    assert (result.operation, result.changed) == (Operation.DECLINED, False)
    assert world.writes() == [PublishBranch, OpenPullRequest]


def test_a_fork_with_the_same_branch_is_no_release_of_ours(world: World) -> None:
    world.pulls.open_from_fork(OpenPullRequest(BRANCH, "main", "Release web 2", ""))
    assert world.release().operation is Operation.CREATED


def test_without_a_forge_the_release_is_its_branch() -> None:
    world = World(has_forge=False)
    result = world.release()
    assert result.operation is Operation.BRANCH_ONLY
    assert result.pull_request is None
    assert world.repository.files_of(BRANCH) == RELEASED
    assert world.release().operation is Operation.UNCHANGED


def test_a_release_goes_into_the_branch_that_was_asked_for(world: World) -> None:
    world.repository.commit("production", FILES)
    world.release(replace(REQUEST, base="production"))
    (opened,) = world.pulls.writes
    assert isinstance(opened, OpenPullRequest)
    assert opened.base == "production"
    (published,) = world.repository.writes
    assert published.base.branch == "production"


def test_the_commit_has_the_author_that_was_asked_for(world: World) -> None:
    result = world.release(replace(REQUEST, author=ADA))
    assert world.repository.commits[result.commit or ""].author == str(ADA)


def test_a_digest_that_a_place_needs_is_asked_for_once() -> None:
    world = World({"web.yaml": ("100644", pod(f"r.example.com/acme/web:1@{OLD}"))})
    world.release()
    assert world.resolved == [IMAGE]
    assert world.repository.files_of(BRANCH) == {
        "web.yaml": ("100644", pod(f"r.example.com/acme/web:2@{NEW}"))
    }


def test_a_digest_that_is_given_is_not_asked_for() -> None:
    world = World({"web.yaml": ("100644", pod(f"r.example.com/acme/web:1@{OLD}"))})
    world.release(ReleaseRequest(images=(ReleaseImage(replace(IMAGE, digest=NEW)),)))
    assert world.resolved == []
    assert world.repository.files_of(BRANCH)["web.yaml"][1] == pod(
        f"r.example.com/acme/web:2@{NEW}"
    )


def test_a_place_without_a_digest_needs_none(world: World) -> None:
    world.release()
    assert world.resolved == []


def test_only_images_that_need_a_digest_are_asked_for() -> None:
    api = ImageReference.parse("r.example.com/acme/api:5")
    world = World(
        {
            "web.yaml": ("100644", pod(f"r.example.com/acme/web@{OLD}")),
            "api.yaml": ("100644", pod("r.example.com/acme/api:4")),
        }
    )
    result = world.release(ReleaseRequest(images=(ReleaseImage(api), ReleaseImage(IMAGE))))
    assert world.resolved == [IMAGE]
    assert {
        path: content for path, (_, content) in world.repository.files_of(result.branch).items()
    } == {
        "web.yaml": pod(f"r.example.com/acme/web@{NEW}"),
        "api.yaml": pod("r.example.com/acme/api:5"),
    }


PINNED = {"web.yaml": ("100644", pod(f"r.example.com/acme/web:1@{OLD}"))}


def test_a_dry_run_assumes_a_digest_that_it_cannot_read() -> None:
    world = World(PINNED)
    world.failure = AuthenticationError("no password")
    decision = world.releaser.plan(REQUEST, assume)
    (assumption,) = decision.release.plan.assumptions
    assert str(IMAGE) in assumption
    assert "no password" in assumption
    (change,) = decision.facts.edits.changes
    assert change.new == pod(f"r.example.com/acme/web:2@sha256:{'0' * 64}")


def test_a_run_that_writes_needs_the_digest() -> None:
    world = World(PINNED)
    world.failure = AuthenticationError("no password")
    with pytest.raises(AuthenticationError):
        world.release()
    assert world.writes() == []


def test_an_image_that_is_not_named_gets_the_nearest_that_is(world: World) -> None:
    typo = ImageReference.parse("r.example.com/acme/wbe:2")
    with pytest.raises(ManifestError) as caught:
        world.release(ReleaseRequest(images=(ReleaseImage(typo),)))
    assert caught.value.hint == "did you mean r.example.com/acme/web?"


def test_a_digest_does_not_change_the_name_of_the_release() -> None:
    world = World({"web.yaml": ("100644", pod(f"r.example.com/acme/web:1@{OLD}"))})
    assert world.release().branch == World().release().branch


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (replace(REQUEST, base="nowhere"), UsageError),
        (replace(REQUEST, selection=Selection(("other/**",))), ManifestError),
        (replace(REQUEST, wording=Wording(branch="{nothing}")), UsageError),
        (
            ReleaseRequest(images=(ReleaseImage(ImageReference.parse("r.example.com/x:1")),)),
            ManifestError,
        ),
    ],
)
def test_a_request_that_does_not_fit_writes_nothing(
    world: World, request_: ReleaseRequest, kind: type[GitopsReleaseError]
) -> None:
    with pytest.raises(kind):
        world.release(request_)
    assert world.writes() == []


def test_a_pin_is_handed_to_the_editor(world: World) -> None:
    world.release(replace(REQUEST, selection=Selection(pin=Pin.BOTH)))
    assert world.resolved == [IMAGE]
    assert world.repository.files_of(BRANCH)["web.yaml"][1] == pod(
        f"r.example.com/acme/web:2@{NEW}"
    )
