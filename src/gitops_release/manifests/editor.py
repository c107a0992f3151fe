"""The flow: survey the files, choose the places, rewrite, splice, prove."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_release.core.manifest import Location, ManifestEdits, Slot
from gitops_release.manifests import failures
from gitops_release.manifests.mentions import Mentions
from gitops_release.manifests.places import rewrite, wanted_form
from gitops_release.manifests.proof import UnprovedError, prove
from gitops_release.manifests.references import Targets, canonical
from gitops_release.manifests.spans import RefusedError
from gitops_release.manifests.splice import splice
from gitops_release.manifests.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gitops_release.core.image import ImageReference
    from gitops_release.core.manifest import (
        FileChange,
        ManifestFile,
        Mention,
        Pin,
        Selection,
    )
    from gitops_release.manifests.places import Change, Place, Rewrite
    from gitops_release.manifests.spans import Source, Splice
    from gitops_release.manifests.survey import Seen, Survey
    from gitops_release.manifests.text import Chunk

_BARE = "it names no tag or digest, and another place does"


class ManifestEditor:
    """Edits manifests that name images: bytes in, proved edits out."""

    def needles(self, images: Sequence[ImageReference]) -> tuple[bytes, ...]:
        """Return byte strings, one of which every file that names one of the images contains.

        ``UsageError`` if one image is asked for in two versions.
        """
        return Targets.of(images).needles

    def nearest(self, files: Iterable[ManifestFile], image: ImageReference) -> tuple[str, ...]:
        """Return the image names in the files that are most like the image's, the nearest first."""
        return failures.nearest(files, image)

    def edit(
        self,
        files: Iterable[ManifestFile],
        images: Sequence[ImageReference],
        selection: Selection,
    ) -> ManifestEdits:
        """Return the edits that release the images at every place that is meant.

        A file that names no image may be among the files or not. Raise ``ManifestError`` if an
        image is not found, is found in several files of which none was chosen, or stands where it
        cannot be edited alone; ``UsageError`` if a place needs a tag that an image does not have.
        """
        targets = Targets.of(images)
        surveys = sorted(
            (survey(file, targets) for file in files), key=lambda found: found.file.path
        )
        finds = [_Find(found, seen, place) for found in surveys for seen, place in found.places]
        meant, bare = _without_bare(finds)
        _check_found(surveys, targets, meant)
        _check_one_file(meant, targets, selection)
        return _edits(surveys, targets, meant, bare, selection.pin)


@dataclass(frozen=True, slots=True)
class _Find:
    """A place in its document and file."""

    survey: Survey
    seen: Seen
    place: Place

    @property
    def name(self) -> str:
        return canonical(str(self.place.image.repository))

    @property
    def location(self) -> Location:
        node = self.place.node
        line = self.survey.source.lines.number(node.start)
        return Location(self.survey.file.path, line, node.keys)


def _without_bare(finds: Sequence[_Find]) -> tuple[list[_Find], list[_Find]]:
    """Part the places that are meant from bare ones that leave the version to others."""
    versioned = {find.name for find in finds if not find.place.form.bare}
    bare = [find for find in finds if find.place.form.bare and find.name in versioned]
    return [find for find in finds if not find.place.form.bare or find.name not in versioned], bare


def _check_found(surveys: Sequence[Survey], targets: Targets, meant: Sequence[_Find]) -> None:
    found = {find.name for find in meant}
    for name, spelling in targets.spellings.items():
        if name not in found:
            image = targets.by_name[name]
            mentions = [line for each in surveys for line in Mentions(each).find(spelling)]
            if mentions:
                raise failures.only_mentioned(image, mentions)
            raise failures.not_found(image, surveys)


def _check_one_file(meant: Sequence[_Find], targets: Targets, selection: Selection) -> None:
    if selection.paths or selection.all_files:
        return
    for name, image in targets.by_name.items():
        locations = [find.location for find in meant if find.name == name]
        if len({location.path for location in locations}) > 1:
            raise failures.ambiguous(image, locations)


def _edits(
    surveys: Sequence[Survey],
    targets: Targets,
    meant: Sequence[_Find],
    bare: Sequence[_Find],
    pin: Pin,
) -> ManifestEdits:
    mentions = _mentions(surveys, targets, meant, bare)
    forms = [(find, wanted_form(pin, find.place)) for find in meant]
    needy = {find.name for find, form in forms if form.digest and not find.place.image.digest}
    if needy:
        images = tuple(image for name, image in targets.by_name.items() if name in needy)
        return ManifestEdits(mentions=mentions, needs_digest=images)
    rewrites = [(find, rewrite(find.place, form)) for find, form in forms]
    slots = tuple(slot for find, made in rewrites for slot in _slots(find, made))
    return ManifestEdits(slots, _changes(surveys, rewrites), mentions)


def _slots(find: _Find, made: Rewrite) -> list[Slot]:
    path, lines = find.survey.file.path, find.survey.source.lines
    return [
        Slot(
            Location(path, lines.number(value.node.start), value.keys),
            find.place.image,
            value.old,
            value.new,
        )
        for value in made.values
    ]


def _changes(
    surveys: Sequence[Survey], rewrites: Sequence[tuple[_Find, Rewrite]]
) -> tuple[FileChange, ...]:
    """Splice each document and prove each file that changes."""
    wanted: dict[int, tuple[_Find, list[Change]]] = {}
    for find, made in rewrites:
        wanted.setdefault(id(find.seen), (find, []))[1].extend(made.changes)
    splices: dict[str, dict[Chunk, tuple[Splice, ...]]] = defaultdict(dict)
    refusals: list[tuple[Source, RefusedError]] = []
    for find, changes in wanted.values():
        source, document = find.survey.source, find.seen.document
        try:
            spliced = splice(source, document, changes)
        except RefusedError as error:
            refusals.append((source, error))
            continue
        if spliced:
            # Several documents share a chunk where the file could not be cut.
            chunks = splices[source.path]
            chunks[document.chunk] = chunks.get(document.chunk, ()) + spliced
    if refusals:
        raise failures.refused(refusals)
    return tuple(
        _proved(found.file, splices[found.file.path])
        for found in surveys
        if found.file.path in splices
    )


def _proved(file: ManifestFile, splices: dict[Chunk, tuple[Splice, ...]]) -> FileChange:
    try:
        return prove(file, splices)
    except UnprovedError as error:
        raise failures.unproved(file.path, str(error)) from error


def _mentions(
    surveys: Sequence[Survey], targets: Targets, meant: Sequence[_Find], bare: Sequence[_Find]
) -> tuple[Mention, ...]:
    edited: dict[str, set[int]] = defaultdict(set)
    left: dict[str, dict[int, str]] = defaultdict(dict)
    for find in meant:
        edited[find.survey.file.path].add(find.place.node.start)
    for find in bare:
        left[find.survey.file.path][find.place.node.start] = _BARE
    found: dict[tuple[str, int], Mention] = {}
    for each in surveys:
        path = each.file.path
        mentions = Mentions(each, edited[path], left[path])
        for spelling in targets.spellings.values():
            for mention in mentions.find(spelling):
                found.setdefault((path, mention.line), mention)
    return tuple(found[key] for key in sorted(found))
