"""Lines that mention an image and are left alone, each with the reason."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from gitops_release.core.manifest import Mention, key_path
from gitops_release.manifests.places import FieldsPlace
from gitops_release.manifests.text import Lines, is_utf_16

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from gitops_release.manifests.document import Node, Scalar
    from gitops_release.manifests.references import Spelling
    from gitops_release.manifests.survey import Part, Seen, Survey

_ARGUMENT_KEYS: Final = frozenset({"args", "command"})
_NO_MANIFEST: Final = "neither a Kubernetes object nor a Kustomization"


class Mentions:
    """What a file says about images outside the places that are meant.

    Places are known by where their nodes start: ``meant`` are those that hold the release, and
    ``bare`` those that leave the version to others, with the reason.
    """

    def __init__(
        self, survey: Survey, meant: Collection[int] = (), bare: Mapping[int, str] | None = None
    ) -> None:
        self._survey = survey
        self._parts = survey.parts  # in the order of their spans, as are the scalars
        self._scalars = sorted(
            ((scalar.start, scalar, seen) for seen, scalar in _scalars(survey)),
            key=lambda found: found[0],
        )
        self._meant = _scalars_of_places(survey, meant)
        self._reasons = _remarks(survey) | dict(bare or {})

    def find(self, spelling: Spelling) -> Iterator[Mention]:
        """Yield one mention for each line that spells the image and is left alone."""
        path, content, lines = self._survey.file.path, *self._text()
        reasons: dict[int, str] = {}
        for offset in spelling.find(content):
            reason = self._reason(offset)
            if reason is not None:
                reasons.setdefault(lines.number(offset), reason)
        for line, reason in reasons.items():
            yield Mention(path, line, reason)

    def _text(self) -> tuple[bytes, Lines]:
        content = self._survey.file.content
        if not is_utf_16(content):
            return content, self._survey.source.lines
        decoded = content.decode("utf-16", "replace").encode()
        return decoded, Lines(decoded)

    def _reason(self, offset: int) -> str | None:
        """Say why what stands at an offset is left alone; ``None`` if it is not."""
        if self._survey.obstacle is not None:
            return self._survey.obstacle
        at = bisect_right(self._parts, offset, key=lambda part: part.chunk.start) - 1
        if at < 0 or offset >= self._parts[at].chunk.end:
            return "outside of all documents"
        if self._parts[at].broken is not None:
            return self._parts[at].broken
        at_scalar = bisect_right(self._scalars, offset, key=lambda found: found[0]) - 1
        if at_scalar >= 0:
            start, scalar, seen = self._scalars[at_scalar]
            if offset < scalar.end:
                return None if start in self._meant else self._reason_of(scalar, seen)
        return self._reason_outside(self._parts[at], offset)

    def _reason_of(self, scalar: Scalar, seen: Seen) -> str:
        if scalar.start in self._reasons:
            return self._reasons[scalar.start]
        return _kind_of_text(scalar) if seen.claimed else _NO_MANIFEST

    def _reason_outside(self, part: Part, offset: int) -> str:
        start = self._survey.source.lines.start(offset)
        if b"#" in self._survey.file.content[start:offset]:
            return "comment"
        if not any(seen.claimed for seen in part.seen):
            return _NO_MANIFEST
        return "a key, not a value"


def _scalars(survey: Survey) -> Iterator[tuple[Seen, Scalar]]:
    for part in survey.parts:
        for seen in part.seen:
            for scalar in seen.document.scalars.values():
                yield seen, scalar


def _scalars_of_places(survey: Survey, meant: Collection[int]) -> set[int]:
    starts: set[int] = set()
    for seen, place in survey.places:
        if place.node.start in meant:
            nodes: list[Node] = [place.node]
            if isinstance(place, FieldsPlace):
                nodes = [entry.node for entry in place.collection.entries]
            scalars = [seen.document.resolve(node) for node in nodes]
            starts.update(scalar.start for scalar in scalars if scalar is not None)
    return starts


def _remarks(survey: Survey) -> dict[int, str]:
    """Return what the formats say about scalars, by where they start."""
    reasons: dict[int, str] = {}
    for part in survey.parts:
        for seen in part.seen:
            for remark in seen.remarks:
                scalar = seen.document.resolve(remark.node)
                if scalar is not None:
                    reasons.setdefault(scalar.start, remark.reason)
    return reasons


def _kind_of_text(scalar: Scalar) -> str:
    where = key_path(scalar.keys)
    if "{{" in scalar.value or "${" in scalar.value:
        return f"{where} is a template, whose value is not known here"
    if scalar.style in {"|", ">"} or "\n" in scalar.value:
        return f"text in {where}"
    if _ARGUMENT_KEYS.intersection(scalar.keys):
        return f"argument {where}"
    return f"{where} is not an image field"
