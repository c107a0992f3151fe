"""All that differs between registries: who one is there, and what a repository is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import ImageReference, Repository
    from gitops_release.core.repository_settings import RepositorySettings


class Provider(Protocol):
    """A kind of registry, seen at one host."""

    def fetch(self) -> Credentials | None:
        """Return credentials issued now; ``None`` is anonymous.

        Raises ``AuthenticationError`` if the identity is refused or there is none, and
        ``ServiceError`` if it could not be asked.
        """
        ...

    def identity(self) -> str:
        """Return who we are there and why that was chosen, for people; nothing is asked."""
        ...

    def check(self, repository: Repository) -> None:
        """Raise ``UsageError`` for a path that this kind of registry cannot have."""
        ...

    def repository_exists(self, repository: Repository) -> bool:
        """Say whether an image can be pushed without creating its repository first."""
        ...

    def findings(self, image: ImageReference) -> Mapping[str, int] | None:
        """Return how many scan findings of each severity an image has, by its digest.

        ``None`` if this kind of registry offers none, or has not scanned the image.
        """
        ...

    def properties(self, image: ImageReference) -> Mapping[str, str]:
        """Return what else this kind of registry says of an image, by its digest; for people."""
        ...

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        """Create a repository; one that another job has created meanwhile is left as it is.

        Raises ``UsageError`` for a setting that this kind of registry lacks.
        """
        ...
