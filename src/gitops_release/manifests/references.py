"""Image names as manifests spell them, and the names that a release is looking for.

Facts: splitDockerDomain in https://github.com/distribution/reference (normalize.go) says what
Docker Hub's short spellings stand for, regexp.go there what a reference looks like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gitops_release.core.image import ImageReference

DOCKER_HUB: Final = "docker.io"
_DOCKER_HUB_HOSTS: Final = frozenset({DOCKER_HUB, "index.docker.io"})
_LONGEST: Final = 1024  # a name has at most 255 characters, a tag 128, a digest fewer than 200

_REFERENCE: Final = re.compile(
    r"""(?P<name>
            (?: (?: \[[0-9A-Fa-f:]+\] | [A-Za-z0-9.-]+ ) (?: :[0-9]+ )? / )?
            [A-Za-z0-9._/-]+ )
        (?: : (?P<tag> [A-Za-z0-9_][A-Za-z0-9_.-]{0,127} ) )?
        (?: @ (?P<digest> [A-Za-z0-9+._-]+ : [0-9A-Fa-f]+ ) )?""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class FoundReference:
    """A reference as a manifest spells it: perhaps without a registry, a tag or a digest."""

    name: str
    tag: str | None
    digest: str | None


def find_reference(text: str) -> FoundReference | None:
    """Return the one reference that the text is, or ``None`` if it is something else.

    Unlike ``ImageReference.parse`` this never raises: what stands in a manifest already is not a
    request, and a strange reference is simply not the image that is looked for.
    """
    match = _REFERENCE.fullmatch(text) if len(text) <= _LONGEST else None
    return FoundReference(match["name"], match["tag"], match["digest"]) if match else None


def canonical(name: str) -> str:
    """Return ``HOST/PATH`` for a name, so that all spellings of one image are equal."""
    host, path = _split(name)
    if host in _DOCKER_HUB_HOSTS:
        host = DOCKER_HUB
        path = path if "/" in path else f"library/{path}"
    return f"{host}/{path}"


def _split(name: str) -> tuple[str, str]:
    host, slash, path = name.partition("/")
    is_host = "." in host or ":" in host or host == "localhost" or host != host.lower()
    return (host, path) if slash and is_host else (DOCKER_HUB, name)


def short_path(name: str) -> str:
    """Return the shortest text that every spelling of the name contains.

    That is the path without the host, which Helm values keep apart, and without ``library/``.
    """
    host, _, path = canonical(name).partition("/")
    return path.removeprefix("library/") if host == DOCKER_HUB else path


@dataclass(frozen=True, slots=True)
class Targets:
    """The images of a release, by canonical name."""

    by_name: Mapping[str, ImageReference]
    # Byte strings, one of which every file that names one of the images contains.
    needles: tuple[bytes, ...]
    # What finds each image, by canonical name, in text of any kind.
    spellings: Mapping[str, Spelling]
    _in_value: re.Pattern[str]

    @classmethod
    def of(cls, images: Iterable[ImageReference]) -> Targets:
        """Return the images by name; ``UsageError`` if one is asked for in two versions."""
        by_name: dict[str, ImageReference] = {}
        for image in images:
            known = by_name.setdefault(canonical(str(image.repository)), image)
            if known != image:
                raise UsageError(
                    f"expected one version of {image.repository}, found {known} and {image}",
                    hint="release one of them",
                )
        paths = sorted(set(map(short_path, by_name)))
        return cls(
            by_name,
            needles=_needles(paths),
            spellings={name: Spelling.of(name) for name in by_name},
            _in_value=re.compile("|".join(map(re.escape, paths)) or r"(?!)"),
        )

    def named(self, name: str) -> ImageReference | None:
        """Return the released image of that name, in whichever spelling."""
        return self.by_name.get(canonical(name))

    def may_be_in(self, value: str) -> bool:
        """Tell whether the value contains the path of one of the images."""
        return self._in_value.search(value) is not None


def _needles(paths: list[str]) -> tuple[bytes, ...]:
    r"""Return each path in both spellings: JSON may write ``\/`` (RFC 8259, section 7)."""
    spellings = [spelling for path in paths for spelling in (path, path.replace("/", "\\/"))]
    return tuple(spelling.encode() for spelling in dict.fromkeys(spellings))


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one image is spelled in text of any kind."""

    _needles: tuple[bytes, ...]
    _pattern: re.Pattern[bytes]

    @classmethod
    def of(cls, name: str) -> Spelling:
        """Return the spellings of a canonical name."""
        return cls(_needles([short_path(name)]), _pattern(name))

    def find(self, content: bytes) -> Iterator[int]:
        """Yield where the name starts in the content, in order for each way to write a slash."""
        # The pattern is tried around the path alone: its look-behind would stop at every byte.
        for needle in self._needles:
            at = content.find(needle)
            while at >= 0:
                end = at + len(needle)
                window = self._pattern.finditer(content, max(0, at - _LONGEST), end + 4)
                yield from (match.start() for match in window if match.start() <= at < match.end())
                at = content.find(needle, end)


def _pattern(name: str) -> re.Pattern[bytes]:
    """Match the whole name: with its registry, or without if that is not too common a word.

    A longer name (``app-worker``), another registry or a longer path does not match; the ``:`` of
    ``docker://`` may stand before a registry.
    """
    host, _, path = name.partition("/")
    with_host = rf"(?:(?<![\w.\-/])|(?<=://)){re.escape(host)}/{re.escape(path)}"
    forms = [with_host]
    short = re.escape(short_path(name))
    if host == DOCKER_HUB:
        hosts = "|".join(map(re.escape, sorted(_DOCKER_HUB_HOSTS)))
        forms = [rf"(?:(?<![\w.\-/])|(?<=://))(?:{hosts})/(?:library/)?{short}"]
        forms += [rf"(?<![\w.\-/])(?:library/)?{short}(?=[:@]\w)"]
    if "/" in short_path(name):
        forms += [rf"(?<![\w.\-/]){short}"]
    pattern = "|".join(forms).replace("/", r"\\?/").replace(r":\\?/\\?/", "://")
    return re.compile(rf"(?:{pattern})(?![\w\-/\\]|\.\w)".encode())
