"""Unit tests reach nothing outside their process: no socket, no program, no home directory."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Final

import pytest
import tenacity

from tests.unit.system.command_line import CommandLine
from tests.unit.system.scripted import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

# Audit events (docs.python.org, "Audit events table"): they see C code as well as Python.
FORBIDDEN: Final = (
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
    "socket.",
    "subprocess.Popen",
)


class _Ban:
    """An audit hook, which cannot be removed: outside unit tests it lets everything pass."""

    is_on = False

    def __call__(self, event: str, _arguments: tuple[object, ...]) -> None:
        if self.is_on and event.startswith(FORBIDDEN):
            raise RuntimeError(
                f"unit tests open no socket and start no process, but this one did: {event}"
            )


_ban: Final = _Ban()
sys.addaudithook(_ban)


@pytest.fixture(autouse=True)
def _nothing_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HOME", "/nonexistent/home")
    _ban.is_on = True
    yield
    _ban.is_on = False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let retries sleep without waiting."""
    clock = Clock()
    monkeypatch.setattr(tenacity, "time", clock)
    monkeypatch.setattr(tenacity.nap, "time", clock)
    return clock


@pytest.fixture
def command_line(capsys: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    """Run the program; the signal handler that it installs is removed again."""
    before = signal.getsignal(signal.SIGTERM)
    yield CommandLine(capsys)
    signal.signal(signal.SIGTERM, before)
