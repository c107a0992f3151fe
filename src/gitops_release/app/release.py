"""``create-release-pr``: look at the manifest repository, decide, publish, present."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import GitopsReleaseError, ImageNotFoundError
from gitops_release.core.image import Digest
from gitops_release.core.observation import Assumed
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
    assuming,
    plan_release,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gitops_release.core.git import BaseCommit
    from gitops_release.core.image import ImageReference
    from gitops_release.core.manifest import ManifestEdits
    from gitops_release.core.observation import Unreadable
    from gitops_release.core.ports import ManifestEditor, ManifestRepository, PullRequests
    from gitops_release.core.release_request import ReleaseRequest


UNREAD: Final = Digest(f"sha256:{'0' * 64}")
ANY_IMAGE: Final = b"image"  # what every file that names an image contains


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

    def plan(self, request: ReleaseRequest, unreadable: Unreadable) -> Decision:
        """Return what is left to do; writes nothing."""
        base = self.repository.base(request.base)
        edits, assumptions = self._edits(request, base, unreadable)
        name = name_release(request)
        facts = ReleaseFacts(
            base=base,
            edits=edits,
            branch=self._branch(name.branch, edits),
            pull_request=self._pull_request(name.branch, base),
        )
        text = word_release(request, name, edits)
        release = plan_release(request, text, facts)
        return Decision(facts, text, assuming(release, assumptions))

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

    def _edits(
        self, request: ReleaseRequest, base: BaseCommit, unreadable: Unreadable
    ) -> tuple[ManifestEdits, tuple[str, ...]]:
        """Return the edits, and what was assumed to compute them."""
        images = [image.reference for image in request.images]
        candidates = tuple(
            self.repository.candidates(
                base.sha, request.selection.paths, self.editor.needles(images)
            )
        )
        try:
            edits = self.editor.edit(candidates, images, request.selection)
        except ImageNotFoundError as error:
            raise self._with_nearest(error, request, base) from error
        if not edits.needs_digest:
            return edits, ()
        digests, assumptions = self._digests(edits.needs_digest, unreadable)
        pinned = [replace(image, digest=digests.get(image, image.digest)) for image in images]
        return self.editor.edit(candidates, pinned, request.selection), assumptions

    def _digests(
        self, images: Iterable[ImageReference], unreadable: Unreadable
    ) -> tuple[Mapping[ImageReference, Digest], tuple[str, ...]]:
        """Return the digests behind tags, for places that hold one, and what was assumed."""
        found = {image: self._digest(image, unreadable) for image in images}
        assumptions = tuple(
            f"{image} is in its registry; zeros stand for its digest ({digest.reason})"
            for image, digest in found.items()
            if isinstance(digest, Assumed)
        )
        digests = {
            image: UNREAD if isinstance(digest, Assumed) else digest
            for image, digest in found.items()
        }
        return digests, assumptions

    def _digest(self, image: ImageReference, unreadable: Unreadable) -> Digest | Assumed:
        try:
            return self.resolve(image)
        except GitopsReleaseError as error:
            return unreadable(error)

    def _with_nearest(
        self, error: ImageNotFoundError, request: ReleaseRequest, base: BaseCommit
    ) -> ImageNotFoundError:
        """Return the error with names from all manifests: those read so far mention the image."""
        files = self.repository.candidates(base.sha, request.selection.paths, [ANY_IMAGE])
        near = self.editor.nearest(files, error.image)
        hint = f"did you mean {' or '.join(near)}?" if near else error.hint
        return ImageNotFoundError(error.message, image=error.image, hint=hint)

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
