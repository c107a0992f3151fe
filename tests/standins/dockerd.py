"""A real Docker daemon, and the variants of Docker's client that users have."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.standins import processes
from tools import debian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Requests of Linux's bridge driver, see linux/sockios.h and bridge(8).
SIOCSIFFLAGS = 0x8914
SIOCBRADDBR = 0x89A0
SIOCBRDELBR = 0x89A1
BUILDKIT_NEEDS_BUILDX = 23


@dataclass(frozen=True)
class DockerDaemon:
    """A daemon at `host`, a value for DOCKER_HOST.

    A private one has a network bridge of its own and ends with its `with`; the machine's has none.
    """

    host: str
    bridge: str | None = None

    @classmethod
    @contextmanager
    def running(cls, directory: Path) -> Iterator[DockerDaemon]:
        """Use the machine's daemon if one answers, else start one with its state in `directory`.

        A private daemon pushes to registries on 127.0.0.0/8 by plain HTTP, runs RUN steps in both
        builders and touches neither firewall nor forwarding. Afterwards its processes, mounts,
        bridge and data are gone; `dockerd.log` stays.
        """
        answering = _answering_daemon()
        if answering:
            yield cls(answering)
            return
        directory.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0:
            raise PermissionError("no Docker daemon answers, and only root can start one")
        with (
            _bridge() as bridge,
            _data_root(directory) as data,
            _short_directory() as sockets,
        ):
            host = f"unix://{sockets}/docker.sock"
            with processes.running(
                [*_command(data, sockets, bridge), "--host", host],
                log=directory / "dockerd.log",
                ready=lambda: _answers(host),
                seconds_to_start=60,
                seconds_to_stop=30,
                # It looks for containerd and runc, which a user's PATH may not have.
                environment={**os.environ, "PATH": debian.SEARCH_PATH},
            ):
                yield cls(host, bridge)


@dataclass(frozen=True)
class DockerClient:
    """A `docker` program as a user has it: alone in a directory for PATH, with its own plugins."""

    name: str
    program: Path
    config_directory: Path

    @property
    def has_buildx(self) -> bool:
        """Tell whether this client has the buildx plugin."""
        return (self.config_directory / "cli-plugins" / "docker-buildx").exists()

    @property
    def has_buildkit(self) -> bool:
        """Tell whether DOCKER_BUILDKIT=1 works: from version 23 on, it needs the buildx plugin."""
        command = [str(self.program), "--version"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return self.has_buildx or int(answer.split()[2].partition(".")[0]) < BUILDKIT_NEEDS_BUILDX

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return variables under which `docker` is this client; DOCKER_HOST stays the caller's."""
        variables = dict(os.environ if base is None else base)
        variables["PATH"] = f"{self.program.parent}{os.pathsep}{variables.get('PATH', os.defpath)}"
        variables["DOCKER_CONFIG"] = str(self.config_directory)
        return variables


def clients(directory: Path) -> list[DockerClient]:
    """Return the distribution's client without buildx and the same client with it.

    Where buildx is installed for all users, every client has it: then only that one is returned.
    """
    plain = _client(directory, "without-buildx", plugin=None)
    with_buildx = _client(directory, "with-buildx", plugin=debian.BUILDX.find())
    return [with_buildx] if _knows_buildx(plain) else [plain, with_buildx]


def _client(directory: Path, name: str, *, plugin: Path | None) -> DockerClient:
    programs, configuration = directory / name / "bin", directory / name / "config"
    plugins = configuration / "cli-plugins"
    programs.mkdir(parents=True)
    plugins.mkdir(parents=True)
    (configuration / "config.json").write_text("{}")
    (programs / "docker").symlink_to(_distribution_docker())
    if plugin is not None:
        (plugins / "docker-buildx").symlink_to(plugin)
    return DockerClient(name, programs / "docker", configuration)


def _distribution_docker() -> Path:
    """Return Debian's own client, which may be older than one that was put before it on PATH."""
    packaged = Path("/usr/bin/docker")
    return packaged if packaged.exists() else _docker()


def _knows_buildx(client: DockerClient) -> bool:
    return _succeeds([client.program, "buildx", "version"], client.environment())


def _docker() -> Path:
    found = debian.which("docker")
    if found is None:
        raise FileNotFoundError("docker is missing: make programs-test")
    return found


def _answering_daemon() -> str | None:
    """Return the host of the daemon that `docker` reaches without our doing, if one answers."""
    if not _succeeds([_docker(), "version"], os.environ):
        return None
    if host := os.environ.get("DOCKER_HOST"):
        return host
    command = [str(_docker()), "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    context = subprocess.run(command, check=True, capture_output=True, text=True)
    return context.stdout.strip()


def _answers(host: str) -> bool:
    environment = {**os.environ, "DOCKER_HOST": host}
    environment.pop("DOCKER_CONTEXT", None)
    return _succeeds([_docker(), "version"], environment)


def _succeeds(command: Sequence[str | Path], environment: Mapping[str, str]) -> bool:
    result = subprocess.run(
        command, check=False, capture_output=True, stdin=subprocess.DEVNULL, env=environment
    )
    return result.returncode == 0


def _command(data: Path, sockets: Path, bridge: str) -> list[str]:
    options = {
        "data-root": data,
        "exec-root": sockets / "exec",
        "pidfile": sockets / "docker.pid",
        "bridge": bridge,
        # Should containerd run on this machine already, its other containers are not ours.
        "containerd-namespace": bridge,
        "containerd-plugins-namespace": f"{bridge}-plugins",
        # The machine's network stays as it is.
        "iptables": "false",
        "ip6tables": "false",
        "ip-forward": "false",
        "ip-masq": "false",
        "userland-proxy": "false",
    }
    program = str(debian.which("dockerd") or "dockerd")
    return [program, *(f"--{option}={value}" for option, value in options.items())]


@contextmanager
def _short_directory() -> Iterator[Path]:
    """Make a directory for sockets, whose paths must be shorter than 108 bytes; remove it after."""
    path = Path(tempfile.mkdtemp(prefix="d-", dir="/run"))
    try:
        yield path
    finally:
        # The path is nobody else's, so whatever has it in its command line was started by dockerd.
        for process in processes.mentioning(f"{path}/"):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        _clear(path)


@contextmanager
def _data_root(directory: Path) -> Iterator[Path]:
    """Name a directory for images and containers; remove it after."""
    try:
        yield directory / "data"
    finally:
        _clear(directory / "data")


def _clear(directory: Path) -> None:
    """Unmount what is mounted at or under a directory and remove it."""
    for mount in _mounts_under(directory):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)


def _mounts_under(directory: Path) -> list[str]:
    """Return the mount points at and under a directory, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    mounts = [Path(line.split()[4]) for line in lines]
    return sorted(
        (str(path) for path in mounts if directory in {path, *path.parents}), reverse=True
    )


@contextmanager
def _bridge() -> Iterator[str]:
    """Make a network bridge of our own and remove it after.

    With `--bridge none`, dockerd removes the docker0 of a daemon that runs beside it, and BuildKit
    cannot run a RUN step. With a bridge of its own it does neither; it gives it an address itself.
    """
    name = f"test{secrets.token_hex(4)}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCBRADDBR, name.encode() + b"\0")
        try:
            yield name
        finally:
            # A bridge must be down to be removed: struct ifreq with no flag set.
            fcntl.ioctl(control, SIOCSIFFLAGS, name.encode().ljust(40, b"\0"))
            fcntl.ioctl(control, SIOCBRDELBR, name.encode() + b"\0")
