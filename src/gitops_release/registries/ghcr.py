"""GitHub Container Registry: ghcr.io/OWNER/IMAGE.

https://docs.github.com/packages/working-with-a-github-packages-registry : any user name with a
token that may write packages; a package is made by its first push.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import UsageError
from gitops_release.registries.provider import PlainProvider

if TYPE_CHECKING:
    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import Repository
    from gitops_release.registries.connection import Connection

HOST: Final = "ghcr.io"


class GhcrProvider(PlainProvider):
    """Images below a user or an organization of GitHub."""

    def __init__(self, host: str, connection: Connection) -> None:
        super().__init__(host)
        self._credentials = connection.credentials

    def identity(self) -> str:
        """Return where the credentials come from."""
        return "the user name and token in the named variables, or anonymous"

    def fetch(self) -> Credentials | None:
        """Return the credentials that were given: a token does not age while a job runs."""
        return self._credentials()

    def check(self, repository: Repository) -> None:
        """Raise ``UsageError`` unless an image follows its owner."""
        if "/" not in repository.path:
            raise UsageError(
                f"expected {HOST}/OWNER/IMAGE, found {repository}",
                hint=f"write --registry {HOST}/OWNER --image {repository.name}",
            )
