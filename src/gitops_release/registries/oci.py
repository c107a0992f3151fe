"""The data plane that every registry shares: the OCI distribution protocol over HTTP.

https://github.com/opencontainers/distribution-spec, and for tokens
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit

from gitops_release.core.errors import AuthenticationError, BuildError, ServiceError
from gitops_release.core.image import Digest, ImageReference
from gitops_release.core.publishing import ImageDescription
from gitops_release.registries import documents
from gitops_release.registries.challenge import Basic, Bearer, parse_challenge
from gitops_release.registries.documents import Manifest, Members
from gitops_release.registries.hosts import is_loopback
from gitops_release.system.http import REDIRECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitops_release.core.credentials import Credentials, CredentialSupplier
    from gitops_release.core.image import Repository
    from gitops_release.registries.connection import Connection
    from gitops_release.system.http import Response

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT: Final = f"{INDEX}, {MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"
NOT_THERE: Final = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND", "BLOB_UNKNOWN"})
BUILT_IN_REALMS: Final = {"docker.io": "auth.docker.io", "registry-1.docker.io": "auth.docker.io"}


class DistributionClient:
    """Asks one registry host about its images, and moves tags there."""

    def __init__(self, host: str, connection: Connection, credentials: CredentialSupplier) -> None:
        self._host = host
        self._http = connection.http
        self._redactor = connection.redactor
        self._credentials = credentials
        own = BUILT_IN_REALMS.get(host, host)
        self._realms = frozenset({host, own, *connection.auth_hosts})
        # Docker Hub is called docker.io but answers at another name.
        name = "registry-1.docker.io" if host == "docker.io" else host
        self._root = f"{'http' if is_loopback(host) else 'https'}://{name}"
        self._authorization: dict[str, str] = {}  # the header's value, by scope

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
            media_type=outer.media_type,
            size=inner.size,
            platforms=outer.platforms or documents.own_platform(config),
            created=documents.created(config),
            labels=documents.labels(config),
        )

    def manifest(self, image: ImageReference) -> Manifest | None:
        """Return an image's manifest, by digest if the reference has one, else by tag."""
        wanted = image.digest or image.tag
        response = self._send(
            "GET", image.repository, f"manifests/{wanted}", headers={"Accept": ACCEPT}
        )
        if response.status == HTTPStatus.NOT_FOUND:
            self._check_absent(response, image)
            return None
        self._expect(response, HTTPStatus.OK, f"the manifest of {image}")
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
            response = self._send(
                "PUT",
                repository,
                f"manifests/{tag}",
                headers={"Content-Type": manifest.media_type},
                body=manifest.content,
            )
            if response.status != HTTPStatus.CREATED:
                said = documents.error_text(response)
                raise BuildError(f"the registry refused the tag {tag} for {source}: {said}")

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
        response = self._send("GET", repository, f"blobs/{digest}")
        if response.status in REDIRECTS:
            target = urljoin(response.url, response.headers.get("Location", ""))
            response = self._http.get_without_credentials(target)
        self._expect(response, HTTPStatus.OK, f"the configuration {digest} of {repository}")
        if f"sha256:{hashlib.sha256(response.body).hexdigest()}" != str(digest):
            raise ServiceError(f"expected the configuration {digest}, found other content")
        return documents.parse_object(response.body, f"the configuration {digest}")

    def _send(
        self,
        method: str,
        repository: Repository,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send a request; answer a challenge once, with fresh credentials."""
        url = f"{self._root}/v2/{repository.path}/{path}"
        actions = "pull" if method in ("GET", "HEAD") else "pull,push"
        scope = f"repository:{repository.path}:{actions}"
        known = self._authorization.get(scope)
        response = self._http.request(
            method, url, headers={**(headers or {}), **_authorization(known)}, body=body
        )
        if response.status != HTTPStatus.UNAUTHORIZED:
            return self._permitted(response, repository)
        fresh = self._answer(response, scope)
        response = self._http.request(
            method, url, headers={**(headers or {}), **_authorization(fresh)}, body=body
        )
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise self._refused(response)
        self._authorization[scope] = fresh
        return self._permitted(response, repository)

    def _answer(self, response: Response, scope: str) -> str:
        """Return the value of an Authorization header that the registry's challenge asks for."""
        credentials = self._credentials()
        match parse_challenge(response.headers.get("WWW-Authenticate", "")):
            case Bearer(realm=realm, service=service):
                return f"Bearer {self._token(realm, service, scope, credentials)}"
            case Basic():
                if credentials is None:
                    raise self._refused(response)
                return _basic(credentials)
            case None:
                raise AuthenticationError(
                    f"expected a Basic or Bearer challenge from {self._host}, found "
                    f"{response.headers.get('WWW-Authenticate', 'none')!r}",
                    hint="is this an OCI registry?",
                )

    def _token(
        self, realm: str, service: str | None, scope: str, credentials: Credentials | None
    ) -> str:
        self._check_realm(realm)
        query = {"scope": scope} if service is None else {"service": service, "scope": scope}
        response = self._http.request(
            "GET",
            f"{realm}?{urlencode(query)}",
            headers={} if credentials is None else {"Authorization": _basic(credentials)},
        )
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self._refused(response)
        self._expect(response, HTTPStatus.OK, f"a token from {realm}")
        answer = documents.parse_object(response.body, f"the token of {realm}")
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise ServiceError(f"expected a token from {realm}, found {sorted(answer)}")
        self._redactor.hide_text(token)
        return token

    def _check_realm(self, realm: str) -> None:
        """Credentials go to the registry's own host, a built-in pair, or a host the user named."""
        parts = urlsplit(realm)
        secure = parts.scheme == "https" or is_loopback(parts.netloc)
        if not secure or parts.netloc not in self._realms:
            raise AuthenticationError(
                f"expected {self._host} to take its own credentials, found that it sends them to "
                f"{realm!r}",
                hint=f"if you trust that host, pass --allow-auth-host {parts.netloc or 'HOST'}",
            )

    def _permitted(self, response: Response, repository: Repository) -> Response:
        if response.status == HTTPStatus.FORBIDDEN:
            raise AuthenticationError(
                f"{self._host} denied access to {repository}: {documents.error_text(response)}",
                hint="do the credentials have the right to read and write there?",
            )
        return response

    def _refused(self, response: Response) -> AuthenticationError:
        if self._credentials() is None:
            return AuthenticationError(
                f"{self._host} wants a user name and a password, found none",
                hint="set the variables that --registry-username-env and --registry-password-env "
                "name (DOCKER_LOGIN and DOCKER_PASSWORD by default)",
            )
        return AuthenticationError(
            f"{self._host} refused the user name or password: {documents.error_text(response)}",
            hint="check the variables that --registry-username-env and --registry-password-env "
            "name",
        )

    def _check_absent(self, response: Response, image: ImageReference) -> None:
        """Tell a registry's "not there" from anybody else's 404, which says nothing."""
        if not documents.error_codes(response) & NOT_THERE:
            raise ServiceError(
                f"expected a registry's answer about {image}, found HTTP 404 without an error code",
                hint=f"is {self._host} an OCI registry, and nothing in between?",
            )

    def _expect(self, response: Response, status: HTTPStatus, what: str) -> None:
        if response.status != status:
            raise ServiceError(
                f"expected {what} from {self._host}, found HTTP {response.status}: "
                f"{documents.error_text(response)}"
            )


def _authorization(value: str | None) -> dict[str, str]:
    return {} if value is None else {"Authorization": value}


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password.reveal()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
