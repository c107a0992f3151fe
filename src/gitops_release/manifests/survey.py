"""Look at one file: which of its places name a released image, and what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.manifests.events import UnparsableError, parse
from gitops_release.manifests.formats import FORMATS
from gitops_release.manifests.places import Remark
from gitops_release.manifests.spans import Source
from gitops_release.manifests.text import Lines, cut, is_utf_16

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitops_release.core.manifest import ManifestFile
    from gitops_release.manifests.document import Document
    from gitops_release.manifests.places import Place
    from gitops_release.manifests.references import Targets
    from gitops_release.manifests.text import Chunk

MAX_SIZE: Final = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Seen:
    """A document, and what the formats found in it; ``claimed`` if it is of any format."""

    document: Document
    claimed: bool
    places: tuple[Place, ...]
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk that contains one of the names; ``broken`` says why it has no documents."""

    chunk: Chunk
    seen: tuple[Seen, ...]
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """A file and its parts; ``obstacle`` says why it has none though it may name an image."""

    file: ManifestFile
    source: Source
    parts: tuple[Part, ...]
    obstacle: str | None = None

    @property
    def places(self) -> Iterator[tuple[Seen, Place]]:
        """The places of all documents, each with its document."""
        for part in self.parts:
            for seen in part.seen:
                for place in seen.places:
                    yield seen, place


def survey(file: ManifestFile, targets: Targets) -> Survey:
    """Return what the file says about the images. Only documents that contain a name are parsed."""
    source = Source(file.path, file.content, Lines(file.content))
    if is_utf_16(file.content):
        return Survey(file, source, (), "UTF-16 is not edited")
    if len(file.content) > MAX_SIZE:
        return Survey(file, source, (), f"larger than {MAX_SIZE // 2**20} MiB")
    needles = targets.needles
    parts = [
        _part(source, chunk, targets)
        for chunk in cut(file.content)
        if any(needle in chunk.content for needle in needles)
    ]
    return Survey(file, source, tuple(parts))


def _part(source: Source, chunk: Chunk, targets: Targets) -> Part:
    try:
        documents = parse(chunk, targets.may_be_in)
    except UnparsableError as error:
        if b"{{" in chunk.content or b"{%" in chunk.content:
            return Part(chunk, (), "in a template, which is not YAML before it is rendered")
        line = source.lines.number(chunk.start) + error.line - 1
        return Part(chunk, (), f"in a document that is not YAML: line {line}: {error.words}")
    return Part(chunk, tuple(_seen(source.path, document, targets) for document in documents))


def _seen(path: str, document: Document, targets: Targets) -> Seen:
    formats = [format_ for format_ in FORMATS if format_.claims(path, document)]
    places: dict[int, Place] = {}
    remarks: list[Remark] = []
    for format_ in formats:
        for finding in format_.find(document, targets):
            if isinstance(finding, Remark):
                remarks.append(finding)
            else:
                places.setdefault(finding.node.number, finding)
    return Seen(document, bool(formats), tuple(places.values()), tuple(remarks))


def image_names(file: ManifestFile) -> set[str]:
    """Return the names of all images in a file, as they are spelled there."""
    names: set[str] = set()
    if is_utf_16(file.content) or len(file.content) > MAX_SIZE:
        return names
    for chunk in cut(file.content):
        try:
            documents = parse(chunk, lambda _value: True)
        except UnparsableError:
            continue
        for document in documents:
            for format_ in FORMATS:
                if format_.claims(file.path, document):
                    names.update(format_.names(document))
    return names
