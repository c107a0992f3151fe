"""How a release's commit is recognised: by trailers that name the release and its own tree."""

from __future__ import annotations

from typing import Final

from gitops_release.core.git import Commit, trailers, with_trailers

RELEASE_TRAILER: Final = "Gitops-Release"
TREE_TRAILER: Final = "Gitops-Release-Tree"


def commit_message(message: str, *, release: str, tree: str) -> str:
    """Return the full message of a release's commit whose tree has the given object id."""
    return with_trailers(message, [(RELEASE_TRAILER, release), (TREE_TRAILER, tree)])


def is_untouched(commit: Commit) -> bool:
    """Say whether we wrote the commit and nobody amended its content since."""
    return trailers(commit.message).get(TREE_TRAILER) == commit.tree


def release_of(commit: Commit) -> str | None:
    """Return the key of the release that the commit belongs to, if it says so."""
    return trailers(commit.message).get(RELEASE_TRAILER)
