"""Private temporary directories, and files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def private_directory() -> Iterator[Path]:
    """Give a directory that only this user can read (0700); it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="gitops-release-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read (0600), where there was none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


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
        raise UsageError(
            f"expected to write {path}, found: {error.strerror or error}", hint="see --output"
        ) from error
