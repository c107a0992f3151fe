"""A real registry: Debian's docker-registry (CNCF distribution) on a port of 127.0.0.1."""

from __future__ import annotations

import http.client
import json
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import bcrypt

from tests.standins import processes
from tools import debian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LISTENING = re.compile(rb"listening on (127\.0\.0\.1:[0-9]+)")
# bcrypt's least cost: these passwords protect nothing.
ROUNDS = 4


@dataclass(frozen=True)
class Registry:
    """A running registry; it speaks plain HTTP, as clients expect of 127.0.0.1."""

    host: str
    storage: Path
    log: Path

    @classmethod
    @contextmanager
    def running(cls, directory: Path, users: Mapping[str, str] | None = None) -> Iterator[Registry]:
        """Serve an empty registry from `directory`; with `users` (name → password) all must log in.

        Deleting is enabled and locations are relative. Nothing is left running afterwards;
        `directory` keeps the storage and the log.
        """
        storage, log = directory / "registry", directory / "registry.log"
        storage.mkdir(parents=True)
        log.touch()
        configuration = directory / "registry.json"
        # JSON is YAML, and needs no quoting of our own.
        configuration.write_text(json.dumps(_configuration(storage, directory, users)))
        host = _Host(log)
        with processes.running(
            [debian.which("docker-registry") or "docker-registry", "serve", configuration],
            log=log,
            ready=host.answers,
            # REGISTRY_* variables of this machine would override the configuration.
            environment={"OTEL_TRACES_EXPORTER": "none"},
        ):
            yield cls(host.name, storage, log)


class _Host:
    """The address that the registry chose: port 0 lets the kernel choose, so there is no race."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.name = ""

    def answers(self) -> bool:
        """Tell whether the registry has written its address to the log and answers there."""
        found = LISTENING.search(self._log.read_bytes())
        if not found:
            return False
        self.name = found.group(1).decode()
        connection = http.client.HTTPConnection(self.name, timeout=5)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status in {200, 401}
        except OSError:
            return False
        finally:
            connection.close()


def _configuration(
    storage: Path, directory: Path, users: Mapping[str, str] | None
) -> dict[str, object]:
    configuration: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
        },
        "http": {
            "addr": "127.0.0.1:0",
            "relativeurls": True,
            "secret": secrets.token_hex(16),
        },
    }
    if users is not None:
        htpasswd = directory / "htpasswd"
        htpasswd.write_text("".join(_htpasswd_line(*user) for user in users.items()))
        configuration["auth"] = {"htpasswd": {"realm": "stand-in", "path": str(htpasswd)}}
    return configuration


def _htpasswd_line(name: str, password: str) -> str:
    """Return a line of htpasswd; bcrypt looks at 72 bytes of a password and refuses longer ones."""
    return f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS)).decode()}\n"
