"""From a chunk to documents: libyaml's events and a stack of frames, never a tree.

A tree would hide where aliases stand, fail on anchors that are defined twice and recurse; events
do not. Marks count characters, and the start mark of a scalar includes its anchor and tag.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)
from yaml.reader import ReaderError

from gitops_release.manifests.document import (
    Alias,
    Collection,
    Document,
    Entry,
    Keys,
    Node,
    Scalar,
)
from gitops_release.manifests.text import Chunk, Lines, Offsets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DEPTH: Final = 256  # libyaml needs half a minute for 100,000 nested brackets

# libyaml where PyYAML was built with it; the pure parser has the same marks and is slower.
parser_class: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_PROPERTIES: Final = re.compile(rb"(?:!<[^>\r\n]*>|[&!][^\s,\[\]{}]*|#[^\r\n]*|\s+)+")


class UnparsableError(Exception):
    """A chunk is not YAML that can be edited: the line in the chunk, and the parser's words."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line = line
        self.words = words


def events(content: bytes) -> Iterator[Event]:
    """Yield the events of a chunk; raise ``UnparsableError`` where it stops being YAML."""
    try:
        parser = parser_class(content)
        try:
            yield from iter(parser.get_event, None)
        finally:
            parser.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(filter(None, (error.context, error.problem)))
        raise UnparsableError(mark.line + 1 if mark else 1, words or "not YAML") from error
    except ReaderError as error:
        line = Lines(content[: error.position]).number(error.position)
        raise UnparsableError(line, " ".join(str(error).split())) from error


def parse(chunk: Chunk, keep: Callable[[str], bool]) -> tuple[Document, ...]:
    """Return the documents of a chunk; raise ``UnparsableError`` if one of them is broken.

    Kept are the root, and the collections one of whose scalars is wanted (``keep``), is anchored,
    or is an alias: a file of megabytes mostly has a handful.
    """
    return tuple(_Reader(chunk, keep).documents())


class _Item(NamedTuple):  # a tuple because one is made for every scalar of a file
    key: tuple[int, Event] | None
    position: int
    number: int
    event: NodeEvent


class _Frame:
    """A collection that is still open. Not a dataclass: one is made for every collection."""

    __slots__ = ("is_key", "is_mapping", "items", "kept", "key", "keys", "position", "start")

    def __init__(self, keys: Keys, start: CollectionStartEvent | None, *, is_key: bool) -> None:
        self.keys = keys
        self.start = start
        self.is_mapping = isinstance(start, MappingStartEvent)
        self.is_key = is_key  # of the mapping around it
        self.kept = False
        self.key: tuple[int, Event] | None = None  # where the next node is its value
        self.position = 0
        self.items: list[_Item] = []

    def awaits_key(self) -> bool:
        return self.is_mapping and self.key is None

    def next_keys(self) -> Keys:
        """Return the keys of the value that comes next; the document has but its root."""
        if self.start is None:
            return ()
        return (*self.keys, _key_text(self.key, self.position))

    def close_value(self) -> None:
        self.key = None
        self.position += 1


def _key_text(key: tuple[int, Event] | None, position: int) -> str | int:
    match key:
        case None:
            return position
        case (_, ScalarEvent(value=text)):
            return text
        case (_, AliasEvent(anchor=name)):
            return f"*{name}"
        case _:
            return "?"


class _Reader:
    """One pass over the events of a chunk."""

    def __init__(self, chunk: Chunk, keep: Callable[[str], bool]) -> None:
        self._chunk = chunk
        self._keep = keep
        self._stack: list[_Frame] = []
        self._closed: list[_Frame] = []
        self._anchors: dict[str, int | None] = {}
        self._targets: dict[int, int | None] = {}  # what each alias stands for, by number
        self._spans: _Spans | None = None

    def documents(self) -> Iterator[Document]:
        stack = self._stack
        for number, event in enumerate(events(self._chunk.content)):
            if isinstance(event, ScalarEvent):
                self._scalar(number, event)
            elif isinstance(event, CollectionStartEvent):
                self._open(number, event)
            elif isinstance(event, CollectionEndEvent):
                self._close(stack.pop())
            elif isinstance(event, AliasEvent):
                self._targets[number] = self._anchors.get(event.anchor or "")
                stack[-1].kept = True
                self._leaf(number, event)
            elif isinstance(event, DocumentStartEvent):
                stack.append(_Frame((), None, is_key=False))
            elif isinstance(event, DocumentEndEvent):
                stack.pop()
                yield self._document()

    def _scalar(self, number: int, event: ScalarEvent) -> None:
        frame = self._stack[-1]
        if event.anchor is not None:
            self._anchors[event.anchor] = number
            frame.kept = True
        elif not frame.kept and self._keep(event.value):
            frame.kept = True
        self._leaf(number, event)

    def _leaf(self, number: int, event: ScalarEvent | AliasEvent) -> None:
        frame = self._stack[-1]
        if frame.is_mapping and frame.key is None:
            frame.key = (number, event)
        else:
            frame.items.append(_Item(frame.key, frame.position, number, event))
            frame.key = None
            frame.position += 1

    def _open(self, number: int, event: CollectionStartEvent) -> None:
        outer = self._stack[-1]
        if len(self._stack) > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise UnparsableError(line, f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        is_key = outer.awaits_key()
        if is_key:
            outer.key = (number, event)
        self._stack.append(_Frame(outer.next_keys(), event, is_key=is_key))

    def _close(self, frame: _Frame) -> None:
        outer = self._stack[-1]
        if frame.kept or outer.start is None:
            self._closed.append(frame)
        if not frame.is_key:
            outer.close_value()

    def _document(self) -> Document:
        spans = self._spans = self._spans or _Spans(self._chunk)
        # Closed inside out; the root, if it is a collection, is the last.
        collections = [spans.collection(frame, self._targets) for frame in self._closed]
        nodes = [entry.node for collection in collections for entry in collection.entries]
        self._closed, self._anchors = [], {}
        return Document(
            chunk=self._chunk,
            root=collections[-1] if collections else None,
            collections=tuple(collections),
            scalars={node.number: node for node in nodes if isinstance(node, Scalar)},
            aliases=tuple(node for node in nodes if isinstance(node, Alias)),
        )


class _Spans:
    """Makes nodes of events: marks that count characters become spans of the file's bytes."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._offsets = Offsets(chunk)

    def collection(self, frame: _Frame, targets: dict[int, int | None]) -> Collection:
        return Collection(
            keys=frame.keys,
            flow=bool(frame.start and frame.start.flow_style),
            entries=tuple(self._entry(frame.keys, item, targets) for item in frame.items),
        )

    def _entry(self, outer: Keys, item: _Item, targets: dict[int, int | None]) -> Entry:
        key: Scalar | None = None
        keys = (*outer, _key_text(item.key, item.position))
        if item.key is not None and isinstance(item.key[1], ScalarEvent):
            key = self._scalar(item.key[0], item.key[1], keys)
        node: Node
        if isinstance(item.event, ScalarEvent):
            node = self._scalar(item.number, item.event, keys)
        else:
            start, end = self._marks(item.event)
            name = item.event.anchor or ""
            node = Alias(item.number, start, end, name, targets.get(item.number), keys)
        return Entry(key, node, item.position)

    def _scalar(self, number: int, event: ScalarEvent, keys: Keys) -> Scalar:
        start, end = self._marks(event)
        if event.anchor is not None or event.tag is not None:
            base = self._chunk.start
            properties = _PROPERTIES.match(self._chunk.content, start - base, end - base)
            start = properties.end() + base if properties else start
        style = event.style or ""  # the pure parser says None, libyaml ''
        return Scalar(number, start, end, event.value, style, event.anchor, event.tag, keys)

    def _marks(self, event: Event) -> tuple[int, int]:
        if event.start_mark is None or event.end_mark is None:
            raise UnparsableError(1, "the parser does not say where a scalar stands")
        byte = self._offsets.byte
        return byte(event.start_mark.index), byte(event.end_mark.index)
