"""What ``create-release-pr`` is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_release.core.manifest import Selection
from gitops_release.core.published import Source

if TYPE_CHECKING:
    from gitops_release.core.git import Author
    from gitops_release.core.image import ImageReference


@dataclass(frozen=True, slots=True)
class ReleaseImage:
    """An image to release, and where it was built from if that is known."""

    reference: ImageReference
    source: Source = Source()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Templates for what people read; ``None`` means the built-in wording."""

    branch: str | None = None
    title: str | None = None
    body: str | None = None
    commit_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """Images to be named by a manifest repository, after a review."""

    images: tuple[ReleaseImage, ...]  # at least one
    selection: Selection = Selection()
    environment: str | None = None
    base: str | None = None  # a branch; None is the repository's default branch
    wording: Wording = Wording()
    author: Author | None = None  # None is the forge's own identity
