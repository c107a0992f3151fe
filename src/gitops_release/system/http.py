"""HTTP with retries, a deadline, bounded bodies, and no redirect that carries credentials."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import requests
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict

from gitops_release.core.errors import ServiceError
from gitops_release.system.causes import innermost_cause
from gitops_release.system.retry import RetryPolicy, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

CONNECT_TIMEOUT: Final = 10.0  # seconds
READ_TIMEOUT: Final = 60.0  # seconds without a byte
MAX_BODY: Final = 4 * 1024 * 1024  # bytes; the manifest limit that registries keep to
MAX_REDIRECTS: Final = 5
PIECE: Final = 256 * 1024  # bytes of a body that is passed on
RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})


class _AsGiven(AuthBase):
    """Keeps requests from adding credentials of its own, which it would take from ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Session(requests.Session):
    """Takes a redirect for an answer: requests would read all of it to prepare the next request."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is not worth another attempt, read whole."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Download:
    """A body that is read piece by piece, while its connection is open."""

    answer: requests.Response

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()

    @property
    def pieces(self) -> Iterator[bytes]:
        """The body; a broken connection is a ``TransientError``."""
        try:
            yield from self.answer.iter_content(chunk_size=PIECE)
        except requests.RequestException as error:
            raise TransientError(innermost_cause(error)) from error


@dataclass(slots=True)
class _Sized:
    """An upload of a known size: requests sends Content-Length instead of chunks."""

    pieces: Iterator[bytes]
    size: int
    _rest: bytes = b""

    def __len__(self) -> int:
        return self.size

    def read(self, amount: int = -1) -> bytes:
        while amount < 0 or len(self._rest) < amount:
            piece = next(self.pieces, None)
            if piece is None:
                break
            self._rest += piece
        taken = self._rest if amount < 0 else self._rest[:amount]
        self._rest = self._rest[len(taken) :]
        return taken


class HttpClient:
    """Sends requests that may safely be repeated, and repeats them as the policy says."""

    def __init__(self, retry: RetryPolicy, *, user_agent: str) -> None:
        self._retry = retry
        self._session = _Session()
        self._session.auth = _AsGiven()
        self._session.headers = CaseInsensitiveDict({"User-Agent": user_agent})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int = MAX_BODY,
    ) -> Response:
        """Return the answer to a repeatable request; redirects are answers, not followed.

        Raises ``ServiceError`` if the service cannot be reached, keeps failing, or answers more
        than ``limit`` bytes.
        """

        def attempt() -> Response:
            return self._once(method, url, headers or {}, body, limit)

        return self._retry.run(attempt, what=f"{method} {_without_query(url)}")

    def get_without_credentials(self, url: str, *, limit: int = MAX_BODY) -> Response:
        """Return what a redirect led to: redirects are followed, no credentials are sent."""
        for _ in range(MAX_REDIRECTS):
            response = self.request("GET", url, limit=limit)
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                return response
            url = redirect_target(url, location)
        raise ServiceError(
            f"expected at most {MAX_REDIRECTS} redirects, found more at {_without_query(url)}"
        )

    def follow_without_credentials(self, response: Response) -> Response:
        """Return what a redirect leads to, which is read without credentials."""
        return self.get_without_credentials(
            redirect_target(response.url, response.headers.get("Location", ""))
        )

    def download(self, url: str, headers: Mapping[str, str]) -> Download:
        """Open a body; redirects are followed without the headers. For use inside an attempt.

        Raises ``TransientError`` where another attempt may help, else ``ServiceError``.
        """
        for _ in range(MAX_REDIRECTS):
            answer = self._open("GET", url, headers)
            location = answer.headers.get("Location")
            if answer.status_code not in REDIRECTS or location is None:
                break
            answer.close()
            url, headers = redirect_target(url, location), {}
        else:
            raise ServiceError(f"expected at most {MAX_REDIRECTS} redirects, found more")
        if answer.status_code != HTTPStatus.OK:
            answer.close()
            raise ServiceError(f"GET {_without_query(url)}: HTTP {answer.status_code}")
        return Download(answer)

    def upload(
        self, url: str, headers: Mapping[str, str], pieces: Iterator[bytes], size: int
    ) -> Response:
        """Return the answer to a PUT of a body that is sent as it comes. For use inside an attempt.

        Raises ``TransientError`` where another attempt may help, else ``ServiceError``.
        """
        with self._open("PUT", url, headers, _Sized(_exactly(pieces, size), size)) as answer:
            content = _read(answer, MAX_BODY)
        return Response(answer.status_code, answer.headers, content, url)

    def _open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | _Sized | None = None,
    ) -> requests.Response:
        """Return an answer whose body is still to be read."""
        try:
            answer = self._session.request(
                method,
                url,
                headers=dict(headers),
                data=body,  # or whatever has read() and a length
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )
        except requests.exceptions.SSLError as error:
            raise ServiceError(
                f"{method} {_without_query(url)}: no trusted TLS connection: "
                f"{innermost_cause(error)}",
                hint="REQUESTS_CA_BUNDLE names a file with the certificate authorities to trust",
            ) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise ServiceError(f"expected a URL, found {_without_query(url)!r}") from error
        except UnicodeEncodeError as error:
            raise ServiceError(
                f"{method} {_without_query(url)}: a header holds characters that HTTP does not have"
            ) from error
        except requests.RequestException as error:
            raise TransientError(innermost_cause(error)) from error
        if answer.status_code in RETRIED:
            with answer:
                raise TransientError(
                    f"HTTP {answer.status_code} {answer.reason}",
                    retry_after=_retry_after(answer.headers),
                )
        return answer

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> Response:
        with self._open(method, url, headers, body) as answer:
            content = _read(answer, limit)
        return Response(answer.status_code, answer.headers, content, url)


REDIRECTS: Final = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)


def redirect_target(url: str, location: str) -> str:
    """Return where a redirect leads to."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise ServiceError(
            f"expected a URL in the redirect of {_without_query(url)}, found "
            f"{_without_query(location)!r:.200}"
        ) from error


def _read(answer: requests.Response, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in Download(answer).pieces:
        size += len(piece)
        if size > limit:
            raise ServiceError(
                f"expected at most {limit} bytes from {_without_query(answer.url)}, found more"
            )
        pieces.append(piece)
    return b"".join(pieces)


def _exactly(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Give the pieces; a ``TransientError`` if they have another size than they should have.

    A service would read more as the next request, and wait for less.
    """
    count = 0
    for piece in pieces:
        count += len(piece)
        if count > size:
            break
        yield piece
    if count != size:
        raise TransientError(f"expected {size} bytes to send, found {count}")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, which is a number or a date (RFC 9110)."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _without_query(url: str) -> str:
    """Return a URL for messages: queries may hold signatures."""
    return url.partition("?")[0]
