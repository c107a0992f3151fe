"""What ``promote-image`` is asked, what it must know, and what it decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from gitops_release.core.errors import ConflictError, UsageError
from gitops_release.core.observation import Assumed
from gitops_release.core.plan import Plan

if TYPE_CHECKING:
    from gitops_release.core.image import Digest, ImageReference
    from gitops_release.core.publishing import ImageDescription


class IfTargetExists(str, Enum):
    """What to do when the target names another image."""

    MOVE = "move"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class PromoteRequest:
    """An image to be in another repository, or under another tag, unchanged."""

    source: ImageReference
    target: ImageReference  # by tag
    if_exists: IfTargetExists = IfTargetExists.MOVE


@dataclass(frozen=True, slots=True)
class PromoteFacts:
    """What was read before deciding; ``None`` is "not there"."""

    source: ImageDescription | Assumed | None
    target: ImageDescription | Assumed | None


@dataclass(frozen=True, slots=True)
class CopyImage:
    """Let the target name the manifest that the source's digest names, with all its parts."""

    source: ImageReference  # by digest
    target: ImageReference

    def describe(self) -> str:
        """Return one line for people."""
        return f"copy {self.source} to {self.target}"


def plan_promotion(request: PromoteRequest, facts: PromoteFacts) -> Plan[CopyImage]:
    """Decide whether to copy; an empty plan if the target names the image already.

    Raises ``UsageError`` if the source is not there, and ``ConflictError`` if the target names
    another image and the request forbids to move it.
    """
    digest, assumptions = _source_digest(request, facts.source)
    target = facts.target
    if isinstance(target, Assumed):
        assumptions = (*assumptions, f"{request.target} is not there yet ({target.reason})")
        target = None
    if target is not None and target.digest == digest:
        return Plan(f"nothing to do: {request.target} is {digest} already")
    if target is not None and request.if_exists is IfTargetExists.FAIL:
        raise ConflictError(
            f"expected no {request.target}, found {target.digest}",
            hint="choose another tag for --target, or leave --if-exists out",
        )
    pinned = replace(request.source, digest=digest)
    notices = () if target is None else (f"{request.target} moves away from {target.digest}",)
    return Plan(
        f"{request.target} becomes {digest or 'the image of the source'}",
        (CopyImage(pinned, request.target),),
        assumptions,
        notices,
    )


def _source_digest(
    request: PromoteRequest, source: ImageDescription | Assumed | None
) -> tuple[Digest | None, tuple[str, ...]]:
    if isinstance(source, Assumed):
        return request.source.digest, (f"{request.source} is there ({source.reason})",)
    if source is None:
        raise UsageError(
            f"expected the image {request.source}, found nothing",
            hint="was it pushed, and is the name right?",
        )
    return source.digest, ()
