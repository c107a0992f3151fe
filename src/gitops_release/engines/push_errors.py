"""What a push's failure means, from the words of docker and of the registries behind it."""

from __future__ import annotations

import re
from typing import Final

from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    GitopsReleaseError,
    ImmutableTagError,
)
from gitops_release.core.image import Digest
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
            # The last is Azure's word for a locked tag.
            r"immutab|already exists and cannot be overwritten|operation is disallowed",
            ImmutableTagError,
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
    r"|pushing (?:layers|manifest).*ERROR"
    r"|^ > pushing \S+ with docker:$",  # the docker driver's last step
    re.IGNORECASE | re.MULTILINE,
)
_RUN_STEP: Final = re.compile(r" > \[[^\]]+\] RUN ")
_IMAGE: Final = re.compile(r"\S+/\S+")
_EXPORTED: Final = re.compile(
    r"^#\d+ (?:exporting|writing) (manifest list|config|image) (sha256:[0-9a-f]{64})", re.MULTILINE
)
_LAST_LINES: Final = 12


def is_push_failure(output: str) -> bool:
    """Say whether a build that also pushes failed in its push, or in a pull before it.

    BuildKit ends with the step that failed, at the start of a line as no step's output is. What a
    RUN step printed is not the registry's word.
    """
    summary = output[output.rfind("\n > ") + 1 :]
    return not _RUN_STEP.match(summary) and _PUSH.search(summary) is not None


def push_error(output: str, what: str) -> GitopsReleaseError | TransientError:
    """Return the error that a failed push amounts to; what nobody refused may work next time."""
    last = [line.strip() for line in output.splitlines() if line.strip()][-_LAST_LINES:]
    for line in reversed(last):
        # An image may be called immutable-store: names are no verdict.
        verdict = _IMAGE.sub("", line)
        for pattern, error, hint in _REFUSED:
            if pattern.search(verdict):
                return error(f"the registry refused {what}: {line}", hint=hint)
    return TransientError(last[-1] if last else "docker said nothing")


def built_digest(output: str) -> Digest | None:
    """Return the digest of what BuildKit says that it exported, before it pushed.

    Of several platforms that is the index's, which is exported last; else the configuration's, as
    the image is called in docker's own store. ``None`` if it does not say.
    """
    exported = dict(_EXPORTED.findall(output))
    for kind in ("manifest list", "config", "image"):
        if kind in exported:
            return Digest(exported[kind])
    return None
