"""Blobs of a repository: is one there, mount it, send it from elsewhere without a file between.

OCI distribution specification, "Pushing blobs".
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from gitops_release.core.errors import BuildError, ServiceError
from gitops_release.registries import documents
from gitops_release.system.http import REDIRECTS, redirect_target

if TYPE_CHECKING:
    from gitops_release.core.image import Digest, Repository
    from gitops_release.registries.session import RegistrySession
    from gitops_release.system.http import Download, Response


class Blobs:
    """The blobs in the repositories of one registry."""

    def __init__(self, session: RegistrySession) -> None:
        self._session = session

    def has(self, repository: Repository, digest: Digest) -> bool:
        """Say whether a repository has a blob."""
        response = self._session.send("HEAD", repository, f"blobs/{digest}")
        if response.status in REDIRECTS:
            return True  # to where the registry stores it
        if response.status == HTTPStatus.NOT_FOUND:
            return False
        self._session.expect(response, HTTPStatus.OK, f"the blob {digest} of {repository}")
        return True

    def mount(self, repository: Repository, digest: Digest, source: Repository) -> bool:
        """Let a repository have a blob of another one here; ``False`` if the registry declines."""
        query = urlencode({"mount": str(digest), "from": source.path})
        response = self._session.send(
            "POST", repository, f"blobs/uploads/?{query}", body=b"", reading=source
        )
        if response.status == HTTPStatus.CREATED:
            return True
        self._session.expect(response, HTTPStatus.ACCEPTED, f"a mount of {digest}")
        self._cancel(repository, response)
        return False

    def download(self, repository: Repository, digest: Digest) -> Download:
        """Open a blob; what redirects lead to is read without credentials."""
        url = self._session.url(repository, f"blobs/{digest}")
        # A first request settles who we are, since what follows cannot be asked twice.
        self._session.send("HEAD", repository, f"blobs/{digest}")
        headers = self._session.authorization("GET", repository, url)
        return self._session.http.download(url, headers)

    def upload(self, repository: Repository, digest: Digest, size: int, content: Download) -> None:
        """Send a blob of a known size, piece by piece.

        Raises ``BuildError`` if the registry refuses it; a broken connection is a
        ``TransientError``, and the whole blob is to be sent again.
        """
        started = self._session.send("POST", repository, "blobs/uploads/", body=b"")
        self._session.expect(started, HTTPStatus.ACCEPTED, f"an upload to {repository}")
        location = _location(started)
        joiner = "&" if urlsplit(location).query else "?"
        answer = self._session.http.upload(
            f"{location}{joiner}{urlencode({'digest': str(digest)})}",
            {
                "Content-Type": "application/octet-stream",
                **self._session.authorization("POST", repository, location),
            },
            content.pieces,
            size,
        )
        if answer.status != HTTPStatus.CREATED:
            said = documents.error_text(answer)
            raise BuildError(f"the registry refused the blob {digest} of {repository}: {said}")

    def may_push(self, repository: Repository) -> None:
        """Raise ``AuthenticationError`` unless an upload may be started; none is finished."""
        started = self._session.send("POST", repository, "blobs/uploads/", body=b"")
        self._session.expect(started, HTTPStatus.ACCEPTED, f"an upload to {repository}")
        self._cancel(repository, started)

    def _cancel(self, repository: Repository, started: Response) -> None:
        """Give up an upload; if that fails, the registry forgets it by itself."""
        location = _location(started)
        headers = self._session.authorization("POST", repository, location)
        with suppress(ServiceError):
            self._session.http.request("DELETE", location, headers=headers)


def _location(response: Response) -> str:
    location = response.headers.get("Location")
    if location is None:
        raise ServiceError(f"expected where to upload to from {response.url}, found nothing")
    target = redirect_target(response.url, location)
    if response.url.startswith("https:") and not target.startswith("https:"):
        raise ServiceError(
            f"expected an https address to upload to from {response.url}, found another",
            hint="does a proxy in front of the registry hide that it speaks https?",
        )
    return target
