"""Manifests, image configurations and errors as registries send them: nothing is trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import ServiceError, UsageError
from gitops_release.core.image import Digest

if TYPE_CHECKING:
    from gitops_release.system.http import Response

MAX_ERROR: Final = 500  # characters of a registry's words that are shown

Members = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index, with the digest of its very bytes."""

    digest: Digest
    media_type: str
    content: bytes
    members: Members

    @property
    def images(self) -> tuple[Members, ...]:
        """The descriptors of an index that are images, not attestations about them."""
        return tuple(entry for entry in self.children if _platform(entry))

    @property
    def children(self) -> tuple[Members, ...]:
        """The descriptors of all that an index lists, attestations too."""
        return objects(self.members.get("manifests"))

    @property
    def blobs(self) -> tuple[Members, ...]:
        """The descriptors of a manifest's configuration and layers."""
        return (*objects([self.members.get("config")]), *objects(self.members.get("layers")))

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms of an index; a manifest does not know its own."""
        return tuple(_platform(entry) for entry in self.images)

    @property
    def config(self) -> Digest | None:
        """The digest of a manifest's configuration."""
        descriptor = self.members.get("config")
        return digest_of(descriptor) if isinstance(descriptor, Mapping) else None

    @property
    def size(self) -> int:
        """The bytes of a manifest's configuration and layers."""
        sizes = (descriptor.get("size") for descriptor in self.blobs)
        return sum(size for size in sizes if isinstance(size, int))


def parse_object(content: bytes, what: str) -> Members:
    """Return the members of a JSON object; raise ``ServiceError`` naming what should be one."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ServiceError(f"expected JSON as {what}, found other content") from error
    if not isinstance(document, Mapping):
        raise ServiceError(f"expected a JSON object as {what}, found {type(document).__name__}")
    return document


def objects(value: object) -> tuple[Members, ...]:
    """Return the objects of a JSON array; nothing if it is none."""
    return (
        tuple(item for item in value if isinstance(item, Mapping))
        if isinstance(value, list)
        else ()
    )


def digest_of(descriptor: Members) -> Digest:
    """Return a descriptor's digest; raise ``ServiceError`` if it has no usable one."""
    digest = descriptor.get("digest")
    try:
        return Digest(digest if isinstance(digest, str) else "")
    except UsageError as error:
        raise ServiceError(
            f"expected a sha256 digest in a descriptor, found {digest!r:.100}"
        ) from error


def media_type(response: Response, members: Members) -> str:
    """Return a manifest's media type: its own member's, else the header's."""
    own = members.get("mediaType")
    return (
        own if isinstance(own, str) else response.headers.get("Content-Type", "").partition(";")[0]
    )


def labels(config: Members) -> dict[str, str]:
    """Return the labels of an image configuration."""
    inner = config.get("config")
    found = inner.get("Labels") if isinstance(inner, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {str(key): value for key, value in found.items() if isinstance(value, str)}


def own_platform(config: Members) -> tuple[str, ...]:
    """Return the platform that an image configuration names, if it does."""
    platform = _platform({"platform": config})
    return (platform,) if platform else ()


def created(config: Members) -> str | None:
    """Return when an image was made, by its configuration (RFC 3339)."""
    value = config.get("created")
    return value if isinstance(value, str) else None


def error_codes(response: Response) -> frozenset[str]:
    """Return the codes of a registry's error answer; none if it is not one."""
    return frozenset(str(error.get("code")) for error in _errors(response))


def error_text(response: Response) -> str:
    """Return a registry's error answer in its own words, shortened, on one line."""
    words = [f"{error.get('code', '')}: {error.get('message', '')}" for error in _errors(response)]
    text = "; ".join(words) or response.body.decode(errors="replace")
    return " ".join(text.split())[:MAX_ERROR] or f"HTTP {response.status}"


def _errors(response: Response) -> tuple[Members, ...]:
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return ()
    return objects(document.get("errors")) if isinstance(document, Mapping) else ()


def _platform(descriptor: Members) -> str:
    """Return ``os/architecture[/variant]``; empty for what is no image of a platform.

    BuildKit lists attestations with the platform unknown/unknown.
    """
    platform = descriptor.get("platform")
    if not isinstance(platform, Mapping):
        return ""
    parts = [platform.get(key) for key in ("os", "architecture", "variant")]
    names = [part for part in parts if isinstance(part, str) and part]
    # An operating system and an architecture: one of them alone is no platform.
    return "" if len(names) < 2 or names[0] == "unknown" else "/".join(names)  # noqa: PLR2004
