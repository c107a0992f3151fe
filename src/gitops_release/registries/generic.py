"""Any OCI registry, with a user name and a password or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitops_release.registries.provider import PlainProvider

if TYPE_CHECKING:
    from gitops_release.core.credentials import Credentials
    from gitops_release.registries.connection import Connection


class GenericProvider(PlainProvider):
    """A registry that keeps to the OCI distribution specification and has no other interface."""

    def __init__(self, host: str, connection: Connection) -> None:
        super().__init__(host)
        self._credentials = connection.credentials

    def fetch(self) -> Credentials | None:
        """Return the credentials that were given: a password does not age."""
        return self._credentials()

    def identity(self) -> str:
        """Return where the credentials come from."""
        return "the user name and password in the named variables, or anonymous"
