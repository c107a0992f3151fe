"""Any OCI registry, with a user name and a password or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import ImageReference, Repository
    from gitops_release.core.repository_settings import RepositorySettings
    from gitops_release.registries.connection import Connection


class GenericProvider:
    """A registry that keeps to the OCI distribution specification and has no other interface."""

    def __init__(self, host: str, connection: Connection) -> None:
        self._host = host
        self._credentials = connection.credentials

    def fetch(self) -> Credentials | None:
        """Return the credentials that were given: a password does not age."""
        return self._credentials()

    def identity(self) -> str:
        """Return where the credentials come from."""
        return "the user name and password in the named variables, or anonymous"

    def check(self, repository: Repository) -> None:
        """Accept every path."""

    def repository_exists(self, repository: Repository) -> bool:
        """Say yes: the specification knows no repository without an image."""
        del repository
        return True

    def findings(self, image: ImageReference) -> None:
        """Return nothing: the specification knows no scans."""
        del image

    def properties(self, image: ImageReference) -> dict[str, str]:
        """Return nothing more."""
        del image
        return {}

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        """Raise ``UsageError``: the specification has no way to create one."""
        raise UsageError(f"{self._host} has no way to create {repository} with {settings}")
