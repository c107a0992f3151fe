from __future__ import annotations

from typing import Any

import pytest
import requests
from github import GithubException, RateLimitExceededException, UnknownObjectException

from gitops_release.core.errors import (
    AuthenticationError,
    ConflictError,
    GitopsReleaseError,
    ServiceError,
    UsageError,
)
from gitops_release.forges.github_errors import translated, words


def failure(status: int, data: Any = None) -> GithubException:  # noqa: ANN401 - as GitHub has it
    return GithubException(status, data, {})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (failure(401), AuthenticationError),
        (failure(403), AuthenticationError),
        (UnknownObjectException(404, {"message": "Not Found"}, {}), AuthenticationError),
        (failure(409), ConflictError),
        (failure(422), ConflictError),
        (failure(500), ServiceError),
        (failure(502, "<html>"), ServiceError),
        (RateLimitExceededException(403, {"message": "slow down"}, {}), ServiceError),
        (RateLimitExceededException(403, None, None), ServiceError),
        (requests.ConnectionError("refused"), ServiceError),
        (requests.exceptions.RetryError("too many"), ServiceError),
        (AssertionError("another host"), ServiceError),
    ],
)
def test_each_failure_of_github_is_one_of_ours(
    error: Exception, kind: type[GitopsReleaseError]
) -> None:
    with pytest.raises(kind, match=r"^the branch x: "), translated("the branch x"):
        raise error


def test_our_own_errors_stay() -> None:
    with pytest.raises(UsageError, match=r"^mine$"), translated("the branch x"):
        raise UsageError("mine")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"message": "No"}, "No"),
        (
            {"message": "No", "errors": [{"message": "a"}, {"code": "b"}, "c", {"x": 1}]},
            "No; a; b; c; {'x': 1}",
        ),
        ({"message": "No", "errors": None}, "No"),
        ({"message": "No", "errors": "a"}, "No; a"),
        ({"message": "No", "errors": "all of it"}, "No; all of it"),
        ({}, "HTTP 422"),
        ("<html>", "HTTP 422"),
        (None, "HTTP 422"),
    ],
)
def test_github_is_quoted(data: object, text: str) -> None:
    assert words(failure(422, data)) == text
