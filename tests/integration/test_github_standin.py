"""The GitHub stand-in, driven with PyGithub as it is: what it answers is what GitHub answers."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest
import requests
from github import (
    Auth,
    BadCredentialsException,
    Github,
    GithubException,
    InputGitAuthor,
    InputGitTreeElement,
    RateLimitExceededException,
    UnknownObjectException,
)

from tests.standins.github import Fault, GitHubStandIn, Reply, Reset
from tests.standins.github.store import git_environment
from tests.standins.github.validation import Description

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from github.GitCommit import GitCommit
    from github.PullRequest import PullRequest
    from github.Repository import Repository

MISSING = "5" * 40


@dataclass(frozen=True)
class World:
    """A stand-in with one public and one private repository, and with people."""

    stand_in: GitHubStandIn
    bare: Path
    clients: dict[str, Github]

    def repository(self, login: str = "writer", name: str = "acme/app") -> Repository:
        return self.clients[login].get_repo(name)


def client(stand_in: GitHubStandIn, token: str | None) -> Github:
    return Github(
        auth=Auth.Token(token) if token else None,
        base_url=stand_in.api_url,
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = tmp_path / "files"
    (files / "deploy/base").mkdir(parents=True)
    (files / "README.md").write_text("one\ntwo\nthree\n")
    (files / "deploy/run.sh").write_text("#!/bin/sh\n")
    (files / "deploy/run.sh").chmod(0o755)
    (files / "deploy/base/app.yaml").write_text("tag: 1\n")
    (files / "deploy/link").symlink_to("run.sh")
    return files


@pytest.fixture
def world(tmp_path: Path, folder: Path) -> Iterator[World]:
    tokens = {"writer": "w-token", "reader": "r-token", "outsider": "o-token", "anonymous": None}
    with GitHubStandIn(tmp_path / "github") as stand_in:
        bare = stand_in.add_repository("acme/app", folder)
        stand_in.add_repository("acme/secret", folder, private=True)
        for login, permission in {"writer": "write", "reader": "read", "outsider": None}.items():
            granted = {"acme/app": permission, "acme/secret": permission}
            stand_in.add_user(login, tokens[login], granted)
        clients = {login: client(stand_in, token) for login, token in tokens.items()}
        yield World(stand_in, bare, clients)
        for each in clients.values():
            each.close()
        assert stand_in.violations == []


@pytest.fixture
def repository(world: World) -> Repository:
    return world.repository()


def git(*arguments: str, cwd: Path) -> str:
    identity = {"EMAIL": "person@example.com", "GIT_AUTHOR_NAME": "P", "GIT_COMMITTER_NAME": "P"}
    result = subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env=git_environment() | identity,
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout.strip()


def tip(repository: Repository, branch: str = "main") -> GitCommit:
    return repository.get_git_commit(repository.get_git_ref(f"heads/{branch}").object.sha)


def commit(
    repository: Repository, parent: GitCommit, content: str, path: str = "README.md"
) -> GitCommit:
    item = InputGitTreeElement(path, "100644", "blob", content=content)
    tree = repository.create_git_tree([item], parent.tree)
    return repository.create_git_commit("A change", tree, [parent])


def branch(repository: Repository, name: str, content: str = "changed\n") -> GitCommit:
    """Make a branch with one commit upon main."""
    made = commit(repository, tip(repository), content)
    repository.create_git_ref(f"refs/heads/{name}", made.sha)
    return made


def pull(repository: Repository, name: str = "feature", content: str = "changed\n") -> PullRequest:
    branch(repository, name, content)
    return repository.create_pull("main", name, title="A title", body="A body")


def files_of(repository: Repository, tree: str) -> dict[str, str]:
    entries = repository.get_git_tree(tree, recursive=True).tree
    return {entry.path: entry.mode for entry in entries if entry.type != "tree"}


def refusal(error: pytest.ExceptionInfo[GithubException]) -> tuple[int, str]:
    return error.value.status, error.value.data["message"]


def explanation(error: pytest.ExceptionInfo[GithubException]) -> tuple[int, str, list[str]]:
    words = [item.get("message", item.get("field")) for item in error.value.data["errors"]]
    return *refusal(error), words


# Repositories and who may see them


def test_a_repository_tells_its_name_default_branch_and_what_the_caller_may(world: World) -> None:
    found = world.repository()
    assert (found.full_name, found.default_branch, found.private) == ("acme/app", "main", False)
    assert found.permissions.push
    assert not world.repository("reader").permissions.push
    assert found.owner.login == "acme"


def test_a_repository_is_cloned_from_a_repository_or_a_bundle(tmp_path: Path, folder: Path) -> None:
    git("init", "--quiet", "--initial-branch=trunk", cwd=folder)
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--message=First", cwd=folder)
    git("bundle", "create", "--quiet", str(tmp_path / "a.bundle"), "HEAD", "trunk", cwd=folder)
    with GitHubStandIn(tmp_path / "github") as stand_in, client(stand_in, None) as anonymous:
        stand_in.add_repository("acme/cloned", folder)
        stand_in.add_repository("acme/bundled", tmp_path / "a.bundle")
        for name in ("acme/cloned", "acme/bundled"):
            found = anonymous.get_repo(name)
            assert found.default_branch == "trunk"
            assert found.get_branch("trunk").commit.sha == git("rev-parse", "HEAD", cwd=folder)
        assert stand_in.violations == []


def test_an_empty_repository_has_no_git_database(tmp_path: Path) -> None:
    with GitHubStandIn(tmp_path / "github") as stand_in, client(stand_in, None) as anonymous:
        stand_in.add_repository("acme/empty")
        with pytest.raises(GithubException) as error:
            anonymous.get_repo("acme/empty").get_git_ref("heads/main")
        assert refusal(error) == (409, "Git Repository is empty.")
        assert stand_in.violations == []


def test_an_unknown_token_is_refused(world: World) -> None:
    with client(world.stand_in, "unknown") as stranger:
        with pytest.raises(BadCredentialsException) as error:
            stranger.get_repo("acme/app")
        assert refusal(error) == (401, "Bad credentials")


def test_a_reader_may_not_write(world: World) -> None:
    found = world.repository("reader")
    with pytest.raises(GithubException) as error:
        found.create_git_ref("refs/heads/x", tip(found).sha)
    assert refusal(error) == (403, "Resource not accessible by personal access token")
    assert [request.status for request in world.stand_in.writes] == [403]


@pytest.mark.parametrize("login", ["outsider", "anonymous"])
def test_a_private_repository_does_not_exist_for_strangers(world: World, login: str) -> None:
    with pytest.raises(UnknownObjectException) as error:
        world.repository(login, "acme/secret")
    assert refusal(error) == (404, "Not Found")


@pytest.mark.parametrize("login", ["outsider", "anonymous"])
def test_a_public_repository_is_read_by_anybody_and_written_by_few(
    world: World, login: str
) -> None:
    found = world.repository(login)
    assert tip(found).message == "Initial commit\n"
    with pytest.raises(GithubException) as error:
        found.create_git_blob("x", "utf-8")
    assert error.value.status == (403 if login == "outsider" else 401)


def test_the_user_is_the_owner_of_the_token(world: World) -> None:
    assert world.clients["reader"].get_user().login == "reader"
    with pytest.raises(GithubException) as error:
        assert world.clients["anonymous"].get_user().login
    assert refusal(error) == (401, "Requires authentication")


def test_every_answer_tells_the_rate_limit(world: World) -> None:
    writer = world.clients["writer"]
    world.repository()
    before = writer.rate_limiting
    world.repository()
    assert before == (4999, 5000)
    assert writer.rate_limiting == (4998, 5000)
    assert writer.get_rate_limit().rate.used == 2


def test_an_exhausted_limit_refuses_until_the_reset(tmp_path: Path) -> None:
    with GitHubStandIn(tmp_path, hourly_limit=1) as stand_in:
        stand_in.add_user("writer", "w-token", {})
        with client(stand_in, "w-token") as writer:
            assert writer.get_user().login == "writer"
            with pytest.raises(RateLimitExceededException) as error:
                assert writer.get_user().login
        assert error.value.status == 403
        assert error.value.headers["x-ratelimit-remaining"] == "0"
        assert stand_in.violations == []


# References


def test_references_with_slashes_are_found_exactly_or_by_their_beginning(
    repository: Repository,
) -> None:
    made = branch(repository, "release/app/1")
    assert repository.get_git_ref("heads/release/app/1").object.sha == made.sha
    assert repository.get_branch("release/app/1").commit.sha == made.sha
    matching = repository.get_git_matching_refs("heads/release")
    assert [ref.ref for ref in matching] == ["refs/heads/release/app/1"]
    assert sorted(found.name for found in repository.get_branches()) == ["main", "release/app/1"]
    with pytest.raises(UnknownObjectException):
        repository.get_git_ref("heads/release")


def test_a_missing_branch_is_not_found(repository: Repository) -> None:
    with pytest.raises(UnknownObjectException) as error:
        repository.get_branch("absent")
    assert refusal(error) == (404, "Branch not found")


def test_a_reference_is_created_once(repository: Repository) -> None:
    made = branch(repository, "feature")
    with pytest.raises(GithubException) as error:
        repository.create_git_ref("refs/heads/feature", made.sha)
    assert refusal(error) == (422, "Reference already exists")


@pytest.mark.parametrize(
    ("name", "sha", "message"),
    [
        ("refs/heads/new", MISSING, "Object does not exist"),
        ("refs/heads/new", "short", "The sha parameter must be exactly 40 characters"),
        ("refs/heads/a..b", None, "refs/heads/a..b is not a valid ref name."),
        ("heads/new", None, "Reference name must start with 'refs/'"),
        ("refs/heads/main/new", None, "Reference update failed"),
    ],
)
def test_a_reference_that_cannot_be_is_refused(
    repository: Repository, name: str, sha: str | None, message: str
) -> None:
    with pytest.raises(GithubException) as error:
        repository.create_git_ref(name, sha or tip(repository).sha)
    status, text = refusal(error)
    assert status == 422
    assert text.startswith(message)


def test_a_branch_points_at_a_commit(repository: Repository) -> None:
    with pytest.raises(GithubException) as error:
        repository.create_git_ref("refs/heads/new", tip(repository).tree.sha)
    assert error.value.status == 422


def test_a_reference_moves_forward_and_elsewhere_only_by_force(repository: Repository) -> None:
    first = branch(repository, "feature")
    second = commit(repository, first, "again\n")
    ref = repository.get_git_ref("heads/feature")
    ref.edit(second.sha)
    assert repository.get_git_ref("heads/feature").object.sha == second.sha
    with pytest.raises(GithubException) as error:
        ref.edit(first.sha)
    assert refusal(error) == (422, "Update is not a fast forward")
    ref.edit(first.sha, force=True)
    assert repository.get_git_ref("heads/feature").object.sha == first.sha


def test_a_missing_reference_is_neither_moved_nor_deleted(repository: Repository) -> None:
    branch(repository, "feature")
    ref = repository.get_git_ref("heads/feature")
    ref.delete()
    with pytest.raises(UnknownObjectException):
        repository.get_git_ref("heads/feature")
    for attempt in (ref.delete, lambda: ref.edit(tip(repository).sha)):
        with pytest.raises(GithubException) as error:
            attempt()
        assert refusal(error) == (422, "Reference does not exist")


def test_of_many_who_create_one_reference_at_once_one_succeeds(
    repository: Repository, world: World
) -> None:
    commits = [commit(repository, tip(repository), f"{number}\n") for number in range(8)]
    url = f"{repository.url}/git/refs"

    def create(made: GitCommit) -> tuple[int, str]:
        body = {"ref": "refs/heads/race", "sha": made.sha}
        headers = {"Authorization": "token w-token"}
        return requests.post(url, json=body, headers=headers, timeout=10).status_code, made.sha

    with ThreadPoolExecutor(len(commits)) as pool:
        outcomes = list(pool.map(create, commits))
    assert sorted(status for status, _ in outcomes) == [201] + [422] * 7
    assert (201, git("rev-parse", "refs/heads/race", cwd=world.bare)) in outcomes


# Objects


def test_a_tree_is_listed_flat_or_with_everything_below(repository: Repository) -> None:
    tree = tip(repository).tree.sha
    assert [entry.path for entry in repository.get_git_tree(tree).tree] == ["README.md", "deploy"]
    deep = repository.get_git_tree(tree, recursive=True).tree
    assert {entry.path: (entry.mode, entry.type, entry.size) for entry in deep} == {
        "README.md": ("100644", "blob", 14),
        "deploy": ("040000", "tree", None),
        "deploy/base": ("040000", "tree", None),
        "deploy/base/app.yaml": ("100644", "blob", 7),
        "deploy/link": ("120000", "blob", 6),
        "deploy/run.sh": ("100755", "blob", 10),
    }


def test_a_tree_is_found_by_the_name_of_a_branch_too(repository: Repository) -> None:
    branch(repository, "release/x")
    assert repository.get_git_tree("release/x").sha == tip(repository, "release/x").tree.sha


def test_blobs_go_to_and_fro_in_base64(repository: Repository) -> None:
    content = bytes(range(256))
    made = repository.create_git_blob(base64.b64encode(content).decode(), "base64")
    assert base64.b64decode(repository.get_git_blob(made.sha).content) == content
    text = repository.create_git_blob("grüße\n", "utf-8")
    assert base64.b64decode(repository.get_git_blob(text.sha).content).decode() == "grüße\n"


@pytest.mark.parametrize("kind", ["blob", "tree", "commit"])
def test_a_missing_object_is_not_found(repository: Repository, kind: str) -> None:
    with pytest.raises(UnknownObjectException) as error:
        getattr(repository, f"get_git_{kind}")(MISSING)
    assert refusal(error) == (404, "Not Found")


def test_a_new_tree_changes_adds_and_removes_upon_its_base(repository: Repository) -> None:
    base = tip(repository).tree
    blob = repository.create_git_blob("#!/bin/sh\nexit\n", "utf-8")
    items = [
        InputGitTreeElement("deploy/run.sh", "100755", "blob", sha=blob.sha),
        InputGitTreeElement("deploy/new/file", "100644", "blob", content="new"),
        InputGitTreeElement("deploy/base", "040000", "tree", sha=None),
        InputGitTreeElement("README.md", "100644", "blob", sha=None),
        InputGitTreeElement("copy", "040000", "tree", sha=base.sha),
    ]
    made = repository.create_git_tree(items, base)
    assert files_of(repository, made.sha) == {
        "copy/README.md": "100644",
        "copy/deploy/base/app.yaml": "100644",
        "copy/deploy/link": "120000",
        "copy/deploy/run.sh": "100755",
        "deploy/link": "120000",
        "deploy/new/file": "100644",
        "deploy/run.sh": "100755",
    }


def test_a_new_tree_without_a_base_holds_nothing_else(repository: Repository) -> None:
    made = repository.create_git_tree([InputGitTreeElement("a", "100644", "blob", content="a")])
    assert files_of(repository, made.sha) == {"a": "100644"}


@pytest.mark.parametrize(
    ("path", "sha", "message"),
    [
        ("a", MISSING, "GitRPC::BadObjectState"),
        ("absent", None, "GitRPC::BadObjectState"),
        ("a/../b", None, "tree.path contains a malformed path component"),
        ("/a", None, "tree.path contains a malformed path component"),
    ],
)
def test_a_tree_that_cannot_be_is_refused(
    repository: Repository, path: str, sha: str | None, message: str
) -> None:
    with pytest.raises(GithubException) as error:
        repository.create_git_tree([InputGitTreeElement(path, "100644", "blob", sha=sha)])
    assert refusal(error) == (422, message)


def test_a_missing_base_tree_is_refused(repository: Repository) -> None:
    body = {"base_tree": MISSING, "tree": []}
    with pytest.raises(GithubException) as error:
        repository.requester.requestJsonAndCheck("POST", f"{repository.url}/git/trees", input=body)
    assert refusal(error) == (422, "base_tree is not a valid tree oid")


def test_a_commit_keeps_its_message_its_parents_and_its_people(
    repository: Repository, world: World
) -> None:
    parent = tip(repository)
    author = InputGitAuthor("Ann", "ann@example.com", "2020-02-03T04:05:06+02:00")
    message = "Subject\n\nKey: value"
    made = repository.create_git_commit(message, parent.tree, [parent], author)
    found = repository.get_git_commit(made.sha)
    assert (found.message, found.parents[0].sha) == (message, parent.sha)
    assert found.tree.sha == parent.tree.sha
    assert found.author.name == found.committer.name == "Ann"
    assert found.author.date == datetime(2020, 2, 3, 2, 5, 6, tzinfo=timezone.utc)
    raw = git("cat-file", "commit", made.sha, cwd=world.bare)
    assert "author Ann <ann@example.com> 1580695506 +0200\n" in raw
    git("fsck", "--strict", "--no-dangling", cwd=world.bare)


def test_a_commit_without_people_is_by_the_caller_and_of_now(repository: Repository) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    made = commit(repository, tip(repository), "x")
    assert made.author.name == made.committer.name == "writer"
    assert before <= made.author.date <= datetime.now(timezone.utc)
    assert not made.verification.verified


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("tree", "Tree SHA does not exist"),
        ("parents", "Parent SHA does not exist or is not a commit object"),
    ],
)
def test_a_commit_of_what_is_missing_is_refused(
    repository: Repository, member: str, message: str
) -> None:
    body = {"message": "m", "tree": tip(repository).tree.sha, "parents": []}
    body[member] = MISSING if member == "tree" else [MISSING]
    url = f"{repository.url}/git/commits"
    with pytest.raises(GithubException) as error:
        repository.requester.requestJsonAndCheck("POST", url, input=body)
    assert refusal(error) == (422, message)


def test_a_commit_tells_what_it_changed(repository: Repository) -> None:
    branch(repository, "feature", "one\n2\nthree\n")
    found = repository.get_commit("feature")
    [changed] = found.files
    assert (changed.filename, changed.status) == ("README.md", "modified")
    assert changed.patch == "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three"
    assert (found.stats.additions, found.stats.deletions) == (1, 1)
    assert {file.status for file in repository.get_commit("main").files} == {"added"}
    with pytest.raises(GithubException) as error:
        repository.get_commit(MISSING)
    assert refusal(error) == (422, f"No commit found for SHA: {MISSING}")


def test_two_branches_are_compared(repository: Repository) -> None:
    branch(repository, "one/x", "1\n")
    branch(repository, "two", "2\n")
    ahead = repository.compare("main", "one/x")
    assert (ahead.status, ahead.ahead_by, ahead.behind_by) == ("ahead", 1, 0)
    assert [item.commit.message for item in ahead.commits] == ["A change"]
    assert [file.filename for file in ahead.files] == ["README.md"]
    assert repository.compare("one/x", "two").status == "diverged"
    assert repository.compare("one/x", "main").status == "behind"
    assert repository.compare("main", "main").status == "identical"
    with pytest.raises(UnknownObjectException):
        assert repository.compare("main", "absent").status


@pytest.mark.parametrize("name", ["acme/app", "acme/secret"])
def test_an_archive_is_elsewhere_and_needs_no_token_there(world: World, name: str) -> None:
    repository = world.repository(name=name)
    branch(repository, "release/x", "archived\n")
    link = repository.get_archive_link("tarball", "release/x")
    answer = requests.get(link, timeout=10)
    folder = f"{name.replace('/', '-')}-{tip(repository, 'release/x').sha[:7]}"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        readme = archive.extractfile(f"{folder}/README.md")
        assert readme is not None
        assert readme.read() == b"archived\n"
        assert archive.getmember(f"{folder}/deploy/run.sh").mode & 0o100
    stripped = requests.get(link.partition("?")[0], timeout=10)
    assert stripped.status_code == (404 if name == "acme/secret" else 200)


# Pull requests


def test_a_pull_request_tells_what_it_would_change(repository: Repository) -> None:
    made = pull(repository, "release/x", "one\n2\nthree\n")
    found = repository.get_pull(made.number)
    assert (found.title, found.body, found.state) == ("A title", "A body", "open")
    assert (found.head.ref, found.head.label) == ("release/x", "acme:release/x")
    assert found.head.repo.full_name == found.base.repo.full_name == "acme/app"
    assert found.head.sha == tip(repository, "release/x").sha
    assert (found.base.ref, found.base.sha) == ("main", tip(repository).sha)
    assert (found.commits, found.additions, found.deletions) == (1, 1, 1)
    assert (found.mergeable, found.merged, found.draft) == (True, False, False)
    assert found.user.login == "writer"
    assert [file.filename for file in found.get_files()] == ["README.md"]
    assert [item.sha for item in found.get_commits()] == [found.head.sha]


def test_a_second_open_pull_request_of_one_branch_is_refused(repository: Repository) -> None:
    first = pull(repository)
    with pytest.raises(GithubException) as error:
        repository.create_pull("main", "feature", title="Again")
    words = "A pull request already exists for acme:feature."
    assert explanation(error) == (422, "Validation Failed", [words])
    first.edit(state="closed")
    assert repository.create_pull("main", "acme:feature", title="Again", draft=True).draft


def test_a_pull_request_without_commits_is_refused(repository: Repository) -> None:
    repository.create_git_ref("refs/heads/feature", tip(repository).sha)
    with pytest.raises(GithubException) as error:
        repository.create_pull("main", "feature", title="Nothing")
    words = "No commits between main and feature"
    assert explanation(error) == (422, "Validation Failed", [words])


@pytest.mark.parametrize(
    ("base", "head", "field"),
    [
        ("main", "absent", "head"),
        ("absent", "feature", "base"),
        ("main", "nobody:feature", "head"),
    ],
)
def test_a_pull_request_needs_both_branches(
    repository: Repository, base: str, head: str, field: str
) -> None:
    branch(repository, "feature")
    with pytest.raises(GithubException) as error:
        repository.create_pull(base, head, title="Impossible")
    assert explanation(error) == (422, "Validation Failed", [field])


def test_a_pull_request_lists_files_renamed_removed_and_added(repository: Repository) -> None:
    base = tip(repository)
    readme = repository.get_git_tree(base.tree.sha).tree[0].sha
    items = [
        InputGitTreeElement("README.md", "100644", "blob", sha=None),
        InputGitTreeElement("docs/README.md", "100644", "blob", sha=readme),
        InputGitTreeElement("deploy/base/app.yaml", "100644", "blob", sha=None),
        InputGitTreeElement("new", "100644", "blob", content="new\n"),
    ]
    made = repository.create_git_commit("m", repository.create_git_tree(items, base.tree), [base])
    repository.create_git_ref("refs/heads/feature", made.sha)
    found = repository.create_pull("main", "feature", title="Files").get_files()
    assert {(file.filename, file.status, file.previous_filename) for file in found} == {
        ("deploy/base/app.yaml", "removed", None),
        ("docs/README.md", "renamed", "README.md"),
        ("new", "added", None),
    }


def test_pull_requests_are_listed_by_head_base_and_state(repository: Repository) -> None:
    one, two = pull(repository, "one", "1\n"), pull(repository, "two", "2\n")
    repository.create_git_ref("refs/heads/stable", tip(repository).sha)
    three = repository.create_pull("stable", "two", title="Also")
    one.edit(state="closed")

    def numbers(**filters: str) -> list[int]:
        return [found.number for found in repository.get_pulls(**filters)]

    assert numbers() == [three.number, two.number]
    assert numbers(state="closed") == [one.number]
    assert numbers(state="all", direction="asc") == [one.number, two.number, three.number]
    assert numbers(head="acme:two") == [three.number, two.number]
    assert numbers(head="acme:two", base="stable") == [three.number]
    assert numbers(head="other:two") == []
    assert numbers(head="two", state="all") == [three.number, two.number, one.number]


def test_long_lists_come_in_pages(repository: Repository, world: World) -> None:
    made = pull(repository)
    for number in range(5):
        made.create_issue_comment(f"comment {number}")
    repository.requester.per_page = 2
    seen = len(world.stand_in.requests)
    bodies = [comment.body for comment in made.get_issue_comments()]
    assert bodies == [f"comment {number}" for number in range(5)]
    assert len(world.stand_in.requests) - seen == 3
    url = f"{repository.url}/issues/{made.number}/comments"
    headers, _ = repository.requester.requestJsonAndCheck("GET", f"{url}?per_page=2&page=2")
    assert re.findall(r'[?&]page=(\d+)[^>]*>; rel="(\w+)"', headers["link"]) == [
        ("1", "prev"),
        ("3", "next"),
        ("3", "last"),
        ("1", "first"),
    ]


def test_a_pull_request_is_edited_closed_and_reopened(repository: Repository) -> None:
    made = pull(repository)
    made.edit(title="New title", body="New body", state="closed")
    found = repository.get_pull(made.number)
    assert (found.title, found.body, found.state) == ("New title", "New body", "closed")
    assert found.closed_at is not None
    assert (found.merged, found.merged_at) == (False, None)
    found.edit(state="open")
    assert repository.get_pull(made.number).closed_at is None


def test_a_pull_request_follows_what_is_pushed_with_plain_git(
    repository: Repository, world: World, tmp_path: Path
) -> None:
    git("clone", "--quiet", str(world.bare), "clone", cwd=tmp_path)
    clone = tmp_path / "clone"
    for content in ("pushed\n", "pushed again\n"):
        (clone / "README.md").write_text(content)
        git("commit", "--quiet", "--all", f"--message={content}", cwd=clone)
        git("push", "--quiet", "origin", "HEAD:refs/heads/pushed", cwd=clone)
        if content == "pushed\n":
            repository.create_pull("main", "pushed", title="Pushed")
    [found] = repository.get_pulls(head="acme:pushed")
    assert found.head.sha == git("rev-parse", "HEAD", cwd=clone)
    assert repository.get_pull(found.number).commits == 2
    assert repository.get_git_ref(f"pull/{found.number}/head").object.sha == found.head.sha
    git("push", "--quiet", "origin", "HEAD:refs/heads/main", cwd=clone)
    assert repository.get_pull(found.number).merged


def test_a_pull_request_closes_when_its_branch_goes(repository: Repository) -> None:
    made = pull(repository)
    repository.get_git_ref("heads/feature").delete()
    found = repository.get_pull(made.number)
    assert (found.state, found.merged, found.head.sha) == ("closed", False, made.head.sha)
    with pytest.raises(GithubException) as error:
        found.edit(state="open")
    assert error.value.status == 422


def test_a_pull_request_comes_from_a_fork(world: World, repository: Repository) -> None:
    world.stand_in.add_repository("fan/app", fork_of="acme/app")
    world.stand_in.add_user("fan", "f-token", {"fan/app": "write"})
    with client(world.stand_in, "f-token") as fan:
        branch(fan.get_repo("fan/app"), "main-2")
    assert repository.compare("main", "fan:main-2").ahead_by == 1
    made = repository.create_pull("main", "fan:main-2", title="From a fork")
    assert (made.head.repo.full_name, made.head.label) == ("fan/app", "fan:main-2")
    assert made.head.repo.fork
    assert [item.sha for item in made.get_commits()] == [made.head.sha]
    assert list(repository.get_pulls(head="acme:main-2")) == []


@pytest.mark.parametrize(("method", "parents"), [("merge", 2), ("squash", 1)])
def test_a_pull_request_is_merged(repository: Repository, method: str, parents: int) -> None:
    made = pull(repository)
    result = made.merge(merge_method=method, sha=made.head.sha)
    assert result.merged
    merged = tip(repository)
    assert (merged.sha, len(merged.parents)) == (result.sha, parents)
    assert merged.tree.sha == tip(repository, "feature").tree.sha
    found = repository.get_pull(made.number)
    assert (found.state, found.merged, found.merged_by.login) == ("closed", True, "writer")
    assert found.merge_commit_sha == result.sha
    assert found.merged_at is not None


def test_a_merge_of_another_head_is_a_conflict(repository: Repository) -> None:
    made = pull(repository)
    with pytest.raises(GithubException) as error:
        made.merge(sha=tip(repository).sha)
    assert refusal(error) == (
        409,
        "Head branch was modified. Review and try the merge again.",
    )


def test_a_pull_request_with_conflicts_is_not_mergeable(repository: Repository) -> None:
    made, other = pull(repository, "one", "1\n"), pull(repository, "two", "2\n")
    other.merge()
    found = repository.get_pull(made.number)
    assert (found.mergeable, found.mergeable_state) == (False, "dirty")
    for attempt in (found, other):
        with pytest.raises(GithubException) as error:
            attempt.merge()
        assert refusal(error) == (405, "Pull Request is not mergeable")


def test_a_draft_and_a_rebase_are_not_merged(repository: Repository) -> None:
    branch(repository, "feature")
    draft = repository.create_pull("main", "feature", title="Draft", draft=True)
    with pytest.raises(GithubException) as error:
        draft.merge()
    assert refusal(error) == (405, "Pull Request is still a draft")
    with pytest.raises(GithubException) as error:
        pull(repository, "other", "other\n").merge(merge_method="rebase")
    assert refusal(error) == (405, "Rebase merges are not allowed on this repository.")


# What is said about pull requests


def test_comments_are_kept_in_order(repository: Repository) -> None:
    made = pull(repository)
    for words in ("first", "second"):
        made.create_issue_comment(words)
    comments = list(made.get_issue_comments())
    assert [(each.user.login, each.body) for each in comments] == [
        ("writer", "first"),
        ("writer", "second"),
    ]
    assert repository.get_pull(made.number).comments == 2


def test_a_label_that_is_new_comes_into_being(repository: Repository) -> None:
    made = pull(repository)
    repository.create_label("release: app", "ff0000", "A release")
    made.add_to_labels("release: app", "new")
    made.add_to_labels("New")
    assert [label.name for label in made.get_labels()] == ["release: app", "new"]
    assert repository.get_label("release: app").description == "A release"
    assert repository.get_label("new").color == "ededed"
    [listed] = repository.get_pulls()
    assert [label.name for label in listed.labels] == ["release: app", "new"]
    with pytest.raises(UnknownObjectException):
        assert repository.get_label("absent").color
    with pytest.raises(GithubException) as error:
        repository.create_label("NEW", "ff0000")
    assert explanation(error) == (422, "Validation Failed", ["name"])


def test_reviewers_are_collaborators_and_others_are_refused(repository: Repository) -> None:
    made = pull(repository)
    made.create_review_request(reviewers=["reader"])
    found = repository.get_pull(made.number)
    assert [user.login for user in found.requested_reviewers] == ["reader"]
    for login in ("outsider", "writer"):
        with pytest.raises(GithubException) as error:
            made.create_review_request(reviewers=[login])
        assert error.value.status == 422


def test_assignees_who_are_no_collaborators_are_passed_over(repository: Repository) -> None:
    made = pull(repository)
    made.add_to_assignees("reader", "outsider")
    assert [user.login for user in repository.get_pull(made.number).assignees] == ["reader"]


def test_a_pull_request_is_changed_as_an_issue(repository: Repository) -> None:
    made = pull(repository)
    body = {"title": "Other", "labels": ["a"], "assignees": ["reader"], "state": "closed"}
    url = f"{repository.url}/issues/{made.number}"
    repository.requester.requestJsonAndCheck("PATCH", url, input=body)
    found = repository.get_pull(made.number)
    assert (found.title, found.state) == ("Other", "closed")
    assert [label.name for label in found.labels] == ["a"]
    assert [user.login for user in found.assignees] == ["reader"]


# Faults


def test_a_fault_before_the_effect_prevents_it(repository: Repository, world: World) -> None:
    made = commit(repository, tip(repository), "x")
    headers = {"Retry-After": "7"}
    what = Reply(429, {"message": "You have exceeded a secondary rate limit"}, headers)
    world.stand_in.inject(Fault("POST", r"/repos/acme/app/git/refs", what))
    with pytest.raises(GithubException) as error:
        repository.create_git_ref("refs/heads/feature", made.sha)
    assert (error.value.status, error.value.headers["retry-after"]) == (429, "7")
    repository.create_git_ref("refs/heads/feature", made.sha)


def test_a_fault_after_the_effect_hides_it(repository: Repository, world: World) -> None:
    branch(repository, "feature")
    fault = Fault("POST", r"/repos/.*/pulls", Reply(502, {"message": "Bad Gateway"}), "after")
    world.stand_in.inject(fault)
    with pytest.raises(GithubException) as error:
        repository.create_pull("main", "feature", title="Hidden")
    assert error.value.status == 502
    assert [found.title for found in repository.get_pulls(head="acme:feature")] == ["Hidden"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_is_reset_as_often_as_asked(
    repository: Repository, world: World, when: str
) -> None:
    world.stand_in.inject(Fault("POST", r"/repos/acme/app/git/blobs", Reset(), when, times=2))
    for _ in range(2):
        with pytest.raises(requests.exceptions.ConnectionError, match="reset"):
            repository.create_git_blob("x", "utf-8")
    repository.create_git_blob("x", "utf-8")
    assert [request.status for request in world.stand_in.writes] == [None, None, 201]


def test_a_proxy_answers_with_a_page(world: World) -> None:
    page = Reply(200, "<html>Sign in</html>", {"Content-Type": "text/html"})
    world.stand_in.inject(Fault("GET", "/user", page))
    with client(world.stand_in, "w-token") as writer:
        headers, _ = writer.requester.requestJsonAndCheck("GET", "/user")
    assert headers["content-type"] == "text/html"


# Records and violations


def test_requests_are_recorded_with_what_they_asked(repository: Repository, world: World) -> None:
    assert list(repository.get_pulls(head="acme:absent")) == []
    assert world.stand_in.writes == []
    recorded = world.stand_in.requests[-1]
    assert (recorded.method, recorded.path) == ("GET", "/repos/acme/app/pulls")
    assert (recorded.status, recorded.login) == (200, "writer")
    assert recorded.query["head"] == "acme:absent"
    repository.create_git_blob("x", "utf-8")
    [write] = world.stand_in.writes
    assert write.body == {"content": "x", "encoding": "utf-8"}


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("POST", "/git/refs", {"ref": 1, "sha": "x"}, r"request \$\.ref: 1 is not of type"),
        ("POST", "/git/refs", {"ref": "refs/heads/x"}, "'sha' is a required property"),
        ("POST", "/git/blobs", {"content": "x", "extra": 1}, "member extra is not described"),
        (
            "POST",
            "/git/trees",
            {"tree": [{"path": "a", "mode": "100644", "content": "", "kind": ""}]},
            r"member tree\[0\]\.kind is not described",
        ),
        ("GET", "/pulls?heads=x", None, "query parameter 'heads' is not described"),
        ("GET", "/unheard-of", None, "no such operation is described"),
    ],
)
def test_a_request_that_github_does_not_describe_is_a_violation(
    world: World, method: str, path: str, body: object, problem: str
) -> None:
    url = f"{world.stand_in.api_url}/repos/acme/app{path}"
    headers = {"Authorization": "token w-token"}
    requests.request(method, url, json=body, headers=headers, timeout=10)
    [violation] = world.stand_in.violations
    assert (violation.method, violation.path) == (method, f"/repos/acme/app{path}".split("?")[0])
    assert re.search(problem, violation.problem)
    world.stand_in.violations.clear()


def test_an_answer_that_github_would_not_give_is_a_violation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = type(world.stand_in._hub.bodies)
    genuine = bodies.full_repository
    monkeypatch.setattr(
        bodies, "full_repository", lambda *arguments: {**genuine(*arguments), "id": "7"}
    )
    world.repository()
    [violation] = world.stand_in.violations
    assert violation.problem == "answer 200: $.id: '7' is not of type 'integer'"
    world.stand_in.violations.clear()


def test_a_wrong_status_and_a_body_that_is_too_much_are_reported() -> None:
    description = Description.load()
    found = description.find("DELETE", "/repos/acme/app/git/refs/heads/release%2Fx")
    assert found is not None
    assert found.parameters["ref"] == "heads/release/x"
    assert description.wrong_answer(found.operation, 204, None) == []
    assert description.wrong_answer(found.operation, 204, {}) == ["a body is not described"]
    assert description.wrong_answer(found.operation, 200, {}) == ["status 200 is not described"]
    [problem] = description.wrong_answer(found.operation, 404, {"message": 1})
    assert problem == "$.message: 1 is not of type 'string'"


def test_a_mistake_of_the_stand_in_itself_is_a_violation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = type(world.stand_in._hub.bodies)
    monkeypatch.delattr(bodies, "full_repository")
    with pytest.raises(GithubException) as error:
        world.repository()
    assert error.value.status == 500
    assert "AttributeError" in world.stand_in.violations[0].problem
    world.stand_in.violations.clear()
