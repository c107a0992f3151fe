"""Every directory below tests/golden: the files before, the request, the files after.

``command.json`` holds the images, and if they differ from the defaults ``paths``, ``all_files``
and ``pin``; what is expected besides the tree ``after``: ``mentions`` (all of them),
``needs_digest``, or an ``error`` with its exit code and words of its message and hint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitops_release.core.errors import GitopsReleaseError
from gitops_release.core.image import ImageReference
from gitops_release.core.manifest import (
    FileMode,
    ManifestEdits,
    ManifestFile,
    Pin,
    Selection,
    apply_edits,
)
from gitops_release.manifests import ManifestEditor

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/command.json"))


def read_tree(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def run(tree: dict[str, bytes], command: dict[str, Any]) -> ManifestEdits:
    editor = ManifestEditor()
    images = [ImageReference.parse(text) for text in command["images"]]
    needles = editor.needles(images)
    files = [
        ManifestFile(path, FileMode.REGULAR, content)
        for path, content in tree.items()
        if any(needle in content for needle in needles)
    ]
    selection = Selection(
        paths=tuple(command.get("paths", ())),
        all_files=command.get("all_files", False),
        pin=Pin(command.get("pin", "keep")),
    )
    return editor.edit(files, images, selection)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_the_files_after_are_as_expected(case: Path) -> None:
    command = json.loads((case / "command.json").read_text(encoding="utf-8"))
    before = read_tree(case / "before")
    if "error" in command:
        with pytest.raises(GitopsReleaseError) as caught:
            run(before, command)
        assert caught.value.exit_code == command["error"]["exit_code"]
        said = f"{caught.value.message}\n{caught.value.hint}"
        for words in command["error"]["says"]:
            assert words in said
        return

    edits = run(before, command)

    changed = {change.path: change.new for change in edits.changes}
    assert before | changed == read_tree(case / "after")
    assert all(change.old == before[change.path] != change.new for change in edits.changes)
    assert all(apply_edits(change.old, change.edits) == change.new for change in edits.changes)
    assert list(map(str, edits.mentions)) == command.get("mentions", [])
    assert list(map(str, edits.needs_digest)) == command.get("needs_digest", [])


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if (case / "after").exists()],
    ids=lambda case: f"{case.parent.name}/{case.name}",
)
def test_a_second_run_changes_nothing(case: Path) -> None:
    command = json.loads((case / "command.json").read_text(encoding="utf-8"))

    edits = run(read_tree(case / "after"), command)

    assert edits.changes == ()
    assert all(slot.old == slot.new for slot in edits.slots)


def test_there_are_cases() -> None:
    assert {case.parent.name for case in CASES} >= {"kubernetes", "kustomize"}
