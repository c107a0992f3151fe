"""What every format provides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitops_release.manifests.document import Document
    from gitops_release.manifests.places import Finding
    from gitops_release.manifests.references import Targets


class Format(Protocol):
    """One way to name images in a document. Several formats may read the same document."""

    def claims(self, path: str, document: Document) -> bool:
        """Tell whether the document of the file at ``path`` is of this format."""
        ...

    def find(self, document: Document, targets: Targets) -> Iterator[Finding]:
        """Yield the places that name one of the images, and remarks on those left alone.

        Two formats that find the same node mean the same place.
        """
        ...

    def names(self, document: Document) -> Iterator[str]:
        """Yield the names of all images, to propose the nearest when one is not found."""
        ...
