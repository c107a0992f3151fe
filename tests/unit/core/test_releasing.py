from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest

from gitops_release.core.errors import ConflictError
from gitops_release.core.git import Author, BaseCommit, Commit
from gitops_release.core.image import ImageReference
from gitops_release.core.manifest import (
    Edit,
    FileChange,
    FileMode,
    Location,
    ManifestEdits,
    Slot,
)
from gitops_release.core.release_commit import commit_message
from gitops_release.core.release_request import ReleaseImage, ReleaseRequest
from gitops_release.core.release_text import ReleaseText
from gitops_release.core.releasing import (
    Branch,
    NoForge,
    OpenPullRequest,
    Operation,
    PublishBranch,
    PullRequest,
    PullRequestState,
    ReleaseAction,
    ReleaseFacts,
    UpdatePullRequest,
    plan_release,
)

IMAGE = ImageReference.parse("r.example.com/acme/web:2")
BOT = Author("Bot", "bot@example.com")
REQUEST = ReleaseRequest(images=(ReleaseImage(IMAGE),), author=BOT)
TEXT = ReleaseText("web:2 0123456789abcdef", "release-web-2", "Release web 2", "body\n", "message")
BASE = BaseCommit("main", "b" * 40)
SLOT = Slot(Location("web.yaml", 1, ("image",)), IMAGE, "r.example.com/acme/web:1", str(IMAGE))
CHANGE = FileChange(
    "web.yaml",
    FileMode.REGULAR,
    b"image: r.example.com/acme/web:1\n",
    b"image: r.example.com/acme/web:2\n",
    (Edit("web.yaml", 30, 31, b"1", b"2"),),
)
EDITS = ManifestEdits((SLOT,), (CHANGE,))
RELEASED = ManifestEdits((replace(SLOT, old=SLOT.new),))

TREE = "7" * 40
OURS = Commit("c" * 40, TREE, commit_message("message", release=TEXT.key, tree=TREE), str(BOT))
OTHER_RELEASE = replace(OURS, message=commit_message("message", release="web:1 00", tree=TREE))
A_PERSONS = replace(OURS, message="fix the replicas", author="Ada <ada@example.com>")
AMENDED = replace(OURS, tree="8" * 40, author="Ada <ada@example.com>")

OPEN = PullRequest(5, "https://g/pull/5", PullRequestState.OPEN, TEXT.title, TEXT.body, OURS.sha)
OTHER_TITLE = replace(OPEN, title="Release")
OTHER_BODY = replace(OPEN, body="edited")
CLOSED = replace(OPEN, state=PullRequestState.CLOSED)
MERGED = replace(OPEN, state=PullRequestState.MERGED)


def publish(head: str | None) -> PublishBranch:
    return PublishBranch(TEXT.branch, BASE, head, (CHANGE,), TEXT.commit_message, TEXT.key, BOT)


CREATE = OpenPullRequest(TEXT.branch, "main", TEXT.title, TEXT.body)
UPDATE = UpdatePullRequest(5, TEXT.title, TEXT.body)


@dataclass(frozen=True)
class Row:
    """Facts, and what is decided."""

    name: str
    branch: Branch | None
    pull_request: PullRequest | NoForge | None
    actions: tuple[ReleaseAction, ...]
    operation: Operation
    edits: ManifestEdits = EDITS


DONE = Branch(OURS, has_changes=True)
BEHIND = Branch(OURS, has_changes=False)

ROWS = [
    Row("nothing is there", None, None, (publish(None), CREATE), Operation.CREATED),
    Row("no pull request yet", DONE, None, (CREATE,), Operation.CREATED),
    Row("all is there", DONE, OPEN, (), Operation.UNCHANGED),
    Row("another title", DONE, OTHER_TITLE, (UPDATE,), Operation.UPDATED),
    Row("another body", DONE, OTHER_BODY, (UPDATE,), Operation.UPDATED),
    Row("older content of ours", BEHIND, OPEN, (publish(OURS.sha),), Operation.UPDATED),
    Row("older in all", BEHIND, OTHER_BODY, (publish(OURS.sha), UPDATE), Operation.UPDATED),
    Row("older, never opened", BEHIND, None, (publish(OURS.sha), CREATE), Operation.CREATED),
    Row("the branch was deleted", None, OPEN, (publish(None),), Operation.UPDATED),
    Row("no forge", None, NoForge(), (publish(None),), Operation.BRANCH_ONLY),
    Row("no forge, older", BEHIND, NoForge(), (publish(OURS.sha),), Operation.BRANCH_ONLY),
    Row("no forge, done", DONE, NoForge(), (), Operation.UNCHANGED),
    Row("declined", DONE, CLOSED, (), Operation.DECLINED),
    Row("declined, branch deleted", None, CLOSED, (), Operation.DECLINED),
    Row("in the base", None, None, (), Operation.UNCHANGED, RELEASED),
    Row("in the base, merged", None, MERGED, (), Operation.MERGED, RELEASED),
    Row("in the base, still open", DONE, OPEN, (), Operation.UNCHANGED, RELEASED),
    Row("in the base, declined", DONE, CLOSED, (), Operation.UNCHANGED, RELEASED),
    Row("in the base, no forge", DONE, NoForge(), (), Operation.UNCHANGED, RELEASED),
]


def facts(
    branch: Branch | None,
    pull_request: PullRequest | NoForge | None,
    edits: ManifestEdits = EDITS,
) -> ReleaseFacts:
    return ReleaseFacts(BASE, edits, branch, pull_request)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_the_facts_decide(row: Row) -> None:
    decision = plan_release(REQUEST, TEXT, facts(row.branch, row.pull_request, row.edits))
    assert decision.plan.actions == row.actions
    assert decision.operation is row.operation


@pytest.mark.parametrize("pull_request", [None, OPEN, NoForge()])
@pytest.mark.parametrize("head", [A_PERSONS, AMENDED])
def test_a_persons_commit_is_a_conflict_that_names_its_author(
    head: Commit, pull_request: PullRequest | NoForge | None
) -> None:
    with pytest.raises(ConflictError, match=re.escape("ccccccc by Ada <ada@example.com>")):
        plan_release(REQUEST, TEXT, facts(Branch(head, has_changes=False), pull_request))


def test_another_release_on_the_branch_is_a_conflict_that_names_both() -> None:
    branch = Branch(OTHER_RELEASE, has_changes=False)
    with pytest.raises(ConflictError, match="web:1 00") as caught:
        plan_release(REQUEST, TEXT, facts(branch, None))
    assert TEXT.key in caught.value.message
    assert "--environment" in (caught.value.hint or "")


@pytest.mark.parametrize("branch", [None, DONE, BEHIND])
def test_a_merged_release_that_is_not_in_the_base_any_more_is_a_conflict(
    branch: Branch | None,
) -> None:
    with pytest.raises(ConflictError, match=re.escape("https://g/pull/5 in main")) as caught:
        plan_release(REQUEST, TEXT, facts(branch, MERGED))
    assert BASE.sha[:7] in caught.value.message


def test_a_declined_release_says_who_decided() -> None:
    decision = plan_release(REQUEST, TEXT, facts(DONE, CLOSED))
    (notice,) = decision.plan.notices
    assert notice.startswith("a person closed https://g/pull/5")


def test_what_is_released_already_says_where() -> None:
    decision = plan_release(REQUEST, TEXT, facts(None, None, RELEASED))
    assert decision.plan.reason == "nothing to release: main has it already in web.yaml:1 .image"


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (
            publish(None),
            "commit web.yaml to the new branch release-web-2 on main (bbbbbbb): message",
        ),
        (
            publish(OURS.sha),
            "commit web.yaml to the branch at ccccccc, release-web-2 on main (bbbbbbb): message",
        ),
        (CREATE, "open a pull request release-web-2 -> main: Release web 2"),
        (UPDATE, "update pull request #5: Release web 2"),
    ],
)
def test_each_action_is_a_line(action: ReleaseAction, line: str) -> None:
    assert action.describe() == line
