from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitops_release.system.checkout import Checkout, look_at_checkout, web_address
from gitops_release.system.git import Git
from gitops_release.system.processes import Completed
from tests.unit.system.scripted import OK, FakeProcesses

if TYPE_CHECKING:
    from pathlib import Path

REVISION = "a" * 40
SHOWN = Completed(0, f"{REVISION} 2026-01-02T03:04:05+01:00\n".encode(), b"")
FAILED = Completed(128, b"", b"fatal: not a git repository")
ORIGIN = Completed(0, b"git@github.com:acme/web.git\n", b"")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/acme/web", "https://github.com/acme/web"),
        ("https://github.com/acme/web.git", "https://github.com/acme/web"),
        ("https://github.com/acme/web/", "https://github.com/acme/web"),
        ("https://x-access-token:ghs_1@github.com/acme/web.git", "https://github.com/acme/web"),
        ("https://ghs_1@github.com/acme/web", "https://github.com/acme/web"),
        ("https://user:p@ss@github.com/acme/web", "https://github.com/acme/web"),
        ("http://user:pw@git.example.com:8080/web", "http://git.example.com:8080/web"),
        ("https://git.example.com/a@b/web", "https://git.example.com/a@b/web"),
        ("git@github.com:acme/web.git", "https://github.com/acme/web"),
        ("github.com:acme/web.git", "https://github.com/acme/web"),
        ("ssh://git@github.com/acme/web.git", "https://github.com/acme/web"),
        ("ssh://git@git.example.com:2222/acme/web.git", "https://git.example.com/acme/web"),
        ("git://git.example.com/acme/web.git", "https://git.example.com/acme/web"),
        ("git+ssh://git@git.example.com/acme/web.git", "https://git.example.com/acme/web"),
        ("/srv/git/web.git", "/srv/git/web.git"),
        ("../web", "../web"),
        ("file:///srv/git/web", "file:///srv/git/web"),
        ("", ""),
    ],
)
def test_a_remote_is_shown_as_people_open_it(url: str, address: str) -> None:
    assert web_address(url) == address


def look(processes: FakeProcesses, directory: Path, *ignored: Path) -> Checkout | None:
    return look_at_checkout(Git(processes, directory), ignored)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "dirty"),
    [(OK, False), (Completed(0, b" M web.py\n", b""), True), (FAILED, True)],
    ids=["clean", "changed", "unknown"],
)
def test_a_checkout_is_its_commit_and_its_changes(
    status: Completed, *, dirty: bool, tmp_path: Path
) -> None:
    processes = FakeProcesses({"show": SHOWN, "status": status, "remote": ORIGIN})
    assert look(processes, tmp_path) == Checkout(
        REVISION, "2026-01-02T03:04:05+01:00", dirty, "https://github.com/acme/web"
    )


def test_a_checkout_may_have_no_remote(tmp_path: Path) -> None:
    found = look(FakeProcesses({"show": SHOWN, "remote": FAILED}), tmp_path)
    assert found is not None
    assert found.origin is None


@pytest.mark.parametrize(
    "processes",
    [FakeProcesses({"show": FAILED}), FakeProcesses(missing=frozenset({"git"}))],
    ids=["no repository or no commit", "no git"],
)
def test_there_may_be_no_checkout(processes: FakeProcesses, tmp_path: Path) -> None:
    assert look(processes, tmp_path) is None


def test_our_own_files_do_not_make_the_tree_dirty(tmp_path: Path) -> None:
    processes = FakeProcesses({"show": SHOWN})
    inside, outside = tmp_path / "out" / "*.json", tmp_path.parent / "image.json"
    look(processes, tmp_path, inside, outside)
    (status,) = processes.argv_with("status")
    assert status[status.index("--") + 1 :] == (":/", ":(exclude,literal)out/*.json")
