"""Real parts that tests share: each is started once, when a test first asks for it.

A part that is missing is an error of every test that needs it, never a skip.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING, Final

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.image import Repository
from tests.standins.dockerd import DockerClient, DockerDaemon, clients
from tests.standins.registry import Registry
from tools import debian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytest.register_assert_rewrite(
    "tests.contract.engine_contract",
    "tests.contract.manifest_repository_contract",
    "tests.contract.pull_requests_contract",
    "tests.contract.registry_contract",
)

WITH_BUILDX: Final = "with-buildx"
WITHOUT_BUILDX: Final = "without-buildx"
OUR_IMAGE: Final = re.compile(r"127\.0\.0\.1:[0-9]+/team/[0-9a-f]{32}:")
# Where buildx is installed for all users, this is a client that does not find it.
BLIND_CLIENT: Final = """\
#!/bin/sh
if [ "$1" = buildx ]; then
    echo "docker: 'buildx' is not a docker command." >&2
    exit 1
fi
DOCKER_BUILDKIT=0 exec /usr/bin/docker "$@"
"""


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerDaemon]:
    with DockerDaemon.running(tmp_path_factory.mktemp("dockerd")) as running:
        yield running
        if running.bridge is None:
            _remove_images(running.host)


def _remove_images(host: str) -> None:
    """Take the names of these tests' images off a daemon that lives on."""
    docker = ("docker", "--host", host, "image")
    listed = subprocess.run(
        [*docker, "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    rows = [line.split() for line in listed if OUR_IMAGE.match(line)]
    ours = [image if name.endswith(":<none>") else name for name, image in rows]
    if ours:
        # An image that others are built upon only loses its name.
        subprocess.run([*docker, "rm", "--force", *ours], check=False, capture_output=True)


@pytest.fixture(scope="session")
def login() -> Credentials:
    """Return what the registry accepts; the password looks like nothing else in any output."""
    return Credentials("ci", Secret("c4nary/of+the=registry"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, login: Credentials) -> Iterator[Registry]:
    users = {login.username: login.password.reveal()}
    with Registry.running(tmp_path_factory.mktemp("registry"), users=users) as running:
        yield running


@pytest.fixture(scope="session")
def docker_clients(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, DockerClient]:
    """Return Docker's client without buildx and with it, by name."""
    directory = tmp_path_factory.mktemp("clients")
    found = {client.name: client for client in clients(directory)}
    if WITHOUT_BUILDX not in found:
        plain = found[WITH_BUILDX]
        program = directory / WITHOUT_BUILDX / "bin" / "docker"
        program.unlink()
        program.write_text(BLIND_CLIENT)
        program.chmod(0o755)
        config = directory / WITHOUT_BUILDX / "config"
        found[WITHOUT_BUILDX] = DockerClient(WITHOUT_BUILDX, program, config)
        assert not found[WITHOUT_BUILDX].has_buildx, plain
    return found


@pytest.fixture(params=[WITHOUT_BUILDX, WITH_BUILDX])
def docker_client(
    request: pytest.FixtureRequest, docker_clients: Mapping[str, DockerClient]
) -> DockerClient:
    name: str = request.param
    return docker_clients[name]


@pytest.fixture
def image_repository(registry: Registry) -> Repository:
    """Return a repository of the registry that no other test uses."""
    return Repository(registry.host, f"team/{uuid.uuid4().hex}")


@pytest.fixture
def build_context(tmp_path: Path) -> Path:
    """Return a directory with a busybox to build images from: nothing is pulled."""
    context = tmp_path / "context"
    context.mkdir()
    shutil.copy(debian.which("busybox") or "busybox", context / "busybox")
    return context
