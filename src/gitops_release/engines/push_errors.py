"""What a push's failure means, from the words of docker and of the registries behind it."""

from __future__ import annotations

import re
from typing import Final

from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ConflictError,
    GitopsReleaseError,
)
from gitops_release.system.retry import TransientError

_REFUSED: Final[tuple[tuple[re.Pattern[str], type[GitopsReleaseError], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), error, hint)
    for pattern, error, hint in (
        (
            r"unauthorized|authentication required|no basic auth credentials|failed to authorize",
            AuthenticationError,
            "check the variables that --registry-username-env and --registry-password-env name",
        ),
        (
            r"\bdenied\b|forbidden",
            AuthenticationError,
            "do the credentials have the right to push there?",
        ),
        (
            r"immutable",
            ConflictError,
            "the tag cannot be moved: choose another --tag",
        ),
        (
            r"name unknown|name_unknown|repository .* (?:does not|doesn't) exist",
            BuildError,
            "create the repository first",
        ),
        (
            r"manifest invalid|manifest_invalid|tag invalid|tag_invalid|name invalid",
            BuildError,
            "the registry does not take this image under this name",
        ),
    )
)
_PUSH: Final = re.compile(
    r"failed to push|failed to authorize|unexpected status(?: from| code)"
    r"|pushing (?:layers|manifest).*ERROR",
    re.IGNORECASE,
)
_LAST_LINES: Final = 12


def is_push_failure(output: str) -> bool:
    """Say whether a build that also pushes failed in its push."""
    return _PUSH.search(output) is not None


def push_error(output: str, what: str) -> GitopsReleaseError | TransientError:
    """Return the error that a failed push amounts to; what nobody refused may work next time."""
    last = [line.strip() for line in output.splitlines() if line.strip()][-_LAST_LINES:]
    for line in reversed(last):
        for pattern, error, hint in _REFUSED:
            if pattern.search(line):
                return error(f"the registry refused {what}: {line}", hint=hint)
    return TransientError(last[-1] if last else "docker said nothing")
