"""``doctor`` as a user runs it: everything is looked at, and nothing is written anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gitops_release.core.image import Repository
from tests.contract.git_behind import PERSON
from tests.integration.program import Ended, Program, forms, snapshot
from tests.standins.github.store import run_git

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gitops_release.core.credentials import Credentials
    from tests.standins.dockerd import DockerClient, DockerDaemon
    from tests.standins.registry import Registry


@dataclass(frozen=True)
class World:
    program: Program
    repository: Repository
    manifests: Path
    login: Credentials

    def doctor(self, *arguments: str | Path, **variables: str | None) -> Ended:
        prefix, _, name = str(self.repository).rpartition("/")
        return self.program.with_variables(**variables).run(
            *("doctor", "--registry", prefix, "--image", name),
            *("--manifest-repository", self.manifests),
            *arguments,
        )


@pytest.fixture
def world(
    tmp_path: Path,
    docker_clients: Mapping[str, DockerClient],
    daemon: DockerDaemon,
    login: Credentials,
    image_repository: Repository,
) -> World:
    program = Program.at_home(tmp_path, tmp_path)
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "app.yaml").write_text("kind: List\n")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "."),
        ("commit", "--quiet", "--message=Start"),
    ):
        run_git("-C", str(manifests), *command, environment=PERSON)
    variables = {
        **docker_clients["without-buildx"].environment(program.environ),
        "DOCKER_HOST": daemon.host,
        "DOCKER_LOGIN": login.username,
        "DOCKER_PASSWORD": login.password.reveal(),
    }
    return World(program.with_variables(**variables), image_repository, manifests, login)


def verdicts(run: Ended) -> dict[str, str]:
    """Return what was found on each question."""
    rows = (line.partition("  ") for line in run.stderr.splitlines() if line[:1].strip())
    return {row.strip().partition(":")[0]: verdict for verdict, _, row in rows}


def test_all_is_well(world: World) -> None:
    run = world.doctor()
    assert run.result == "ok"
    assert verdicts(run) == dict.fromkeys(
        ["engine", "credentials (generic)", "push", "manifest repository"], "ok"
    )
    assert f"user {world.login.username}" in run.stderr
    assert "base main at " in run.stderr
    assert not any(form in run.stdout + run.stderr for form in forms(world.login))


def test_nothing_is_written_anywhere(world: World, registry: Registry, tmp_path: Path) -> None:
    places = (registry.storage, world.manifests, tmp_path / "home", tmp_path / "tmp")
    before = snapshot(*places)
    assert world.doctor().exit_code == 0
    left = [path for path, content in snapshot(*places).items() if before.get(path) != content]
    # Of an upload that was given up, distribution leaves an empty hash state behind.
    assert [path for path in left if "/_uploads/" not in path or "/hashstates/" not in path] == []
    assert list(before) == [path for path in snapshot(*places) if path not in left]


def test_a_wrong_password_hides_nothing_else(world: World) -> None:
    run = world.doctor(DOCKER_PASSWORD="wr0ng-password")
    assert (run.exit_code, run.stdout) == (3, "1 wrong\n")
    assert verdicts(run) == {
        "engine": "ok",
        "credentials (generic)": "ok",  # there are some
        "push": "WRONG",
        "manifest repository": "ok",
    }
    assert "refused the user name or password" in run.stderr
    assert "wr0ng-password" not in run.stderr


def test_half_of_a_login_is_wrong_before_anybody_is_asked(world: World) -> None:
    run = world.doctor(DOCKER_PASSWORD=None)
    assert (run.exit_code, run.stdout) == (3, "1 wrong\n")
    assert verdicts(run) == {
        "engine": "ok",
        "credentials (generic)": "WRONG",
        "manifest repository": "ok",
    }
    assert "found DOCKER_PASSWORD unset" in run.stderr


def test_no_daemon_hides_nothing_else(world: World) -> None:
    run = world.doctor(DOCKER_HOST="tcp://127.0.0.1:1")
    assert (run.exit_code, run.stdout) == (2, "1 wrong\n")
    assert verdicts(run)["engine"] == "WRONG"
    assert set(verdicts(run).values()) == {"WRONG", "ok"}


def test_a_directory_that_is_no_repository_is_wrong(world: World, tmp_path: Path) -> None:
    run = world.doctor("--manifest-repository", tmp_path / "home")
    assert run.stdout == "1 wrong\n"
    assert run.exit_code == 2
    assert verdicts(run)["manifest repository"] == "WRONG"
    assert "Traceback" not in run.stderr


def test_a_branch_that_is_not_there_is_wrong(world: World) -> None:
    run = world.doctor("--base", "staging")
    assert (run.exit_code, run.stdout) == (2, "1 wrong\n")
    assert "staging" in run.stderr


def test_a_cloud_s_registry_without_an_identity_is_wrong_and_hides_nothing_else(
    world: World,
) -> None:
    """Nothing is asked of Azure: there is nobody to ask as."""
    world = World(
        world.program, Repository("acme0.azurecr.io", "app"), world.manifests, world.login
    )
    run = world.doctor()
    assert (run.exit_code, run.stdout) == (3, "1 wrong\n")
    assert verdicts(run) == {
        "engine": "ok",
        "credentials (acr)": "WRONG",
        "manifest repository": "ok",
    }
    assert "--azure-client-id" in run.stderr
