"""What a format sees of a YAML document: collections with scalars, and where each scalar stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gitops_release.manifests.text import Chunk

Keys: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar and its span in the file, without the anchor and tag before it."""

    number: int  # of its event in the chunk
    start: int
    end: int
    value: str
    style: str  # '' plain, "'", '"', '|' or '>'
    anchor: str | None
    tag: str | None
    keys: Keys


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias, and the number of the scalar that it stands for, if it is one."""

    number: int
    start: int
    end: int
    name: str
    target: int | None
    keys: Keys


Node: TypeAlias = "Scalar | Alias"


@dataclass(frozen=True, slots=True)
class Entry:
    """A scalar or alias in a collection: under a key of a mapping, or an item of a sequence."""

    key: Scalar | None  # None in a sequence, and where the key is no scalar
    node: Node
    position: int  # among the collection's entries; 0 is the first


@dataclass(frozen=True, slots=True)
class Collection:
    """A mapping or sequence with those of its entries that are no collections themselves."""

    keys: Keys
    flow: bool
    entries: tuple[Entry, ...]

    def entry(self, key: str) -> Entry | None:
        """Return the entry that readers see under a key: the last, if it is there twice."""
        found = None
        for entry in self.entries:
            if entry.key is not None and entry.key.value == key:
                found = entry
        return found


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its root, and every collection that was worth keeping (see ``parse``)."""

    chunk: Chunk
    root: Collection | None  # None where the root is no collection
    collections: tuple[Collection, ...]
    scalars: Mapping[int, Scalar]  # the values, by number
    aliases: tuple[Alias, ...]

    def entries(self) -> Iterator[Entry]:
        """Yield the entries of all collections."""
        for collection in self.collections:
            yield from collection.entries

    def resolve(self, node: Node | None) -> Scalar | None:
        """Return the scalar that holds the node's value, if it is one."""
        match node:
            case Scalar():
                return node
            case Alias(target=int(number)):
                return self.scalars.get(number)
            case _:
                return None

    def text_at(self, key: str) -> str | None:
        """Return the text of a scalar directly below the root."""
        entry = self.root.entry(key) if self.root else None
        scalar = self.resolve(entry.node) if entry else None
        return scalar.value if scalar else None
