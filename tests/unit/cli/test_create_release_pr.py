from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from gitops_release.cli.manifest_repositories import Forge
from gitops_release.core.errors import ServiceError
from gitops_release.core.image import Digest, Repository
from gitops_release.core.published import PublishedImage, to_json
from gitops_release.core.releasing import OpenPullRequest, PullRequest
from tests.fakes import FakeManifestRepository, FakePullRequests, FakeRegistry, digest_of, image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.unit.system.command_line import CommandLine, Ended

IMAGE = ("--image", "r.example.com/acme/web:2")
URL = "https://github.example.com/acme/manifests/pull/1"
POD = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: r.example.com/acme/web:{}\n"


@dataclass
class World:
    """The command with a manifest repository, a forge and a registry that are not real."""

    command_line: CommandLine
    repository: FakeManifestRepository
    pulls: FakePullRequests
    registry: FakeRegistry
    has_forge: bool = True

    def __call__(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
        return self.command_line(
            "create-release-pr",
            "--manifest-repository",
            "acme/manifests",
            *arguments,
            environ=environ,
        )

    def opened(self) -> PullRequest:
        return self.pulls.pulls[1].request


@pytest.fixture
def world(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    repository = FakeManifestRepository()
    repository.commit("main", {"web.yaml": ("100644", POD.format(1).encode())})
    world = World(command_line, repository, FakePullRequests(repository), FakeRegistry())

    @contextmanager
    def opened(*_: Any, **__: Any) -> Iterator[Forge]:  # noqa: ANN401 - whatever is asked
        yield Forge(repository, world.pulls if world.has_forge else None)

    monkeypatch.setattr("gitops_release.cli.create_release_pr.open_manifest_repository", opened)
    monkeypatch.setattr("gitops_release.registries.kinds.registry_for", lambda *_: world.registry)
    return world


def test_the_last_line_is_the_pull_request(world: World) -> None:
    ended = world(*IMAGE)
    assert (ended.code, ended.stdout) == (0, f"{URL}\n")
    assert world.repository.files_of("release-web-2")["web.yaml"][1].decode() == POD.format(2)


def test_the_last_line_is_the_branch_where_there_is_no_forge(world: World) -> None:
    world.has_forge = False
    ended = world(*IMAGE)
    assert (ended.code, ended.stdout) == (0, "release-web-2\n")


def test_the_second_run_changes_nothing_and_reports_the_same(world: World) -> None:
    world(*IMAGE)
    ended = world(*IMAGE)
    assert (ended.code, ended.stdout) == (0, f"{URL}\n")
    assert len(world.repository.writes) == len(world.pulls.writes) == 1


def test_a_dry_run_shows_branch_title_and_diff_and_writes_nothing(
    world: World, tmp_path: Path
) -> None:
    ended = world(*IMAGE, "--dry-run", "--output", "release.json")
    assert (ended.code, ended.stdout) == (0, "release-web-2\n")
    assert "branch: release-web-2\n" in ended.stderr
    assert "title:  Release web 2\n" in ended.stderr
    assert "-  - image: r.example.com/acme/web:1\n" in ended.stderr
    assert "+  - image: r.example.com/acme/web:2\n" in ended.stderr
    assert world.repository.writes == []
    assert world.pulls.writes == []
    assert list(tmp_path.iterdir()) == []


def test_the_output_tells_what_was_done(world: World, tmp_path: Path) -> None:
    world(*IMAGE, "--output", "out/release.json")
    written = json.loads((tmp_path / "out" / "release.json").read_text("utf-8"))
    assert written["operation"] == "created"
    assert written["changed"] is True
    assert written["pull_request"] == {"number": 1, "url": URL}
    assert written["branch"] == "release-web-2"
    assert written["commit"] == world.repository.branches["release-web-2"]


@pytest.mark.parametrize(
    ("arguments", "branch", "title"),
    [
        (["--environment", "prod"], "release-web-2-prod", "Release web 2 to prod"),
        (["--branch", "bump/{tag}"], "bump/2", "Release web 2"),
        (["--title", "{image} -> {tag}"], "release-web-2", "web -> 2"),
        (["--environment", ""], "release-web-2", "Release web 2"),
    ],
)
def test_the_wording_can_be_chosen(
    arguments: list[str], branch: str, title: str, world: World
) -> None:
    assert world(*IMAGE, *arguments).code == 0
    (opened,) = world.pulls.writes
    assert isinstance(opened, OpenPullRequest)
    assert (opened.branch, opened.title) == (branch, title)


def test_the_body_may_be_a_file(world: World, tmp_path: Path) -> None:
    (tmp_path / "body.md").write_text("Ship {image} on {branch}!\n\n{changes}\n", "utf-8")
    assert world(*IMAGE, "--body-file", "body.md").code == 0
    assert world.opened().body.startswith("Ship web on release-web-2!\n\n| File |")


def test_a_body_that_is_no_text_is_a_usage_error(world: World, tmp_path: Path) -> None:
    (tmp_path / "body.md").write_bytes(b"\xff\xfe")
    ended = world(*IMAGE, "--body-file", "body.md")
    assert ended.code == 2
    assert "--body-file" in ended.stderr


def test_the_author_can_be_chosen(world: World) -> None:
    world(*IMAGE, "--author", "Ada <ada@example.com>")
    commit = world.repository.commits[world.repository.branches["release-web-2"]]
    assert commit.author == "Ada <ada@example.com>"


def image_json(tag: str, digest: Digest, repository: str = "r.example.com/acme/web") -> str:
    published = PublishedImage(repository=Repository.parse(repository), tags=(tag,), digest=digest)
    return to_json([published])


@pytest.mark.parametrize("given", ["image.json", "."])
def test_an_image_can_come_from_a_build(given: str, world: World, tmp_path: Path) -> None:
    (tmp_path / "image.json").write_text(image_json("2", digest_of("new")), "utf-8")
    ended = world("--images-from", given)
    assert (ended.code, ended.stdout) == (0, f"{URL}\n")
    assert world.repository.files_of("release-web-2")["web.yaml"][1].decode() == POD.format(2)


def test_an_image_that_is_given_twice_is_released_once(world: World, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(image_json("2", digest_of("new")), "utf-8")
    assert world("--images-from", "a.json", "--images-from", "b.json").code == 0


def test_a_digest_is_asked_for_where_a_manifest_pins_one(world: World) -> None:
    old, new = digest_of("old"), image("new")
    world.repository.commit("main", {"web.yaml": ("100644", POD.format(f"1@{old}").encode())})
    world.registry.put(Repository.parse("r.example.com/acme/web"), new, ["2"])
    assert world(*IMAGE).code == 0
    content = world.repository.files_of("release-web-2")["web.yaml"][1].decode()
    assert content == POD.format(f"2@{new.digest}")


def test_an_image_that_its_registry_does_not_have_is_a_usage_error(world: World) -> None:
    pinned = POD.format(f"1@{digest_of('old')}").encode()
    world.repository.commit("main", {"web.yaml": ("100644", pinned)})
    ended = world(*IMAGE)
    assert ended.code == 2
    assert "expected r.example.com/acme/web:2 in its registry, found nothing" in ended.stderr
    assert world.repository.writes == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "an image to release"),
        (["--image", ""], "--image"),
        (["--image", "web:2"], "HOST/PATH"),
        (["--image", "r.example.com/acme/web"], "a tag or a digest"),
        (["--image", "r.example.com//web:2"], "no empty component"),
        (["--image", "r.io/web:1", "--image", "r.io/web:2"], "one version of r.io/web"),
        (["--images-from", "nowhere.json"], "nowhere.json"),
        (["--images-from", "empty"], "empty"),
        (["--images-from", "broken.json"], "broken.json"),
        ([*IMAGE, "--author", "Bot"], "an author"),
        ([*IMAGE, "--branch", "{nothing}"], "--branch"),
        ([*IMAGE, "--branch", "..."], "a branch name"),
        ([*IMAGE, "--title", "{"], "--title"),
        ([*IMAGE, "--title", " "], "--title"),
        ([*IMAGE, "--body-file", "nowhere.md"], "--body-file"),
        ([*IMAGE, "--base", "nowhere"], "nowhere"),
        ([*IMAGE, "--manifest-repository", "manifests"], "manifest"),
    ],
)
def test_wrong_input_is_one_clear_line_and_2(
    arguments: list[str], message: str, world: World, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.json").write_bytes(b"\xff")
    ended = world(*arguments)
    assert ended.code == 2
    assert ended.stdout == ""
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert world.repository.writes == []


def test_an_image_that_no_manifest_names_is_6(world: World) -> None:
    ended = world("--image", "r.example.com/acme/wbe:2")
    assert ended.code == 6
    assert "r.example.com/acme/web" in ended.stderr


def test_a_conflict_is_4(world: World) -> None:
    world.repository.commit("release-web-2", {"README.md": ("100644", b"mine\n")})
    assert world(*IMAGE).code == 4


def test_a_service_that_fails_is_5_and_the_next_run_goes_on(world: World) -> None:
    world.pulls.failure = ServiceError("GitHub is down")
    assert world(*IMAGE).code == 5
    world.pulls.failure = None
    ended = world(*IMAGE)
    assert (ended.code, ended.stdout) == (0, f"{URL}\n")
    assert len(world.repository.writes) == 1


def test_many_mentions_do_not_hide_the_diff(world: World) -> None:
    files = {
        f"notes-{number:03}.yaml": ("100644", b"note: see r.example.com/acme/web:1 there\n")
        for number in range(50)
    }
    files["web.yaml"] = ("100644", POD.format(1).encode())
    world.repository.commit("main", files)
    lines = world(*IMAGE, "--dry-run").stderr.splitlines()
    seen = [line for line in lines if line.startswith("seen and left alone: ")]
    assert len(seen) == 21
    assert seen[-1] == "seen and left alone: 30 more"


@pytest.mark.parametrize("url", ["nonsense", "ftp://api.example.com", "https://", ""])
def test_a_wrong_address_of_github_is_a_usage_error(url: str, command_line: CommandLine) -> None:
    ended = command_line(
        "create-release-pr",
        *("--manifest-repository", "acme/manifests", *IMAGE, "--github-api-url", url),
        environ={"GITHUB_TOKEN": "t" * 20},
    )
    assert ended.code == 2
    assert "--github-api-url" in ended.stderr


def test_github_needs_a_token(command_line: CommandLine) -> None:
    ended = command_line("create-release-pr", "--manifest-repository", "acme/manifests", *IMAGE)
    assert ended.code == 3
    assert "expected a GitHub token in GITHUB_TOKEN" in ended.stderr
