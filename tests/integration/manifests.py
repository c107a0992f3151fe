"""Manifest repositories for tests, as people write them, and with people's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.contract.git_behind import GitBehind, new_repository
from tests.fakes import SYMLINK, Tree
from tests.standins.github.store import run_git

if TYPE_CHECKING:
    from pathlib import Path

REGULAR: Final = "100644"
EXECUTABLE: Final = "100755"
WEB: Final = "registry.example.com/shop/web"
METRICS: Final = "registry.example.com/shop/metrics"
# Formatted by hand, with a carriage return, a tab in a comment and no newline at its end.
DEPLOYMENT: Final = f"""\
# The web shop.\t  People have formatted this file by hand.
apiVersion: apps/v1
kind: Deployment
metadata:   {{ name: web }}
spec:
    template:
        spec:
            containers:
            - name: web\r
              image:   {WEB}:1.0.0   # released by pull request


            -   name: metrics
                image: "{METRICS}:2.4\"""".encode()
FILES: Final[Tree] = {
    "apps/web/deployment.yaml": (EXECUTABLE, DEPLOYMENT),
    "apps/web/service.yaml": (REGULAR, b"apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"),
    "README.md": (REGULAR, f"We run `{WEB}:1.0.0`.\n".encode()),
    "latest.yaml": (SYMLINK, b"apps/web/deployment.yaml"),
}
PATH: Final = "apps/web/deployment.yaml"
RELEASED: Final = DEPLOYMENT.replace(b"web:1.0.0", b"web:1.1.0")
HOOKS: Final = (
    *("applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-checkout", "post-commit"),
    *("post-index-change", "post-update", "pre-commit", "prepare-commit-msg", "push-to-checkout"),
    *("reference-transaction", "update"),
)


def working_tree(directory: Path, files: Tree = FILES) -> GitBehind:
    """Make a repository whose files are checked out."""
    behind = new_repository(directory, bare=False)
    behind.commit("main", files)
    run_git("-C", str(directory), "reset", "--quiet", "--hard")
    return behind


def bare(directory: Path, files: Tree = FILES) -> GitBehind:
    behind = new_repository(directory, bare=True)
    behind.commit("main", files)
    return behind


def make_hostile(behind: GitBehind, directory: Path, marker: Path) -> None:
    """Let whatever a repository can have executed write the marker."""
    trap = directory / "trap"
    trap.parent.mkdir(parents=True, exist_ok=True)
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {marker}\ncat\n')
    trap.chmod(0o755)
    for folder in (behind.git_dir / "hooks", directory / "hooks"):
        folder.mkdir(exist_ok=True)
        for hook in HOOKS:
            (folder / hook).unlink(missing_ok=True)
            (folder / hook).symlink_to(trap)
    (behind.git_dir / "info").mkdir(exist_ok=True)
    (behind.git_dir / "info" / "attributes").write_text("* filter=trap diff=trap merge=trap\n")
    settings = {
        "commit.gpgSign": "true",
        "core.alternateRefsCommand": str(trap),
        "core.editor": str(trap),
        "core.fsmonitor": str(trap),
        "core.hooksPath": str(directory / "hooks"),
        "core.pager": str(trap),
        "core.sshCommand": str(trap),
        "diff.external": str(trap),
        "diff.trap.command": str(trap),
        "diff.trap.textconv": str(trap),
        "filter.trap.clean": str(trap),
        "filter.trap.process": str(trap),
        "filter.trap.smudge": str(trap),
        "gpg.program": str(trap),
        "log.showSignature": "true",
        "pager.grep": str(trap),
        "alias.grep": f"!{trap}",
        "alias.ls-tree": f"!{trap}",
    }
    for name, value in settings.items():
        behind.git("config", name, value)
