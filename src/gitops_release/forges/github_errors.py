"""GitHub's failures in our words, whichever library raises them."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from github import GithubException, RateLimitExceededException
from requests import RequestException

from gitops_release.core.errors import (
    AuthenticationError,
    ConflictError,
    GitopsReleaseError,
    ServiceError,
)
from gitops_release.system.causes import innermost_cause

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN_AGAIN = "run again: what was achieved is found and kept"


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise GitHub's failures as ours; ``what`` names the thing that was read or written."""
    try:
        yield
    except RateLimitExceededException as error:
        raise ServiceError(
            f"{what}: GitHub's rate limit is used up: {words(error)}",
            hint=f"{RUN_AGAIN}, after {_reset(error)}",
        ) from error
    except GithubException as error:
        raise _error(error, what) from error
    except RequestException as error:
        raise ServiceError(
            f"{what}: GitHub cannot be reached: {innermost_cause(error)}", hint=RUN_AGAIN
        ) from error
    except (AssertionError, AttributeError, RuntimeError, TypeError) as error:
        # PyGithub's words for an answer from, or a redirect to, another host than the API's; and
        # what comes of a proxy's page, in which PyGithub finds None or a text.
        raise ServiceError(
            f"{what}: unexpected answer from GitHub: {error}",
            hint="is --github-api-url right, and has the repository moved?",
        ) from error


def words(error: GithubException) -> str:
    """Return what GitHub said, on one line."""
    data = error.data
    if not isinstance(data, dict):
        return f"HTTP {error.status}"
    listed = data.get("errors")
    details = [_detail(item) for item in listed] if isinstance(listed, list) else []
    if isinstance(listed, str):
        details = [listed]
    return "; ".join([str(data.get("message") or f"HTTP {error.status}"), *details])


def _detail(item: object) -> str:
    return (
        str(item.get("message") or item.get("code") or item)
        if isinstance(item, dict)
        else str(item)
    )


def _error(error: GithubException, what: str) -> GitopsReleaseError:
    said = words(error)
    match error.status:
        case HTTPStatus.UNAUTHORIZED:
            return AuthenticationError(
                f"{what}: GitHub refused the token: {said}",
                hint="check the variable that --github-token-env names (GITHUB_TOKEN by default)",
            )
        case HTTPStatus.FORBIDDEN:
            return AuthenticationError(
                f"{what}: GitHub denied access: {said}",
                hint="the token needs contents: write and pull_requests: write on the repository",
            )
        case HTTPStatus.NOT_FOUND:
            return AuthenticationError(
                f"{what}: not found on GitHub, or the token may not see it",
                hint="check the name, and that the token is for this repository",
            )
        case HTTPStatus.CONFLICT | HTTPStatus.UNPROCESSABLE_ENTITY:
            return ConflictError(f"{what}: GitHub refused: {said}")
        case _:
            return ServiceError(f"{what}: GitHub failed: {said}", hint=RUN_AGAIN)


def _reset(error: GithubException) -> str:
    reset = (error.headers or {}).get("x-ratelimit-reset")
    return "a while" if reset is None else f"the limit is reset (epoch second {reset})"
