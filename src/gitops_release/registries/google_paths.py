"""Where Artifact Registry keeps what an image's path names.

https://cloud.google.com/artifact-registry/docs/transition/setup-gcr-repo : the images of a gcr.io
host are in the repository that is named after the host, in a multi-region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import UsageError
from gitops_release.registries.hosts import GOOGLE

if TYPE_CHECKING:
    from gitops_release.core.image import Repository

GCR_LOCATIONS: Final = {
    "gcr.io": "us",
    "us.gcr.io": "us",
    "eu.gcr.io": "europe",
    "asia.gcr.io": "asia",
}


@dataclass(frozen=True, slots=True)
class ArtifactRepository:
    """A repository in the words of the Artifact Registry API."""

    project: str
    location: str
    name: str

    @property
    def parent(self) -> str:
        """The API's name of the project's location."""
        return f"projects/{self.project}/locations/{self.location}"

    @property
    def path(self) -> str:
        """The API's name of the repository."""
        return f"{self.parent}/repositories/{self.name}"


def artifact_repository(repository: Repository) -> ArtifactRepository:
    """Return where the API keeps an image's repository; a short path is a ``UsageError``."""
    match = GOOGLE.fullmatch(repository.host)
    if match is None:
        raise ValueError(f"{repository.host} is not Google's")
    location = match["location"]
    parts = ("PROJECT", "IMAGE") if location is None else ("PROJECT", "REPOSITORY", "IMAGE")
    found = repository.path.split("/")
    if len(found) < len(parts):
        raise UsageError(
            f"expected {repository.host}/{'/'.join(parts)}, found {repository}",
            hint="the prefix goes into --registry, the image's name into --image",
        )
    if location is None:
        return ArtifactRepository(found[0], GCR_LOCATIONS[repository.host], repository.host)
    return ArtifactRepository(found[0], location, found[1])
