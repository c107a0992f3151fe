"""Any OCI registry, with a user name and a password or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitops_release.registries.oci import DistributionClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import Digest, ImageReference, Repository
    from gitops_release.core.publishing import ImageDescription
    from gitops_release.registries.connection import Connection


class GenericRegistry:
    """A registry that keeps to the OCI distribution specification and has no other interface."""

    def __init__(self, host: str, connection: Connection) -> None:
        self._given = connection.credentials
        self._client = DistributionClient(host, connection, self.credentials)

    def credentials(self) -> Credentials | None:
        """Return the credentials that were given: a password does not age."""
        return self._given

    def describe(self, image: ImageReference) -> ImageDescription | None:
        """Return what the registry says of an image."""
        return self._client.describe(image)

    def add_tags(self, repository: Repository, digest: Digest, tags: Sequence[str]) -> None:
        """Let tags name the image with the digest."""
        self._client.add_tags(repository, digest, tags)
