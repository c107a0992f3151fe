"""The ban of tests/unit/conftest.py holds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPTS: list[tuple[str, Callable[[], Any]]] = [
    ("an IPv4 socket", lambda: socket.socket(socket.AF_INET)),
    ("an IPv6 socket", lambda: socket.socket(socket.AF_INET6)),
    ("a unix socket", lambda: socket.socket(socket.AF_UNIX)),
    ("a connection", lambda: socket.create_connection(("127.0.0.1", 9))),
    ("a name look-up", lambda: socket.getaddrinfo("localhost", 80)),
    ("a program", lambda: subprocess.run([sys.executable, "-V"], check=True)),
    ("a shell", lambda: os.system("true")),  # noqa: S605 - refused
    ("a spawned process", lambda: os.posix_spawn(sys.executable, [sys.executable, "-V"], {})),
    ("a fork", os.fork),
    ("an exec", lambda: os.execv(sys.executable, [sys.executable, "-V"])),  # noqa: S606 - refused
]


@pytest.mark.parametrize(
    "attempt", [attempt for _, attempt in ATTEMPTS], ids=[name for name, _ in ATTEMPTS]
)
def test_unit_tests_reach_nothing_outside(attempt: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError, match="unit tests open no socket and start no process"):
        attempt()


def test_unit_tests_have_no_home() -> None:
    assert not Path.home().exists()
