from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from gitops_release.core.errors import UsageError
from gitops_release.system.files import private_directory, write_private, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_directory_is_gone_afterwards() -> None:
    with private_directory() as directory:
        write_private(directory / "config.json", b"{}")
        assert mode(directory) == 0o700
    assert not directory.exists()


def test_a_private_directory_is_gone_after_an_error() -> None:
    with pytest.raises(KeyboardInterrupt), private_directory() as directory:
        raise KeyboardInterrupt
    assert not directory.exists()


def test_a_private_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "key", b"\0\xff")
    assert mode(tmp_path / "key") == 0o600
    assert (tmp_path / "key").read_bytes() == b"\0\xff"


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_a_private_file_takes_nothing_s_place(kind: str, tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "key"
    if kind == "file":
        path.write_text("theirs")
    else:
        path.symlink_to(target)
    if kind == "link":
        target.write_text("theirs")
    with pytest.raises(FileExistsError):
        write_private(path, b"ours")
    assert "ours" not in {file.read_text() for file in tmp_path.iterdir() if file.exists()}


def test_a_file_is_written_with_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "image.json"
    write_whole(path, "é\n")
    assert path.read_bytes() == "é\n".encode()


def test_a_later_job_s_user_may_read_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "image.json", "{}")
    assert mode(tmp_path / "image.json") == 0o644


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "image.json"
    path.write_text("old and longer")
    with path.open() as reader:
        write_whole(path, "new")
        assert reader.read() == "old and longer"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["image.json"]  # noqa: PTH208 - nothing else is there


def test_a_disk_that_refuses_is_a_usage_error_that_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "image.json").mkdir()
    with pytest.raises(UsageError, match=r"expected to write .*image\.json") as caught:
        write_whole(tmp_path / "image.json", "new")
    assert caught.value.message.startswith("--output: ")
    assert [path.name for path in tmp_path.iterdir()] == ["image.json"]


def test_a_parent_that_is_a_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="expected to write"):
        write_whole(tmp_path / "out" / "image.json", "new")
