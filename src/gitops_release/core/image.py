"""Names of images, parsed strictly: no default registry and no default tag.

Grammar: https://github.com/distribution/reference (regexp.go) and the OCI distribution
specification, "Pulling manifests" (tag) and the OCI image specification, "Digests".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gitops_release.core.errors import UsageError

MAX_NAME_LENGTH: Final = 255

_HOST: Final = re.compile(
    r"""(?: \[[0-9a-fA-F:]+\]                                   # an IPv6 address
          | [a-z0-9](?:[a-z0-9-]*[a-z0-9])?
            (?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)* )
        (?: :(?P<port>[0-9]{1,5}) )?""",
    re.VERBOSE,
)
_COMPONENT: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The sha256 digest of a manifest or blob, as ``sha256:`` and 64 lower-case hex digits."""

    text: str

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.text):
            raise UsageError(
                f"expected a digest like sha256:<64 hex digits>, found {self.text!r}",
                hint="copy the digest from image.json or from the registry",
            )

    def __str__(self) -> str:
        return self.text

    @property
    def short(self) -> str:
        """The first twelve hex digits, for people."""
        return self.text.removeprefix("sha256:")[:12]


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """Where images are kept: a registry host, with its port if any, and a path below it."""

    host: str
    path: str

    def __post_init__(self) -> None:
        _check_host(self.host)
        _check_path(self.path)

    @classmethod
    def parse(cls, text: str) -> Repository:
        """Return the repository ``HOST[:PORT]/PATH``; raise ``UsageError`` for anything else."""
        host, slash, path = text.partition("/")
        if not slash or not _looks_like_host(host):
            raise UsageError(
                f"expected an image repository like HOST/PATH, found {text!r}",
                hint="name the registry too, for example docker.io/library/nginx",
            )
        return cls(host, path)

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    @property
    def name(self) -> str:
        """The last component of the path: what people call the image."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image in a repository, by tag, by digest, or by both. There is no default tag."""

    repository: Repository
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if self.tag is None and self.digest is None:
            raise UsageError(
                f"expected a tag or a digest after {str(self.repository)!r}, found neither",
                hint=f"write {self.repository}:TAG or {self.repository}@sha256:…",
            )
        if self.tag is not None:
            check_tag(self.tag)

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Return the image ``HOST[:PORT]/PATH[:TAG][@DIGEST]``; raise ``UsageError`` otherwise."""
        if not text:
            raise UsageError(
                "expected an image reference like HOST/PATH:TAG, found an empty value",
                hint="is the variable that should hold it set?",
            )
        name, at, digest = text.partition("@")
        path, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            path, colon, tag = name, "", ""
        return cls(
            Repository.parse(path),
            tag if colon else None,
            Digest(digest) if at else None,
        )

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return f"{self.repository}{tag}{digest}"


def check_tag(tag: str) -> None:
    """Raise ``UsageError`` unless a registry accepts the tag (OCI distribution specification)."""
    if not _TAG.fullmatch(tag):
        raise UsageError(
            f"expected a tag of at most 128 letters, digits, '_', '.' or '-', not starting with "
            f"'.' or '-', found {tag!r}",
            hint="${CIRCLE_BRANCH//\\//-} replaces the slashes of a branch name",
        )


def _looks_like_host(text: str) -> bool:
    """Docker's rule: the first component is a host if it has a dot or a port, or is localhost."""
    return "." in text or ":" in text or text == "localhost"


def _check_host(host: str) -> None:
    match = _HOST.fullmatch(host)
    if not match or len(host) > MAX_NAME_LENGTH:
        raise UsageError(
            f"expected a registry host like registry.example.com[:PORT], found {host!r}",
            hint="write the host in lower case, without https:// and without a user name",
        )
    if match["port"] is not None and not 0 < int(match["port"]) < 2**16:
        raise UsageError(f"expected a port from 1 to 65535, found {host!r}")


def _check_path(path: str) -> None:
    if len(path) > MAX_NAME_LENGTH:
        raise UsageError(
            f"expected an image path of at most {MAX_NAME_LENGTH} characters, found {len(path)}"
        )
    for component in path.split("/"):
        if component == "":
            raise UsageError(
                f"expected no empty component in the image path, found {path!r}",
                hint="is a variable empty, such as the project id?",
            )
        if not _COMPONENT.fullmatch(component):
            raise UsageError(
                f"expected lower-case letters and digits, separated by '.', '_', '__' or '-', "
                f"in each component of an image path, found {component!r} in {path!r}",
                hint="${CIRCLE_PROJECT_REPONAME,,} gives a name in lower case",
            )
