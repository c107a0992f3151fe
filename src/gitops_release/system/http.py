"""HTTP with retries, a deadline, bounded bodies, and no redirect that carries credentials."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import requests
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict

from gitops_release.core.errors import ServiceError
from gitops_release.system.retry import RetryPolicy, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_TIMEOUT: Final = 10.0  # seconds
READ_TIMEOUT: Final = 60.0  # seconds without a byte
MAX_BODY: Final = 4 * 1024 * 1024  # bytes; the manifest limit that registries keep to
MAX_REDIRECTS: Final = 5
RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})


class _AsGiven(AuthBase):
    """Keeps requests from adding credentials of its own, which it would take from ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is not worth another attempt, read whole."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes
    url: str


class HttpClient:
    """Sends requests that may safely be repeated, and repeats them as the policy says."""

    def __init__(self, retry: RetryPolicy, *, user_agent: str) -> None:
        self._retry = retry
        self._session = requests.Session()
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
            url = requests.compat.urljoin(url, location)
        raise ServiceError(f"expected at most {MAX_REDIRECTS} redirects, found more at {url}")

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> Response:
        try:
            with self._session.request(
                method,
                url,
                headers=dict(headers),
                data=body,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = _read(answer, limit)
        except requests.exceptions.SSLError as error:
            raise ServiceError(
                f"{method} {_without_query(url)}: no trusted TLS connection: {_cause(error)}",
                hint="REQUESTS_CA_BUNDLE names a file with the certificate authorities to trust",
            ) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise ServiceError(f"expected a URL, found {_without_query(url)!r}") from error
        except requests.RequestException as error:
            raise TransientError(_cause(error)) from error
        if answer.status_code in RETRIED:
            raise TransientError(
                f"HTTP {answer.status_code} {answer.reason}",
                retry_after=_retry_after(answer.headers),
            )
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


def _read(answer: requests.Response, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in answer.iter_content(chunk_size=65536):
        size += len(piece)
        if size > limit:
            raise ServiceError(
                f"expected at most {limit} bytes from {_without_query(answer.url)}, found more"
            )
        pieces.append(piece)
    return b"".join(pieces)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, which is a number or a date (RFC 9110)."""
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _cause(error: BaseException) -> str:
    """Return the innermost reason in words: requests wraps urllib3 wraps the socket's error."""
    seen = error
    while True:
        inner = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        if inner is None:
            break
        seen = inner
    text = seen.strerror if isinstance(seen, OSError) and seen.strerror else str(seen)
    return text or type(seen).__name__


def _without_query(url: str) -> str:
    """Return a URL for messages: queries may hold signatures."""
    return url.partition("?")[0]
