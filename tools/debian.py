"""Make sure that a Debian or Ubuntu machine has the programs that the tests and the demo run.

Programs are looked for first, so a machine that has them needs neither root nor a network.
What is missing comes from the machine's own apt sources. No service is started by it.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
PRIVATE = ROOT / ".cache" / "debian13"

TRIXIE = "trixie"
TRIXIE_VERSION = 13
# A user's PATH on Debian has no sbin, where dockerd is.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_MARK = "# Written by gitops-release's tools/debian.py for the time of one installation."
APT_LOCK = Path("/run/gitops-release-apt.lock")


class CannotInstallError(Exception):
    """Something is missing and this machine or this user cannot install it."""

    def __init__(self, problem: str, *, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True)
class Requirement:
    """Something a machine must have, and the packages that bring it, the first known one wins."""

    name: str
    packages: tuple[str, ...]
    is_there: Callable[[], bool]


@dataclass(frozen=True)
class PrivatePackage:
    """A package that is unpacked into this checkout, never installed."""

    name: str
    program: str
    machine: tuple[str, ...] = ()

    @property
    def unpacked(self) -> Path:
        """Where the program is once the package is unpacked."""
        return PRIVATE / self.name / self.program

    def find(self) -> Path | None:
        """Return the program: the machine's own, else the unpacked one."""
        places = [Path(place).expanduser() for place in self.machine] + [self.unpacked]
        return next((place for place in places if os.access(place, os.X_OK)), None)


PLUGIN_DIRECTORIES = (
    "~/.docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
BUILDX = PrivatePackage(
    name="docker-buildx",
    program="usr/libexec/docker/cli-plugins/docker-buildx",
    machine=tuple(f"{directory}/docker-buildx" for directory in PLUGIN_DIRECTORIES),
)


def which(program: str) -> Path | None:
    """Return the path of a program, also of one that only root's PATH would find."""
    found = shutil.which(program, path=SEARCH_PATH)
    return Path(found) if found else None


def _program(name: str, *packages: str) -> Requirement:
    return Requirement(name, packages, lambda: which(name) is not None)


def _static_busybox() -> bool:
    """Tell whether busybox runs in an image without a C library."""
    busybox = which("busybox")
    if busybox is None:
        return False
    with busybox.open("rb") as file:
        # A dynamically linked program names its loader right behind its ELF headers.
        return b"/ld-" not in file.read(4096)


def _docker_engine() -> bool:
    """Tell whether a daemon can be started here, or one answers already."""
    if which("dockerd"):
        return True
    docker = which("docker")
    if docker is None:
        return False
    answer = subprocess.run(
        [docker, "version"], capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    return answer.returncode == 0


SYSTEM = (
    _program("git", "git"),
    # Debian 13 has the client in a package of its own, Debian 12 and Ubuntu do not.
    _program("docker", "docker-cli", "docker.io"),
    Requirement("dockerd", ("docker.io",), _docker_engine),
    _program("docker-registry", "docker-registry"),
    Requirement("busybox (statically linked)", ("busybox-static",), _static_busybox),
    Requirement(
        "certificates of public authorities",
        ("ca-certificates",),
        Path("/etc/ssl/certs/ca-certificates.crt").exists,
    ),
)
# What each target of the Makefile needs besides the above. Another private program is one row.
PRIVATE_PACKAGES: dict[str, tuple[PrivatePackage, ...]] = {"demo": (), "test": (BUILDX,)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Provide what a target needs; the exit code is 2 when that is not possible here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(PRIVATE_PACKAGES))
    target = parser.parse_args(arguments).target
    try:
        provide(target)
    except CannotInstallError as error:
        print(f"debian: {error}\n  {error.hint}", file=sys.stderr, flush=True)
        return 2
    return 0


def provide(target: str) -> None:
    """Make sure that the programs of `demo` or `test` are there, or raise CannotInstallError."""
    missing = [requirement for requirement in SYSTEM if not requirement.is_there()]
    if missing:
        install(
            *(requirement.packages for requirement in missing),
            needed_for=f"make {target} ({', '.join(item.name for item in missing)})",
        )
    still_missing = [requirement.name for requirement in missing if not requirement.is_there()]
    if still_missing:
        raise CannotInstallError(
            f"still missing after the installation: {', '.join(still_missing)}",
            hint="look at apt's output above",
        )
    unpack(*PRIVATE_PACKAGES[target])


def install(*packages: tuple[str, ...], needed_for: str) -> None:
    """Install one of each tuple of package names; nothing is started, nothing else is upgraded."""
    if not which("apt-get") or os.geteuid() != 0:
        names = " ".join(sorted({_known(alternatives) for alternatives in packages}))
        raise CannotInstallError(
            f"{needed_for} needs what this machine does not have",
            hint=f"on Debian or Ubuntu, as root: apt-get install --no-install-recommends {names}",
        )
    with _apt_alone():
        _apt_get("update")
        chosen = sorted({_known(alternatives) for alternatives in packages})
        _say(f"installing {' '.join(chosen)} for {needed_for}")
        with _no_services_started():
            result = _apt_get("install", "--yes", "--no-install-recommends", *chosen)
    if result != 0:
        raise CannotInstallError(
            f"apt-get install {' '.join(chosen)} ended with {result}",
            hint="look at its output above; then run the same make again",
        )


def unpack(*packages: PrivatePackage) -> None:
    """Unpack packages of Debian 13 into this checkout if neither it nor the machine has them."""
    missing = [package for package in packages if package.find() is None]
    if not missing:
        return
    names = " ".join(package.name for package in missing)
    if not which("apt-get") or not which("dpkg-deb"):
        raise CannotInstallError(f"{names} is missing and there is no apt here", hint="install it")
    _say(f"unpacking {names} into {PRIVATE.relative_to(ROOT)}")
    PRIVATE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PRIVATE, prefix="tmp-") as directory:
        configuration = _private_apt(Path(directory))
        for package in missing:
            _download(package, Path(directory), configuration)


def _download(package: PrivatePackage, directory: Path, configuration: Path) -> None:
    """Download, check (apt does, against the signed index) and unpack one package."""
    command = ["apt-get", "--config-file", str(configuration), "--quiet", "download", package.name]
    tree = directory / package.name
    try:
        subprocess.run(command, check=True, cwd=directory, stdin=subprocess.DEVNULL)
        (archive,) = directory.glob(f"{package.name}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", archive, tree], check=True)
    except (subprocess.CalledProcessError, ValueError) as error:
        raise CannotInstallError(
            f"{package.name} of Debian {TRIXIE_VERSION} could not be unpacked: {error}",
            hint="look at apt's output above; the machine's apt sources must reach a Debian mirror",
        ) from error
    shutil.rmtree(PRIVATE / package.name, ignore_errors=True)
    # Renaming comes last: whoever finds the tree finds all of it.
    tree.rename(PRIVATE / package.name)


def _private_apt(directory: Path) -> Path:
    """Return a configuration for an apt whose state is `directory`, with fresh lists in it."""
    for name in ("sources", "lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True)
    (directory / "status").touch()
    for source in _apt_sources():
        text = source.read_text(encoding="utf-8", errors="replace")
        (directory / "sources" / source.name).write_text(_of_debian_13(text), encoding="utf-8")
    configuration = directory / "apt.conf"
    configuration.write_text(_PRIVATE_APT_CONF.format(directory=directory), encoding="utf-8")
    # A third-party source without this suite fails the update, not the download that follows.
    _apt_get("update", "--config-file", str(configuration))
    return configuration


# The machine's proxies, certificates and keys stay in force. Its pins and hooks do not.
_PRIVATE_APT_CONF = """\
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{directory}/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "{directory}/lists";
Dir::State::Status "{directory}/status";
Dir::Cache "{directory}/cache";
APT::Default-Release "";
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-hidpi;
#clear Acquire::IndexTargets::deb::DEP-11-icons-large;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


def _apt_sources() -> list[Path]:
    """Return the files that name this machine's mirrors."""
    apt = Path("/etc/apt")
    parts = apt / "sources.list.d"
    files = [apt / "sources.list", *parts.glob("*.list"), *parts.glob("*.sources")]
    return sorted(file for file in files if file.is_file())


def _of_debian_13(text: str) -> str:
    """Return apt sources with Debian 12's suites replaced by Debian 13's; others stay theirs."""
    release = os_release()
    version = release.get("VERSION_ID", "")
    codename = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or not version.isdigit() or int(version) >= TRIXIE_VERSION:
        # Ubuntu's and newer Debian's own suites have these packages.
        return text
    # Only a suite follows white space: in addresses and key files the name follows a slash.
    return re.sub(rf"(?<=\s){re.escape(codename)}(?=[\s/-]|$)", TRIXIE, text)


def os_release() -> dict[str, str]:
    """Return what /etc/os-release says about the distribution; nothing where there is none."""
    with suppress(OSError):
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
        pairs = (line.partition("=") for line in lines if "=" in line)
        return {name: value.strip("\"'") for name, _, value in pairs}
    return {}


def _known(alternatives: tuple[str, ...]) -> str:
    """Return the first package that apt knows, the last one if it knows none."""
    for name in alternatives[:-1] if which("apt-cache") else ():
        command = ["apt-cache", "show", "--no-all-versions", name]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return name
    return alternatives[-1]


def _apt_get(*arguments: str) -> int:
    """Run apt-get without questions and return its exit code."""
    environment = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        # Services that run already are nobody's to restart here.
        "NEEDRESTART_SUSPEND": "1",
    }
    options = ("--quiet", "-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=3")
    command = ["apt-get", *options, *arguments]
    return subprocess.run(
        command, check=False, env=environment, stdin=subprocess.DEVNULL
    ).returncode


@contextmanager
def _apt_alone() -> Iterator[None]:
    """Wait for other checkouts of this project: apt's lists have no lock that waits."""
    with APT_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Forbid packages to start daemons; a policy that the machine has already is left alone."""
    if POLICY.is_file() and POLICY_MARK in POLICY.read_text(errors="replace"):
        POLICY.unlink()
    try:
        with POLICY.open("x") as policy:
            # It forbids nothing once this process is gone, should it be left behind by a kill.
            policy.write(
                f"#!/bin/sh\n{POLICY_MARK}\nkill -0 {os.getpid()} 2>/dev/null && exit 101\nexit 0\n"
            )
            policy.flush()
            POLICY.chmod(0o755)
    except FileExistsError:
        yield
        return
    try:
        yield
    finally:
        POLICY.unlink()


def _say(text: str) -> None:
    print(f"debian: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
