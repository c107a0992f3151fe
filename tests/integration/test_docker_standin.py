"""The daemon, the clients and the registry that other integration tests build on are real."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.standins import processes
from tests.standins.dockerd import DockerClient, DockerDaemon, clients
from tests.standins.registry import Registry
from tools import debian

if TYPE_CHECKING:
    from gitops_release.core.credentials import Credentials

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKERFILE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "echo built > /release"]
CMD ["/bin/busybox", "cat", "/release"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    shutil.copy(debian.which("busybox") or "busybox", directory / "busybox")
    (directory / "Dockerfile").write_text(DOCKERFILE)
    return directory


def docker(
    client: DockerClient, daemon: DockerDaemon, *arguments: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run docker as the product does: without a terminal to ask questions on."""
    return subprocess.run(
        ["docker", *arguments],
        env={**client.environment(), "DOCKER_HOST": daemon.host, **variables},
        check=False,
        capture_output=True,
        text=True,
        input="",
        timeout=120,
    )


def log_in(
    client: DockerClient, daemon: DockerDaemon, host: str, password: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "login", "--username", "ci", "--password-stdin", host],
        env={**client.environment(), "DOCKER_HOST": daemon.host},
        check=False,
        capture_output=True,
        text=True,
        input=password,
        timeout=60,
    )


def test_there_is_a_client_with_buildx_and_every_client_knows_what_it_has(tmp_path: Path) -> None:
    variants = clients(tmp_path)

    assert variants[-1].has_buildx
    for client in variants:
        answer = subprocess.run(
            ["docker", "buildx", "version"],
            env=client.environment(),
            check=False,
            capture_output=True,
        )
        assert (answer.returncode == 0) == client.has_buildx, client.name


@pytest.mark.parametrize("buildkit", ["0", "1"])
def test_a_run_step_is_built_by_every_builder_of_every_client(
    daemon: DockerDaemon, context: Path, tmp_path: Path, buildkit: str
) -> None:
    variants = [client for client in clients(tmp_path) if client.has_buildkit or buildkit == "0"]

    assert variants
    for client in variants:
        tag = f"standin-{client.name}:{buildkit}"

        built = docker(
            client, daemon, "build", "--tag", tag, "--no-cache", context, DOCKER_BUILDKIT=buildkit
        )
        printed = docker(client, daemon, "run", "--rm", tag)

        assert built.returncode == 0, built.stderr
        assert printed.stdout == "built\n", printed.stderr


def test_buildx_builds_a_run_step(daemon: DockerDaemon, context: Path, tmp_path: Path) -> None:
    client = clients(tmp_path)[-1]

    built = docker(
        client, daemon, "buildx", "build", "--load", "--tag", "standin-buildx:1", context
    )

    assert built.returncode == 0, built.stderr


def test_the_registry_refuses_a_wrong_password(
    daemon: DockerDaemon, registry: Registry, tmp_path: Path
) -> None:
    refused = log_in(clients(tmp_path)[0], daemon, registry.host, "wrong")

    assert refused.returncode != 0
    assert "401 Unauthorized" in refused.stderr


@pytest.mark.parametrize(
    ("password", "message"), [(None, "no basic auth credentials"), ("wrong", "unauthorized")]
)
def test_a_push_needs_the_right_password(
    daemon: DockerDaemon,
    registry: Registry,
    context: Path,
    tmp_path: Path,
    password: str | None,
    message: str,
) -> None:
    client, name = clients(tmp_path)[0], f"{registry.host}/standin/refused:1"
    if password is not None:
        auth = base64.b64encode(f"ci:{password}".encode()).decode()
        configuration = {"auths": {registry.host: {"auth": auth}}}
        (client.config_directory / "config.json").write_text(json.dumps(configuration))
    assert docker(client, daemon, "build", "--tag", name, context).returncode == 0

    refused = docker(client, daemon, "push", name)

    assert refused.returncode != 0
    assert message in refused.stderr


def test_the_digest_of_a_push_is_the_registrys(
    daemon: DockerDaemon, registry: Registry, login: Credentials, context: Path, tmp_path: Path
) -> None:
    client, name = clients(tmp_path)[0], f"{registry.host}/standin/pushed:1"
    assert docker(client, daemon, "build", "--tag", name, context).returncode == 0
    assert log_in(client, daemon, registry.host, login.password.reveal()).returncode == 0

    pushed = docker(client, daemon, "push", name)

    assert pushed.returncode == 0, pushed.stderr
    (digest,) = re.findall(r"digest: (sha256:[0-9a-f]{64})", pushed.stdout)
    head = requests.head(
        f"http://{registry.host}/v2/standin/pushed/manifests/1",
        headers={"Accept": MANIFEST},
        auth=(login.username, login.password.reveal()),
        timeout=10,
    )
    assert head.headers["Docker-Content-Digest"] == digest
    assert (registry.storage / "docker/registry/v2/repositories/standin/pushed").is_dir()


def test_nothing_is_left_of_a_daemon_and_a_registry(context: Path, tmp_path: Path) -> None:
    client = clients(tmp_path)[-1]

    with (
        Registry.running(tmp_path / "r") as registry,
        DockerDaemon.running(tmp_path / "d") as daemon,
    ):
        name = f"{registry.host}/open:1"
        assert docker(client, daemon, "build", "--tag", name, context).returncode == 0
        assert docker(client, daemon, "push", name).returncode == 0
        sockets = Path(daemon.host.removeprefix("unix://")).parent
        assert processes.mentioning(str(tmp_path))

    assert not processes.mentioning(str(tmp_path))
    if daemon.bridge is not None:
        assert not Path("/sys/class/net", daemon.bridge).exists()
        assert not processes.mentioning(str(sockets))
        assert not sockets.exists()
        assert not (tmp_path / "d" / "data").exists()
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(tmp_path) not in mounts


def test_a_process_that_ignores_sigterm_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 1000 & echo $! > {tmp_path}/child; echo $$; wait; wait"

    with processes.running(
        ["sh", "-c", script],
        log=tmp_path / "log",
        ready=lambda: (tmp_path / "log").stat().st_size > 0,
        seconds_to_stop=0.2,
    ) as process:
        child = int((tmp_path / "child").read_text())

    assert process.returncode == -9
    assert processes.wait_until(lambda: _is_gone(child), 5)


def test_a_process_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(processes.NotReadyError, match="no such luck"),
        processes.running(
            ["sh", "-c", "echo no such luck; exit 1"], log=tmp_path / "log", ready=lambda: False
        ),
    ):
        pass


def _is_gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"
