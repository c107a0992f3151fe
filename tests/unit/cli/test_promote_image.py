from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError, GitopsReleaseError, ServiceError
from gitops_release.core.image import ImageReference, Repository
from gitops_release.core.published import from_json
from tests.fakes import FakeRegistry, image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gitops_release.registries.connection import Connection
    from tests.unit.system.command_line import CommandLine, Ended

FROM: Final = "from.example.com"
TO: Final = "to.example.com"
SOURCE: Final = f"{FROM}/team/app:1"
TARGET: Final = f"{TO}/prod/app:1.0"
IMAGE: Final = image("the release")
OTHER: Final = image("something else")
PINNED: Final = f"{TARGET}@{IMAGE.digest}"
LOGIN: Final = {"DOCKER_LOGIN": "to-user", "DOCKER_PASSWORD": "c4nary-of-the-target"}
THERE: Final = {"FROM_USER": "from-user", "FROM_PASSWORD": "c4nary-of-the-source"}
NAMED: Final = ("--source-username-env", "FROM_USER", "--source-password-env", "FROM_PASSWORD")


class Hosted(FakeRegistry):
    """A registry as the table of kinds gives it."""

    @property
    def contents(self) -> FakeRegistry:
        return self


@dataclass
class World:
    """The command with registries that are not real, by their hosts."""

    command_line: CommandLine
    registries: dict[str, Hosted] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)

    def registry(self, host: str) -> Hosted:
        return self.registries.setdefault(host, Hosted())

    def open(self, host: str, connection: Connection) -> Hosted:
        assert host not in self.connections, "a registry is opened once"
        self.connections[host] = connection
        return self.registry(host)

    def copier(self, source: FakeRegistry, target: FakeRegistry, *_: object, **__: object) -> Any:  # noqa: ANN401
        return Copier(source, target)

    def __call__(
        self,
        *arguments: str,
        source: str = SOURCE,
        target: str = TARGET,
        environ: Mapping[str, str] | None = None,
    ) -> Ended:
        self.connections.clear()
        return self.command_line(
            "promote-image", "--source", source, "--target", target, *arguments, environ=environ
        )

    def credentials(self, host: str) -> Credentials | None:
        return self.connections[host].credentials()

    @property
    def promoted(self) -> dict[str, object]:
        images = self.registry(TO).repositories.get(Repository(TO, "prod/app"))
        return {} if images is None else dict(images.tags)


@dataclass
class Copier:
    source: FakeRegistry
    target: FakeRegistry

    def copy(self, source: ImageReference, target: ImageReference) -> None:
        found = self.source.describe(source)
        assert found is not None
        assert target.tag is not None
        self.target.put(target.repository, found, [target.tag])


@pytest.fixture
def world(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    world = World(command_line)
    world.registry(FROM).put(Repository(FROM, "team/app"), IMAGE, ["1"])
    monkeypatch.setattr("gitops_release.registries.kinds.registry_for", world.open)
    monkeypatch.setattr("gitops_release.registries.copying.ImageCopier", world.copier)
    return world


def test_the_last_line_is_the_target_pinned(world: World) -> None:
    ended = world()
    assert (ended.code, ended.stdout) == (0, f"{PINNED}\n")
    assert world.promoted == {"1.0": IMAGE.digest}


def test_the_second_run_copies_nothing_and_reports_the_same(world: World) -> None:
    first = world()
    second = world()
    assert second.stdout == first.stdout
    assert "nothing to do" in second.stderr
    assert "==>" not in second.stderr


def test_image_json_is_what_create_release_pr_reads(world: World, tmp_path: Path) -> None:
    assert world("--output", "images/app.json").code == 0
    text = (tmp_path / "images" / "app.json").read_text("utf-8")
    (found,) = from_json(text, origin="app.json")
    assert str(found.reference) == PINNED
    assert json.loads(text)["images"][0]["reused"] is False


def test_a_dry_run_writes_nothing_and_shows_the_same_plan(world: World, tmp_path: Path) -> None:
    dry = world("--dry-run", "--output", "images/app.json")
    assert (dry.code, dry.stdout) == (0, f"{TARGET}\n")
    assert world.promoted == {}
    assert list(tmp_path.iterdir()) == []
    plan = [line for line in dry.stderr.splitlines() if line.startswith("- ")]
    assert plan
    assert set(plan) <= set(world().stderr.splitlines())


@pytest.mark.parametrize("failure", [AuthenticationError("no password"), ServiceError("down")])
def test_a_dry_run_ends_well_without_credentials(world: World, failure: GitopsReleaseError) -> None:
    world.registry(TO).failure = failure
    ended = world("--dry-run")
    assert ended.code == 0
    assert f"assumed: {TARGET} is not there yet ({failure.message})" in ended.stderr


@pytest.mark.parametrize(
    ("host", "failure", "code"),
    [
        (FROM, AuthenticationError("no password"), 3),
        (TO, AuthenticationError("no password"), 3),
        (FROM, ServiceError("down"), 5),
        (TO, ServiceError("down"), 5),
    ],
)
def test_a_registry_that_cannot_be_asked_ends_a_run(
    world: World, host: str, failure: GitopsReleaseError, code: int
) -> None:
    world.registry(host).failure = failure
    ended = world()
    assert (ended.code, ended.stdout) == (code, "")


def test_a_missing_source_is_the_request_s_mistake(world: World) -> None:
    ended = world(source=f"{FROM}/team/app:2")
    assert (ended.code, ended.stdout) == (2, "")
    assert f"expected the image {FROM}/team/app:2, found nothing" in ended.stderr


@pytest.mark.parametrize(("option", "code"), [((), 0), (("--if-exists", "fail"), 4)])
def test_a_tag_of_another_image_moves_or_not(
    world: World, option: tuple[str, ...], code: int
) -> None:
    world.registry(TO).put(Repository(TO, "prod/app"), OTHER, ["1.0"])
    ended = world(*option)
    assert ended.code == code
    assert str(OTHER.digest) in ended.stderr
    assert world.promoted == {"1.0": OTHER.digest if code else IMAGE.digest}


@pytest.mark.parametrize(
    ("source", "target", "option"),
    [
        ("app:1", TARGET, "--source"),
        (f"{FROM}/team/app", TARGET, "--source"),
        (SOURCE, f"{TO}/prod/app", "--target"),
        (SOURCE, f"{TO}/prod/app@{IMAGE.digest}", "--target"),
        (SOURCE, f"{TO}/prod/app:1@{IMAGE.digest}", "--target"),
        (SOURCE, f"https://{TO}/prod/app:1", "--target"),
    ],
)
def test_a_name_that_is_none_is_refused_by_its_option(
    world: World, source: str, target: str, option: str
) -> None:
    ended = world(source=source, target=target)
    assert ended.code == 2
    assert ended.stderr.startswith(f"error: {option}: expected")
    assert world.connections == {}


def test_a_source_by_digest_needs_no_tag(world: World) -> None:
    ended = world(source=f"{FROM}/team/app@{IMAGE.digest}")
    assert (ended.code, ended.stdout) == (0, f"{PINNED}\n")


def test_an_output_that_cannot_be_written_copies_nothing(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert world("--output", "file/app.json").code == 2
    assert world.promoted == {}


# Two registries, two passwords


def test_the_target_s_password_is_not_offered_to_the_source(world: World) -> None:
    world(environ=LOGIN)
    assert world.credentials(TO) == Credentials("to-user", Secret("c4nary-of-the-target"))
    assert world.credentials(FROM) is None
    identities = world.connections[FROM].identities
    assert identities is not None
    assert identities.password() is None


def test_each_registry_has_its_own_password(world: World) -> None:
    world(*NAMED, environ={**LOGIN, **THERE})
    source = Credentials("from-user", Secret("c4nary-of-the-source"))
    assert world.credentials(FROM) == source
    assert world.credentials(TO) == Credentials("to-user", Secret("c4nary-of-the-target"))
    identities = world.connections[FROM].identities
    assert identities is not None
    assert identities.password() == source  # an admin user of ACR


def test_the_source_s_password_is_not_offered_to_the_target(world: World) -> None:
    world(*NAMED, environ=THERE)
    assert world.credentials(TO) is None


def test_one_registry_is_one_login(world: World) -> None:
    target = f"{FROM}/prod/app:1"
    assert world(*NAMED, target=target, environ={**LOGIN, **THERE}).code == 0
    assert set(world.connections) == {FROM}
    assert world.credentials(FROM) == Credentials("to-user", Secret("c4nary-of-the-target"))


@pytest.mark.parametrize(("given", "missing"), [(NAMED[:2], NAMED[2]), (NAMED[2:], NAMED[0])])
def test_half_of_the_source_s_login_is_refused_by_the_other_half_s_option(
    world: World, given: tuple[str, ...], missing: str
) -> None:
    ended = world(*given, environ={**LOGIN, **THERE})
    assert ended.code == 2
    assert missing in ended.stderr
    assert given[0] in ended.stderr
    assert world.promoted == {}


def test_both_passwords_are_masked(world: World) -> None:
    """Their variables are not called like secrets."""
    arguments = ("--source-username-env", "A", "--source-password-env", "B")
    target = ("--registry-username-env", "C", "--registry-password-env", "D")
    environ = {"A": "x", "B": "c4nary-of-the-source", "C": "x", "D": "c4nary-of-the-target"}
    world.registry(FROM).failure = ServiceError("c4nary-of-the-source, c4nary-of-the-target")
    world(*arguments, *target, environ=environ)
    for host in (FROM, TO):
        world.credentials(host)
    redactor = world.connections[FROM].redactor
    assert redactor.redact("c4nary-of-the-source c4nary-of-the-target") == "*** ***"
