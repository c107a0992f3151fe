"""Copies images by digest: mounted inside one registry, streamed between two; nothing on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import ServiceError
from gitops_release.core.image import ImageReference
from gitops_release.registries import documents
from gitops_release.registries.blobs import Blobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_release.core.image import Digest, Repository
    from gitops_release.registries.documents import Members
    from gitops_release.registries.oci import DistributionClient
    from gitops_release.system.retry import RetryPolicy

MAX_SIZE: Final = 2**63 - 1  # bytes, the int64 of the OCI image specification's descriptors


class ImageCopier:
    """Copies images from one registry to another, or within one."""

    def __init__(
        self,
        source: DistributionClient,
        target: DistributionClient,
        retry: RetryPolicy,
        announce: Callable[[str], None],
    ) -> None:
        self._source = source
        self._target = target
        self._source_blobs = Blobs(source.session)
        self._target_blobs = Blobs(target.session)
        self._retry = retry
        self._announce = announce

    def copy(self, source: ImageReference, target: ImageReference) -> None:
        """Let the target name the very manifest that the source names, and have all its parts.

        What is there already is not sent again. Of an index every image is copied. Raises
        ``ServiceError`` if the source is not there.
        """
        manifest = self._source.manifest(source)
        if manifest is None:
            raise ServiceError(f"expected {source} in its registry, found nothing")
        for entry in manifest.children:
            digest = documents.digest_of(entry)
            self.copy(
                ImageReference(source.repository, digest=digest),
                ImageReference(target.repository, digest=digest),
            )
        for blob in manifest.blobs:
            self._copy_blob(blob, source.repository, target.repository)
        self._target.put_manifest(target, manifest)

    def _copy_blob(self, blob: Members, source: Repository, target: Repository) -> None:
        digest = documents.digest_of(blob)
        if self._target_blobs.has(target, digest):
            return
        if source.host == target.host and self._target_blobs.mount(target, digest, source):
            return
        size = _size_of(blob)
        self._announce(f"copying {digest.short}, {size / 1e6:.1f} MB")
        self._retry.run(
            lambda: self._stream(digest, size, source, target), what=f"copy the blob {digest}"
        )

    def _stream(self, digest: Digest, size: int, source: Repository, target: Repository) -> None:
        with self._source_blobs.download(source, digest) as content:
            self._target_blobs.upload(target, digest, size, content)


def _size_of(blob: Members) -> int:
    size = blob.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
        digest = documents.digest_of(blob)
        raise ServiceError(f"expected the size of the blob {digest}, found {size!r:.40}")
    return size
