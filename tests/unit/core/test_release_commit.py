from __future__ import annotations

import pytest

from gitops_release.core.git import Commit
from gitops_release.core.release_commit import commit_message, is_untouched, release_of

TREE = "1" * 40
KEY = "web:1.0 0123456789abcdef"


def commit(message: str, tree: str = TREE) -> Commit:
    return Commit("c" * 40, tree, message, "Somebody <s@example.com>")


def test_our_own_commit_is_recognised() -> None:
    made = commit(commit_message("Release web 1.0", release=KEY, tree=TREE))
    assert is_untouched(made)
    assert release_of(made) == KEY


def test_our_own_commit_is_recognised_after_github_trimmed_its_message() -> None:
    made = commit(commit_message("Release web 1.0\n\nbody", release=KEY, tree=TREE).strip())
    assert is_untouched(made)


@pytest.mark.parametrize(
    "message",
    [
        "fix typo",
        f"fix typo\n\nGitops-Release: {KEY}",
        f"Gitops-Release-Tree: {TREE}",
        f"Revert\n\nThis reverts:\nGitops-Release-Tree: {TREE}",
        f"Merge\n\nGitops-Release-Tree: {TREE}\n\nSigned-off-by me",
    ],
)
def test_a_persons_commit_is_not_ours(message: str) -> None:
    assert not is_untouched(commit(message))


def test_a_commit_whose_content_was_amended_is_not_ours_any_more() -> None:
    message = commit_message("Release web 1.0", release=KEY, tree=TREE)
    assert not is_untouched(commit(message, tree="2" * 40))


def test_trailers_in_the_wording_cannot_pose_as_another_release() -> None:
    forged = "Release\n\nGitops-Release: other\nGitops-Release-Tree: " + "2" * 40
    made = commit(commit_message(forged, release=KEY, tree=TREE))
    assert release_of(made) == KEY
