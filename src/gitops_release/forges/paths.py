"""Which files of a repository are manifests, and which paths are safe to write."""

from __future__ import annotations

import fnmatch
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
_GIT_DIRECTORY: Final = re.compile(r"(?:\.git|git~\d)[. ]*(?::.*)?", re.IGNORECASE | re.DOTALL)
_WILDCARD: Final = re.compile(r"[*?\[]")
_FNMATCH: Final = re.compile(r"\(\?s:(.*)\)\\[Zz]", re.DOTALL)
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

    A name without wildcards may be a directory's and means everything below it.
    """
    text = glob.removeprefix("./").rstrip("/")
    if text in {"", "."}:
        text = "**"
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", text)
    below = "" if _WILDCARD.search(text.rpartition("/")[2]) else "(?:/.*)?"
    return re.compile("".join(map(_translate, parts)) + below, re.DOTALL)


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
            # fnmatch knows all that a set may hold; its anchors are not for a part.
            found = _FNMATCH.fullmatch(fnmatch.translate(part))
            return f"(?!/){found[1]}" if found else re.escape(part)
        case _:
            return re.escape(part)
