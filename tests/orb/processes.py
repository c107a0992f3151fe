"""Runs one command in a process group of its own and leaves nothing of it running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended; 128 plus the signal's number if a signal ended it."""

    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool


def run_in_group(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float,
    logs: Path,
) -> Ended:
    """Return the command's end; every process that it started and that is still there is killed.

    Output goes through files: a pipe would wait for whatever the command left in the background.
    """
    with (
        tempfile.TemporaryFile(dir=logs) as out,
        tempfile.TemporaryFile(dir=logs) as err,
    ):
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        timed_out = False
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        err.seek(0)
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        stdout, stderr = (stream.read().decode(errors="replace") for stream in (out, err))
        return Ended(code, stdout, stderr, timed_out)
