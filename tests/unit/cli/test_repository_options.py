from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
import pytest

from gitops_release.cli.build_and_push_image import build_and_push_image
from gitops_release.core.publishing import AddTags, CreateRepository
from gitops_release.core.repository_settings import RepositorySettings
from tests.fakes import FakeEngine, FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.system.command_line import CommandLine, Ended

# One value for each option of a new repository.
VALUES: Final = {
    "--repository-immutable-tags": (),
    "--repository-mutable-tag-filter": ("latest*",),
    "--repository-scan-on-push": ("off",),
    "--repository-kms-key": ("alias/images",),
    "--repository-tag": ("team=web",),
    "--repository-lifecycle-policy": ("policy.json",),
    "--repository-access-policy": ("policy.json",),
}
OPTIONS: Final = [(name, *value) for name, value in VALUES.items()]


class World:
    """``build-and-push-image`` with a registry in which repositories must be created."""

    def __init__(self, command_line: CommandLine) -> None:
        self.command_line = command_line
        self.registry = FakeRegistry(creates_on_push=False)
        self.engine = FakeEngine(self.registry)

    def __call__(self, *arguments: str) -> Ended:
        return self.command_line(
            "build-and-push-image",
            *("--registry", "r.example.com/acme", "--image", "web", "--tag", "1"),
            *arguments,
        )

    @property
    def settings(self) -> RepositorySettings:
        creates = [write for write in self.registry.writes if not isinstance(write, AddTags)]
        (create,) = creates
        assert isinstance(create, CreateRepository)
        return create.settings


@pytest.fixture
def world(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "policy.json").write_text('{"rules": "é"}\n', "utf-8")
    world = World(command_line)
    monkeypatch.setattr("gitops_release.registries.kinds.registry_for", lambda *_: world.registry)
    monkeypatch.setattr("gitops_release.engines.docker.DockerEngine", lambda *_, **__: world.engine)
    monkeypatch.setattr("gitops_release.cli.source.look_at_checkout", lambda *_: None)
    return world


def test_every_option_of_a_new_repository_is_tried_here() -> None:
    names = {name for parameter in build_and_push_image.params for name in parameter.opts}
    assert {name for name in names if name.startswith("--repository-")} == set(VALUES)


def test_nothing_is_created_unasked(world: World) -> None:
    assert world().code != 0
    assert world.registry.writes == []


def test_a_repository_is_created_with_the_registry_s_own_settings(world: World) -> None:
    assert world("--create-repository").code == 0
    assert world.settings == RepositorySettings()


def test_a_repository_is_created_as_told(world: World) -> None:
    ended = world(
        "--create-repository",
        *(word for option in OPTIONS for word in option),
        *("--repository-tag", "empty=", "--repository-tag", "two=a=b"),
        *("--repository-mutable-tag-filter", "dev-*"),
    )
    assert ended.code == 0
    assert world.settings == RepositorySettings(
        immutable_tags=True,
        mutable_tag_filters=("latest*", "dev-*"),
        scan_on_push=False,
        kms_key="alias/images",
        tags=(("team", "web"), ("empty", ""), ("two", "a=b")),
        lifecycle_policy='{"rules": "é"}\n',
        access_policy='{"rules": "é"}\n',
    )


@pytest.mark.parametrize(("text", "scan"), [("on", True), ("off", False)])
def test_scanning_is_on_or_off(world: World, text: str, scan: bool) -> None:  # noqa: FBT001 - what is expected
    world("--create-repository", "--repository-scan-on-push", text)
    assert world.settings.scan_on_push is scan


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option[0])
def test_a_setting_of_a_repository_that_nobody_creates_is_refused(
    world: World, option: tuple[str, ...]
) -> None:
    ended = world(*option)
    assert ended.code == 2
    assert ended.stderr.splitlines()[0] == (
        f"error: expected --create-repository together with {option[0]}, found it left out"
    )
    assert world.registry.asked == []
    assert world.engine.builds == []


@pytest.mark.parametrize("text", ["team", "=web", ""])
def test_a_resource_tag_has_a_name_and_a_value(world: World, text: str) -> None:
    ended = world("--create-repository", "--repository-tag", text)
    assert ended.code == 2
    assert "--repository-tag" in ended.stderr
    assert world.registry.writes == []


@pytest.mark.parametrize("option", ["--repository-lifecycle-policy", "--repository-access-policy"])
@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not UTF-8"])
def test_a_policy_that_cannot_be_read_is_refused_by_its_option(
    world: World, tmp_path: Path, option: str, content: bytes | None
) -> None:
    path = tmp_path / "other.json"
    if content is not None:
        path.write_bytes(content)
    ended = world("--create-repository", option, "other.json")
    assert ended.code == 2
    assert option in ended.stderr
    assert "other.json" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert world.registry.writes == []


def test_every_file_is_a_path_that_is_checked_at_once() -> None:
    files = [p for p in build_and_push_image.params if (p.name or "").endswith("_policy")]
    assert files
    assert all(isinstance(p.type, click.Path) and p.type.exists for p in files)
