"""What a manifest edit is: places, byte spans and changed files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitops_release.core.image import ImageReference


class Pin(str, Enum):
    """What a place that names the image holds after the release."""

    KEEP = "keep"  # the form it has: a tag stays a tag, a digest becomes the new digest
    TAG = "tag"
    DIGEST = "digest"
    BOTH = "both"


class FileMode(str, Enum):
    """The two modes of a regular file in a git tree; nothing else is ever edited."""

    REGULAR = "100644"
    EXECUTABLE = "100755"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file of the manifest repository as it stands at the base commit."""

    path: str  # relative to the repository's root, with '/'
    mode: FileMode
    content: bytes


@dataclass(frozen=True, slots=True)
class Location:
    """Where a manifest names an image."""

    path: str
    line: int  # 1 is the first
    keys: tuple[str | int, ...]  # from the document's root: mapping keys and sequence indexes

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {key_path(self.keys)}"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the bytes ``[start, end)`` of a file, which are ``old``, by ``new``."""

    path: str
    start: int
    end: int
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file's whole old and new content, which differ in the spans of the edits alone."""

    path: str
    mode: FileMode
    old: bytes
    new: bytes
    edits: tuple[Edit, ...]  # in the order of their spans, which do not overlap


@dataclass(frozen=True, slots=True)
class Slot:
    """A place that names a released image, with its value before and after.

    The values are equal where the image is released already.
    """

    location: Location
    image: ImageReference
    old: str  # '' where the release inserts the key
    new: str  # '' where it removes the key


@dataclass(frozen=True, slots=True)
class Mention:
    """A line that mentions a released image and is left alone, with the reason."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the places that name an image are meant."""

    paths: tuple[str, ...] = ()  # globs; none means every file
    all_files: bool = False
    pin: Pin = Pin.KEEP


@dataclass(frozen=True, slots=True)
class ManifestEdits:
    """What a release changes in the manifests, proved.

    ``needs_digest`` lists images whose places hold a digest while the request gives none; as long
    as it is not empty, ``slots`` and ``changes`` are.
    """

    slots: tuple[Slot, ...] = ()
    changes: tuple[FileChange, ...] = ()
    mentions: tuple[Mention, ...] = ()
    needs_digest: tuple[ImageReference, ...] = ()


def key_path(keys: tuple[str | int, ...]) -> str:
    """Return keys as in ``.spec.containers[0].image``, unusual ones as in ``["a.b/c"]``."""
    return "".join(_key_text(key) for key in keys)


def _key_text(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if key.replace("-", "_").isidentifier():
        return f".{key}"
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'["{quoted}"]'


def apply_edits(content: bytes, edits: tuple[Edit, ...]) -> bytes:
    """Return the content with each edit's span replaced.

    The edits are in the order of their spans. An edit whose span does not hold its ``old`` bytes,
    or that overlaps its predecessor, is a bug: ``ValueError``.
    """
    pieces = []
    position = 0
    for edit in edits:
        if edit.start < position or content[edit.start : edit.end] != edit.old:
            raise ValueError(f"the edit at byte {edit.start} of {edit.path} does not fit")
        pieces += [content[position : edit.start], edit.new]
        position = edit.end
    return b"".join([*pieces, content[position:]])


def line_of(content: bytes, offset: int) -> int:
    r"""Return the line of a byte offset; a line ends with LF, CRLF or CR (1 is the first)."""
    before = content[:offset]
    return 1 + before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")
