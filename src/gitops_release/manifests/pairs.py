"""Insert and remove pairs of a mapping, in block and flow style, JSON included."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gitops_release.manifests.document import Scalar
from gitops_release.manifests.quoting import scalar_text
from gitops_release.manifests.spans import LINE_BREAK, Read, RefusedError, Source, Splice

if TYPE_CHECKING:
    from gitops_release.manifests.document import Entry, Node
    from gitops_release.manifests.places import DeletePair, InsertPairs

_INDENTATION: Final = re.compile(rb"[ -]*")
_COLON: Final = re.compile(rb"[ \t]*:[ \t]*")
_REST_OF_LINE: Final = re.compile(rb"[ \t]*(?:(?<=[ \t])#[^\r\n]*)?")


def insert_pairs(source: Source, change: InsertPairs) -> Splice:
    """Return what inserts the pairs below an entry; raise ``RefusedError`` if that is not plain."""
    key, node = _plain_pair(source, change.after)
    if change.collection.flow:
        return _insert_in_flow(source, change, key, node)
    return _insert_lines(source, change, key, node)


def delete_pair(source: Source, change: DeletePair) -> Splice:
    """Return what removes an entry; raise ``RefusedError`` if it does not stand apart."""
    key, node = _plain_pair(source, change.entry)
    if key.anchor is not None or (isinstance(node, Scalar) and node.anchor is not None):
        raise RefusedError(node, "it has an anchor, which aliases may need")
    if change.collection.flow:
        comma = _blank_before(source.content, key.start) - 1
        start, end = comma if source.content[comma : comma + 1] == b"," else -1, node.end
    else:
        start, end = _line_of_its_own(source, key, node)
    if start < 0:
        raise RefusedError(
            node, f"{key.value} cannot be removed without touching what is beside it"
        )
    return Splice(start, end, b"", removed=(key.number, node.number))


def _plain_pair(source: Source, entry: Entry) -> tuple[Scalar, Node]:
    key, node = entry.key, entry.node
    if key is None or LINE_BREAK.search(source.content, key.start, node.end):
        raise RefusedError(node, "its key and value are not on one line")
    return key, node


def _insert_lines(source: Source, change: InsertPairs, key: Scalar, node: Node) -> Splice:
    """Each pair gets a line, in the column of the key above and with that line's break."""
    start, end = source.lines.start(key.start), source.lines.end(node.end)
    if not _INDENTATION.fullmatch(source.content, start, key.start):
        raise RefusedError(node, f"the indentation of {key.value} is not plain")
    margin = source.lines.line_break(node.end).decode() + " " * (key.start - start)
    pairs = [(name, scalar_text(value)) for name, value in change.pairs]
    text = "".join(f"{margin}{name}: {value}" for name, value in pairs)
    read = _read(change, "", [written for _, written in pairs])
    return Splice(end, end, text.encode(), inserted=read, after=node.number)


def _insert_in_flow(source: Source, change: InsertPairs, key: Scalar, node: Node) -> Splice:
    """Each pair is written as the one above: its margin, its quotes, its colon."""
    margin = source.content[_blank_before(source.content, key.start) : key.start].decode()
    margin = margin if LINE_BREAK.search(margin.encode()) else " "
    after_key = _COLON.match(source.content, key.end)
    colon = after_key[0].decode() if after_key else ": "
    quote = node.style if isinstance(node, Scalar) and key.style else ""
    written = [
        f"{quote}{value}{quote}" if quote else scalar_text(value) for _, value in change.pairs
    ]
    text = "".join(
        f",{margin}{key.style}{name}{key.style}{colon}{value}"
        for (name, _), value in zip(change.pairs, written, strict=True)
    )
    read = _read(change, key.style, written)
    return Splice(node.end, node.end, text.encode(), inserted=read, after=node.number)


def _blank_before(content: bytes, end: int) -> int:
    """Return where the blanks and line breaks before an offset start."""
    while end > 0 and content[end - 1] in b" \t\r\n":
        end -= 1
    return end


def _read(change: InsertPairs, key_style: str, written: list[str]) -> tuple[Read, ...]:
    reads = []
    for (name, value), text in zip(change.pairs, written, strict=True):
        reads += [Read(name, key_style), Read(value, "" if text == value else text[0])]
    return tuple(reads)


def _line_of_its_own(source: Source, key: Scalar, node: Node) -> tuple[int, int]:
    """Return the span of the pair's line with its break, ``(-1, -1)`` if it shares the line."""
    content, lines = source.content, source.lines
    start, end = lines.start(key.start), lines.end(node.end)
    alone = not content[start : key.start].strip(b" ")
    if not alone or not _REST_OF_LINE.fullmatch(content, node.end, end):
        return -1, -1
    line_break = LINE_BREAK.match(content, end)
    if line_break:
        return start, line_break.end()
    # The last line of a file without a final newline takes the break before it along.
    return start - len(lines.line_break(end)), end
