"""Every forge keeps the contract: the fake, and GitHub by API."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from github import Auth, Github

from gitops_release.core.errors import AuthenticationError, ServiceError
from gitops_release.core.manifest import FileMode
from gitops_release.core.releasing import OpenPullRequest, PullRequestState, UpdatePullRequest
from gitops_release.forges.github_pulls import GitHubPullRequests
from tests.contract.git_behind import GitBehind
from tests.contract.pull_requests_contract import BODY, TITLE, PullRequestsContract, opened
from tests.fakes import FakeManifestRepository, FakePullRequests, Tree
from tests.standins.github import Fault, GitHubStandIn, Reply, Reset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from github.Repository import Repository

    from gitops_release.core.ports import PullRequests

_numbers = itertools.count()


def files() -> Tree:
    """Return files that no other call returns."""
    return {"a.yaml": (FileMode.REGULAR.value, f"a: {next(_numbers)}\n".encode())}


@dataclass
class FakeWorld:
    repository: FakeManifestRepository
    pull_requests: FakePullRequests = field(init=False)
    readers: FakePullRequests = field(init=False)

    def __post_init__(self) -> None:
        self.pull_requests = FakePullRequests(self.repository)
        self.readers = FakePullRequests(
            self.repository,
            failure=AuthenticationError("this token may only read"),
            pulls=self.pull_requests.pulls,
        )
        main = self.repository.commit("main", files())
        self.repository.branches["stable"] = main

    def branch(self, name: str) -> str:
        parent = self.repository.branches.get(name, self.repository.branches["main"])
        return self.repository.commit(name, files(), parents=[parent])

    def close(self, number: int) -> None:
        self.pull_requests.close(number)

    def merge(self, number: int) -> None:
        self.pull_requests.merge(number)

    def open_from_fork(self, branch: str) -> None:
        self.pull_requests.open_from_fork(OpenPullRequest(branch, "main", TITLE, BODY))

    def count(self) -> int:
        return len(self.pull_requests.pulls)


class TestFakePullRequests(PullRequestsContract):
    @pytest.fixture
    def world(self) -> FakeWorld:
        return FakeWorld(FakeManifestRepository())


@dataclass
class GitHubWorld:
    stand_in: GitHubStandIn
    behind: GitBehind
    pull_requests: PullRequests
    readers: PullRequests
    person: Repository

    def branch(self, name: str) -> str:
        return grow(self.behind, name)

    def close(self, number: int) -> None:
        self.person.get_pull(number).edit(state="closed")

    def merge(self, number: int) -> None:
        assert self.person.get_pull(number).merge().merged

    def open_from_fork(self, branch: str) -> None:
        fork = self.stand_in.add_repository("mallory/manifests", fork_of="acme/manifests")
        grow(GitBehind(fork), branch)
        self.person.create_pull("main", f"mallory:{branch}", title=TITLE, body=BODY)

    def count(self) -> int:
        return self.person.get_pulls(state="all").totalCount


def grow(behind: GitBehind, branch: str) -> str:
    """Add a commit to a branch, which starts at main."""
    if branch not in behind.branches:
        behind.point(branch, behind.branches["main"])
    return behind.commit(branch, files())


class TestGitHub(PullRequestsContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[GitHubWorld]:
        with (
            GitHubStandIn(tmp_path / "github") as stand_in,
            client(stand_in, "bot-token") as bot,
            client(stand_in, "reader-token") as reader,
            client(stand_in, "person-token") as person,
        ):
            behind = GitBehind(stand_in.add_repository("acme/manifests"))
            behind.point("stable", behind.commit("main", files()))
            stand_in.add_user("bot", "bot-token", {"acme/manifests": "write"})
            stand_in.add_user("reader", "reader-token", {"acme/manifests": "read"})
            stand_in.add_user("person", "person-token", {"acme/manifests": "write"})
            yield GitHubWorld(
                stand_in,
                behind,
                GitHubPullRequests(bot.get_repo("acme/manifests")),
                GitHubPullRequests(reader.get_repo("acme/manifests")),
                person.get_repo("acme/manifests"),
            )
            assert stand_in.violations == []

    def test_a_body_that_a_person_edited_in_a_browser_is_the_same_body(
        self, world: GitHubWorld
    ) -> None:
        world.branch("release-1")
        made = opened(world, "release-1")
        world.person.get_pull(made.number).edit(body=BODY.replace("\n", "\r\n"))

        assert world.pull_requests.find("release-1", "main") == made

    def test_a_pull_request_of_a_fork_that_is_gone_is_not_ours(self, world: GitHubWorld) -> None:
        world.branch("release-1")
        made = opened(world, "release-1")
        (listed,) = world.person.get_pulls()
        raw = {**listed.raw_data, "number": 99, "head": {**listed.raw_data["head"], "repo": None}}
        reply = Reply(200, [raw, listed.raw_data])
        world.stand_in.inject(Fault("GET", "/repos/acme/manifests/pulls", reply))

        assert world.pull_requests.find("release-1", "main") == made

    def test_more_closed_pull_requests_than_a_page_do_not_hide_the_open_one(
        self, world: GitHubWorld
    ) -> None:
        world.branch("release-1")
        made = opened(world, "release-1")
        for _ in range(3):
            world.branch("release-2")
            world.close(opened(world, "release-2").number)

        with client(world.stand_in, "bot-token", per_page=2) as paged:
            pulls = GitHubPullRequests(paged.get_repo("acme/manifests"))
            assert pulls.find("release-1", "main") == made
            last = pulls.find("release-2", "main")

        assert last is not None
        assert (last.number, last.state) == (made.number + 3, PullRequestState.CLOSED)

    @pytest.mark.parametrize(
        "what",
        [Reply(200, "<html>Welcome</html>"), Reply(502, "<html>Bad Gateway</html>"), Reset()],
        ids=["a proxy's page", "502", "a reset"],
    )
    def test_a_failing_github_is_a_failing_service(
        self, world: GitHubWorld, what: Reply | Reset
    ) -> None:
        world.branch("release-1")
        path = "/repos/acme/manifests/pulls"
        world.stand_in.inject(Fault("GET", path, what))
        world.stand_in.inject(Fault("POST", path, what))

        with pytest.raises(ServiceError):
            world.pull_requests.find("release-1", "main")
        with pytest.raises(ServiceError):
            opened(world, "release-1")

    def test_a_pull_request_that_is_not_there_cannot_be_changed(self, world: GitHubWorld) -> None:
        with pytest.raises(AuthenticationError, match="pull request #7: not found"):
            world.pull_requests.update(UpdatePullRequest(7, "Other", "Words\n"))


def client(stand_in: GitHubStandIn, token: str, *, per_page: int = 100) -> Github:
    """Return PyGithub as it is, but without the waits between writes."""
    return Github(
        auth=Auth.Token(token),
        base_url=stand_in.api_url,
        retry=None,
        per_page=per_page,
        seconds_between_requests=0,
        seconds_between_writes=0,
        lazy=True,
    )
