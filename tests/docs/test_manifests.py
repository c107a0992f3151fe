"""The page on manifests: its tables are evaluated, and the README's transcript is made again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gitops_release.app.release import Releaser
from gitops_release.cli.console import Console
from gitops_release.cli.create_release_pr import _show
from gitops_release.cli.session import Session
from gitops_release.core.git import BaseCommit, Commit
from gitops_release.core.image import Digest, ImageReference
from gitops_release.core.manifest import FileMode, ManifestFile, Pin, Selection
from gitops_release.core.observation import refuse
from gitops_release.core.release_request import ReleaseImage, ReleaseRequest
from gitops_release.manifests import ManifestEditor
from gitops_release.manifests.formats import FORMATS
from gitops_release.system.redaction import Redactor
from tests.docs.pages import REFERENCE, ROOT, code, command_lines, fences, rows, section

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gitops_release.core.releasing import PublishBranch

PAGE = REFERENCE / "manifests.md"
NAME = "registry.example.com/shop/web"
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64
PINS = rows(section(PAGE, "## How the image is named afterwards"))
QUOTES = [(code(tag), code(text)) for tag, text in rows(section(PAGE, "## What is written"))]


def released(place: str, image: str, pin: Pin) -> str:
    """Return what a pod's image is after a release."""
    before = f"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - image: {place}\n"
    file = ManifestFile("pod.yaml", FileMode.REGULAR, before.encode())
    edits = ManifestEditor().edit([file], [ImageReference.parse(image)], Selection(pin=pin))
    after = edits.changes[0].new.decode()
    return after.partition("image: ")[2].rstrip("\n")


@pytest.mark.parametrize("pin", Pin)
@pytest.mark.parametrize("row", PINS, ids=[row[0].strip("`") for row in PINS])
def test_pin(row: list[str], pin: Pin) -> None:
    def written(form: str, tag: str, digest: str) -> str:
        suffix = "" if form == "neither" else code(form)
        return NAME + suffix.replace("T", tag).replace("@D", f"@{digest}")

    header = ["", *(f"`{pin.value}`" for pin in Pin)]
    assert "| " + " | ".join(header[1:]) + " |" in PAGE.read_text("utf-8")
    before = written(row[0], "1.0.0", OLD)
    expected = written(row[header.index(f"`{pin.value}`")], "1.1.0", NEW)
    assert released(before, f"{NAME}:1.1.0@{NEW}", pin) == expected


@pytest.mark.parametrize(("tag", "text"), QUOTES)
def test_quotes(tag: str, text: str) -> None:
    before = f"images:\n  - name: {NAME}\n    newTag: v1\n"
    file = ManifestFile("kustomization.yaml", FileMode.REGULAR, before.encode())
    image = ImageReference.parse(f"{NAME}:{tag}")
    (change,) = ManifestEditor().edit([file], [image], Selection()).changes
    assert change.new.decode() == before.replace("v1", text)


def test_formats_are_those_of_the_program() -> None:
    formats = [name for name, _, _ in rows(section(PAGE, "## What is found"))]
    assert sorted(formats) == sorted(type(format_).__name__ for format_ in FORMATS)


@dataclass(frozen=True)
class CommittedDirectory:
    """A ``ManifestRepository`` whose base commit has one file, and no other branch."""

    sha: str
    file: ManifestFile

    def base(self, branch: str | None) -> BaseCommit:
        return BaseCommit(branch or "main", self.sha)

    def candidates(
        self,
        commit: str,  # noqa: ARG002 - as the port has it
        globs: Sequence[str],  # noqa: ARG002
        needles: Sequence[bytes],
    ) -> Iterator[ManifestFile]:
        if any(needle in self.file.content for needle in needles):
            yield self.file

    def commit_of(self, branch: str) -> Commit | None:  # noqa: ARG002
        return None

    def read(self, commit: str, paths: Iterable[str]) -> Mapping[str, bytes | None]:  # noqa: ARG002
        return dict.fromkeys(paths)

    def publish(self, action: PublishBranch) -> str:
        raise AssertionError(action)


def test_readme_shows_what_a_dry_run_prints(capsys: pytest.CaptureFixture[str]) -> None:
    (transcript,) = fences(ROOT / "README.md", "console")
    (words,) = command_lines(transcript)
    assert words[-1] == "--dry-run"
    short = re.search(r" on main \(([0-9a-f]{7})\)", transcript.text)
    assert short is not None
    content = (ROOT / "demo" / "manifests" / "deployment.yaml").read_bytes()
    file = ManifestFile("deployment.yaml", FileMode.REGULAR, content)
    console = Console(Redactor())
    session = Session({}, ROOT, console.lines, console, console.redactor)

    def resolve(_image: ImageReference) -> Digest:
        raise AssertionError("a tag is enough")

    releaser = Releaser(
        CommittedDirectory(short[1] + "0" * 33, file), None, ManifestEditor(), resolve, console.step
    )
    image = ImageReference.parse(words[words.index("--image") + 1])
    decision = releaser.plan(ReleaseRequest(images=(ReleaseImage(image),)), refuse)
    _show(session, decision)
    console.note("dry run: nothing was written")
    console.result(decision.text.branch)

    printed = capsys.readouterr()
    command, _, shown = transcript.text.partition("--dry-run\n")
    assert command.startswith("$ gitops-release create-release-pr ")
    # A diff's empty context line is one space, which editors remove.
    expected = [line.rstrip() for line in (printed.err + printed.out).splitlines()]
    assert shown.splitlines() == expected
