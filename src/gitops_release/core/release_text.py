"""Names and words of a release: a function of the release alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import UsageError
from gitops_release.core.git import legal_branch
from gitops_release.core.manifest import ManifestEdits, Slot, key_path
from gitops_release.core.markdown import code, table
from gitops_release.core.templates import fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gitops_release.core.image import ImageReference
    from gitops_release.core.release_request import ReleaseImage, ReleaseRequest

MAX_TITLE_LENGTH: Final = 256  # GitHub's limit, in characters
MAX_BODY_LENGTH: Final = 65_536  # GitHub's limit, in characters
_CUT: Final = "\n\nThe rest is left out: it does not fit.\n"


@dataclass(frozen=True, slots=True)
class ReleaseName:
    """What tells a release from others: its key, and its branch that the next run finds again."""

    key: str
    branch: str


@dataclass(frozen=True, slots=True)
class ReleaseText:
    """A release's name with all that people read of it."""

    key: str
    branch: str
    title: str
    body: str
    commit_message: str


def name_release(request: ReleaseRequest) -> ReleaseName:
    """Return the release's key and branch; they do not depend on what the repository holds."""
    key = _key(request)
    template = request.wording.branch
    if template is None:
        template = "release-{image}-{tag}"
        if request.environment is not None:
            template += "-{environment}"
        elif len(request.images) > 1 or request.selection.paths:
            # Several images, or several targets, would share the name otherwise.
            template += f"-{key.rpartition(' ')[2][:8]}"
    return ReleaseName(key, legal_branch(fill(template, _fields(request), option="--branch")))


def word_release(request: ReleaseRequest, name: ReleaseName, edits: ManifestEdits) -> ReleaseText:
    """Return title, body and commit message of a release that changes the given places."""
    fields = {**_fields(request), "branch": name.branch}
    wording = request.wording
    title = fill(wording.title or _default_title(request), fields, option="--title")
    title = " ".join(title.split())[:MAX_TITLE_LENGTH]
    if not title:
        raise UsageError(
            f"expected a title from --title, found that {wording.title!r} comes out empty",
            hint="which of its fields are empty?",
        )
    body = _default_body(request, edits)
    if wording.body is not None:
        body = fill(
            wording.body, {**fields, "changes": _changes(edits.slots)}, option="--body-file"
        )
    message = title
    if wording.commit_message is not None:
        message = fill(wording.commit_message, fields, option="--commit-message").strip() or title
    return ReleaseText(name.key, name.branch, title, _fitting(body), message)


def _fitting(body: str) -> str:
    """Return the body as far as it fits, cut between lines: half a code span would be markup."""
    if len(body) <= MAX_BODY_LENGTH:
        return body
    return body[: MAX_BODY_LENGTH - len(_CUT)].rpartition("\n")[0] + _CUT


def _key(request: ReleaseRequest) -> str:
    """Return the first image and a hash over what the release is, without the digests of tags.

    A tag that was built again is the same release with other content.
    """
    identity = [
        [_identity(image.reference) for image in request.images],
        request.environment,
        list(request.selection.paths),
        request.selection.all_files,
    ]
    text = json.dumps(identity, separators=(",", ":"))
    return f"{_short(request.images[0].reference)} {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _identity(reference: ImageReference) -> list[str]:
    return [str(reference.repository), reference.tag or str(reference.digest)]


def _version(reference: ImageReference) -> str:
    if reference.tag is not None:
        return reference.tag
    return "" if reference.digest is None else reference.digest.short


def _short(reference: ImageReference) -> str:
    return f"{reference.repository.name}:{_version(reference)}"


def _fields(request: ReleaseRequest) -> Mapping[str, str]:
    """Return what templates may name; the first image stands for all."""
    first = request.images[0]
    digest = first.reference.digest
    return {
        "image": first.reference.repository.name,
        "repository": str(first.reference.repository),
        "tag": _version(first.reference),
        "digest": "" if digest is None else str(digest),
        "revision": first.source.revision or "",
        "environment": request.environment or "",
    }


def _default_title(request: ReleaseRequest) -> str:
    # The names hold no brace: they were parsed as image references.
    names = ", ".join(
        f"{image.reference.repository.name} {_version(image.reference)}" for image in request.images
    )
    return f"Release {names}" + (" to {environment}" if request.environment is not None else "")


def _default_body(request: ReleaseRequest, edits: ManifestEdits) -> str:
    parts = [_changes(edits.slots), *_sources(request.images)]
    return "\n\n".join(parts) + "\n"


def _changes(slots: Iterable[Slot]) -> str:
    rows = [
        [
            code(f"{slot.location.path}:{slot.location.line}"),
            code(key_path(slot.location.keys)),
            code(slot.old) if slot.old else "",
            code(slot.new),
        ]
        for slot in slots
        if slot.old != slot.new
    ]
    return table(["File", "Place", "From", "To"], rows)


def _sources(images: Iterable[ReleaseImage]) -> list[str]:
    lines = []
    for image in images:
        source = image.source
        facts = [
            f"{word} {code(value)}"
            for word, value in [
                ("from commit", source.revision),
                ("of", source.repository),
                ("by pipeline", source.pipeline_url),
            ]
            if value is not None
        ]
        if facts:
            lines.append(f"{code(str(image.reference))} was built {' '.join(facts)}.")
    return lines
