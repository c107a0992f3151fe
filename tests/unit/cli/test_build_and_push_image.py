from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gitops_release.cli.source import BuildSource
from gitops_release.core.errors import BuildError, ServiceError
from gitops_release.core.image import ImageReference, Repository
from gitops_release.core.published import Source, from_json
from tests.fakes import FakeEngine, FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gitops_release.core.publishing import Build
    from tests.unit.system.command_line import CommandLine, Ended

REPOSITORY = Repository.parse("r.example.com/acme/web")
SOURCE = BuildSource(Source(revision="a" * 40), "2026-01-02T03:04:05Z", "aaaaaaa")


@dataclass
class World:
    """The command with a registry, an engine and a checkout that are not real."""

    command_line: CommandLine
    registry: FakeRegistry
    engine: FakeEngine
    source: BuildSource = SOURCE

    def __call__(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
        return self.command_line(
            "build-and-push-image",
            *("--registry", "r.example.com/acme", "--image", "web"),
            *arguments,
            environ=environ,
        )

    @property
    def build(self) -> Build:
        (action,) = self.engine.builds
        return action.build

    @property
    def tags(self) -> tuple[str | None, ...]:
        (action,) = self.engine.builds
        return tuple(reference.tag for reference in action.references)


@pytest.fixture
def world(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    registry = FakeRegistry()
    world = World(command_line, registry, FakeEngine(registry))
    monkeypatch.setattr("gitops_release.registries.kinds.registry_for", lambda *_: registry)
    monkeypatch.setattr("gitops_release.engines.docker.DockerEngine", lambda *_, **__: world.engine)
    monkeypatch.setattr("gitops_release.cli.source.find_source", lambda *_: world.source)
    return world


def test_the_last_line_is_the_image_pinned(world: World) -> None:
    ended = world("--tag", "1")
    assert ended.code == 0
    digest = world.registry.repositories[REPOSITORY].tags["1"]
    assert ended.stdout == f"r.example.com/acme/web:1@{digest}\n"


def test_the_second_run_reports_the_same(world: World) -> None:
    first = world("--tag", "1")
    second = world("--tag", "1")
    assert second.stdout == first.stdout
    assert "is reused" in second.stderr
    assert len(world.engine.builds) == 1


def test_a_dry_run_writes_nothing_and_shows_the_same_plan(world: World, tmp_path: Path) -> None:
    dry = world("--tag", "1", "--dry-run", "--output", "image.json")
    assert dry.code == 0
    assert dry.stdout == "r.example.com/acme/web:1\n"
    assert world.engine.builds == []
    assert not (tmp_path / "image.json").exists()
    real = world("--tag", "1")
    plan = [line for line in dry.stderr.splitlines() if line.startswith("- ")]
    assert plan
    assert set(plan) <= set(real.stderr.splitlines())


def test_a_dry_run_without_a_registry_says_what_it_assumes(world: World) -> None:
    world.registry.failure = ServiceError("the registry is down")
    ended = world("--tag", "1", "--dry-run")
    assert ended.code == 0
    assert "assumed: r.example.com/acme/web:1 is not there yet" in ended.stderr
    assert world("--tag", "1").code == 5


def test_the_output_is_for_the_next_command(world: World, tmp_path: Path) -> None:
    ended = world("--tag", "1", "--tag", "latest", "--output", "out/image.json")
    file = tmp_path / "out" / "image.json"
    (image,) = from_json(file.read_text("utf-8"), origin="image.json")
    assert f"{image.reference}\n" == ended.stdout
    assert image.tags == ("1", "latest")
    assert image.source == SOURCE.source
    assert json.loads(file.read_text("utf-8"))["schema_version"] == 1


def test_the_tag_is_the_commit_by_default(world: World) -> None:
    assert world().stdout.startswith("r.example.com/acme/web:aaaaaaa@")


def test_no_commit_and_no_tag_is_a_usage_error(world: World) -> None:
    world.source = BuildSource(Source(), None, None)
    ended = world()
    assert ended.code == 2
    assert "--tag" in ended.stderr


def test_a_tag_that_is_given_twice_is_pushed_once(world: World) -> None:
    world("--tag", "1", "--tag", "latest", "--tag", "1")
    assert world.tags == ("1", "latest")


def test_options_reach_the_build_as_they_are(world: World, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Dockerfile.prod").write_text("FROM scratch\n")
    world(
        *("--tag", "1", "--build-context", "web", "--dockerfile", "web/Dockerfile.prod"),
        *("--build-arg", "A=b=c d", "--build-arg", "EMPTY=", "--label", "team=web"),
        *("--target", "prod", "--platform", "linux/amd64", "--platform", "linux/arm64"),
        *("--pull", "--no-cache"),
    )
    assert world.build.context == "web"
    assert world.build.dockerfile == "web/Dockerfile.prod"
    assert world.build.build_args == (("A", "b=c d"), ("EMPTY", ""))
    assert ("team", "web") in world.build.labels
    assert world.build.target == "prod"
    assert world.build.platforms == ("linux/amd64", "linux/arm64")
    assert (world.build.pull, world.build.no_cache) == (True, True)


def test_the_orb_s_parameters_are_the_same_options(world: World) -> None:
    ended = world(
        environ={
            "GITOPS_RELEASE_ORB_TAG": "${CIRCLE_SHA1:0:7},latest",
            "GITOPS_RELEASE_ORB_BUILD_ARG": "A=1\nB=x y",
            "GITOPS_RELEASE_ORB_NO_CACHE": "0",
            "GITOPS_RELEASE_ORB_TARGET": "",
            "CIRCLE_SHA1": "b" * 40,
        }
    )
    assert ended.code == 0
    assert world.tags == ("bbbbbbb", "latest")
    assert world.build.build_args == (("A", "1"), ("B", "x y"))
    assert not world.build.no_cache
    assert world.build.target is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tag", "feature/x"], "a tag"),
        (["--tag", "-rm"], "a tag"),
        (["--tag", "$(id)"], "--tag"),
        (["--tag", "${UNSET_VARIABLE}"], "UNSET_VARIABLE"),
        (["--tag", "1", "--build-context", "nowhere"], "a directory as --build-context"),
        (["--tag", "1", "--dockerfile", "nowhere"], "a Dockerfile at nowhere"),
        (["--tag", "1", "--build-arg", "A"], "NAME=VALUE"),
        (["--tag", "1", "--build-arg", "=x"], "NAME=VALUE"),
        (["--tag", "1", "--label", "x"], "NAME=VALUE"),
        (["--tag", "1", "--registry", "r.example.com//acme"], "no empty component"),
        (["--tag", "1", "--registry", "acme"], "HOST/PATH"),
        (["--tag", "1", "--registry", "https://r.example.com"], "registry host"),
        (["--tag", "1", "--image", "Web"], "lower-case"),
        (["--tag", "1", "--image", ""], "empty"),
    ],
)
def test_wrong_input_is_one_clear_line_and_2(
    arguments: list[str], message: str, world: World
) -> None:
    ended = world(*arguments)
    assert ended.code == 2
    assert ended.stdout == ""
    assert message in ended.stderr
    assert world.engine.builds == []


def test_a_missing_dockerfile_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").unlink()
    ended = world("--tag", "1")
    assert ended.code == 2
    assert "expected a Dockerfile at Dockerfile, found none" in ended.stderr


def test_a_build_that_fails_writes_no_file(world: World, tmp_path: Path) -> None:
    world.engine.failure = BuildError("RUN false")
    ended = world("--tag", "1", "--output", "image.json")
    assert ended.code == 7
    assert ended.stdout == ""
    assert not (tmp_path / "image.json").exists()


def test_a_tag_of_another_build_may_be_refused(world: World) -> None:
    world("--tag", "1")
    ended = world("--tag", "1", "--if-exists", "fail")
    assert ended.code == 4
    reference = ImageReference(REPOSITORY, "1")
    assert f"expected no {reference}" in ended.stderr
