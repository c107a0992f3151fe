"""Every manifest repository keeps the contract: the fake, local ones, and GitHub by API."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from github import Auth, Github

from gitops_release.core.errors import AuthenticationError, ServiceError, UsageError
from gitops_release.forges.github import GitHubRepository
from gitops_release.forges.local import LocalRepository
from gitops_release.system.processes import Processes
from tests.contract.git_behind import GitBehind, new_repository
from tests.contract.manifest_repository_contract import (
    BRANCH,
    NAMED,
    REGULAR,
    HostileTreeContract,
    ManifestRepositoryContract,
    action,
    candidates,
)
from tests.fakes import FakeCommit, FakeManifestRepository, Tree
from tests.standins.github import Fault, GitHubStandIn, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gitops_release.core.ports import ManifestRepository


@dataclass
class FakeWorld:
    repository: FakeManifestRepository = field(default_factory=FakeManifestRepository)

    @property
    def branches(self) -> Mapping[str, str]:
        return self.repository.branches

    def commit(self, branch: str, files: Tree, message: str = "a person's work") -> str:
        return self.repository.commit(branch, files, message)

    def point(self, branch: str, commit: str) -> None:
        self.repository.branches[branch] = commit

    def commit_at(self, commit: str) -> FakeCommit:
        return self.repository.commits[commit]


class TestFakeManifestRepository(ManifestRepositoryContract):
    @pytest.fixture
    def world(self) -> FakeWorld:
        return FakeWorld()


@dataclass
class GitWorld:
    repository: ManifestRepository
    behind: GitBehind

    @property
    def branches(self) -> Mapping[str, str]:
        return self.behind.branches

    def commit(self, branch: str, files: Tree, message: str = "a person's work") -> str:
        return self.behind.commit(branch, files, message)

    def point(self, branch: str, commit: str) -> None:
        self.behind.point(branch, commit)

    def commit_at(self, commit: str) -> FakeCommit:
        return self.behind.commit_at(commit)


def local(directory: Path, home: Path, **variables: str) -> LocalRepository:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), **variables}
    return LocalRepository.open(directory, Processes(environ))


class TestBareRepository(ManifestRepositoryContract, HostileTreeContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> GitWorld:
        behind = new_repository(tmp_path / "manifests.git", bare=True)
        return GitWorld(local(tmp_path / "manifests.git", tmp_path), behind)


class TestWorkingTree(ManifestRepositoryContract, HostileTreeContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> GitWorld:
        """Return a repository whose settings would change every file's bytes on the way."""
        directory = tmp_path / "manifests"
        behind = new_repository(directory, bare=False)
        behind.git("config", "core.autocrlf", "true")
        behind.git("config", "filter.shout.clean", "tr a-z A-Z")
        behind.git("config", "filter.shout.smudge", "tr a-z A-Z")
        (directory / ".gitattributes").write_text("* text eol=crlf ident filter=shout\n")
        return GitWorld(local(directory, tmp_path), behind)

    def test_a_detached_head_needs_the_name_of_a_base(self, world: GitWorld) -> None:
        commit = world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        world.behind.git("update-ref", "--no-deref", "HEAD", commit)

        with pytest.raises(UsageError, match="detached HEAD"):
            world.repository.base(None)
        assert world.repository.base("main").sha == commit

    def test_a_repository_without_a_commit_has_no_base(self, world: GitWorld) -> None:
        with pytest.raises(UsageError, match="expected a branch 'main'"):
            world.repository.base(None)

    def test_a_directory_inside_the_working_tree_is_the_same_repository(
        self, world: GitWorld, tmp_path: Path
    ) -> None:
        commit = world.commit("main", {"a.yaml": (REGULAR, NAMED), "d/b.yaml": (REGULAR, NAMED)})
        (tmp_path / "manifests" / "d").mkdir()
        inside = GitWorld(local(tmp_path / "manifests" / "d", tmp_path), world.behind)

        assert list(candidates(inside, commit)) == ["a.yaml", "d/b.yaml"]
        made = inside.repository.publish(action(inside, {"d/b.yaml": b"2"}))
        assert world.commit_at(made).files["d/b.yaml"] == (REGULAR, b"2")

    def test_variables_of_a_git_hook_do_not_lead_elsewhere(self, tmp_path: Path) -> None:
        behind = new_repository(tmp_path / "right", bare=False)
        elsewhere = new_repository(tmp_path / "wrong", bare=False)
        elsewhere.commit("main", {"b.yaml": (REGULAR, NAMED)})
        right = behind.commit("main", {"a.yaml": (REGULAR, NAMED)})

        repository = local(
            tmp_path / "right",
            tmp_path,
            GIT_DIR=str(elsewhere.git_dir),
            GIT_WORK_TREE=str(tmp_path / "wrong"),
            GIT_INDEX_FILE=str(elsewhere.git_dir / "index"),
        )

        assert repository.base(None).sha == right

    def test_what_is_no_repository_is_an_error_of_the_request(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="expected a directory"):
            local(tmp_path / "missing", tmp_path)
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match="expected a git repository"):
            local(tmp_path / "empty", tmp_path)


@dataclass
class GitHubWorld(GitWorld):
    stand_in: GitHubStandIn


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHubStandIn]:
    with GitHubStandIn(tmp_path_factory.mktemp("github"), hourly_limit=10**6) as stand_in:
        yield stand_in
        assert stand_in.violations == []


class TestGitHub(ManifestRepositoryContract, HostileTreeContract):
    @pytest.fixture
    def world(self, github: GitHubStandIn) -> Iterator[GitHubWorld]:
        name = f"acme/{uuid.uuid4().hex}"
        behind = GitBehind(github.add_repository(name))
        github.add_user("bot", "bot-token", {name: "write"})
        with client(github, "bot-token") as api:
            yield GitHubWorld(GitHubRepository(api.get_repo(name)), behind, github)

    def test_a_repository_that_is_not_there_is_a_question_of_access(
        self, github: GitHubStandIn
    ) -> None:
        with client(github, None) as api, pytest.raises(AuthenticationError, match="may not see"):
            GitHubRepository(api.get_repo("acme/missing")).base(None)

    def test_a_branch_of_a_repository_that_is_not_there_is_not_a_missing_branch(
        self, github: GitHubStandIn
    ) -> None:
        with client(github, None) as api, pytest.raises(AuthenticationError):
            GitHubRepository(api.get_repo("acme/missing")).commit_of("main")

    def test_nobody_may_write_without_a_token(
        self, world: GitHubWorld, github: GitHubStandIn
    ) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        name = "/".join(world.behind.git_dir.with_suffix("").parts[-2:])

        with client(github, None) as api, pytest.raises(AuthenticationError):
            GitHubRepository(api.get_repo(name)).check_writable()

    def test_a_token_that_is_wrong_is_refused(self, github: GitHubStandIn) -> None:
        with client(github, "wrong") as api, pytest.raises(AuthenticationError, match="refused"):
            GitHubRepository(api.get_repo("acme/any")).base(None)

    def test_a_token_that_may_only_read_publishes_nothing(
        self, world: GitHubWorld, github: GitHubStandIn
    ) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        name = "/".join(world.behind.git_dir.with_suffix("").parts[-2:])
        github.add_user("reader", "reader-token", {name: "read"})
        before = dict(world.branches)

        with client(github, "reader-token") as api:
            readers = GitHubRepository(api.get_repo(name))
            with pytest.raises(AuthenticationError) as told:
                readers.check_writable()
            with pytest.raises(AuthenticationError) as refused:
                readers.publish(action(world, {"a.yaml": b"2"}))

        for error in (told, refused):
            assert "contents: write" in (error.value.hint or "")
        assert world.branches == before

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(200, "<html>Welcome</html>", {"Content-Type": "text/html"}),
            Reply(500, {"message": "Server Error"}),
            Reply(502, "<html>Bad Gateway</html>", {"Content-Type": "text/html"}),
        ],
        ids=["a proxy's page", "500", "502"],
    )
    def test_a_failing_github_is_not_a_missing_branch(
        self, world: GitHubWorld, reply: Reply
    ) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        world.stand_in.inject(Fault("GET", r"/repos/.*/git/ref.*", reply))

        with pytest.raises(ServiceError):
            world.repository.commit_of("main")

    def test_a_tree_that_is_not_complete_is_refused(self, world: GitHubWorld) -> None:
        commit = world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        sha = world.commit_at(commit).tree
        cut = {"sha": sha, "url": "https://x.example", "tree": [], "truncated": True}
        world.stand_in.inject(Fault("GET", r"/repos/.*/git/trees/.*", Reply(200, cut)))

        with pytest.raises(ServiceError, match="found some of them"):
            candidates(world, commit)

    def test_content_that_is_not_the_blobs_is_refused(self, world: GitHubWorld) -> None:
        commit = world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        other = {"sha": "0" * 40, "content": "b3RoZXI=", "encoding": "base64", "size": 5}
        world.stand_in.inject(Fault("GET", r"/repos/.*/git/blobs/.*", Reply(200, other)))

        with pytest.raises(ServiceError, match="found other content"):
            candidates(world, commit)

    def test_a_lost_race_leaves_the_winner(self, world: GitHubWorld) -> None:
        world.commit("main", {"a.yaml": (REGULAR, NAMED)})
        winner = world.repository.publish(action(world, {"a.yaml": b"2"}))

        with pytest.raises(Exception, match="expected the branch"):
            world.repository.publish(action(world, {"a.yaml": b"3"}))

        assert world.branches[BRANCH] == winner


def client(stand_in: GitHubStandIn, token: str | None) -> Github:
    """Return PyGithub as it is, but without the waits between writes."""
    return Github(
        auth=None if token is None else Auth.Token(token),
        base_url=stand_in.api_url,
        retry=None,
        per_page=100,
        seconds_between_requests=0,
        seconds_between_writes=0,
        lazy=True,
    )
