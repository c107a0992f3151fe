"""``describe-image`` as a user runs it, with a real registry that wants a password."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.oci_push import CREATED, INDEX, MANIFEST, OciPush
from tests.integration.program import Ended, Program, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import Repository
    from gitops_release.core.publishing import ImageDescription
    from tests.standins.registry import Registry

PLATFORMS: Final = ("linux/amd64", "linux/arm64")
LABELS: Final = {"org.opencontainers.image.revision": "a" * 40, "team": "web & co \u2713"}


@dataclass(frozen=True)
class World:
    program: Program
    repository: Repository
    login: Credentials

    def push(self, *platforms: str) -> ImageDescription:
        return OciPush(self.repository, self.login).image(["1.0"], LABELS, platforms)

    def describe(self, *arguments: str, name: str = ":1.0", **variables: str | None) -> Ended:
        program = self.program.with_variables(**variables)
        return program.run("describe-image", "--image", f"{self.repository}{name}", *arguments)


@pytest.fixture
def world(tmp_path: Path, image_repository: Repository, login: Credentials) -> World:
    program = Program.at_home(tmp_path, tmp_path).with_variables(
        DOCKER_LOGIN=login.username, DOCKER_PASSWORD=login.password.reveal()
    )
    return World(program, image_repository, login)


def test_text_is_the_image_pinned_and_the_facts_for_people(world: World) -> None:
    pushed = world.push("linux/amd64")

    run = world.describe()

    assert run.result == f"{world.repository}:1.0@{pushed.digest}"
    rows = dict(line.split(": ", 1) for line in run.stderr.splitlines())
    assert rows["digest"].strip() == str(pushed.digest)
    assert rows["platforms"].strip() == "linux/amd64"
    assert rows["created"].strip() == CREATED
    assert "team=web & co \u2713" in rows["labels"]


@pytest.mark.parametrize(
    ("platforms", "media_type"), [(PLATFORMS[:1], MANIFEST), (PLATFORMS, INDEX)]
)
def test_json_is_one_line_with_all_facts(
    world: World, platforms: tuple[str, ...], media_type: str
) -> None:
    pushed = world.push(*platforms)
    found = json.loads(world.describe("--format", "json").result)
    assert found == {
        "reference": f"{world.repository}:1.0@{pushed.digest}",
        "digest": str(pushed.digest),
        "media_type": media_type,
        "size": pushed.size,
        "platforms": list(platforms),
        "created": CREATED,
        "labels": LABELS,
        "findings": None,
        "properties": {},
    }


def test_an_image_may_be_named_by_its_digest(world: World) -> None:
    pushed = world.push("linux/amd64")
    name = f"@{pushed.digest}"
    assert world.describe(name=name).result == f"{world.repository}{name}"


def test_nothing_is_written_anywhere(world: World, registry: Registry, tmp_path: Path) -> None:
    world.push(*PLATFORMS)
    before = snapshot(registry.storage, tmp_path)
    assert world.describe("--format", "json").exit_code == 0
    assert snapshot(registry.storage, tmp_path) == before


@pytest.mark.parametrize("name", [":nope", f"@sha256:{'0' * 64}"])
def test_a_missing_image_is_the_request_s_mistake(world: World, name: str) -> None:
    world.push("linux/amd64")
    run = world.describe(name=name)
    run.assert_refused(2, f"expected the image {world.repository}{name}, found nothing")


def test_a_missing_repository_is_a_missing_image(world: World) -> None:
    world.describe().assert_refused(2, "found nothing")


def test_a_wrong_password_is_refused(world: World) -> None:
    world.push("linux/amd64")
    run = world.describe(DOCKER_PASSWORD="wr0ng-password")
    run.assert_refused(3, "refused the user name or password")
    assert "wr0ng-password" not in run.stderr


def test_nobody_is_refused(world: World) -> None:
    run = world.describe(DOCKER_LOGIN=None, DOCKER_PASSWORD=None)
    run.assert_refused(3, "wants a user name and a password, found none")
    assert "DOCKER_LOGIN" in run.stderr
