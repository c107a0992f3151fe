"""What ``create-release-pr`` is asked, what it must know, and what it decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from gitops_release.core.errors import ConflictError
from gitops_release.core.plan import Plan
from gitops_release.core.release_commit import is_untouched, release_of

if TYPE_CHECKING:
    from gitops_release.core.git import Author, BaseCommit, Commit
    from gitops_release.core.manifest import FileChange, ManifestEdits, Slot
    from gitops_release.core.release_request import ReleaseRequest
    from gitops_release.core.release_text import ReleaseText


class PullRequestState(str, Enum):
    """GitHub tells a merged pull request from one that a person closed."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as far as a release looks at it."""

    number: int
    url: str
    state: PullRequestState
    title: str
    body: str
    head: str  # the commit


@dataclass(frozen=True, slots=True)
class NoForge:
    """There are no pull requests: the release is its branch."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The release's branch as it stands."""

    head: Commit
    has_changes: bool  # every file of the release has its new content there


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What was read before deciding."""

    base: BaseCommit
    edits: ManifestEdits
    branch: Branch | None
    pull_request: PullRequest | NoForge | None  # for the branch, into the base; an open one first


@dataclass(frozen=True, slots=True)
class PublishBranch:
    """Commit the changes on top of the base and let the branch point there, atomically.

    ``head`` is where the branch must be until then; ``None`` means that it must not exist.
    """

    branch: str
    base: BaseCommit
    head: str | None
    changes: tuple[FileChange, ...]
    message: str  # without trailers
    release: str  # the key of the trailer
    author: Author | None

    def describe(self) -> str:
        """Return one line for people."""
        files = ", ".join(change.path for change in self.changes)
        kind = "the new branch" if self.head is None else f"the branch at {self.head[:7]},"
        return (
            f"commit {files} to {kind} {self.branch} "
            f"on {self.base.branch} ({self.base.sha[:7]}): {self.message.splitlines()[0]}"
        )


@dataclass(frozen=True, slots=True)
class OpenPullRequest:
    """Open the pull request of a branch."""

    branch: str
    base: str
    title: str
    body: str

    def describe(self) -> str:
        """Return one line for people."""
        return f"open a pull request {self.branch} -> {self.base}: {self.title}"


@dataclass(frozen=True, slots=True)
class UpdatePullRequest:
    """Give an open pull request its title and body."""

    number: int
    title: str
    body: str

    def describe(self) -> str:
        """Return one line for people."""
        return f"update pull request #{self.number}: {self.title}"


ReleaseAction = PublishBranch | OpenPullRequest | UpdatePullRequest


class Operation(str, Enum):
    """What became of the release; the values are those of ``release.json``."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    MERGED = "merged"
    DECLINED = "declined"
    SUPERSEDED = "superseded"
    BRANCH_ONLY = "branch-only"


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """What to write, and what the release comes to once that is done."""

    plan: Plan[ReleaseAction]
    operation: Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResult:
    """What a release came to: the content of ``release.json``."""

    operation: Operation
    changed: bool
    branch: str
    pull_request: PullRequest | None = None
    commit: str | None = None
    slots: tuple[Slot, ...] = ()  # the places that the release changes
    superseded: tuple[int, ...] = ()


def plan_release(request: ReleaseRequest, text: ReleaseText, facts: ReleaseFacts) -> ReleasePlan:
    """Decide what the release still needs; an empty plan if nothing.

    The base's content decides first, then the branch's, then the pull request's state. Raises
    ``ConflictError`` where going on would overwrite a person's work or decision.
    """
    if not facts.edits.changes:
        return _already_released(facts)
    match facts.pull_request:
        case PullRequest(state=PullRequestState.CLOSED) as closed:
            return _declined(closed)
        case PullRequest(state=PullRequestState.MERGED) as merged:
            raise _no_longer_in_base(merged, facts.base)
        case PullRequest() | NoForge() | None:
            pass
    publish = _publish(request, text, facts)
    present = _present(text, facts)
    actions = (*publish, *present)
    return ReleasePlan(
        Plan(_reason(text, actions), actions),
        _operation(actions, facts),
    )


def assuming(release: ReleasePlan, assumptions: tuple[str, ...]) -> ReleasePlan:
    """Return the plan with what was taken for granted to make it."""
    return replace(release, plan=replace(release.plan, assumptions=assumptions))


def _publish(
    request: ReleaseRequest, text: ReleaseText, facts: ReleaseFacts
) -> tuple[PublishBranch, ...]:
    branch = facts.branch
    if branch is not None:
        if branch.has_changes:
            if facts.pull_request is None:
                # A pull request of ours holds nothing that we did not write.
                _check_ours(text, branch.head)
            return ()
        _check_ours(text, branch.head)
    return (
        PublishBranch(
            branch=text.branch,
            base=facts.base,
            head=None if branch is None else branch.head.sha,
            changes=facts.edits.changes,
            message=text.commit_message,
            release=text.key,
            author=request.author,
        ),
    )


def _present(
    text: ReleaseText, facts: ReleaseFacts
) -> tuple[OpenPullRequest | UpdatePullRequest, ...]:
    match facts.pull_request:
        case NoForge():
            return ()
        case None:
            return (OpenPullRequest(text.branch, facts.base.branch, text.title, text.body),)
        case PullRequest() as found if (found.title, found.body) == (text.title, text.body):
            return ()
        case PullRequest() as found:
            return (UpdatePullRequest(found.number, text.title, text.body),)


def _check_ours(text: ReleaseText, head: Commit) -> None:
    """Raise unless the branch's head is a commit of this very release, untouched."""
    if not is_untouched(head):
        raise ConflictError(
            f"expected only commits of this release on the branch {text.branch}, found "
            f"{head.sha[:7]} by {head.author}",
            hint="merge or close that work, delete the branch, or choose another one with --branch",
        )
    if release_of(head) != text.key:
        raise ConflictError(
            f"expected the release {text.key} on the branch {text.branch}, found "
            f"{release_of(head)} ({head.sha[:7]})",
            hint="tell the releases apart with --environment or --branch",
        )


def _already_released(facts: ReleaseFacts) -> ReleasePlan:
    places = ", ".join(str(slot.location) for slot in facts.edits.slots)
    reason = f"nothing to release: {facts.base.branch} has it already in {places}"
    match facts.pull_request:
        case PullRequest(state=PullRequestState.MERGED):
            return ReleasePlan(Plan(reason), Operation.MERGED)
        case PullRequest() | NoForge() | None:
            return ReleasePlan(Plan(reason), Operation.UNCHANGED)


def _declined(closed: PullRequest) -> ReleasePlan:
    notice = f"a person closed {closed.url} without merging it: that is respected"
    return ReleasePlan(
        Plan("nothing to release: it was declined", notices=(notice,)), Operation.DECLINED
    )


def _no_longer_in_base(merged: PullRequest, base: BaseCommit) -> ConflictError:
    return ConflictError(
        f"expected the values of the merged pull request {merged.url} in {base.branch}, found "
        f"others at {base.sha[:7]}: the release was undone or replaced",
        hint="release a new build, or choose another --branch to release this one once more",
    )


def _reason(text: ReleaseText, actions: tuple[ReleaseAction, ...]) -> str:
    if not actions:
        return f"nothing to do: {text.title} is on the branch {text.branch} already"
    return text.title


def _operation(actions: tuple[ReleaseAction, ...], facts: ReleaseFacts) -> Operation:
    if not actions:
        return Operation.UNCHANGED
    match facts.pull_request:
        case NoForge():
            return Operation.BRANCH_ONLY
        case None:
            return Operation.CREATED
        case PullRequest():
            return Operation.UPDATED
