"""A private docker configuration: our credentials for one attempt, the user's plugins and contexts.

Docker CLI, "config.json properties": https://docs.docker.com/reference/cli/docker/
"""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gitops_release.system.files import private_directory, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gitops_release.core.credentials import Credentials

KEPT: Final = ("proxies", "currentContext")
"""What of the user's configuration stays in force: never credentials, stores or headers."""


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """A directory for DOCKER_CONFIG that is gone after its attempt."""

    directory: Path
    user: Path  # the user's own
    builders: Path  # what buildx knows of them

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables that make docker use it, with the user's builders."""
        return {
            "DOCKER_CONFIG": str(self.directory),
            "BUILDX_CONFIG": str(self.builders),
        }


@contextmanager
def docker_config(
    environ: Mapping[str, str], host: str, credentials: Credentials | None
) -> Iterator[DockerConfig]:
    """Give a private configuration that holds the credentials for one host and for no other.

    ``environ`` says where the user's configuration is. The directory is readable by this user
    alone (0700, its file 0600) and gone afterwards.
    """
    user = _user_directory(environ)
    with private_directory() as directory:
        content = _content(user, host, credentials)
        write_private(directory / "config.json", json.dumps(content).encode())
        contexts = user / "contexts"
        if contexts.is_dir():
            (directory / "contexts").symlink_to(contexts)
        builders = environ.get("BUILDX_CONFIG")
        yield DockerConfig(directory, user, Path(builders) if builders else user / "buildx")


def _user_directory(environ: Mapping[str, str]) -> Path:
    configured = environ.get("DOCKER_CONFIG")
    user = Path(configured) if configured else Path(environ.get("HOME", "/root")) / ".docker"
    # Links and plugin directories are read from another directory than this one.
    return user.absolute()


def _content(user: Path, host: str, credentials: Credentials | None) -> dict[str, Any]:
    own = _read(user / "config.json")
    content: dict[str, Any] = {key: own[key] for key in KEPT if key in own}
    extra = own.get("cliPluginsExtraDirs")
    directories = [str(item) for item in extra] if isinstance(extra, list) else []
    content["cliPluginsExtraDirs"] = [str(user / "cli-plugins"), *directories]
    content["auths"] = {} if credentials is None else {_server(host): {"auth": _auth(credentials)}}
    return content


def _read(path: Path) -> dict[str, Any]:
    """Return a configuration; one that cannot be read is docker's to complain about."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _server(host: str) -> str:
    """Docker Hub's credentials are looked up under its first address (docker/cli, registry)."""
    return "https://index.docker.io/v1/" if host == "docker.io" else host


def _auth(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password.reveal()}"
    return base64.b64encode(pair.encode()).decode()
