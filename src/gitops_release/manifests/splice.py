"""From changes of a document to replaced spans.

Bytes are replaced where they stand; the rest of the document is never written again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gitops_release.manifests.pairs import delete_pair, insert_pairs
from gitops_release.manifests.places import DeletePair, InsertPairs, RenameKey, SetValue
from gitops_release.manifests.scalars import set_scalar
from gitops_release.manifests.spans import RefusedError, Source, Splice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gitops_release.manifests.document import Document, Node, Scalar
    from gitops_release.manifests.places import Change


def splice(source: Source, document: Document, changes: Iterable[Change]) -> tuple[Splice, ...]:
    """Return the spans to replace, in order, none where the document reads so already.

    Raise ``RefusedError`` for the first change that cannot be made.
    """
    values: dict[int, list[SetValue]] = defaultdict(list)
    splices: list[Splice | None] = []
    for change in changes:
        match change:
            case SetValue(node=node):
                values[_target(document, node).number].append(change)
            case RenameKey(key=key, new=new):
                splices.append(set_scalar(source.content, key, SetValue(key, key.value, new)))
            case InsertPairs():
                splices.append(insert_pairs(source, change))
            case DeletePair():
                splices.append(delete_pair(source, change))
    shared = [_set_shared(source, document, group) for group in values.values()]
    # Values first: an insertion may start where the value above it ends.
    made = [made for made in (*shared, *splices) if made is not None]
    return tuple(sorted(made, key=lambda made: (made.start, made.end)))


def _target(document: Document, node: Node) -> Scalar:
    scalar = document.resolve(node)
    if scalar is None:
        raise RefusedError(node, "an alias of something that is no value of this document")
    return scalar


def _set_shared(source: Source, document: Document, group: list[SetValue]) -> Splice | None:
    """Set a scalar once, for its own place and for every alias of it."""
    first = group[0]
    scalar = _target(document, first.node)
    uses: list[Node] = [scalar]
    uses += [alias for alias in document.aliases if alias.target == scalar.number]
    meant = {change.node.number for change in group}
    others = [use for use in uses if use.number not in meant]
    if others:
        lines = ", ".join(f"line {source.lines.number(use.start)}" for use in others)
        reason = f"&{scalar.anchor} is also used where it is not meant: {lines}"
        raise RefusedError(first.node, reason)
    if any(change.new != first.new for change in group):
        raise RefusedError(first.node, f"&{scalar.anchor} would need two values")
    return set_scalar(source.content, scalar, first)
