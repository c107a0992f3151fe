"""What every forge with pull requests promises."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import pytest

from gitops_release.core.errors import AuthenticationError, ConflictError
from gitops_release.core.releasing import (
    OpenPullRequest,
    PullRequest,
    PullRequestState,
    UpdatePullRequest,
)

if TYPE_CHECKING:
    from gitops_release.core.ports import PullRequests

TITLE: Final = "Release app 2 & “quotes”"
BODY: Final = "| File |\n| --- |\n| `a.yaml:1` |\n\nÜnïcode, <b>no markup</b>\n"


class PullRequestsWorld(Protocol):
    """A repository with the branches main and stable, seen from outside."""

    pull_requests: PullRequests
    readers: PullRequests  # the same for somebody who may only read

    def branch(self, name: str) -> str:
        """Make a branch with a commit of its own upon main, or add a commit to it."""
        ...

    def close(self, number: int) -> None: ...

    def merge(self, number: int) -> None: ...

    def open_from_fork(self, branch: str) -> None:
        """Open a pull request into main from a fork's branch of this name."""
        ...

    def count(self) -> int:
        """Return how many pull requests there are."""
        ...


class PullRequestsContract:
    """Subclasses give the fixture ``world``."""

    def test_a_branch_without_a_pull_request_has_none(self, world: PullRequestsWorld) -> None:
        world.branch("release-1")
        world.branch("release-2")
        opened(world, "release-1")

        assert world.pull_requests.find("release-2", "main") is None
        assert world.pull_requests.find("release", "main") is None
        assert world.pull_requests.find("never-there", "main") is None

    def test_a_pull_request_is_opened_with_its_words(self, world: PullRequestsWorld) -> None:
        head = world.branch("release/app-2")

        made = opened(world, "release/app-2")

        assert (made.title, made.body, made.head) == (TITLE, BODY, head)
        assert made.state is PullRequestState.OPEN
        assert made.url.endswith(f"/{made.number}")
        assert world.pull_requests.find("release/app-2", "main") == made

    def test_a_pull_request_into_another_base_is_another_one(
        self, world: PullRequestsWorld
    ) -> None:
        world.branch("release-1")
        into_main = opened(world, "release-1")
        into_stable = opened(world, "release-1", base="stable")

        assert world.pull_requests.find("release-1", "main") == into_main
        assert world.pull_requests.find("release-1", "stable") == into_stable

    def test_the_head_is_where_the_branch_is(self, world: PullRequestsWorld) -> None:
        world.branch("release-1")
        made = opened(world, "release-1")
        head = world.branch("release-1")

        assert world.pull_requests.find("release-1", "main") == replace(made, head=head)

    def test_a_closed_pull_request_is_found_closed(self, world: PullRequestsWorld) -> None:
        world.branch("release-1")
        made = opened(world, "release-1")
        world.close(made.number)

        found = world.pull_requests.find("release-1", "main")

        assert found == replace(made, state=PullRequestState.CLOSED)

    def test_a_merged_pull_request_is_found_merged(self, world: PullRequestsWorld) -> None:
        world.branch("release-1")
        made = opened(world, "release-1")
        world.merge(made.number)

        found = world.pull_requests.find("release-1", "main")

        assert found == replace(made, state=PullRequestState.MERGED)

    def test_an_open_pull_request_comes_before_closed_ones(self, world: PullRequestsWorld) -> None:
        world.branch("release-1")
        first = opened(world, "release-1")
        world.close(first.number)
        second = opened(world, "release-1")

        assert world.pull_requests.find("release-1", "main") == second

    def test_of_closed_pull_requests_the_newest_is_found(self, world: PullRequestsWorld) -> None:
        world.branch("release-1")
        closed = []
        for _ in range(3):
            closed.append(opened(world, "release-1"))
            world.close(closed[-1].number)

        found = world.pull_requests.find("release-1", "main")

        assert found == replace(closed[-1], state=PullRequestState.CLOSED)

    def test_a_forks_branch_of_the_same_name_is_not_ours(self, world: PullRequestsWorld) -> None:
        world.branch("release-1")
        world.open_from_fork("release-1")

        assert world.pull_requests.find("release-1", "main") is None
        made = opened(world, "release-1")
        assert world.pull_requests.find("release-1", "main") == made

    def test_a_second_pull_request_of_a_branch_is_a_conflict(
        self, world: PullRequestsWorld
    ) -> None:
        world.branch("release-1")
        made = opened(world, "release-1")

        with pytest.raises(ConflictError, match="already exists"):
            opened(world, "release-1")

        assert world.count() == 1
        assert world.pull_requests.find("release-1", "main") == made

    def test_a_pull_request_of_a_branch_that_is_not_there_is_a_conflict(
        self, world: PullRequestsWorld
    ) -> None:
        with pytest.raises(ConflictError):
            opened(world, "never-there")

        assert world.count() == 0

    def test_a_pull_request_gets_other_words(self, world: PullRequestsWorld) -> None:
        world.branch("release-1")
        made = opened(world, "release-1")

        changed = world.pull_requests.update(UpdatePullRequest(made.number, "Other", "Words\n"))

        assert changed == replace(made, title="Other", body="Words\n")
        assert world.pull_requests.find("release-1", "main") == changed

    def test_who_may_only_read_finds_and_changes_nothing(self, world: PullRequestsWorld) -> None:
        world.branch("release-1")
        world.branch("release-2")
        made = opened(world, "release-1")

        with pytest.raises(AuthenticationError):
            world.readers.open(OpenPullRequest("release-2", "main", TITLE, BODY))
        with pytest.raises(AuthenticationError):
            world.readers.update(UpdatePullRequest(made.number, "Other", "Words\n"))

        assert world.count() == 1
        assert world.readers.find("release-1", "main") == made


def opened(world: PullRequestsWorld, branch: str, base: str = "main") -> PullRequest:
    return world.pull_requests.open(OpenPullRequest(branch, base, TITLE, BODY))
