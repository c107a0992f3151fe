"""Which files of a repository are manifests, and which paths are safe to write."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIXES: Final = (".yaml", ".yml", ".json")
NAMES: Final = frozenset({"Kustomization"})
MAX_PATH: Final = 4096  # bytes, Linux's PATH_MAX
# What HFS+ and NTFS take for .git, after git's verify_path (read-cache.c).
_GIT_DIRECTORY: Final = re.compile(r"(?:\.git|git~\d)[. ]*", re.IGNORECASE)
_IGNORED_BY_HFS: Final = re.compile(r"[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


def is_manifest(path: str, globs: Sequence[str]) -> bool:
    """Say whether a file is looked at: one of the globs matches, or by its name without globs."""
    if globs:
        return any(_pattern(glob).fullmatch(path) for glob in globs)
    return path.endswith(SUFFIXES) or path.rpartition("/")[2] in NAMES


def check_path(path: str) -> None:
    """Raise ``ManifestError`` for a path that no git repository should hold."""
    parts = path.split("/")
    harmless = (
        len(path.encode(errors="surrogateescape")) <= MAX_PATH
        and "\0" not in path
        and not any(part in {"", ".", ".."} for part in parts)
        and not any(_GIT_DIRECTORY.fullmatch(_IGNORED_BY_HFS.sub("", part)) for part in parts)
    )
    if not harmless:
        raise ManifestError(
            f"expected a plain relative path in the manifest repository, found {path!r:.200}",
            hint="the repository is damaged or hostile: nothing was written",
        )


@lru_cache
def _pattern(glob: str) -> re.Pattern[str]:
    """Translate a glob: ``*`` and ``?`` stay inside a directory, ``**`` crosses directories.

    A glob that names a directory means everything below it.
    """
    text = glob.removeprefix("./").rstrip("/")
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", text)
    return re.compile("".join(map(_translate, parts)) + r"(?:/.*)?", re.DOTALL)


def _translate(part: str) -> str:
    match part:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
        case _ if part.startswith("[") and len(part) > 1:
            body = part[1:-1].replace("\\", "\\\\")
            return f"[^/{body[1:]}]" if body[0] in "!^" else f"[{body}]"
        case _:
            return re.escape(part)
