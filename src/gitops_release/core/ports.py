"""What the use cases need of the outside: satisfied by adapters, and by fakes in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gitops_release.core.credentials import Credentials, CredentialSupplier, Secret
    from gitops_release.core.git import BaseCommit, Commit
    from gitops_release.core.image import Digest, ImageReference, Repository
    from gitops_release.core.manifest import ManifestEdits, ManifestFile, Selection
    from gitops_release.core.publishing import Build, ImageDescription
    from gitops_release.core.releasing import (
        OpenPullRequest,
        PublishBranch,
        PullRequest,
        UpdatePullRequest,
    )
    from gitops_release.core.repository_settings import RepositorySettings


class TokenSource(Protocol):
    """Where the identity of this job comes from."""

    def token(self, audience: str | None) -> Secret:
        """Return an OIDC token for an audience; ``None`` is the issuer's default.

        Raises ``AuthenticationError`` if there is none.
        """
        ...


class Registry(Protocol):
    """Where images are kept."""

    def credentials(self) -> Credentials | None:
        """Return credentials that are good now; ``None`` means anonymous."""
        ...

    def describe(self, image: ImageReference) -> ImageDescription | None:
        """Return what the registry says of an image; ``None`` is "not there" and nothing else.

        An image with a digest is looked up by it, otherwise by its tag. Raises
        ``AuthenticationError`` or ``ServiceError`` if the registry could not be asked.
        """
        ...

    def add_tags(self, repository: Repository, digest: Digest, tags: Sequence[str]) -> None:
        """Let tags name the image with the digest, without moving any of its layers."""
        ...

    def repository_exists(self, repository: Repository) -> bool:
        """Say whether an image can be pushed without creating its repository first."""
        ...

    def check_settings(self, settings: RepositorySettings) -> None:
        """Raise ``UsageError`` for a setting of new repositories that this registry lacks."""
        ...

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        """Create a repository; one that another job has created meanwhile is left as it is."""
        ...


class Copier(Protocol):
    """What copies images between two registries, or within one."""

    def copy(self, source: ImageReference, target: ImageReference) -> None:
        """Let the target name the very manifest that the source names, with all its parts."""
        ...


class Engine(Protocol):
    """What builds and pushes images."""

    def describe(self) -> str:
        """Return name and version for people; raise ``MachineError`` if it cannot work here."""
        ...

    def build_and_push(
        self, build: Build, references: Sequence[ImageReference], credentials: CredentialSupplier
    ) -> Digest:
        """Build an image, push it under each reference, and return the digest of its manifest.

        The references are of one repository. Fresh credentials are asked for before each attempt
        to push. Raises ``BuildError`` if the build fails or the registry refuses the image, and
        ``ImmutableTagError`` if a tag names another manifest and may not move.
        """
        ...


class ManifestRepository(Protocol):
    """A git repository of manifests, read at a commit and written by new commits on branches."""

    def base(self, branch: str | None) -> BaseCommit:
        """Return the tip of a branch, or of the default branch."""
        ...

    def check_writable(self) -> None:
        """Raise ``AuthenticationError`` unless a branch may be written; writes nothing."""
        ...

    def candidates(
        self, commit: str, globs: Sequence[str], needles: Sequence[bytes]
    ) -> Iterator[ManifestFile]:
        """Give the manifests at a commit that may hold a needle, in the order of their paths.

        Manifests are regular files named ``*.yaml``, ``*.yml``, ``*.json`` or ``Kustomization``;
        with globs, the files that one of them matches.
        """
        ...

    def commit_of(self, branch: str) -> Commit | None:
        """Return the tip of a branch; ``None`` if there is no such branch."""
        ...

    def read(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes | None]:
        """Return the content of files at a commit; ``None`` for what is no regular file there."""
        ...

    def publish(self, action: PublishBranch) -> str:
        """Commit and let the branch point to the commit, atomically; return its object id.

        Raises ``ConflictError``, and changes no branch, if the branch is not where the action
        expects it.
        """
        ...


class PullRequests(Protocol):
    """The pull requests of a manifest repository."""

    def find(self, branch: str, base: str) -> PullRequest | None:
        """Return the pull request of a branch of this repository: an open one, else the newest."""
        ...

    def open(self, action: OpenPullRequest) -> PullRequest:
        """Open a pull request and return it."""
        ...

    def update(self, action: UpdatePullRequest) -> PullRequest:
        """Give a pull request its title and body and return it."""
        ...


class ManifestEditor(Protocol):
    """What finds images in manifests and computes proved edits: bytes in, edits out."""

    def needles(self, images: Sequence[ImageReference]) -> tuple[bytes, ...]:
        """Return byte strings, one of which every file that names one of the images contains."""
        ...

    def edit(
        self,
        files: Iterable[ManifestFile],
        images: Sequence[ImageReference],
        selection: Selection,
    ) -> ManifestEdits:
        """Return the edits that let the selected places name the images.

        Raises ``ManifestError`` if an image is not found (``ImageNotFoundError``), is ambiguous,
        or an edit cannot be proved.
        """
        ...

    def nearest(self, files: Iterable[ManifestFile], image: ImageReference) -> tuple[str, ...]:
        """Return the image names in the files that are most like the image's, the nearest first."""
        ...
