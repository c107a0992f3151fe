"""The one exception root, with one subclass for each exit code."""

from __future__ import annotations

from typing import ClassVar


class GitopsReleaseError(Exception):
    """Something expected went wrong: the message says what, the hint what to do about it.

    A ``GitopsReleaseError`` that is none of the subclasses below does not exist: the root's exit
    code is that of a bug.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GitopsReleaseError):
    """The request or this machine is wrong; nothing was touched."""

    exit_code = 2


class AuthenticationError(GitopsReleaseError):
    """There are no usable credentials, or they were refused."""

    exit_code = 3


class ConflictError(GitopsReleaseError):
    """The world is not as the request needs it, and only a person can decide."""

    exit_code = 4


class ServiceError(GitopsReleaseError):
    """A service failed, and retries or the deadline are exhausted."""

    exit_code = 5


class ManifestError(GitopsReleaseError):
    """A manifest does not name the image, names it ambiguously, or cannot be parsed."""

    exit_code = 6


class BuildError(GitopsReleaseError):
    """The build failed, or the registry refused the image."""

    exit_code = 7
