"""A registry: what its provider knows, and the data plane that all share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitops_release.registries.oci import DistributionClient
from gitops_release.registries.renewal import RenewedCredentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import Digest, ImageReference, Repository
    from gitops_release.core.publishing import ImageDescription
    from gitops_release.core.repository_settings import RepositorySettings
    from gitops_release.registries.connection import Connection
    from gitops_release.registries.provider import Provider


class HostedRegistry:
    """The registry at a host, as the port ``Registry`` wants it."""

    def __init__(self, host: str, connection: Connection, provider: Provider) -> None:
        self._provider = provider
        self._credentials = RenewedCredentials(provider.fetch)
        self.contents = DistributionClient(host, connection, self._credentials.current)

    def identity(self) -> str:
        """Return who we are there and why that was chosen, for people."""
        return self._provider.identity()

    def credentials(self) -> Credentials | None:
        """Return credentials that were issued just now."""
        fresh = self._credentials.fresh()
        self.contents.session.forget()
        return fresh

    def describe(self, image: ImageReference) -> ImageDescription | None:
        """Return what the registry says of an image."""
        self._provider.check(image.repository)
        return self.contents.describe(image)

    def add_tags(self, repository: Repository, digest: Digest, tags: Sequence[str]) -> None:
        """Let tags name the image with the digest."""
        self.contents.add_tags(repository, digest, tags)

    def repository_exists(self, repository: Repository) -> bool:
        """Say whether an image can be pushed without creating its repository first."""
        self._provider.check(repository)
        return self._provider.repository_exists(repository)

    def findings(self, image: ImageReference) -> Mapping[str, int] | None:
        """Return how many scan findings of each severity an image has, if the registry says."""
        return self._provider.findings(image)

    def properties(self, image: ImageReference) -> Mapping[str, str]:
        """Return what else this kind of registry says of an image; for people."""
        return self._provider.properties(image)

    def check_settings(self, settings: RepositorySettings) -> None:
        """Raise ``UsageError`` for a setting of new repositories that this registry lacks."""
        self._provider.check_settings(settings)

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        """Create a repository; one that is there meanwhile is left as it is."""
        self._provider.create_repository(repository, settings)
