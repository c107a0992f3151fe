"""All that differs between registries: who one is there, and what a repository is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gitops_release.core.errors import UsageError
from gitops_release.core.repository_settings import RepositorySettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import ImageReference, Repository


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

    def check_settings(self, settings: RepositorySettings) -> None:
        """Raise ``UsageError`` for a setting of new repositories that this kind lacks."""
        ...

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        """Create a repository; one that another job has created meanwhile is left as it is."""
        ...


def missing_extra(extra: str, host: str, error: ModuleNotFoundError) -> UsageError:
    """Return the error for an SDK that is not installed, with the line that installs it."""
    return UsageError(
        f"expected the extra [{extra}] for {host}, found no module {error.name}",
        hint=f"pip install 'gitops-release[{extra}]'",
    )


class PlainProvider:
    """What kinds have in common that make a repository by the first push, and tell no more of it.

    Subclasses say who one is there.
    """

    def __init__(self, host: str) -> None:
        self.host = host

    def check(self, repository: Repository) -> None:
        """Accept every path."""

    def repository_exists(self, repository: Repository) -> bool:
        """Say yes: a repository is there as soon as something is pushed to it."""
        del repository
        return True

    def findings(self, image: ImageReference) -> Mapping[str, int] | None:
        """Return nothing: there is no API for scans."""
        del image
        return None

    def properties(self, image: ImageReference) -> Mapping[str, str]:
        """Return nothing more."""
        del image
        return {}

    def check_settings(self, settings: RepositorySettings) -> None:
        """Raise ``UsageError`` for any setting: a first push takes none."""
        if settings != RepositorySettings():
            raise UsageError(
                f"{self.host} creates repositories by the first push, without settings",
                hint="leave the --repository-… options out, and set them at the registry",
            )

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        """Do nothing: the first push creates it."""
        del repository
        self.check_settings(settings)
