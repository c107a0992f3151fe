"""The editor's own rules: what it returns, in which order, and what it refuses."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from gitops_release.core.errors import ManifestError
from gitops_release.core.image import ImageReference
from gitops_release.core.manifest import FileMode, ManifestEdits, ManifestFile, Pin, Selection
from gitops_release.manifests import ManifestEditor, events, proof
from gitops_release.manifests.spans import Splice
from gitops_release.manifests.survey import MAX_SIZE
from gitops_release.manifests.text import cut
from tests.unit.manifests.test_golden import CASES, read_tree, run

if TYPE_CHECKING:
    from pathlib import Path

WEB = ImageReference.parse("asia.gcr.io/acme/web:47ea3df")
POD = b"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: asia.gcr.io/acme/web:25402c0\n"


def edit(
    *contents: bytes, image: ImageReference = WEB, selection: Selection | None = None
) -> ManifestEdits:
    files = [
        ManifestFile(f"{number}.yaml", FileMode.REGULAR, content)
        for number, content in enumerate(contents)
    ]
    return ManifestEditor().edit(files, [image], selection or Selection())


def test_a_slot_says_where_and_what() -> None:
    edits = edit(POD)
    (slot,) = edits.slots
    assert str(slot.location) == "0.yaml:5 .spec.containers[0].image"
    assert (slot.old, slot.new) == ("asia.gcr.io/acme/web:25402c0", "asia.gcr.io/acme/web:47ea3df")
    assert slot.image == WEB
    (change,) = edits.changes
    (made,) = change.edits
    assert (made.old, made.new) == (b":25402c0", b":47ea3df")


def test_the_mode_of_a_file_is_kept() -> None:
    file = ManifestFile("run.yaml", FileMode.EXECUTABLE, POD)
    (change,) = ManifestEditor().edit([file], [WEB], Selection()).changes
    assert change.mode is FileMode.EXECUTABLE


def test_the_order_of_files_does_not_matter() -> None:
    files = [ManifestFile(name, FileMode.REGULAR, POD) for name in ("b.yaml", "a.yaml")]
    everywhere = Selection(all_files=True)
    edits = ManifestEditor().edit(iter(files), [WEB], everywhere)
    assert [slot.location.path for slot in edits.slots] == ["a.yaml", "b.yaml"]
    assert edits == ManifestEditor().edit(files[::-1], [WEB], everywhere)


def test_files_without_the_image_are_allowed() -> None:
    assert len(edit(POD, b"foo: bar\n", b"").changes) == 1


def test_inserted_and_removed_keys_have_slots() -> None:
    content = b"kind: Kustomization\nimages:\n- name: asia.gcr.io/acme/web\n  newTag: '1'\n"
    digest = "sha256:" + "1a" * 32
    image = ImageReference.parse(f"asia.gcr.io/acme/web:2@{digest}")
    both = ManifestEditor().edit(
        [ManifestFile("kustomization.yaml", FileMode.REGULAR, content)],
        [image],
        Selection(pin=Pin.BOTH),
    )
    assert [(str(slot.location), slot.old, slot.new) for slot in both.slots] == [
        ("kustomization.yaml:4 .images[0].newTag", "1", "2"),
        ("kustomization.yaml:4 .images[0].digest", "", digest),
    ]
    (change,) = both.changes
    tag = ManifestEditor().edit(
        [ManifestFile("kustomization.yaml", FileMode.REGULAR, change.new)],
        [image],
        Selection(pin=Pin.TAG),
    )
    assert [(slot.old, slot.new) for slot in tag.slots] == [("2", "2"), (digest, "")]
    assert tag.changes[0].new == content.replace(b"1", b"2")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_seen_and_not_edited(encoding: str) -> None:
    content = ("\ufeff" + POD.decode()).encode(encoding)
    with pytest.raises(ManifestError, match=r"0\.yaml:5 \(UTF-16 is not edited\)"):
        edit(content)


def test_a_file_of_more_than_4_mib_is_not_parsed() -> None:
    start = time.monotonic()
    with pytest.raises(ManifestError, match=r"0\.yaml:5 \(larger than 4 MiB\)"):
        edit(POD + b"#" * MAX_SIZE)
    assert time.monotonic() - start < 2


def test_a_file_of_4_mib_is_edited() -> None:
    filling = b"  - name: x\n" * ((MAX_SIZE - len(POD)) // 12)
    (change,) = edit(POD + filling).changes
    assert change.new == POD.replace(b"25402c0", b"47ea3df") + filling


@pytest.mark.parametrize("bytes_", [b"\x00", b"\xff", b"\x1b"])
def test_bytes_that_yaml_does_not_allow_are_named(bytes_: bytes) -> None:
    with pytest.raises(ManifestError, match=r"0\.yaml:5 \(in a document that is not YAML: line 6"):
        edit(POD + b"a: " + bytes_ + b"\n")


def test_other_documents_may_hold_such_bytes() -> None:
    other = b"---\nimage: asia.gcr.io/acme/web\nother: \xff\n"
    edits = edit(POD + other)
    assert edits.changes[0].new.endswith(other)
    (mention,) = edits.mentions
    assert str(mention).startswith("0.yaml:7 (in a document that is not YAML: line 8")


@pytest.mark.parametrize("tag", ["!!binary", "!custom", "!<x>"])
def test_a_value_with_a_tag_that_is_no_string_is_refused(tag: str) -> None:
    content = POD.replace(b"image: ", f"image: {tag} ".encode())
    with pytest.raises(ManifestError, match="its value has the tag"):
        edit(content)


def test_every_refused_place_is_listed() -> None:
    content = POD + b'  - image: "asia.gcr.io/acme/web:1\\x2e0"\n'
    with pytest.raises(ManifestError) as caught:
        edit(content, content, selection=Selection(all_files=True))
    assert "0.yaml:6 .spec.containers[1].image: " in caught.value.message
    assert "1.yaml:6 .spec.containers[1].image: " in caught.value.message


def test_no_file_at_all() -> None:
    with pytest.raises(ManifestError, match=r"names asia.gcr.io/acme/web, found none$"):
        edit()


def test_many_places_in_bounded_time() -> None:
    content = POD + b"  - image: asia.gcr.io/acme/web:25402c0 # asia.gcr.io/acme/web\n" * 20_000
    start = time.monotonic()
    edits = edit(content)
    assert len(edits.changes[0].edits) == 20_001
    assert time.monotonic() - start < 30


def test_a_splice_that_changes_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_: object) -> tuple[Splice, ...]:
        return (Splice(0, 3, b"xyz"),)

    monkeypatch.setattr("gitops_release.manifests.editor.splice", too_much)
    with pytest.raises(ManifestError, match="nothing was written"):
        edit(POD)


@pytest.mark.parametrize(
    "splice",
    [
        Splice(0, 0, b"---\n"),  # another document
        Splice(5, 5, b": ["),  # no YAML
        Splice(len(POD), len(POD), b"  - y\n"),  # another item
        Splice(60, len(POD) + 1, b""),  # beyond the end
    ],
)
def test_the_proof_finds_what_was_not_intended(splice: Splice) -> None:
    file = ManifestFile("a.yaml", FileMode.REGULAR, POD)
    (chunk,) = cut(POD)
    with pytest.raises(proof.UnprovedError):
        proof.prove(file, {chunk: [splice]})


@pytest.mark.parametrize(
    "case",
    # libyaml accepts more tabs than the pure parser, which then says that it is no YAML.
    [case for case in CASES if (case / "after").exists() and case.name != "tabs"],
    ids=lambda case: f"{case.parent.name}/{case.name}",
)
def test_the_pure_parser_edits_alike(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "parser_class", yaml.SafeLoader)
    command = json.loads((case / "command.json").read_text(encoding="utf-8"))
    before = read_tree(case / "before")
    changed = {change.path: change.new for change in run(before, command).changes}
    assert before | changed == read_tree(case / "after")
