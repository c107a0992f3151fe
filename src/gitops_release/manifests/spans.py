"""One replaced span of a file, and what a parser must read once it is replaced."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gitops_release.manifests.document import Node
    from gitops_release.manifests.text import Lines

LINE_BREAK: Final = re.compile(rb"\r\n|\r|\n")


class RefusedError(Exception):
    """A place that is meant cannot be edited: where it is, and why."""

    def __init__(self, node: Node, reason: str) -> None:
        super().__init__(reason)
        self.node = node
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Source:
    """The file that is edited."""

    path: str
    content: bytes
    lines: Lines


@dataclass(frozen=True, slots=True)
class Read:
    """A scalar as a parser reads it: its value, and its quotes or block indicator."""

    value: str
    style: str


@dataclass(frozen=True, slots=True)
class Splice:
    """Replace a span of bytes; events are known by their numbers before the splice."""

    start: int
    end: int
    new: bytes
    changed: tuple[tuple[int, Read], ...] = ()
    inserted: tuple[Read, ...] = ()  # behind the event ``after``
    after: int = -1
    removed: tuple[int, ...] = ()
