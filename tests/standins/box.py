"""A box in which the clouds' host names are local, and nothing else exists.

    python -m tests.standins.box COMMAND…

The command runs in namespaces of its own for mounts, network and processes. Its network is a
loopback interface with one more address; /etc/hosts gives every name of `NAMES` that address, and
no other name resolves. An authority of the box's own signs for these names (see `clouds.ca`), and
the system's bundle of authorities has it in addition. /run is empty and in memory; proxies and
credentials of this machine's user are out of sight. When the command ends, so does every process
that it left, and with the last process the mounts and the network.

It needs root and Linux. Status 2 says that there is no box; any other is the command's.
"""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from tests.standins.clouds import ca

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Not in 127.0.0.0/8: Docker speaks plain HTTP to whatever has an address there.
ADDRESS: Final = "10.99.0.1"
NAMES: Final = (
    "acme.azurecr.io",
    "other.azurecr.io",
    "login.microsoftonline.com",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    "210987654321.dkr.ecr.eu-west-1.amazonaws.com",
    "123456789012.dkr-ecr.eu-west-1.on.aws",
    "api.ecr.eu-west-1.amazonaws.com",
    "ecr.eu-west-1.api.aws",
    "sts.eu-west-1.amazonaws.com",
    "sts.amazonaws.com",
    "sts.us-east-1.amazonaws.com",
    "api.ecr-public.us-east-1.amazonaws.com",
    "public.ecr.aws",
    "artifactregistry.googleapis.com",
    "sts.googleapis.com",
    "iamcredentials.googleapis.com",
    "oauth2.googleapis.com",
    "europe-west1-docker.pkg.dev",
    "gcr.io",
    "us.gcr.io",
    "eu.gcr.io",
    "asia.gcr.io",
    "api.github.com",
    "github.com",
    "oidc.circleci.com",
    "ghcr.io",
    "registry.example.test",
)

INSIDE: Final = "GITOPS_RELEASE_TEST_BOX"
NO_BOX: Final = 2
BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")
HOSTS: Final = Path("/etc/hosts")
SWITCH: Final = Path("/etc/nsswitch.conf")
RESOLVER: Final = Path("/etc/resolv.conf")
RUN: Final = Path("/run")
BUNDLE_VARIABLES: Final = (
    "AWS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
# Whatever the user of this machine is somewhere else, the command is not.
PERSONAL_PREFIXES: Final = (
    "ARM_",
    "AWS_",
    "AZURE_",
    "CIRCLE",
    "CLOUDSDK_",
    "DOCKER_",
    "GCLOUD_",
    "GH_",
    "GITHUB_",
    "GOOGLE_",
    "KUBECONFIG",
    "SSH_AUTH_SOCK",
)
PERSONAL_DIRECTORIES: Final = (".aws", ".azure", ".config/gcloud", ".config/gh")
PERSONAL_FILES: Final = (".docker/config.json", ".git-credentials", ".netrc")
PASSED_ON: Final = frozenset(
    {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
)

# linux/sched.h, linux/mount.h, linux/prctl.h, linux/sockios.h, linux/if.h
CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
SIOCSIFADDR, SIOCSIFNETMASK = 0x8916, 0x891C
IFF_UP = 1

_libc = ctypes.CDLL(None, use_errno=True)


class NoBoxError(Exception):
    """This user or this machine cannot have a box."""


def is_inside() -> bool:
    """Tell whether this process runs in a box."""
    return os.environ.get(INSIDE) == "1"


def main() -> int:
    """Run the command line in a box; return the status for the shell."""
    command = sys.argv[1:]
    if not command:
        return _no_box("usage: python -m tests.standins.box COMMAND…")
    try:
        return run(command)
    except NoBoxError as error:
        return _no_box(f"box: {error}")


def run(command: Sequence[str]) -> int:
    """Move this process into a box, run a command there and return its status for a shell.

    Raises NoBoxError where there can be none.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoBoxError("only root on Linux can make namespaces; run this command as root")
    directory = _private_directory()
    _bring_up_loopback()
    variables = environment(os.environ, _furnish(directory), directory)
    # Before there is a child whose end could be missed.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON | {signal.SIGCHLD})
    first = os.fork()
    if first == 0:
        _be_first_process(command, variables)
    return _status_of(first)


def environment(base: Mapping[str, str], bundle: Path, directory: Path) -> dict[str, str]:
    """Return variables for the command: the bundle's, and none that leads out of the box."""
    kept = {
        name: value
        for name, value in base.items()
        if not name.lower().endswith("_proxy") and not name.startswith(PERSONAL_PREFIXES)
    }
    trust = dict.fromkeys(BUNDLE_VARIABLES, str(bundle))
    return kept | trust | {INSIDE: "1", ca.DIRECTORY_VARIABLE: str(directory)}


def hosts(existing: str) -> str:
    """Return a file for /etc/hosts: this machine's own names, and the clouds' at `ADDRESS`."""
    own = [line for line in existing.splitlines() if _is_own(line)]
    return "".join(f"{line}\n" for line in [*own, *(f"{ADDRESS} {name}" for name in NAMES)])


def _is_own(line: str) -> bool:
    """Tell whether a line of /etc/hosts gives the machine itself a name."""
    address, *names = line.partition("#")[0].split() or [""]
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
    return loopback and not set(names) & set(NAMES)


# Mounts


def _private_directory() -> Path:
    """Enter the namespaces; return a directory in memory, which nobody outside them sees."""
    _enter_namespaces()
    # Over the sockets of this machine's services: a path reaches them in spite of the network, and
    # Docker's daemon has another 127.0.0.1, a resolver knows outside names.
    _mount("tmpfs", RUN, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    directory = RUN / "box"
    directory.mkdir(mode=0o700)
    return directory


def _enter_namespaces() -> None:
    try:
        _call("unshare", CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
        # What is mounted from here on is mounted for nobody else.
        _mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    except OSError as error:
        raise NoBoxError(f"this machine does not allow namespaces ({error.strerror})") from error


def _furnish(directory: Path) -> Path:
    """Put the box's own files over the system's; return the bundle of authorities."""
    if not BUNDLE.exists():
        raise NoBoxError(f"{BUNDLE} is missing; install the package ca-certificates")
    certificates = ca.create(directory, NAMES)
    bundle = BUNDLE.read_bytes() + b"\n" + certificates.authority.read_bytes()
    _cover(BUNDLE, directory, bundle)
    _cover(HOSTS, directory, hosts(HOSTS.read_text(encoding="utf-8")).encode())
    _make_resolver_exist()
    _cover(RESOLVER, directory, b"")
    _cover(SWITCH, directory, _without_name_services(SWITCH))
    _hide_personal_things(directory)
    return BUNDLE


def _make_resolver_exist() -> None:
    """Put a file where a link to what was in /run points to."""
    target = RESOLVER.resolve()
    if RUN in target.parents:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()


def _without_name_services(switch: Path) -> bytes:
    """Return an nsswitch.conf that looks host names up in /etc/hosts and nowhere else."""
    existing = switch.read_text(encoding="utf-8") if switch.exists() else ""
    others = [line for line in existing.splitlines() if not line.strip().startswith("hosts:")]
    return "".join(f"{line}\n" for line in [*others, "hosts: files"]).encode()


def _hide_personal_things(directory: Path) -> None:
    empty = directory / "empty"
    empty.mkdir()
    for name in PERSONAL_DIRECTORIES:
        if (Path.home() / name).is_dir():
            _bind(empty, Path.home() / name)
    for name in PERSONAL_FILES:
        # An empty object is what Docker's client takes for no configuration.
        _cover(Path.home() / name, directory, b"{}" if name.endswith(".json") else b"")


def _cover(path: Path, directory: Path, content: bytes) -> None:
    """Put a file of the box over a file that exists; where a link points is what gets covered."""
    if not path.exists():
        return
    own = directory / path.name
    own.write_bytes(content)
    own.chmod(0o644)
    _bind(own, path)


def _bind(source: Path, target: Path) -> None:
    _mount(str(source), target, None, MS_BIND)


def _mount(
    source: str, target: Path, kind: str | None, flags: int, options: str | None = None
) -> None:
    texts = [None if text is None else text.encode() for text in (kind, options)]
    arguments = os.fsencode(source), os.fsencode(target), texts[0], ctypes.c_ulong(flags), texts[1]
    _call("mount", *arguments)


def _call(function: str, *arguments: object) -> None:
    """Call a function of the C library that returns 0, or sets errno."""
    if getattr(_libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), function)


# Network


def _bring_up_loopback() -> None:
    """Start the new network's only interface and give it the clouds' address.

    With requests of the socket layer: a minimal Debian has no program for it.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
        # An alias keeps 127.0.0.1.
        fcntl.ioctl(control, SIOCSIFADDR, _address_request("lo:box", ADDRESS))
        fcntl.ioctl(control, SIOCSIFNETMASK, _address_request("lo:box", "255.255.255.255"))


def _address_request(interface: str, address: str) -> bytes:
    """Return a struct ifreq with a struct sockaddr_in."""
    packed = socket.inet_aton(address)
    return struct.pack("16sHH4s8x", interface.encode(), socket.AF_INET, 0, packed)


# Processes


def _be_first_process(command: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Be process 1 of the box: run the command, collect what it leaves, end with its status.

    All other processes of the box end with this one, and this one ends with its parent.
    """
    status = NO_BOX
    try:
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _mount("proc", Path("/proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        status = _status_of(_started(command, variables))
    except FileNotFoundError:
        status = _no_box(f"box: {command[0]}: command not found") + 125
    except OSError as error:
        status = _no_box(f"box: {error}")
    finally:
        sys.stdout.flush()
        os._exit(status)


def _started(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Start the command with signals as a shell would set them; return its process."""
    return os.posix_spawnp(
        command[0],
        command,
        variables,
        setsigmask=(),
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
    )


def _status_of(process: int) -> int:
    """Wait for a process and return its status for a shell; meanwhile pass signals on to it.

    A terminal sends its signals to all processes that belong to it: those it has got already.
    """
    while True:
        received = signal.sigwaitinfo(PASSED_ON | {signal.SIGCHLD})
        if received.si_signo != signal.SIGCHLD:
            # Positive codes are the kernel's, which speaks for the terminal.
            if received.si_code <= 0:
                os.kill(process, received.si_signo)
        elif (status := _collected(process)) is not None:
            return status


def _collected(process: int) -> int | None:
    """Collect all processes that have ended; return the status of this one if it has."""
    status = None
    ended, code = _next_ended()
    while ended:
        if ended == process:
            returned = os.waitstatus_to_exitcode(code)
            status = returned if returned >= 0 else 128 - returned
        ended, code = _next_ended()
    return status


def _next_ended() -> tuple[int, int]:
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0


def _no_box(message: str) -> int:
    print(message, file=sys.stderr)
    return NO_BOX


if __name__ == "__main__":
    sys.exit(main())
