from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import pytest

from gitops_release.core.errors import AuthenticationError, GitopsReleaseError, ServiceError
from gitops_release.core.image import ImageReference, Repository
from tests.fakes import IMAGE_MANIFEST, FakeRegistry, image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.unit.system.command_line import CommandLine, Ended

REPOSITORY: Final = Repository("r.example.com", "acme/web")
TAGGED: Final = f"{REPOSITORY}:1"
IMAGE: Final = image("web", {"team": "web", "a": "b"}, platforms=("linux/amd64", "linux/arm64"))
PINNED: Final = f"{TAGGED}@{IMAGE.digest}"


@dataclass
class Scanned(FakeRegistry):
    """A registry that knows more of its images than their manifests say."""

    scan: Mapping[str, int] | GitopsReleaseError | None = None
    more: dict[str, str] = field(default_factory=dict)
    scans: list[ImageReference] = field(default_factory=list)

    def findings(self, image: ImageReference) -> Mapping[str, int] | None:
        self.scans.append(image)
        if isinstance(self.scan, GitopsReleaseError):
            raise self.scan
        return self.scan

    def properties(self, image: ImageReference) -> Mapping[str, str]:
        assert image.digest is not None
        return self.more


@dataclass
class World:
    command_line: CommandLine
    registry: Scanned = field(default_factory=Scanned)

    def __call__(self, *arguments: str, image: str = TAGGED) -> Ended:
        return self.command_line("describe-image", "--image", image, *arguments)


@pytest.fixture
def world(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    world = World(command_line)
    world.registry.put(REPOSITORY, IMAGE, ["1"])
    monkeypatch.setattr("gitops_release.registries.kinds.registry_for", lambda *_: world.registry)
    return world


def told(ended: Ended) -> dict[str, str]:
    """Return what is told to people, by name."""
    rows = (line.partition(":") for line in ended.stderr.splitlines())
    return {name: value.strip() for name, _, value in rows}


def test_the_last_line_is_the_image_pinned(world: World) -> None:
    ended = world()
    assert (ended.code, ended.stdout) == (0, f"{PINNED}\n")
    assert world.registry.writes == []


def test_all_facts_are_one_line_of_json(world: World) -> None:
    world.registry.scan = {"HIGH": 1, "LOW": 20}
    ended = world("--format", "json")
    assert ended.code == 0
    (line,) = ended.stdout.splitlines()
    found = json.loads(line)
    found.pop("properties")
    assert found == {
        "reference": PINNED,
        "digest": str(IMAGE.digest),
        "media_type": IMAGE_MANIFEST,
        "size": IMAGE.size,
        "platforms": ["linux/amd64", "linux/arm64"],
        "created": IMAGE.created,
        "labels": {"team": "web", "a": "b"},
        "findings": {"HIGH": 1, "LOW": 20},
    }


def test_people_are_told_the_same_in_both_formats(world: World) -> None:
    world.registry.scan = {"HIGH": 1, "LOW": 20}
    text, data = world(), world("--format", "json")
    assert text.stderr == data.stderr
    rows = told(text)
    assert rows["platforms"] == "linux/amd64, linux/arm64"
    assert rows["labels"] == "team=web, a=b"
    assert rows["findings"] == "HIGH=1, LOW=20"


@pytest.mark.parametrize(
    ("scan", "data", "text"),
    [(None, None, "the registry says nothing of it"), ({}, {}, "none")],
    ids=["not scanned", "nothing found"],
)
def test_no_scan_and_no_findings_are_two_things(
    world: World, scan: Mapping[str, int] | None, data: object, text: str
) -> None:
    world.registry.scan = scan
    ended = world("--format", "json")
    assert json.loads(ended.stdout)["findings"] == data
    assert told(ended)["findings"] == text


def test_the_scan_is_that_of_the_digest(world: World) -> None:
    """The tag may name another image by then."""
    world()
    (asked,) = world.registry.scans
    assert asked.digest == IMAGE.digest


def test_who_may_pull_but_not_see_scans_is_told_the_rest(world: World) -> None:
    world.registry.scan = AuthenticationError("AWS refused: AccessDeniedException")
    ended = world("--format", "json")
    assert ended.code == 0
    found = json.loads(ended.stdout)
    assert (found["digest"], found["findings"]) == (str(IMAGE.digest), None)
    assert "AWS refused: AccessDeniedException" in ended.stderr


def test_a_scan_that_fails_is_no_scan_without_findings(world: World) -> None:
    world.registry.scan = ServiceError("AWS failed")
    ended = world("--format", "json")
    assert (ended.code, ended.stdout) == (5, "")


def test_nothing_is_made_up(world: World) -> None:
    bare = replace(IMAGE, platforms=(), created=None, labels={})
    world.registry.put(REPOSITORY, bare, ["1"])
    ended = world("--format", "json")
    found = json.loads(ended.stdout)
    assert (found["platforms"], found["created"], found["labels"]) == ([], None, {})
    assert told(ended)["labels"] == "none"


@pytest.mark.parametrize("reference", [PINNED, f"{REPOSITORY}@{IMAGE.digest}"])
def test_an_image_may_be_named_by_its_digest(world: World, reference: str) -> None:
    ended = world(image=reference)
    assert (ended.code, ended.stdout) == (0, f"{reference}\n")


def test_a_label_s_text_stays_text(world: World) -> None:
    """A terminal would obey it, and a second line would be another result."""
    evil = replace(IMAGE, labels={"x": "\x1b[2J\nr.example.com/evil:1\u202e"})
    world.registry.put(REPOSITORY, evil, ["1"])
    ended = world("--format", "json")
    (line,) = ended.stdout.splitlines()
    assert json.loads(line)["labels"] == dict(evil.labels)
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "\u202e" not in ended.stdout + ended.stderr


def test_an_image_that_is_not_there_is_the_request_s_mistake(world: World) -> None:
    ended = world(image=f"{REPOSITORY}:2")
    assert (ended.code, ended.stdout) == (2, "")
    assert f"expected the image {REPOSITORY}:2, found nothing" in ended.stderr


@pytest.mark.parametrize(
    ("failure", "code"), [(AuthenticationError("refused"), 3), (ServiceError("down"), 5)]
)
def test_a_registry_that_cannot_be_asked_says_nothing(
    world: World, failure: GitopsReleaseError, code: int
) -> None:
    world.registry.failure = failure
    ended = world()
    assert (ended.code, ended.stdout) == (code, "")


@pytest.mark.parametrize("text", ["web", "r.example.com/acme/web", "r.example.com/acme/web:"])
def test_a_name_that_is_none_is_refused_by_its_option(world: World, text: str) -> None:
    ended = world(image=text)
    assert ended.code == 2
    assert ended.stderr.startswith("error: --image: expected")
    assert world.registry.asked == []
