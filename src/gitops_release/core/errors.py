"""The one exception root, with one subclass for each exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from gitops_release.core.image import Digest, ImageReference


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


class MachineError(UsageError):
    """This machine lacks something, such as a program; another one may have it."""


class AuthenticationError(GitopsReleaseError):
    """There are no usable credentials, or they were refused."""

    exit_code = 3


class ConflictError(GitopsReleaseError):
    """The world is not as the request needs it, and only a person can decide."""

    exit_code = 4


class ImmutableTagError(ConflictError):
    """A registry does not move a tag; ``built`` is the digest of what should have had it.

    That is the manifest's digest or the configuration's, whichever is known; ``None`` if neither.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, built: Digest | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.built = built


class ServiceError(GitopsReleaseError):
    """A service failed, and retries or the deadline are exhausted."""

    exit_code = 5


class ManifestError(GitopsReleaseError):
    """A manifest does not name the image, names it ambiguously, or cannot be parsed."""

    exit_code = 6


class ImageNotFoundError(ManifestError):
    """No manifest names the image."""

    def __init__(self, message: str, *, image: ImageReference, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.image = image


class BuildError(GitopsReleaseError):
    """The build failed, or the registry refused the image."""

    exit_code = 7
