"""The program as a user runs it: a process with a directory, an environment and nothing else."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gitops_release.core.credentials import Credentials

SECONDS = 120


@dataclass(frozen=True)
class Ended:
    """What a run left behind."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        """The messages of errors, of which a failed run has exactly one."""
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]

    @property
    def result(self) -> str:
        """The one line for programs, of a run that must have succeeded."""
        assert self.exit_code == 0, self.stderr
        (line,) = self.stdout.splitlines()
        return line

    def assert_refused(self, exit_code: int, words: str) -> None:
        """Assert that the run ended with this code and one clear line, and no result."""
        assert self.exit_code == exit_code, self.stderr
        assert self.stdout == ""
        assert len(self.errors) == 1, self.stderr
        assert words in self.errors[0]
        assert "Traceback" not in self.stderr


@dataclass(frozen=True)
class Program:
    """Runs `gitops-release` in a directory."""

    directory: Path
    environ: Mapping[str, str]

    @classmethod
    def at_home(cls, directory: Path, root: Path) -> Program:
        """Return a program whose user has an empty home and temporary directory under `root`."""
        for name in ("home", "tmp"):
            (root / name).mkdir(exist_ok=True)
        return cls(
            directory,
            {
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "HOME": str(root / "home"),
                "TMPDIR": str(root / "tmp"),
                "GIT_CONFIG_NOSYSTEM": "1",
            },
        )

    def with_variables(self, **variables: str | None) -> Program:
        """Return the same with these variables; ``None`` takes one out."""
        changed = {**self.environ, **variables}
        return replace(
            self, environ={name: value for name, value in changed.items() if value is not None}
        )

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "gitops_release", *map(str, arguments)],
            cwd=self.directory,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path) -> Ended:
        return ended(self.start(*arguments))

    @property
    def temporary(self) -> list[str]:
        """What lies in the temporary directory."""
        return sorted(path.name for path in Path(self.environ["TMPDIR"]).iterdir())


def ended(process: subprocess.Popen[str]) -> Ended:
    """Return how a process that was started ends."""
    with process:
        try:
            stdout, stderr = process.communicate(timeout=SECONDS)
        except BaseException:
            process.kill()
            raise
    return Ended(process.returncode, stdout, stderr)


def snapshot(*directories: Path) -> dict[str, bytes]:
    """Return every file's content, links followed to nowhere, to see that nothing was written."""
    return {
        str(path): str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for directory in directories
        for path in sorted(directory.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def forms(login: Credentials) -> list[str]:
    """Return a password as programs write it."""
    password = login.password.reveal()
    pair = base64.b64encode(f"{login.username}:{password}".encode()).decode()
    return [password, pair, base64.b64encode(password.encode()).decode()]


@dataclass
class Seen:
    """The command lines of processes, as anybody on the machine could have read them."""

    command_lines: set[bytes] = field(default_factory=set)

    def showing(self, text: str) -> list[bytes]:
        return [line for line in self.command_lines if text.encode() in line]


@contextmanager
def watched_command_lines() -> Iterator[Seen]:
    """Look at the command line of every process, again and again."""
    seen, stop = Seen(), threading.Event()

    def watch() -> None:
        known: set[str] = set()
        while not stop.wait(0.005):
            now = {entry.name for entry in os.scandir("/proc") if entry.name.isdigit()}
            for name in now - known:
                with suppress(OSError):
                    seen.command_lines.add(Path("/proc", name, "cmdline").read_bytes())
            # A process that has just been forked shows its parent's: look once more.
            known = now & {name for name in known | now if _has_started(name)}

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _has_started(process: str) -> bool:
    """Say whether a process is old enough to be what it is going to be."""
    with suppress(OSError):
        ticks = int(Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return uptime - ticks / os.sysconf("SC_CLK_TCK") > 1
    return False
