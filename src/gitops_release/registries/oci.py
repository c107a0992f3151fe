"""The data plane that every registry shares: the OCI distribution protocol over HTTP.

https://github.com/opencontainers/distribution-spec
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import BuildError, ImmutableTagError, ServiceError
from gitops_release.core.image import Digest, ImageReference
from gitops_release.core.publishing import ImageDescription
from gitops_release.registries import documents
from gitops_release.registries.documents import Manifest, Members
from gitops_release.registries.session import RegistrySession
from gitops_release.system.http import REDIRECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitops_release.core.credentials import CredentialSupplier
    from gitops_release.core.image import Repository
    from gitops_release.registries.connection import Connection
    from gitops_release.system.http import Response

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT: Final = f"{INDEX}, {MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"
LOCKED: Final = "REGISTRY_DISALLOWED_OPERATION"  # what Azure says of a locked tag
NOT_THERE: Final = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND", "BLOB_UNKNOWN"})


class DistributionClient:
    """Asks one registry host about its images, and moves tags there."""

    def __init__(self, host: str, connection: Connection, credentials: CredentialSupplier) -> None:
        self.session = RegistrySession(host, connection, credentials)

    def describe(self, image: ImageReference) -> ImageDescription | None:
        """Return what the registry says of an image; ``None`` only for its "not there".

        An index is described by its first image: all of them come from one build.
        """
        outer = self.manifest(image)
        if outer is None:
            return None
        inner = self._first_image(image.repository, outer)
        config = self._config(image.repository, inner)
        return ImageDescription(
            digest=outer.digest,
            configuration=inner.config,
            media_type=outer.media_type,
            size=inner.size,
            platforms=outer.platforms or documents.own_platform(config),
            created=documents.created(config),
            labels=documents.labels(config),
        )

    def manifest(self, image: ImageReference) -> Manifest | None:
        """Return an image's manifest, by digest if the reference has one, else by tag."""
        wanted = image.digest or image.tag
        response = self.session.send(
            "GET", image.repository, f"manifests/{wanted}", headers={"Accept": ACCEPT}
        )
        if response.status == HTTPStatus.NOT_FOUND:
            self._check_absent(response, image)
            return None
        self.session.expect(response, HTTPStatus.OK, f"the manifest of {image}")
        digest = Digest(f"sha256:{hashlib.sha256(response.body).hexdigest()}")
        for claimed in (image.digest, response.headers.get("Docker-Content-Digest")):
            if claimed is not None and str(claimed) != str(digest):
                raise ServiceError(
                    f"expected a manifest with the digest {claimed} for {image}, found {digest}",
                    hint="a proxy or the registry changed it: do not use this image",
                )
        members = documents.parse_object(response.body, f"the manifest of {image}")
        media_type = documents.media_type(response, members)
        return Manifest(digest, media_type, response.body, members)

    def add_tags(self, repository: Repository, digest: Digest, tags: Sequence[str]) -> None:
        """Let tags name the image with the digest: its manifest is put under each tag."""
        source = ImageReference(repository, digest=digest)
        manifest = self.manifest(source)
        if manifest is None:
            raise ServiceError(f"expected {source} in the registry, found nothing to tag")
        for tag in tags:
            self.put_manifest(ImageReference(repository, tag), manifest)

    def put_manifest(self, image: ImageReference, manifest: Manifest) -> None:
        """Let a reference's tag, or else its digest, name the manifest.

        Its parts are in the repository already. Raises ``ImmutableTagError`` if the tag may not
        move, and ``BuildError`` if the registry refuses the manifest.
        """
        response = self.session.send(
            "PUT",
            image.repository,
            f"manifests/{image.tag or image.digest}",
            headers={"Content-Type": manifest.media_type},
            body=manifest.content,
        )
        if response.status == HTTPStatus.CREATED:
            return
        said = documents.error_text(response)
        if "immutab" in said.lower() or LOCKED in documents.error_codes(response):
            raise ImmutableTagError(f"the registry refused {image}: {said}", built=manifest.digest)
        raise BuildError(f"the registry refused {image}: {said}")

    def _first_image(self, repository: Repository, manifest: Manifest) -> Manifest:
        if not manifest.images:
            return manifest
        inner = ImageReference(repository, digest=documents.digest_of(manifest.images[0]))
        found = self.manifest(inner)
        if found is None:
            raise ServiceError(f"expected {inner}, which {manifest.digest} lists, found nothing")
        return found

    def _config(self, repository: Repository, manifest: Manifest) -> Members:
        digest = manifest.config
        if digest is None:
            return {}
        response = self.session.send("GET", repository, f"blobs/{digest}")
        if response.status in REDIRECTS:
            response = self.session.http.follow_without_credentials(response)
        self.session.expect(response, HTTPStatus.OK, f"the configuration {digest} of {repository}")
        if f"sha256:{hashlib.sha256(response.body).hexdigest()}" != str(digest):
            raise ServiceError(f"expected the configuration {digest}, found other content")
        return documents.parse_object(response.body, f"the configuration {digest}")

    def _check_absent(self, response: Response, image: ImageReference) -> None:
        """Tell a registry's "not there" from anybody else's 404, which says nothing."""
        if not documents.error_codes(response) & NOT_THERE:
            raise ServiceError(
                f"expected a registry's answer about {image}, found HTTP 404 without an error code",
                hint=f"is {self.session.host} an OCI registry, and nothing in between?",
            )
