"""Every engine keeps the contract: the fake, and docker with buildx and without."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import BuildError, MachineError
from gitops_release.core.image import Repository
from gitops_release.core.publishing import Build
from gitops_release.engines.docker import DockerEngine
from gitops_release.registries.connection import Connection
from gitops_release.registries.kinds import registry_for
from gitops_release.system.http import HttpClient
from gitops_release.system.processes import Processes
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy
from tests.contract.engine_contract import (
    SCRATCH,
    DockerfileContract,
    EngineContract,
    found,
    push,
)
from tests.fakes import FakeEngine, FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from gitops_release.core.ports import Engine, Registry
    from tests.standins.dockerd import DockerClient, DockerDaemon

BUILD = Build(context="app", dockerfile="app/Dockerfile")


@dataclass
class FakeWorld:
    registry: FakeRegistry
    engine: FakeEngine
    login: Credentials
    repository: Repository

    def build(self, **options: Any) -> Build:  # noqa: ANN401 - the fields of `Build`
        return replace(BUILD, **options)

    def failing_build(self) -> Build:
        self.engine.failure = BuildError("the build failed")
        return BUILD


class TestFakeEngine(EngineContract):
    @pytest.fixture
    def world(self) -> FakeWorld:
        login = Credentials("ci", Secret("registry-password"))
        registry = FakeRegistry(users={"ci": "registry-password"}, login=login)
        repository = Repository("registry.example.com", "team/app")
        return FakeWorld(registry, FakeEngine(registry), login, repository)


@dataclass
class DockerWorld:
    processes: Processes
    engine: Engine
    registry: Registry
    login: Credentials
    repository: Repository
    context: Path
    user_config: Path
    shown: list[str] = field(default_factory=list)

    def build(self, **options: Any) -> Build:  # noqa: ANN401 - the fields of `Build`
        return self.dockerfile(SCRATCH, **options)

    def failing_build(self) -> Build:
        return self.dockerfile(f"{SCRATCH}COPY not-there /\n")

    def dockerfile(self, text: str, **options: Any) -> Build:  # noqa: ANN401 - the fields of `Build`
        file = self.context / "Dockerfile"
        file.write_text(text)
        return replace(Build(context=str(self.context), dockerfile=str(file)), **options)

    def containers(self) -> set[str]:
        listed = self.processes.run(["docker", "ps", "--all", "--quiet"])
        assert listed.returncode == 0, listed.message
        return set(listed.stdout.decode().split())


class TestDocker(DockerfileContract):
    @pytest.fixture
    def world(
        self,
        docker_client: DockerClient,
        daemon: DockerDaemon,
        login: Credentials,
        image_repository: Repository,
        build_context: Path,
        tmp_path: Path,
    ) -> DockerWorld:
        user_config = tmp_path / "docker-config"
        shutil.copytree(docker_client.config_directory, user_config, symlinks=True)
        environ = {
            **docker_client.environment(),
            "DOCKER_CONFIG": str(user_config),
            "DOCKER_HOST": daemon.host,
        }
        shown: list[str] = []
        retry = RetryPolicy(shown.append, attempts=2, first_wait=0.001)
        connection = Connection(HttpClient(retry, user_agent="test"), Redactor(), lambda: login)
        processes = Processes(environ)
        return DockerWorld(
            processes=processes,
            engine=DockerEngine(processes, retry, shown.append, timeout=60),
            registry=registry_for(image_repository.host, connection),
            login=login,
            repository=image_repository,
            context=build_context,
            user_config=user_config,
            shown=shown,
        )

    def test_the_description_says_whether_buildx_is_there(
        self, world: DockerWorld, docker_client: DockerClient
    ) -> None:
        said = world.engine.describe()

        assert said.startswith("docker ")
        assert ("no buildx" in said) is not docker_client.has_buildx

    def test_other_platforms_need_buildx(
        self, world: DockerWorld, docker_client: DockerClient
    ) -> None:
        build = world.build(platforms=("linux/amd64",))

        if docker_client.has_buildx:
            push(world, build)
            assert found(world, "1.0") is not None
        else:
            with pytest.raises(MachineError, match="found a docker client without it"):
                push(world, build)
            assert world.shown == []

    def test_a_daemon_that_does_not_answer_is_an_error_of_this_machine(
        self, docker_client: DockerClient, tmp_path: Path
    ) -> None:
        environ = {**docker_client.environment(), "DOCKER_HOST": f"unix://{tmp_path}/none"}
        engine = DockerEngine(Processes(environ), RetryPolicy(print), print, timeout=60)

        with pytest.raises(MachineError, match="expected a docker daemon, found none"):
            engine.describe()


def test_a_machine_without_docker_is_told_to_install_it(tmp_path: Path) -> None:
    engine = DockerEngine(
        Processes({"PATH": str(tmp_path), "HOME": str(tmp_path)}),
        RetryPolicy(print),
        print,
        timeout=60,
    )

    with pytest.raises(MachineError, match="expected the program docker on PATH") as missing:
        engine.describe()

    assert missing.value.hint == "install docker"
