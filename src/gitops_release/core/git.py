"""What the manifest repository is made of: commits, branches, and names that git accepts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

# git check-ref-format(1)
_ILLEGAL: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]+|\.{2,}|@\{")
MAX_BRANCH_LENGTH: Final = 200  # bytes: the branch is a file's name, too


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as far as a release looks at it."""

    sha: str
    tree: str
    message: str
    author: str  # "Name <mail>"


@dataclass(frozen=True, slots=True)
class BaseCommit:
    """The commit that a release starts from, and the branch whose tip it is."""

    branch: str
    sha: str


@dataclass(frozen=True, slots=True)
class Author:
    """A git identity."""

    name: str
    email: str

    @classmethod
    def parse(cls, text: str) -> Author:
        """Return the identity written as ``Name <mail>``; raise ``UsageError`` otherwise."""
        match = re.fullmatch(
            r"\s*([^<>\x00-\x1f]*[^<>\x00-\x1f\s])\s*<([^<>\x00-\x1f\s]+@[^<>\x00-\x1f\s]+)>\s*",
            text,
        )
        if not match:
            raise UsageError(
                f"expected an author like 'Release Bot <bot@example.com>', found {text!r}"
            )
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


def legal_branch(text: str) -> str:
    """Return the text as a branch name that git accepts, by replacing what it refuses.

    The result differs from the text only where git check-ref-format(1) demands it. Raises
    ``UsageError`` if nothing is left.
    """
    name = _ILLEGAL.sub("-", text)
    # What one rule takes away may bring another into play, as in "-.a".
    while (legal := _more_legal(name)) != name:
        name = legal
    if name in ("", "@", "HEAD"):
        raise UsageError(f"expected a branch name, found {text!r}", hint="see --branch")
    return name


def _more_legal(name: str) -> str:
    components = (re.sub(r"\.lock\Z", "-lock", part.strip(".")) for part in name.split("/"))
    joined = "/".join(part for part in components if part).lstrip("-")
    encoded = joined.encode(errors="surrogatepass")[:MAX_BRANCH_LENGTH]
    return encoded.decode(errors="ignore").rstrip("./-")


def trailers(message: str) -> dict[str, str]:
    """Return the trailers of a commit message: the ``Key: value`` lines of its last paragraph.

    Empty unless the paragraph holds nothing else, and never the message's subject.
    """
    paragraphs = re.split(r"\n\s*\n", message.strip())
    if len(paragraphs) == 1:
        return {}
    found = [re.fullmatch(r"([A-Za-z0-9-]+): (.*)", line) for line in paragraphs[-1].splitlines()]
    pairs = [match for match in found if match]
    return {match[1]: match[2] for match in pairs} if len(pairs) == len(found) else {}


def with_trailers(message: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return the message with a last paragraph of trailers."""
    lines = "\n".join(f"{key}: {value}" for key, value in pairs)
    return f"{message.rstrip()}\n\n{lines}\n"
