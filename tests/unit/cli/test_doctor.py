from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

from gitops_release.cli.manifest_repositories import Forge
from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import (
    AuthenticationError,
    GitopsReleaseError,
    MachineError,
    ServiceError,
)
from tests.fakes import FakeEngine, FakeManifestRepository, FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gitops_release.core.image import Repository
    from tests.unit.system.command_line import CommandLine, Ended

END: Final = dt.datetime(2026, 1, 2, 15, 4, 5, tzinfo=dt.timezone.utc)
ECR: Final = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE: Final = ("--registry", "r.example.com/acme", "--image", "web")
AT_ECR: Final = ("--registry", ECR, "--image", "web")
MANIFESTS: Final = ("--manifest-repository", "acme/manifests")
REFUSED: Final = AuthenticationError("refused", hint="check the password")


@dataclass
class Hosted(FakeRegistry):
    """A registry as the table of kinds gives it; ``denied`` is why nothing can be pushed."""

    denied: GitopsReleaseError | None = None
    pushes: list[Repository] = field(default_factory=list)

    @property
    def contents(self) -> Hosted:
        return self

    @property
    def session(self) -> Hosted:
        return self

    def identity(self) -> str:
        return "the variables"

    def credentials(self) -> Credentials | None:
        self.check(self.login)
        return self.login

    def may_push(self, repository: Repository) -> None:
        self.pushes.append(repository)
        if self.denied is not None:
            raise self.denied


@dataclass
class World:
    """The command with nothing real; ``unopened`` is why the registry cannot be opened."""

    command_line: CommandLine
    registry: Hosted = field(default_factory=lambda: Hosted(login=Credentials("ci", Secret("s"))))
    manifests: FakeManifestRepository = field(default_factory=FakeManifestRepository)
    unopened: GitopsReleaseError | None = None

    def __post_init__(self) -> None:
        self.engine = FakeEngine(self.registry)
        self.manifests.branches["main"] = "0123456789"

    def open(self, *_: object) -> Hosted:
        if self.unopened is not None:
            raise self.unopened
        return self.registry

    @contextmanager
    def open_forge(self, *_: object, **__: object) -> Iterator[Forge]:
        yield Forge(self.manifests, None)

    def __call__(self, *arguments: str) -> Ended:
        return self.command_line("doctor", *arguments)


@pytest.fixture
def world(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    world = World(command_line)
    monkeypatch.setattr("gitops_release.registries.kinds.registry_for", world.open)
    monkeypatch.setattr("gitops_release.registries.blobs.Blobs", lambda session: session)
    monkeypatch.setattr("gitops_release.engines.docker.DockerEngine", lambda *_: world.engine)
    monkeypatch.setattr("gitops_release.cli.doctor.open_manifest_repository", world.open_forge)
    return world


def answers(ended: Ended) -> dict[str, str]:
    """Return the verdict on each question."""
    rows = (line.partition("  ") for line in ended.stderr.splitlines() if line[0] != " ")
    return {row.strip().partition(":")[0]: verdict for verdict, _, row in rows}


def test_all_is_well(world: World) -> None:
    ended = world(*IMAGE, *MANIFESTS)
    assert (ended.code, ended.stdout) == (0, "ok\n")
    assert ended.stderr.splitlines() == [
        "ok     engine: a fake engine",
        "ok     credentials (generic): the variables; user ci",
        "ok     push: r.example.com/acme/web takes a push",
        "ok     manifest repository: acme/manifests can be written, base main at 0123456",
    ]


def test_nothing_is_written(world: World) -> None:
    world(*IMAGE, *MANIFESTS)
    assert world.registry.writes == []
    assert world.engine.builds == []
    assert world.manifests.writes == []


def test_credentials_that_end_say_when(world: World) -> None:
    world.registry.login = Credentials("AWS", Secret("s"), END)
    assert "user AWS, good until 2026-01-02 15:04 UTC" in world(*IMAGE).stderr


def test_nobody_is_somebody_to_be_told_of(world: World) -> None:
    world.registry.login = None
    assert "anonymous" in world(*IMAGE).stderr


@pytest.mark.parametrize(
    ("part", "code"), [("engine", 2), ("registry", 3), ("push", 5), ("manifests", 3)]
)
def test_one_thing_that_is_wrong_keeps_no_other_from_being_looked_at(
    world: World, part: str, code: int
) -> None:
    if part == "engine":
        world.engine.missing = MachineError("no daemon", hint="start it")
    elif part == "registry":
        world.registry.failure = REFUSED
    elif part == "push":
        world.registry.denied = ServiceError("down")
    else:
        world.manifests.unwritable = AuthenticationError("read only")
    ended = world(*IMAGE, *MANIFESTS)
    assert (ended.code, ended.stdout) == (code, "1 wrong\n")
    found = answers(ended)
    assert sorted(found.values()).count("WRONG") == 1
    assert {"engine", "credentials (generic)", "manifest repository"} <= set(found)


def test_the_exit_code_is_that_of_the_first(world: World) -> None:
    world.registry.denied = ServiceError("down")
    world.manifests.unwritable = AuthenticationError("read only")
    ended = world(*IMAGE, *MANIFESTS)
    assert (ended.code, ended.stdout) == (5, "2 wrong\n")


def test_what_to_do_is_said_at_once(world: World) -> None:
    world.registry.denied = REFUSED
    lines = world(*IMAGE).stderr.splitlines()
    wrong = lines.index("WRONG  push: refused")
    assert lines[wrong + 1] == "       hint: check the password"


@pytest.mark.parametrize("error", [REFUSED, MachineError("no module boto3", hint="pip install")])
def test_a_registry_that_cannot_be_opened_is_a_finding_too(
    world: World, error: GitopsReleaseError
) -> None:
    world.unopened = error
    ended = world(*IMAGE, *MANIFESTS)
    assert (ended.code, ended.stdout) == (error.exit_code, "1 wrong\n")
    assert answers(ended) == {
        "engine": "ok",
        "credentials (generic)": "WRONG",
        "manifest repository": "ok",
    }


def test_who_is_not_let_in_is_not_asked_what_he_may(world: World) -> None:
    world.registry.failure = REFUSED
    world(*AT_ECR)
    assert world.registry.pushes == []


def test_a_repository_is_looked_for_where_it_must_be_created(world: World) -> None:
    ended = world(*AT_ECR)
    assert ended.code == 0
    assert list(answers(ended)) == ["engine", "credentials (ecr)", "repository", "push"]


def test_a_push_is_not_tried_where_there_is_no_repository(world: World) -> None:
    """The registry would answer 404, which is nobody's fault."""
    world.registry.creates_on_push = False
    ended = world(*AT_ECR)
    assert (ended.code, world.registry.pushes) == (0, [])
    assert "--create-repository" in ended.stderr
    assert world.registry.writes == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "neither --registry nor --manifest-repository"),
        (IMAGE[:2], "expected --image together with --registry"),
        (IMAGE[2:], "neither --registry nor --manifest-repository"),
        (("--registry", "acme", "--image", "web"), "--registry and --image"),
        (("--registry", "r.example.com", "--image", "Web"), "--registry and --image"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_anything_is_asked(
    world: World, arguments: tuple[str, ...], words: str
) -> None:
    ended = world(*arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ")
    assert words in ended.stderr.splitlines()[0]


def test_the_manifest_repository_alone_needs_no_engine(world: World) -> None:
    world.engine.missing = MachineError("no daemon")
    ended = world(*MANIFESTS)
    assert (ended.code, list(answers(ended))) == (0, ["manifest repository"])


def test_a_branch_that_is_not_there_is_a_finding(world: World) -> None:
    ended = world(*MANIFESTS, "--base", "staging")
    assert (ended.code, answers(ended)) == (2, {"manifest repository": "WRONG"})


def test_a_slash_after_the_registry_is_no_part_of_it(world: World) -> None:
    world("--registry", "r.example.com/acme/", "--image", "web")
    assert [str(pushed) for pushed in world.registry.pushes] == ["r.example.com/acme/web"]
