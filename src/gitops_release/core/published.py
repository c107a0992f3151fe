"""``image.json``: what ``build-and-push-image`` hands to ``create-release-pr``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from gitops_release.core.errors import UsageError
from gitops_release.core.image import Digest, ImageReference, Repository, check_tag

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an image was built from, and by which pipeline; what is not known is ``None``."""

    repository: str | None = None  # a URL
    revision: str | None = None  # the commit's full object id; None for a dirty tree
    branch: str | None = None
    tag: str | None = None
    pipeline_number: int | None = None
    pipeline_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedImage:
    """An image that a registry holds, proved by asking it for the digest."""

    repository: Repository
    tags: tuple[str, ...]  # the first is the release's
    digest: Digest
    platforms: tuple[str, ...] = ()  # os/architecture[/variant]
    created: str | None = None  # RFC 3339
    reused: bool = False  # nothing was built: the registry had it
    source: Source = Source()

    @property
    def reference(self) -> ImageReference:
        """The image pinned: by its first tag, for people, and by its digest."""
        return ImageReference(self.repository, self.tags[0] if self.tags else None, self.digest)


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads members of JSON objects, or raises ``UsageError`` with the file's and member's name."""

    origin: str

    def text(self, data: object, key: str) -> str:
        value = self.optional(data, key, str)
        if value is None:
            raise self._error(key, "a string", value)
        return value

    def texts(self, data: object, key: str) -> tuple[str, ...]:
        values = self.list(data, key)
        for value in values:
            if not isinstance(value, str):
                raise self._error(key, "a list of strings", value)
        return tuple(str(value) for value in values)

    def list(self, data: object, key: str) -> list[object]:
        value = self.optional(data, key, list)
        if value is None:
            raise self._error(key, "a list", value)
        return value

    def mapping(self, data: object, key: str) -> Mapping[str, object]:
        value = self.optional(data, key, dict)
        if value is None:
            raise self._error(key, "an object", value)
        return value

    def optional(self, data: object, key: str, kind: type[_T]) -> _T | None:
        if not isinstance(data, Mapping):
            raise self._error(key, "an object around it", data)
        value = data.get(key)
        # A bool is an int to Python, not to JSON.
        if value is None or (isinstance(value, kind) and isinstance(value, bool) == (kind is bool)):
            return value
        raise self._error(key, f"a {kind.__name__}", value)

    def parsed(self, data: object, key: str, parse: Callable[[str], _T]) -> _T:
        text = self.text(data, key)
        try:
            return parse(text)
        except UsageError as error:
            raise self._in_origin(error) from error

    def tags(self, data: object, key: str) -> tuple[str, ...]:
        tags = self.texts(data, key)
        try:
            for tag in tags:
                check_tag(tag)
        except UsageError as error:
            raise self._in_origin(error) from error
        return tags

    def _in_origin(self, error: UsageError) -> UsageError:
        return UsageError(f"{error.message} in {self.origin}", hint=error.hint)

    def _error(self, key: str, expected: str, found: object) -> UsageError:
        return UsageError(f"expected {expected} as {key!r} in {self.origin}, found {found!r:.80}")


def to_json(images: Iterable[PublishedImage]) -> str:
    """Return the text of ``image.json`` (docs/reference/image.schema.json)."""
    document = {"schema_version": SCHEMA_VERSION, "images": [_image_to_data(i) for i in images]}
    return json.dumps(document, indent=2) + "\n"


def from_json(text: str, *, origin: str) -> tuple[PublishedImage, ...]:
    """Return the images of an ``image.json``; ``origin`` names it in errors.

    Members that this version does not know are ignored. Raises ``UsageError`` if the text is not
    such a document.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected JSON in {origin}, found: {error}") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"expected schema_version {SCHEMA_VERSION} in {origin}, found {version!r}",
            hint="was it written by build-and-push-image of the same major version?",
        )
    reader = _Reader(origin)
    return tuple(_image_from_data(reader, item) for item in reader.list(document, "images"))


def _image_to_data(image: PublishedImage) -> dict[str, object]:
    source = image.source
    return {
        "repository": str(image.repository),
        "tags": list(image.tags),
        "digest": str(image.digest),
        "reference": str(image.reference),
        "platforms": list(image.platforms),
        "created": image.created,
        "reused": image.reused,
        "source": {
            "repository": source.repository,
            "revision": source.revision,
            "branch": source.branch,
            "tag": source.tag,
            "pipeline_number": source.pipeline_number,
            "pipeline_url": source.pipeline_url,
        },
    }


def _image_from_data(reader: _Reader, data: object) -> PublishedImage:
    source = reader.mapping(data, "source")
    return PublishedImage(
        repository=reader.parsed(data, "repository", Repository.parse),
        tags=reader.tags(data, "tags"),
        digest=reader.parsed(data, "digest", Digest),
        platforms=reader.texts(data, "platforms"),
        created=reader.optional(data, "created", str),
        reused=reader.optional(data, "reused", bool) or False,
        source=Source(
            repository=reader.optional(source, "repository", str),
            revision=reader.optional(source, "revision", str),
            branch=reader.optional(source, "branch", str),
            tag=reader.optional(source, "tag", str),
            pipeline_number=reader.optional(source, "pipeline_number", int),
            pipeline_url=reader.optional(source, "pipeline_url", str),
        ),
    )
