"""Programs, started without a shell, with a closed standard input, and never left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import MachineError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

GRACE: Final = 10.0  # seconds between TERM and KILL
TAIL: Final = 64 * 1024  # bytes of output that are kept to explain a failure


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def message(self) -> str:
        """What the program said on its standard error, without surrounding space."""
        return self.stderr.decode(errors="replace").strip()


@dataclass(frozen=True, slots=True)
class Followed:
    """A program that has ended, whose output was passed on line by line."""

    returncode: int
    tail: str  # the last of its output, standard error included


@dataclass(frozen=True, slots=True)
class Processes:
    """Starts programs with a given environment."""

    environ: Mapping[str, str]

    def run(
        self,
        argv: Sequence[str],
        *,
        extra: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 120.0,
    ) -> Completed:
        """Return a program's output once it has ended, whatever its exit status.

        ``extra`` is added to the environment; ``timeout`` is in seconds. Raises ``UsageError`` if
        the program is not there and ``ServiceError`` if it does not end in time.
        """
        with self._started(argv, extra, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                stdout, stderr = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired as error:
                raise _too_slow(argv, timeout) from error
        return Completed(process.returncode, stdout, stderr)

    def follow(
        self,
        argv: Sequence[str],
        *,
        show: Callable[[str], None],
        extra: Mapping[str, str] | None = None,
        timeout: float,
    ) -> Followed:
        """Pass a program's output on, line by line, and return its end."""
        deadline = time.monotonic() + timeout
        tail = bytearray()
        with self._started(
            argv, extra, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT
        ) as process:
            try:
                for line in _lines(process, deadline):
                    tail += line
                    del tail[:-TAIL]
                    show(line.decode(errors="replace").rstrip("\r\n"))
                process.wait(_left(deadline))
            except (TimeoutError, subprocess.TimeoutExpired) as error:
                raise _too_slow(argv, timeout) from error
        return Followed(process.returncode, tail.decode(errors="replace"))

    @contextlib.contextmanager
    def _started(
        self,
        argv: Sequence[str],
        extra: Mapping[str, str] | None,
        *,
        stdin: int,
        stderr: int,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Give a running program; whatever happens, it and its children have ended afterwards."""
        try:
            # A session of its own, so that its children can be stopped with it.
            process = subprocess.Popen(  # noqa: S603 - a list of arguments, never a shell
                argv,
                env={**self.environ, **(extra or {})},
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise MachineError(
                f"expected the program {argv[0]} on PATH, found none", hint=f"install {argv[0]}"
            ) from error
        except OSError as error:
            raise MachineError(f"{argv[0]} cannot be started: {error.strerror}") from error
        with process:
            try:
                yield process
            finally:
                _stop(process)


def _lines(process: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
    """Give the program's output as it comes; raise ``TimeoutError`` at the deadline."""
    if process.stdout is None:
        raise ValueError("a followed program writes into a pipe")
    descriptor = process.stdout.fileno()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while selector.select(_left(deadline)):
            chunk = os.read(descriptor, 65536)
            if not chunk:
                yield from [rest] if rest else []
                return
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line + b"\n" for line in lines)
    raise TimeoutError


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself meanwhile
        os.killpg(process.pid, number)


def _too_slow(argv: Sequence[str], timeout: float) -> ServiceError:
    return ServiceError(
        f"expected {argv[0]} to end within {timeout:.0f} s, found it still running",
        hint="see --timeout",
    )
