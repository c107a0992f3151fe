"""``create-release-pr``: look at the manifest repository, decide, publish, present."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gitops_release.core.release_text import ReleaseText, name_release, word_release
from gitops_release.core.releasing import (
    Branch,
    NoForge,
    OpenPullRequest,
    PublishBranch,
    PullRequest,
    ReleaseFacts,
    ReleasePlan,
    ReleaseResult,
    UpdatePullRequest,
    plan_release,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_release.core.git import BaseCommit
    from gitops_release.core.image import Digest, ImageReference
    from gitops_release.core.manifest import ManifestEdits
    from gitops_release.core.ports import ManifestEditor, ManifestRepository, PullRequests
    from gitops_release.core.release_request import ReleaseRequest


@dataclass(frozen=True, slots=True)
class Decision:
    """A release's facts, words and plan: all that is shown, and all that is executed."""

    facts: ReleaseFacts
    text: ReleaseText
    release: ReleasePlan


@dataclass(frozen=True, slots=True)
class Releaser:
    """Releases images into a manifest repository, and says what it is doing.

    ``pull_requests`` is ``None`` where there is no forge: the release is its branch then.
    ``resolve`` gives the digest behind a tag, for places that hold a digest.
    """

    repository: ManifestRepository
    pull_requests: PullRequests | None
    editor: ManifestEditor
    resolve: Callable[[ImageReference], Digest]
    announce: Callable[[str], None]

    def plan(self, request: ReleaseRequest) -> Decision:
        """Return what is left to do; writes nothing."""
        base = self.repository.base(request.base)
        edits = self._edits(request, base)
        name = name_release(request)
        facts = ReleaseFacts(
            base=base,
            edits=edits,
            branch=self._branch(name.branch, edits),
            pull_request=self._pull_request(name.branch, base),
        )
        text = word_release(request, name, edits)
        return Decision(facts, text, plan_release(request, text, facts))

    def execute(self, decision: Decision) -> ReleaseResult:
        """Do what was decided, and return what the release came to."""
        facts = decision.facts
        commit = None if facts.branch is None else facts.branch.head.sha
        found = facts.pull_request if isinstance(facts.pull_request, PullRequest) else None
        for action in decision.release.plan.actions:
            self.announce(action.describe())
            match action:
                case PublishBranch():
                    commit = self.repository.publish(action)
                case OpenPullRequest():
                    found = self._forge().open(action)
                case UpdatePullRequest():
                    found = self._forge().update(action)
        return ReleaseResult(
            operation=decision.release.operation,
            changed=bool(decision.release.plan.actions),
            branch=decision.text.branch,
            pull_request=found,
            commit=commit,
            slots=tuple(slot for slot in facts.edits.slots if slot.old != slot.new),
        )

    def _edits(self, request: ReleaseRequest, base: BaseCommit) -> ManifestEdits:
        images = [image.reference for image in request.images]
        candidates = tuple(
            self.repository.candidates(
                base.sha, request.selection.paths, self.editor.needles(images)
            )
        )
        edits = self.editor.edit(candidates, images, request.selection)
        if not edits.needs_digest:
            return edits
        pinned = [
            replace(image, digest=self.resolve(image)) if image in edits.needs_digest else image
            for image in images
        ]
        return self.editor.edit(candidates, pinned, request.selection)

    def _branch(self, name: str, edits: ManifestEdits) -> Branch | None:
        head = self.repository.commit_of(name)
        if head is None:
            return None
        wanted = {change.path: change.new for change in edits.changes}
        return Branch(head, has_changes=self.repository.read(head.sha, wanted) == wanted)

    def _pull_request(self, branch: str, base: BaseCommit) -> PullRequest | NoForge | None:
        if self.pull_requests is None:
            return NoForge()
        return self.pull_requests.find(branch, base.branch)

    def _forge(self) -> PullRequests:
        if self.pull_requests is None:
            raise ValueError("without a forge no plan has an action on pull requests")
        return self.pull_requests
