"""``create-release-pr`` as a user runs it: local repositories, and GitHub by API."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from github import Auth, Github

from tests.contract.git_behind import GitBehind
from tests.contract.oci_push import OciPush
from tests.fakes import digest_of
from tests.integration.manifests import (
    DEPLOYMENT,
    EXECUTABLE,
    FILES,
    METRICS,
    PATH,
    REGULAR,
    RELEASED,
    WEB,
    bare,
    make_hostile,
    working_tree,
)
from tests.integration.program import Ended, Program, Seen, ended, snapshot, watched_command_lines
from tests.standins.github import GitHubStandIn
from tests.standins.github.store import run_git

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from github.PullRequest import PullRequest

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import Repository
    from tests.fakes import Tree

BRANCH: Final = "release-web-1.1.0"
IMAGE: Final = f"--image={WEB}:1.1.0"
DIFF: Final = f"""\
--- a/{PATH}
+++ b/{PATH}
@@ -7,7 +7,7 @@
         spec:
             containers:
             - name: web
-              image:   {WEB}:1.0.0   # released by pull request
+              image:   {WEB}:1.1.0   # released by pull request
"""
DRY_RUN: Final = "dry run: nothing was written\n"
TOKEN: Final = "bot-token-that-is-not-shown"
NAME: Final = "acme/manifests"


# Local repositories


@dataclass(frozen=True)
class Local:
    """A program beside a repository `manifests`."""

    program: Program
    behind: GitBehind
    root: Path

    def release(self, *arguments: str | Path, image: str = IMAGE) -> Ended:
        where = "--manifest-repository=./manifests"
        return self.program.run("create-release-pr", where, image, *arguments)


def at(root: Path, behind: GitBehind) -> Local:
    (root / "user").mkdir()
    return Local(Program.at_home(root, root / "user"), behind, root)


@pytest.fixture(params=[working_tree, bare], ids=["directory", "bare"])
def local(request: pytest.FixtureRequest, tmp_path: Path) -> Local:
    """Return a program beside a repository of each kind."""
    return at(tmp_path, request.param(tmp_path / "manifests"))


@pytest.fixture
def directory(tmp_path: Path) -> Local:
    return at(tmp_path, working_tree(tmp_path / "manifests"))


def local_with(root: Path, files: Tree) -> Local:
    return at(root, bare(root / "manifests", files))


def test_one_line_is_changed_and_nothing_else(local: Local) -> None:
    output = local.root / "out" / "release.json"
    main = local.behind.branches["main"]

    run = local.release("--output", output)

    assert run.result == BRANCH
    commit = local.behind.commit_at(BRANCH)
    assert local.behind.branches == {"main": main, BRANCH: commit.sha}
    assert commit.parents == (main,)
    assert commit.files == {**FILES, PATH: (EXECUTABLE, RELEASED)}
    assert local.behind.text("diff", "--numstat", "main", BRANCH) == f"1\t1\t{PATH}"
    assert json.loads(output.read_text()) == {
        "schema_version": 1,
        "operation": "branch-only",
        "changed": True,
        "pull_request": None,
        "branch": BRANCH,
        "commit": commit.sha,
        "files": [
            {"path": PATH, "edits": [{"line": 10, "old": f"{WEB}:1.0.0", "new": f"{WEB}:1.1.0"}]}
        ],
        "superseded": [],
    }
    assert local.program.temporary == []


def test_a_second_run_changes_nothing_and_says_so(local: Local) -> None:
    output = local.root / "release.json"
    first = local.release()
    before = snapshot(local.behind.git_dir)

    second = local.release("--output", output)

    assert second.result == first.result
    assert "nothing to do" in second.stderr
    assert snapshot(local.behind.git_dir) == before
    written = json.loads(output.read_text())
    assert (written["operation"], written["changed"]) == ("unchanged", False)
    assert written["commit"] == local.behind.branches[BRANCH]


def test_a_release_that_the_base_has_needs_no_branch(local: Local) -> None:
    local.behind.commit("main", {**FILES, PATH: (EXECUTABLE, RELEASED)})
    before = snapshot(local.behind.git_dir)

    run = local.release()

    assert run.result == BRANCH
    assert "nothing to release: main has it already" in run.stderr
    assert snapshot(local.behind.git_dir) == before


def test_a_dry_run_prints_branch_title_and_diff_and_writes_nothing(local: Local) -> None:
    before = snapshot(local.root)

    run = local.release("--dry-run", "--output", local.root / "release.json")

    assert run.result == BRANCH
    assert f"\nbranch: {BRANCH}\n" in run.stderr
    assert "\ntitle:  Release web 1.1.0\n" in run.stderr
    assert DIFF in run.stderr.replace("\r", "")
    assert run.stderr.endswith(DRY_RUN)
    assert snapshot(local.root) == before


def test_the_plan_of_a_dry_run_is_the_plan_of_the_run(local: Local) -> None:
    dry_run = local.release("--dry-run").stderr
    run = local.release().stderr

    assert dry_run.endswith(DRY_RUN)
    assert run.startswith(dry_run.removesuffix(DRY_RUN))


def test_what_is_not_committed_stays_and_does_not_count(directory: Local) -> None:
    files = directory.root / "manifests"
    (files / PATH).write_bytes(DEPLOYMENT.replace(b"1.0.0", b"work in progress"))
    (files / "staged.yaml").write_text(f"image: {WEB}:1.0.0\n")
    run_git("-C", str(files), "add", "staged.yaml")
    (files / "untracked.yaml").write_text(f"image: {WEB}:1.0.0\n")
    run_git("-C", str(files), "switch", "--quiet", "--create", "feature")
    seen = (files / "apps", files / ".git/HEAD", files / ".git/index")
    before = (snapshot(*seen), [path.read_bytes() for path in seen[1:]])

    run = directory.release("--base=main")

    assert run.result == BRANCH
    assert (snapshot(*seen), [path.read_bytes() for path in seen[1:]]) == before
    assert directory.behind.commit_at(BRANCH).files == {**FILES, PATH: (EXECUTABLE, RELEASED)}
    status = run_git("-C", str(files), "status", "--porcelain").decode()
    assert status == f" M {PATH}\nA  staged.yaml\n?? untracked.yaml\n"


def test_nothing_that_the_repository_names_is_executed(local: Local) -> None:
    marker = local.root / "executed"
    make_hostile(local.behind, local.root / "hostile", marker)

    dry_run = local.release("--dry-run")
    run = local.release()
    again = local.release()

    assert dry_run.result == run.result == again.result == BRANCH
    assert local.behind.files_at(BRANCH) == {**FILES, PATH: (EXECUTABLE, RELEASED)}
    assert not marker.exists(), marker.read_text()


def test_a_persons_commit_on_the_branch_is_a_conflict(local: Local) -> None:
    local.release()
    edited = {**FILES, PATH: (EXECUTABLE, DEPLOYMENT.replace(b"1.0.0", b"by-hand"))}
    theirs = local.behind.commit(BRANCH, edited)

    run = local.release()

    run.assert_refused(4, f"found {theirs[:7]} by A Person <person@example.com>")
    assert local.behind.branches[BRANCH] == theirs


def test_an_image_that_is_not_found_names_its_neighbours(directory: Local) -> None:
    run = directory.release(image="--image=registry.example.com/shop/wep:1")

    run.assert_refused(6, "registry.example.com/shop/wep")
    assert WEB in run.stderr
    assert list(directory.behind.branches) == ["main"]


def test_an_image_in_two_files_needs_a_choice(tmp_path: Path) -> None:
    files = {f"{name}/web.yaml": (REGULAR, DEPLOYMENT) for name in ("production", "staging")}
    local = local_with(tmp_path, files)

    run = local.release()
    chosen = local.release("--path=staging")
    both = local.release("--all-files")

    run.assert_refused(6, "")
    assert "production/web.yaml:10" in run.stderr
    assert "staging/web.yaml:10" in run.stderr
    assert "--path" in run.stderr
    assert changed(local, chosen.result) == ["staging/web.yaml"]
    assert changed(local, both.result) == ["production/web.yaml", "staging/web.yaml"]


def changed(local: Local, branch: str) -> list[str]:
    return local.behind.text("diff", "--name-only", "main", branch).splitlines()


def test_a_manifest_that_cannot_be_read_is_an_error_of_the_manifest(tmp_path: Path) -> None:
    local = local_with(tmp_path, {PATH: (REGULAR, DEPLOYMENT + b"\n\t- : [")})

    run = local.release()

    run.assert_refused(6, WEB)
    assert f"{PATH}:10 (in a document that is not YAML: line " in run.stderr


WRONG: Final = {
    "an empty project id": (["--image=asia.gcr.io//x:1"], "empty component"),
    "an empty reference": (["--image="], "empty"),
    "no image": ([], "expected an image to release"),
    "no tag": ([f"--image={WEB}"], "a tag or a digest"),
    "no registry": (["--image=web:1"], "HOST/PATH"),
    "a digest that is none": ([f"--image={WEB}@sha256:12"], "digest"),
    "two versions": ([f"--image={WEB}:1", f"--image={WEB}:2"], "one version"),
    "an unset variable": ([f"--image={WEB}:$UNSET"], "UNSET"),
    "a command": ([f"--image={WEB}:$(touch executed)"], "$("),
    "an unknown pin": ([IMAGE, "--pin=bogus"], "--pin: expected one of"),
    "an unknown field": ([IMAGE, "--branch={nope}"], "{nope}"),
    "no branch": ([IMAGE, "--base=nope"], "expected a branch 'nope'"),
    "no author": ([IMAGE, "--author=nobody"], "expected an author"),
    "no such directory": ([IMAGE, "--manifest-repository=./nope"], "expected a directory"),
    "no repository": ([IMAGE, "--manifest-repository=./user"], "expected a git repository"),
    "neither": ([IMAGE, "--manifest-repository=nonsense"], "expected OWNER/NAME on GitHub"),
    "no images file": (["--images-from=nope.json"], "expected an image.json at nope.json"),
    "no images in a directory": (["--images-from=user"], "expected image.json files in user"),
    "no JSON": (["--images-from=manifests/README.md"], "expected JSON in manifests/README.md"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_gets_one_clear_line_and_touches_nothing(
    directory: Local, case: str
) -> None:
    arguments, words = WRONG[case]
    before = snapshot(directory.root)
    repository = "--manifest-repository=./manifests"

    run = directory.program.run("create-release-pr", repository, *arguments)

    run.assert_refused(2, words)
    assert snapshot(directory.root) == before


def image_json(reference: str) -> str:
    repository, _, tag = reference.rpartition(":")
    digest = str(digest_of(reference))
    image = {"repository": repository, "tags": [tag], "digest": digest, "platforms": []}
    source = {"revision": "0" * 40, "repository": "https://github.com/acme/web"}
    return json.dumps({"schema_version": 1, "images": [{**image, "source": source}]})


def test_images_come_from_a_file_or_a_directory(directory: Local) -> None:
    images = directory.root / "images"
    images.mkdir()
    (images / "web.json").write_text(image_json(f"{WEB}:1.1.0"))
    (images / "metrics.json").write_text(image_json(f"{METRICS}:2.5"))
    release = ("create-release-pr", "--manifest-repository=./manifests")

    one = directory.program.run(*release, "--images-from", images / "web.json")
    both = directory.program.run(*release, "--images-from", images)
    nothing = directory.program.run(*release, "--images-from", directory.root / "nowhere")

    assert one.result == BRANCH
    assert directory.behind.files_at(BRANCH)[PATH] == (EXECUTABLE, RELEASED)
    content = directory.behind.files_at(both.result)[PATH][1]
    assert content == RELEASED.replace(b"metrics:2.4", b"metrics:2.5")
    nothing.assert_refused(2, "expected an image.json at")


def test_a_digest_in_a_manifest_is_resolved_at_the_registry(
    tmp_path: Path, login: Credentials, image_repository: Repository
) -> None:
    pushed = OciPush(image_repository, login).image(["1.1.0"], {}, ["linux/amd64"])
    old = f"{image_repository}:1.0.0@{digest_of('old')}"
    manifest = DEPLOYMENT.replace(f"{WEB}:1.0.0".encode(), old.encode())
    local = local_with(tmp_path, {PATH: (REGULAR, manifest)})
    image = f"--image={image_repository}:1.1.0"

    anonymous = local.release(image=image)
    program = local.program.with_variables(
        DOCKER_LOGIN=login.username, DOCKER_PASSWORD=login.password.reveal()
    )
    logged_in = Local(program, local.behind, local.root)
    missing = logged_in.release(image=f"--image={image_repository}:not-there")
    run = logged_in.release(image=image)

    anonymous.assert_refused(3, "wants a user name and a password")
    missing.assert_refused(2, "not-there in its registry, found nothing")
    new = f"{image_repository}:1.1.0@{pushed.digest}"
    assert local.behind.files_at(run.result)[PATH][1] == manifest.replace(
        old.encode(), new.encode()
    )
    assert login.password.reveal() not in run.stderr


# GitHub


@dataclass(frozen=True)
class Forge:
    """A program with a token, and the repository on GitHub that it is for."""

    program: Program
    stand_in: GitHubStandIn
    behind: GitBehind
    name: str

    def release(self, *arguments: str | Path, image: str = IMAGE, **variables: str | None) -> Ended:
        where = (f"--manifest-repository={self.name}", f"--github-api-url={self.stand_in.api_url}")
        program = self.program.with_variables(**variables)
        return program.run("create-release-pr", *where, image, *arguments)

    def writes(self, since: int = 0) -> list[str]:
        """Return what was asked to be written in this repository, after so many requests."""
        own = f"/repos/{self.name}/"
        return [
            f"{request.method} {request.path.removeprefix(own)}"
            for request in self.stand_in.requests[since:]
            if request.writes and request.path.startswith(own)
        ]

    def pulls(self) -> list[PullRequest]:
        with person(self.stand_in) as api:
            return list(api.get_repo(self.name).get_pulls(state="all"))


def person(stand_in: GitHubStandIn) -> Github:
    return Github(
        auth=Auth.Token("person-token"),
        base_url=stand_in.api_url,
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHubStandIn]:
    with GitHubStandIn(tmp_path_factory.mktemp("github")) as stand_in:
        yield stand_in
        assert stand_in.violations == []


def forge_at(root: Path, github: GitHubStandIn, name: str, source: Path | None = None) -> Forge:
    behind = GitBehind(github.add_repository(name, source))
    if source is None:
        behind.commit("main", FILES)
    granted: Mapping[str, Any] = dict.fromkeys((name, NAME), "write")
    github.add_user("bot", TOKEN, granted)
    github.add_user("person", "person-token", granted)
    github.add_user("reader", "reader-token", dict.fromkeys((name, NAME), "read"))
    program = Program.at_home(root, root).with_variables(GITHUB_TOKEN=TOKEN)
    return Forge(program, github, behind, name)


@dataclass(frozen=True)
class Released:
    """A release on GitHub, and all runs that had to do with it."""

    forge: Forge
    output: Mapping[str, Any]
    dry_run: Ended
    run: Ended
    second: Ended
    writes: Mapping[str, list[str]]
    seen: Seen


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, github: GitHubStandIn) -> Released:
    """Return a dry run, a run and a second run: writing takes seconds, to spare GitHub."""
    root = tmp_path_factory.mktemp("released")
    forge = forge_at(root, github, NAME)
    with watched_command_lines() as seen:
        dry_run = forge.release("--dry-run", GITHUB_TOKEN=None)
        writes = {"dry run": forge.writes()}
        run = forge.release("--output", root / "release.json")
        writes["run"] = forge.writes()
        second = forge.release("--output", root / "second.json")
        writes["second run"] = forge.writes()[len(writes["run"]) :]
    output = json.loads((root / "release.json").read_text())
    return Released(forge, output, dry_run, run, second, writes, seen)


@pytest.fixture
def again(released: Released, github: GitHubStandIn, tmp_path: Path) -> Forge:
    """Return a repository of its own in which the release is a branch with a pull request."""
    forge = forge_at(tmp_path, github, f"acme/{tmp_path.name}", released.forge.behind.git_dir)
    (made,) = released.forge.pulls()
    with person(github) as api:
        api.get_repo(forge.name).create_pull("main", BRANCH, title=made.title, body=made.body)
    return forge


@pytest.fixture(scope="module", autouse=True)
def without_github(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[subprocess.Popen[str]]:
    """Start what waits for a GitHub that is down: it takes a while, beside the others."""
    root = tmp_path_factory.mktemp("down")
    program = Program.at_home(root, root).with_variables(GITHUB_TOKEN=TOKEN)
    where = (f"--manifest-repository={NAME}", "--github-api-url=http://127.0.0.1:1/api/v3")
    process = program.start("create-release-pr", *where, IMAGE)
    yield process
    process.kill()
    process.communicate()


def test_github_gets_one_pull_request_that_changes_one_line(released: Released) -> None:
    forge = released.forge

    (pull,) = forge.pulls()

    assert released.run.result == pull.html_url
    assert (pull.state, pull.head.ref, pull.base.ref) == ("open", BRANCH, "main")
    assert pull.title == "Release web 1.1.0"
    assert f"{PATH}:10" in pull.body
    commit = forge.behind.commit_at(BRANCH)
    assert commit.parents == (forge.behind.branches["main"],)
    assert commit.files == {**FILES, PATH: (EXECUTABLE, RELEASED)}
    assert released.output == {
        "schema_version": 1,
        "operation": "created",
        "changed": True,
        "pull_request": {"number": pull.number, "url": pull.html_url},
        "branch": BRANCH,
        "commit": commit.sha,
        "files": [
            {"path": PATH, "edits": [{"line": 10, "old": f"{WEB}:1.0.0", "new": f"{WEB}:1.1.0"}]}
        ],
        "superseded": [],
    }


def test_a_run_writes_no_more_than_it_must_and_the_branch_at_once(released: Released) -> None:
    assert released.writes["run"] == [
        "POST git/blobs",
        "POST git/trees",
        "POST git/commits",
        "POST git/refs",
        "POST pulls",
    ]


def test_a_dry_run_on_github_needs_no_token_and_writes_nothing(released: Released) -> None:
    assert released.dry_run.result == BRANCH
    assert released.writes["dry run"] == []
    assert f"\nbranch: {BRANCH}\n" in released.dry_run.stderr
    assert DIFF in released.dry_run.stderr.replace("\r", "")


def test_the_plan_of_a_dry_run_on_github_is_the_plan_of_the_run(released: Released) -> None:
    assert released.run.stderr.startswith(released.dry_run.stderr.removesuffix(DRY_RUN))


def test_a_second_run_on_github_writes_nothing_and_says_so(released: Released) -> None:
    assert released.second.result == released.run.result
    assert released.writes["second run"] == []
    assert "nothing to do" in released.second.stderr


def test_the_token_is_not_shown(released: Released) -> None:
    for run in (released.run, released.second):
        assert TOKEN not in run.stdout + run.stderr
    assert released.seen.showing("create-release-pr")
    assert released.seen.showing(TOKEN) == []


def test_a_pull_request_that_a_person_closed_is_respected(again: Forge, tmp_path: Path) -> None:
    (pull,) = again.pulls()
    pull.edit(state="closed")
    seen = len(again.stand_in.requests)

    run = again.release("--output", tmp_path / "release.json")

    assert run.result == pull.html_url
    assert "declined" in run.stderr
    assert again.writes(seen) == []
    assert json.loads((tmp_path / "release.json").read_text())["operation"] == "declined"


def test_a_merged_release_is_done(again: Forge, tmp_path: Path) -> None:
    (pull,) = again.pulls()
    pull.merge()
    seen = len(again.stand_in.requests)

    run = again.release("--output", tmp_path / "release.json")

    assert run.result == pull.html_url
    assert "nothing to release: main has it already" in run.stderr
    assert again.writes(seen) == []
    assert json.loads((tmp_path / "release.json").read_text())["operation"] == "merged"


def test_a_merged_release_that_was_undone_is_a_conflict(again: Forge) -> None:
    (pull,) = again.pulls()
    pull.merge()
    again.behind.commit("main", FILES, "Revert")
    seen = len(again.stand_in.requests)

    run = again.release()

    run.assert_refused(4, pull.html_url)
    assert again.writes(seen) == []


def test_a_persons_commit_on_githubs_branch_is_a_conflict(again: Forge) -> None:
    edited = {**FILES, PATH: (EXECUTABLE, DEPLOYMENT.replace(b"1.0.0", b"by-hand"))}
    theirs = again.behind.commit(BRANCH, edited)
    seen = len(again.stand_in.requests)

    again.release().assert_refused(4, f"found {theirs[:7]} by A Person")

    assert again.writes(seen) == []
    assert again.behind.branches[BRANCH] == theirs


def test_a_base_that_moved_on_is_followed_and_the_pull_request_stays(again: Forge) -> None:
    head = again.behind.branches[BRANCH]
    moved = b"# A new first line.\n" + DEPLOYMENT
    main = again.behind.commit("main", {**FILES, PATH: (EXECUTABLE, moved)})

    run = again.release()

    (pull,) = again.pulls()
    assert run.result == pull.html_url
    commit = again.behind.commit_at(BRANCH)
    assert commit.parents == (head, main)
    assert commit.files[PATH][1] == moved.replace(b"web:1.0.0", b"web:1.1.0")
    assert f"{PATH}:11" in pull.body


def test_a_forks_pull_request_of_the_same_branch_is_not_adopted(
    github: GitHubStandIn, tmp_path: Path
) -> None:
    forge = forge_at(tmp_path, github, f"acme/{tmp_path.name}")
    fork = GitBehind(github.add_repository(f"mallory/{tmp_path.name}", fork_of=forge.name))
    fork.point(BRANCH, fork.branches["main"])
    fork.commit(BRANCH, {**FILES, "evil.yaml": (REGULAR, b"evil: true\n")})
    with person(github) as api:
        theirs = api.get_repo(forge.name).create_pull(
            "main", f"mallory:{BRANCH}", title="Release web 1.1.0", body=""
        )

    run = forge.release()

    assert run.result != theirs.html_url
    assert [pull.head.repo.full_name for pull in forge.pulls()] == [forge.name, fork_name(fork)]


def fork_name(fork: GitBehind) -> str:
    return "/".join(fork.git_dir.with_suffix("").parts[-2:])


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "expected a GitHub token in GITHUB_TOKEN"),
        ("wrong-token", "GitHub refused the token: Bad credentials"),
        ("reader-token", "GitHub denied access"),
    ],
    ids=["no token", "a wrong token", "a token that may only read"],
)
def test_a_token_that_will_not_do_is_refused(
    github: GitHubStandIn, tmp_path: Path, token: str | None, words: str
) -> None:
    forge = forge_at(tmp_path, github, f"acme/{re.sub(r'[^a-z0-9]', '', tmp_path.name)}")

    run = forge.release(GITHUB_TOKEN=token)

    run.assert_refused(3, words)
    assert list(forge.behind.branches) == ["main"]
    assert forge.pulls() == []
    assert token is None or token not in run.stderr


def test_a_repository_that_the_token_cannot_see_is_a_question_of_access(
    released: Released,
) -> None:
    forge = released.forge
    where = ("--manifest-repository=acme/missing", f"--github-api-url={forge.stand_in.api_url}")

    run = forge.program.run("create-release-pr", *where, IMAGE)

    run.assert_refused(3, "not found on GitHub, or the token may not see it")


def test_a_github_that_is_down_is_tried_for_a_while(
    without_github: subprocess.Popen[str],
) -> None:
    run = ended(without_github)

    run.assert_refused(5, "GitHub cannot be reached")
    assert "run again" in run.stderr


def test_git_is_not_needed_for_github(released: Released, tmp_path: Path) -> None:
    assert shutil.which("git", path=str(tmp_path)) is None

    run = released.forge.release("--dry-run", PATH=str(tmp_path))

    assert run.result == BRANCH
