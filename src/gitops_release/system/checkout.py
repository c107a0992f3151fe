"""The checkout that an image is built from: what git says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gitops_release.system.git import Git

_SCP_STYLE: Final = re.compile(r"(?:[^@/]+@)?([A-Za-z0-9.-]+):(?!//)(.+)")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A commit that is checked out, and whether files differ from it."""

    revision: str
    committed_at: str  # RFC 3339
    is_dirty: bool  # a tracked file is changed, or a file is neither tracked nor ignored
    origin: str | None  # the URL of the remote, without credentials


def look_at_checkout(git: Git, ignored: Iterable[Path]) -> Checkout | None:
    """Return what is checked out; ``None`` where there is no git, no repository or no commit.

    Changes of the ignored files, which our own commands write, do not make the tree dirty.
    """
    try:
        shown = git.ask("show", "--no-patch", "--no-show-signature", "--format=%H %cI", "HEAD")
    except MachineError:
        return None
    if shown.returncode != 0:
        return None
    revision, _, committed_at = shown.stdout.decode().strip().partition(" ")
    excluded = [
        f":(exclude,literal){path.resolve().relative_to(git.directory)}"
        for path in ignored
        if path.resolve().is_relative_to(git.directory)
    ]
    status = git.ask("status", "--porcelain", "--ignore-submodules=none", "--", ":/", *excluded)
    origin = git.ask("remote", "get-url", "origin")
    return Checkout(
        revision,
        committed_at,
        is_dirty=bool(status.stdout.strip()) or status.returncode != 0,
        origin=web_address(origin.stdout.decode().strip()) if origin.returncode == 0 else None,
    )


def web_address(url: str) -> str:
    """Return a remote's URL as people open it: https, without user, password and ``.git``.

    What is no network address, such as a directory, is returned as it is.
    """
    scp = _SCP_STYLE.fullmatch(url)
    if scp:
        url = f"https://{scp[1]}/{scp[2]}"
    # A port of ssh is not one of https.
    url = re.sub(r"^(?:ssh|git|git\+ssh)://([^/]*?)(?::\d*)?(?=/|$)", r"https://\1", url)
    if not url.startswith(("https://", "http://")):
        return url
    url = re.sub(r"^(https?://)[^/]*@", r"\1", url)
    return url.removesuffix("/").removesuffix(".git")
