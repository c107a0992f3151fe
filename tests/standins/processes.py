"""Start a stand-in's process, wait until it is ready, and leave nothing of it behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PAUSE = 0.02


class NotReadyError(Exception):
    """A stand-in ended or stayed silent; the message carries the end of its log."""


@contextmanager
def running(
    command: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    ready: Callable[[], bool],
    seconds_to_start: float = 30,
    seconds_to_stop: float = 15,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process for the body of a `with`, which begins when `ready()` is true.

    Output goes to `log`. Afterwards no process of its group is left, whatever happened. If this
    process is killed, the kernel sends the stand-in SIGTERM (where util-linux has setpriv).
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_end_with_parent(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, log, ready, seconds_to_start)
        yield process
    finally:
        stop(process, seconds_to_stop)


def stop(process: subprocess.Popen[bytes], seconds: float = 15) -> None:
    """End a process that leads its own group: SIGTERM, up to `seconds`, SIGKILL to all of it."""
    if process.returncode is not None:
        return
    _signal_group(process, signal.SIGTERM)
    wait_until(lambda: has_ended(process), seconds)
    # Its number is not reused before it is waited for, so this reaches nobody else.
    _signal_group(process, signal.SIGKILL)
    process.wait()


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process has ended, without collecting it."""
    if process.returncode is not None:
        return True
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, options) is not None


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds; tell whether it did within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def mentioning(text: str) -> list[int]:
    """Return the processes, other than this one, with `text` in their command line (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if text.encode() in command and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return sorted(found)


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log, for an error message."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _wait_until_ready(
    process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool], seconds: float
) -> None:
    in_time = wait_until(lambda: has_ended(process) or ready(), seconds)
    if has_ended(process):
        raise NotReadyError(f"{process.args!r} ended before it was ready:\n{tail(log)}")
    if not in_time:
        raise NotReadyError(f"{process.args!r} is not ready after {seconds} s:\n{tail(log)}")


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _end_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
