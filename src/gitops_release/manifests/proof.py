"""Prove that a splice changed what it should and nothing else, or give nothing away.

The document is parsed again; its events must be those of the old document with exactly the
intended scalars changed, inserted and removed, and each new scalar must read as that string.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    ScalarEvent,
)

from gitops_release.core.manifest import Edit, FileChange, ManifestFile, apply_edits
from gitops_release.manifests.events import UnparsableError, events
from gitops_release.manifests.quoting import yaml_1_2_value
from gitops_release.manifests.text import Chunk, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gitops_release.manifests.spans import Read, Splice


class UnprovedError(Exception):
    """The edited file is not what was intended. Nothing of it may be used."""


def prove(file: ManifestFile, splices: Mapping[Chunk, Sequence[Splice]]) -> FileChange:
    """Return the changed file; raise ``UnprovedError`` if it is anything but what was intended."""
    ordered = [splice for chunk in sorted(splices, key=_start) for splice in splices[chunk]]
    edits = tuple(
        Edit(file.path, made.start, made.end, file.content[made.start : made.end], made.new)
        for made in ordered
    )
    try:
        new = apply_edits(file.content, edits)
    except ValueError as error:
        raise UnprovedError(str(error)) from error
    before, after = cut(file.content), cut(new)
    if len(before) != len(after):
        raise UnprovedError("the number of documents would change")
    for old_chunk, new_chunk in zip(before, after, strict=True):
        _prove_chunk(old_chunk, new_chunk, splices.get(old_chunk, ()))
    return FileChange(file.path, file.mode, file.content, new, edits)


def _start(chunk: Chunk) -> int:
    return chunk.start


def _prove_chunk(old: Chunk, new: Chunk, splices: Sequence[Splice]) -> None:
    if not splices:
        if old.content != new.content:
            raise UnprovedError("a document that is not meant would change")
        return
    changed = {number: read for made in splices for number, read in made.changed}
    removed = {number for made in splices for number in made.removed}
    inserted = {made.after: made.inserted for made in splices if made.inserted}
    try:
        found = events(new.content)
        for number, event in enumerate(events(old.content)):
            if number in changed:
                _check_scalar(changed[number], event, next(found, None))
            elif number not in removed and not _alike(event, next(found, None)):
                raise UnprovedError(f"something else than {event} would be read")
            for read in inserted.get(number, ()):
                _check_scalar(read, None, next(found, None))
        if next(found, None) is not None:
            raise UnprovedError("there would be more than before")
    except UnparsableError as error:
        raise UnprovedError(f"the result would not be YAML: {error.words}") from error


def _check_scalar(read: Read, before: Event | None, found: Event | None) -> None:
    """Check a scalar that is new, or that keeps the anchor and the tag it had before."""
    anchor, tag = None, None
    if before is not None:
        if not isinstance(before, ScalarEvent):
            raise UnprovedError(f"{before} is no scalar and would change")
        anchor, tag = before.anchor, before.tag
    expected = (read.value, read.style, anchor, tag)
    if not isinstance(found, ScalarEvent) or expected != _scalar(found):
        raise UnprovedError(f"expected to read {read.value}, found {found}")
    if not read.style and tag is None:
        _check_string(read.value)


def _scalar(event: ScalarEvent) -> tuple[str, str, str | None, str | None]:
    return event.value, event.style or "", event.anchor, event.tag


def _alike(before: Event, after: Event | None) -> bool:
    match before, after:
        case ScalarEvent(), ScalarEvent():
            return _scalar(before) == _scalar(after)
        case AliasEvent(), AliasEvent():
            return before.anchor == after.anchor
        case CollectionStartEvent(), CollectionStartEvent():
            return type(before) is type(after) and _properties(before) == _properties(after)
        case DocumentStartEvent(), DocumentStartEvent():
            explicit = before.explicit == after.explicit
            return explicit and before.version == after.version and before.tags == after.tags
        case _:
            return type(before) is type(after)


def _properties(event: CollectionStartEvent) -> tuple[object, ...]:
    return event.anchor, event.tag, bool(event.flow_style)


def _check_string(text: str) -> None:
    """Check that a plain scalar is its own text in YAML 1.1 and 1.2; other styles always are."""
    yaml_1_1: Any = yaml.safe_load(text)
    if yaml_1_1 != text or yaml_1_2_value(text) != text:
        raise UnprovedError(f"{text} would not be read as a string")
