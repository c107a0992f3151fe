"""git's plumbing on one repository: no checkout, no hooks, no filters, no network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gitops_release.system.processes import Completed, Processes

SAFE: Final = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "protocol.allow=never"),
    *("-c", "submodule.recurse=false"),
)
SCRUBBED: Final = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
"""Variables that would lead git to another repository, such as those that git sets for hooks."""


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git on a repository."""

    processes: Processes
    directory: Path

    def ask(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> Completed:
        """Return a command's end, whatever its exit status."""
        kept = {
            name: value for name, value in self.processes.environ.items() if name not in SCRUBBED
        }
        return replace(self.processes, environ=kept).run(
            ["git", "-C", str(self.directory), *SAFE, *arguments], stdin=stdin, extra=extra
        )

    def run(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> bytes:
        """Return a command's output; raise ``UsageError`` in git's words if it fails."""
        ended = self.ask(*arguments, stdin=stdin, extra=extra)
        if ended.returncode != 0:
            raise UsageError(f"git {arguments[0]} in {self.directory}: {ended.message}")
        return ended.stdout

    def word(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> str:
        """Return a command's output without the newline at its end."""
        return self.run(*arguments, stdin=stdin, extra=extra).decode().rstrip("\n")
