"""Bytes of a manifest: byte order marks, documents, lines, and where a character stands."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# Literals first, and the line start checked afterwards: a look-behind would stop at every byte.
_DOCUMENT: Final = re.compile(rb"---(?=[ \t\r\n]|\Z)")
_DIRECTIVE: Final = re.compile(rb"%")
_STEP: Final = 4096


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a file that can be parsed alone: whole documents, mostly one."""

    start: int  # byte offset in the file
    content: bytes

    @property
    def end(self) -> int:
        """The byte offset behind the part."""
        return self.start + len(self.content)


def cut(content: bytes) -> tuple[Chunk, ...]:
    """Return the documents of a file, apart: one that is broken does not hide the others.

    Nothing is cut where a line starts with ``%``: a directive belongs to the ``---`` below it.
    A UTF-8 byte order mark is in no part, because libyaml does not count it.
    """
    start = len(BOM_UTF8) if content.startswith(BOM_UTF8) else 0
    body = content[start:]
    if any(_at_line_starts(_DIRECTIVE, body)):
        return (Chunk(start, body),)
    marks = [match.start() for match in _at_line_starts(_DOCUMENT, body)]
    borders = sorted({0, *marks, len(body)})
    return tuple(Chunk(start + left, body[left:right]) for left, right in pairwise(borders))


def _at_line_starts(pattern: re.Pattern[bytes], body: bytes) -> Iterator[re.Match[bytes]]:
    for match in pattern.finditer(body):
        if match.start() == 0 or body[match.start() - 1] in b"\r\n":
            yield match


def is_utf_16(content: bytes) -> bool:
    """Tell whether the file starts with the byte order mark of UTF-16."""
    return content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))


class Lines:
    """The lines of a file; a line ends with LF, CRLF or CR."""

    __slots__ = ("_content", "_known", "_returns")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._returns = b"\r" in content
        self._known = (0, 1)  # an offset and its line: places are asked for in their order

    def number(self, offset: int) -> int:
        """Return the line of a byte offset; 1 is the first."""
        known, line = self._known
        if offset < known or self._content[known - 1 : known] == b"\r":
            known, line = 0, 1
        line += self._content.count(b"\n", known, offset)
        if self._returns:
            line += self._content.count(b"\r", known, offset)
            line -= self._content.count(b"\r\n", known, offset)
        self._known = offset, line
        return line

    def start(self, offset: int) -> int:
        """Return where the line of a byte offset starts."""
        start = self._content.rfind(b"\n", 0, offset)
        if self._returns:
            start = max(start, self._content.rfind(b"\r", 0, offset))
        return start + 1

    def end(self, offset: int) -> int:
        """Return where the line of a byte offset ends, without its line break."""
        ends = [self._content.find(b"\n", offset), len(self._content)]
        if self._returns:
            ends.append(self._content.find(b"\r", offset))
        return min(end for end in ends if end >= 0)

    def line_break(self, offset: int) -> bytes:
        """Return the break that ends a line, for the last line the one before it, else LF."""
        end = self.end(offset)
        if end == len(self._content):
            start = self.start(offset)
            return self._break_before(start) if start else b"\n"
        return b"\r\n" if self._content.startswith(b"\r\n", end) else self._content[end : end + 1]

    def _break_before(self, start: int) -> bytes:
        return (
            b"\r\n"
            if self._content.endswith(b"\r\n", 0, start)
            else self._content[start - 1 : start]
        )


class Offsets:
    """From characters, which parsers count, to bytes of the file."""

    __slots__ = ("_base", "_steps", "_text")

    def __init__(self, chunk: Chunk) -> None:
        self._base = chunk.start
        self._steps = [0]
        self._text: str | None = None
        if not chunk.content.isascii():
            self._text = chunk.content.decode()
            for start in range(0, len(self._text), _STEP):
                size = len(self._text[start : start + _STEP].encode())
                self._steps.append(self._steps[-1] + size)

    def byte(self, character: int) -> int:
        """Return the file's byte offset of a character of the chunk."""
        if self._text is None:
            return self._base + character
        step, rest = divmod(character, _STEP)
        first = step * _STEP
        return self._base + self._steps[step] + len(self._text[first : first + rest].encode())
