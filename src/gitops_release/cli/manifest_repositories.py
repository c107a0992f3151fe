"""Which manifest repository a text names, and how it is opened."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from gitops_release.cli.session import USER_AGENT
from gitops_release.core.errors import AuthenticationError, UsageError
from gitops_release.core.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitops_release.cli.session import Session
    from gitops_release.core.credentials import Secret
    from gitops_release.core.ports import ManifestRepository, PullRequests

_GITHUB: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/[A-Za-z0-9._-]+")
_DIRECTORY: Final = ("/", "./", "../", "~")


@dataclass(frozen=True, slots=True)
class GitHubName:
    """A repository on GitHub, as OWNER/NAME."""

    full_name: str


@dataclass(frozen=True, slots=True)
class LocalDirectory:
    """A git repository on this machine, with a working tree or bare."""

    path: Path


@dataclass(frozen=True, slots=True)
class Forge:
    """An open manifest repository, with its pull requests where there are any."""

    repository: ManifestRepository
    pull_requests: PullRequests | None


def parse_manifest_repository(text: str) -> GitHubName | LocalDirectory:
    """Return what the text names; raise ``UsageError`` for anything else.

    OWNER/NAME is always GitHub; a directory starts with ``/``, ``./``, ``../`` or ``~``.
    """
    if text in {".", ".."} or text.startswith(_DIRECTORY):
        return LocalDirectory(_home(Path(text)))
    if text.startswith("file:///"):
        return LocalDirectory(Path(unquote(text.removeprefix("file://"))))
    if _GITHUB.fullmatch(text) and text.rpartition("/")[2] not in {".", ".."}:
        return GitHubName(text)
    raise UsageError(
        f"--manifest-repository: expected OWNER/NAME on GitHub, or a directory that starts with "
        f"/, ./, ../ or ~, found {_without_user(text)!r}",
        hint=_meant(text),
    )


@contextmanager
def open_manifest_repository(
    session: Session,
    name: GitHubName | LocalDirectory,
    *,
    api_url: str,
    token_env: str,
    anonymous: bool,
) -> Iterator[Forge]:
    """Give the repository, opened; connections are closed afterwards.

    ``anonymous`` lets GitHub be read without a token. Raises ``AuthenticationError`` if one is
    needed and the variable does not hold it.
    """
    match name:
        case LocalDirectory(path=path):
            from gitops_release.forges.local import LocalRepository

            yield Forge(LocalRepository.open(path, session.processes()), None)
        case GitHubName(full_name=full_name):
            check_api_url(api_url)
            token = session.secret(token_env)
            if token is None and not anonymous:
                raise AuthenticationError(
                    f"expected a GitHub token in {token_env}, found it unset",
                    hint="set it, in CircleCI by a context, or name another variable with "
                    "--github-token-env; --dry-run reads public repositories without",
                )
            with _github(full_name, api_url, token) as forge:
                yield forge


@contextmanager
def _github(full_name: str, api_url: str, token: Secret | None) -> Iterator[Forge]:
    from gitops_release.forges.github import GitHubRepository, connect
    from gitops_release.forges.github_pulls import GitHubPullRequests

    with connect(api_url, token, user_agent=USER_AGENT) as client:
        repository = client.get_repo(full_name)
        yield Forge(GitHubRepository(repository), GitHubPullRequests(repository))


def _home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"--manifest-repository: expected a user's home in {str(path)!r}, found none"
        ) from error


def check_api_url(url: str) -> None:
    """Raise ``UsageError`` unless the address is https, or http on this machine."""
    match = re.fullmatch(r"(https?)://([A-Za-z0-9.:\[\]-]+)(?:/[^?#\s]*)?", url)
    if match is None or (match[1] == "http" and not is_loopback(match[2])):
        raise UsageError(
            f"--github-api-url: expected an https address, found {_without_user(url)!r}",
            hint="on GitHub Enterprise it is https://HOST/api/v3",
        )


def _meant(text: str) -> str | None:
    url = re.fullmatch(r"(?:https?://|ssh://)?(?:[^/@]*@)?[^/:]+[:/](.+?)(?:\.git)?/?", text)
    if url and _GITHUB.fullmatch(url[1]):
        return f"releases over git are not there yet; for GitHub write {url[1]}"
    return f"did you mean ./{text}?" if Path(text).is_dir() else None


def _without_user(text: str) -> str:
    """Return a URL without its user, which may be a token."""
    return re.sub(r"//[^/]*@", "//***@", text)
