"""The unified diff of a plan, for people."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gitops_release.core.manifest import FileChange

_LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")


def unified_diff(changes: Iterable[FileChange]) -> str:
    """Return the changes as ``git diff`` would show them, without its header lines."""
    return "".join(line for change in changes for line in _file_diff(change))


def _file_diff(change: FileChange) -> list[str]:
    lines = difflib.unified_diff(
        _lines(change.old),
        _lines(change.new),
        f"a/{change.path}",
        f"b/{change.path}",
    )
    return [
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    ]


def _lines(content: bytes) -> list[str]:
    """Split at LF alone, as git does: a CR belongs to its line."""
    return [line.decode(errors="replace") for line in _LINE.findall(content)]
