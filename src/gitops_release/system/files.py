"""Private temporary directories, and files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gitops_release.core.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def private_directory() -> Iterator[Path]:
    """Give a directory that only this user can read (0700); it is gone afterwards."""
    try:
        directory = tempfile.TemporaryDirectory(
            prefix="gitops-release-", ignore_cleanup_errors=True
        )
    except OSError as error:
        raise MachineError(
            f"expected room for a temporary directory in {tempfile.gettempdir()}, found: "
            f"{error.strerror or error}",
            hint="free some, or set TMPDIR",
        ) from error
    with directory as name:
        yield Path(name)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read (0600), where there was none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def check_writable(path: Path) -> None:
    """Raise ``UsageError`` unless a file can be written; its parent directories are made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error
    if path.is_dir():
        raise UsageError(f"--output: expected a file at {path}, found a directory")


def write_whole(path: Path, text: str) -> None:
    """Write a file by renaming a finished one, so that no reader sees half of it.

    Missing parent directories are made. Raises ``UsageError`` if the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}-", encoding="utf-8", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                file.write(text)
                file.flush()
                # mkstemp's 0600 would keep a later job's user from reading the workspace.
                os.fchmod(file.fileno(), 0o644)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"--output: expected to write {path}, found: {error.strerror or error}")
