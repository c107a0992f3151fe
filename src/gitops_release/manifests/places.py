"""What formats find, and what a release makes of it: places, forms and changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from gitops_release.core.errors import UsageError
from gitops_release.core.manifest import Pin

if TYPE_CHECKING:
    from gitops_release.core.image import ImageReference
    from gitops_release.manifests.document import Collection, Entry, Keys, Node, Scalar
    from gitops_release.manifests.references import FoundReference

OTHER_IMAGE: Final = "another image: its registry or path is not the same"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Form:
    """By what a place names its image; by neither, it is bare."""

    tag: bool
    digest: bool

    @property
    def bare(self) -> bool:
        """Whether the place leaves the version to somebody else."""
        return not self.tag and not self.digest


@dataclass(frozen=True, slots=True)
class ReferencePlace:
    """A scalar, or an alias of one, that is a whole reference."""

    image: ImageReference
    node: Node
    found: FoundReference

    @property
    def form(self) -> Form:
        """The form the place has now."""
        return Form(self.found.tag is not None, self.found.digest is not None)


@dataclass(frozen=True, slots=True)
class Field:
    """A key that holds a tag or a digest, and its entry if it is there."""

    key: str
    entry: Entry | None
    value: str  # '' where the key is missing or null


@dataclass(frozen=True, slots=True)
class FieldsPlace:
    """A mapping that names an image under one key and its tag and digest under others."""

    image: ImageReference
    collection: Collection
    name: Entry  # a missing key is inserted below it
    tag: Field  # its value may be TAG@DIGEST
    digest: Field

    @property
    def node(self) -> Node:
        """Where the place is: at the name."""
        return self.name.node

    @property
    def form(self) -> Form:
        """The form the place has now."""
        tag, _, digest = self.tag.value.partition("@")
        return Form(bool(tag), bool(digest or self.digest.value))


Place: TypeAlias = "ReferencePlace | FieldsPlace"


@dataclass(frozen=True, slots=True)
class Remark:
    """A node that names an image but is left alone, with the reason."""

    node: Node
    reason: str


Finding: TypeAlias = "ReferencePlace | FieldsPlace | Remark"


def field_value(scalar: Scalar | None) -> str:
    """Return the text of a field as its reader sees it: null is no text."""
    if scalar is None or (scalar.style == "" and scalar.value in _NULLS):
        return ""
    return scalar.value


@dataclass(frozen=True, slots=True)
class SetValue:
    """Give a node a value that shares its first ``keep`` characters with the old one."""

    node: Node
    old: str
    new: str
    keep: int = 0


@dataclass(frozen=True, slots=True)
class RenameKey:
    """Give an entry another key."""

    key: Scalar
    new: str


@dataclass(frozen=True, slots=True)
class InsertPairs:
    """Insert keys with their values below an entry."""

    collection: Collection
    after: Entry
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DeletePair:
    """Remove an entry and its line."""

    collection: Collection
    entry: Entry


Change: TypeAlias = "SetValue | RenameKey | InsertPairs | DeletePair"


@dataclass(frozen=True, slots=True)
class Value:
    """A value that a change leaves behind; '' before it is inserted or after it is removed."""

    node: Node  # the place, for its line
    keys: Keys
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The changes that release an image at one place, and the values before and after."""

    changes: tuple[Change, ...]
    values: tuple[Value, ...]


def wanted_form(pin: Pin, place: Place) -> Form:
    """Return the form of a place after the release; ``UsageError`` if it needs a tag in vain."""
    image, form = place.image, _form(pin, place)
    if form.tag and image.tag is None:
        raise UsageError(
            f"expected a tag of {image.repository}, because the manifest names one, "
            f"found only the digest {image.digest}",
            hint=f"pass {image.repository}:TAG@{image.digest}, or --pin digest",
        )
    return form


def _form(pin: Pin, place: Place) -> Form:
    match pin:
        case Pin.KEEP if place.form.bare:
            return Form(tag=place.image.tag is not None, digest=place.image.tag is None)
        case Pin.KEEP:
            return place.form
        case Pin.TAG:
            return Form(tag=True, digest=False)
        case Pin.DIGEST:
            return Form(tag=False, digest=True)
        case Pin.BOTH:
            return Form(tag=True, digest=True)


def rewrite(place: Place, form: Form) -> Rewrite:
    """Return what gives the place that form of its image; the image has the parts it needs."""
    tag = str(place.image.tag) if form.tag else ""
    digest = str(place.image.digest) if form.digest else ""
    match place:
        case ReferencePlace(node=node, found=found):
            old = _reference(found.name, found.tag or "", found.digest or "")
            new = _reference(found.name, tag, digest)
            change = SetValue(node, old, new, keep=len(found.name))
            return Rewrite((change,), (Value(node, node.keys, old, new),))
        case FieldsPlace():
            return _rewrite_fields(place, tag, digest)


def _reference(name: str, tag: str, digest: str) -> str:
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def _rewrite_fields(place: FieldsPlace, tag: str, digest: str) -> Rewrite:
    if "@" in place.tag.value and not place.digest.value:
        tag, digest = _reference(tag, "", digest), ""
    wanted = [(place.tag, tag), (place.digest, digest)]
    surplus = [field for field, new in wanted if field.value and not new]
    missing = [(field, new) for field, new in wanted if new and field.entry is None]
    present = [(field, new) for field, new in wanted if new and field.entry is not None]
    if surplus and missing:
        return _renamed(surplus[0], *missing[0])
    if surplus and surplus[0].entry is not None and surplus[0].entry.position == 0:
        # The first key of an item shares its line with the dash: rename it, remove the other.
        renamed = _renamed(surplus[0], *present[0])
        removed = _deleted(place, present[0][0])
        return Rewrite(renamed.changes + removed.changes, renamed.values)
    parts = [_set(field, new) for field, new in present]
    parts += [_deleted(place, field) for field in surplus]
    parts += [_inserted(place, missing)] if missing else []
    return Rewrite(
        tuple(change for part in parts for change in part.changes),
        tuple(value for part in parts for value in part.values),
    )


def _entry(field: Field) -> tuple[Entry, Scalar]:
    if field.entry is None or field.entry.key is None:
        raise ValueError(f"there is no key {field.key} to change")  # the caller's bug
    return field.entry, field.entry.key


def _set(field: Field, new: str) -> Rewrite:
    node = _entry(field)[0].node
    return Rewrite((SetValue(node, field.value, new),), (Value(node, node.keys, field.value, new),))


def _renamed(field: Field, into: Field, new: str) -> Rewrite:
    entry, key = _entry(field)
    keys = (*entry.node.keys[:-1], into.key)
    return Rewrite(
        (RenameKey(key, into.key), SetValue(entry.node, field.value, new)),
        (Value(entry.node, keys, field.value, new),),
    )


def _deleted(place: FieldsPlace, field: Field) -> Rewrite:
    entry = _entry(field)[0]
    return Rewrite(
        (DeletePair(place.collection, entry),),
        (Value(entry.node, entry.node.keys, field.value, ""),),
    )


def _inserted(place: FieldsPlace, missing: list[tuple[Field, str]]) -> Rewrite:
    below = place.name
    if len(missing) == 1 and missing[0][0] is place.digest and place.tag.entry is not None:
        below = place.tag.entry
    keys = place.collection.keys
    return Rewrite(
        (InsertPairs(place.collection, below, tuple((field.key, new) for field, new in missing)),),
        tuple(Value(below.node, (*keys, field.key), "", new) for field, new in missing),
    )
