"""For random manifests and releases: bytes outside the spans stay, and strings are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gitops_release.core.image import Digest, ImageReference, Repository
from gitops_release.core.manifest import FileChange, FileMode, ManifestFile, Pin, Selection
from gitops_release.manifests import ManifestEditor

REPOSITORY = Repository("registry.example.com:5000", "acme/web")
OLD_DIGEST = "sha256:" + "1a" * 32
NEW_DIGEST = Digest("sha256:" + "2b" * 32)

tags = st.one_of(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True),
    st.from_regex(r"[0-9][0-9e]{5}[0-9]", fullmatch=True),
    st.sampled_from(["1.10", "yes", "y", "null", "0x1f", "1_000", "0o17", "12e4567"]),
)
pins = st.sampled_from(list(Pin))
comments = st.sampled_from(["", " # ä", "   # registry.example.com:5000/acme/web:1", " #"])
texts = st.sampled_from(
    ["x", "'ö # 🚀'", '"a\\tb"', "[a, {b: c}]", "|-\n     text\n     more", "1e"]
)
styles = st.sampled_from(["{}", "'{}'", '"{}"', "&a {}", "!!str '{}'"])


@dataclass(frozen=True)
class Layout:
    """How the lines of a file are put together."""

    line_break: str
    mark: str
    ends: bool

    def file(self, path: str, lines: list[str]) -> ManifestFile:
        text = "\n".join(lines) + ("\n" if self.ends else "")
        content = (self.mark + text.replace("\n", self.line_break)).encode()
        return ManifestFile(path, FileMode.REGULAR, content)


layouts = st.builds(
    Layout, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["", "\ufeff"]), st.booleans()
)


@st.composite
def pods(draw: st.DrawFn) -> ManifestFile:
    lines = ["# first", "apiVersion: v1", f"kind: Pod{draw(comments)}", "spec:", "  containers:"]
    for number in range(draw(st.integers(1, 3))):
        version = draw(st.sampled_from([":{}", "@" + OLD_DIGEST, ":{}@" + OLD_DIGEST]))
        style = draw(styles | st.sampled_from([">-\n     {}", "|\n     {}", "\n     {}"]))
        image = style.replace("&a", f"&a{number}").format(
            f"{REPOSITORY}{version.format(draw(tags))}"
        )
        comment = "" if "\n" in style else draw(comments)
        lines += [f"  - image: {image}{comment}", f"    other: {draw(texts)}"]
        lines += draw(st.sampled_from([[], ["    # between"], [""], ["  - {image: other:1}"]]))
    return draw(layouts).file("pod.yaml", lines)


@st.composite
def kustomizations(draw: st.DrawFn) -> ManifestFile:
    quoted = draw(styles)
    fields = [f"name: {quoted.format(REPOSITORY)}"]
    if draw(st.booleans()):
        fields[0] = f"newName: {quoted.format(REPOSITORY)}"
        fields.append("name: web")
    fields += draw(st.sampled_from([[], ["tag"], ["digest"], ["tag", "digest"]]))
    fields = draw(st.permutations(fields))
    tag = draw(tags)
    lines = {"tag": f"newTag: '{tag}'", "digest": f"digest: {OLD_DIGEST}"}
    entry = [lines.get(field, field) for field in fields]
    if draw(st.booleans()):
        block = [f"-  {'   ' if n else ''}{line}{draw(comments)}" for n, line in enumerate(entry)]
        images = ["images:", *(line.replace("-     ", "      ", 1) for line in block)]
        images = [line.replace("      ", "   ", 1) for line in images]
    else:
        images = ["images: [{" + ", ".join(entry) + "}] # ä"]
    return draw(layouts).file("kustomization.yaml", ["kind: Kustomization", *images])


def release(file: ManifestFile, tag: str, pin: Pin) -> tuple[FileChange | None, ManifestFile]:
    image = ImageReference(REPOSITORY, tag, NEW_DIGEST)
    edits = ManifestEditor().edit([file], [image], Selection(pin=pin))
    assert edits.slots
    change = edits.changes[0] if edits.changes else None
    return change, ManifestFile(file.path, file.mode, change.new if change else file.content)


def bytes_outside_the_spans_stay(change: FileChange) -> None:
    old = new = 0
    for edit in change.edits:
        gap = edit.start - old
        assert change.old[old : edit.start] == change.new[new : new + gap]
        old, new = edit.end, new + gap + len(edit.new)
    assert change.old[old:] == change.new[new:]


def values(content: bytes, version: tuple[int, int] | None) -> Any:  # noqa: ANN401 - YAML
    if version is None:
        return yaml.safe_load(content)
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    return reader.load(content.decode("utf-8-sig"))


@settings(deadline=None)  # readers are slow on a busy machine
@given(pods(), tags, pins)
def test_a_pod(file: ManifestFile, tag: str, pin: Pin) -> None:
    change, after = release(file, tag, pin)

    if change:
        bytes_outside_the_spans_stay(change)
    assert release(after, tag, pin)[0] is None
    allowed = {f":{tag}", f"@{NEW_DIGEST}", f":{tag}@{NEW_DIGEST}"}
    for version in (None, (1, 1), (1, 2)):
        # A lone carriage return ends a line for PyYAML, and not for ruamel.yaml.
        text = after.content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        for container in values(text, version)["spec"]["containers"]:
            image = container["image"].strip()
            assert image == "other:1" or image.removeprefix(str(REPOSITORY)) in allowed


@settings(deadline=None)  # readers are slow on a busy machine
@given(kustomizations(), tags, pins)
def test_a_kustomization(file: ManifestFile, tag: str, pin: Pin) -> None:
    change, after = release(file, tag, pin)

    if change:
        bytes_outside_the_spans_stay(change)
    assert release(after, tag, pin)[0] is None
    for version in (None, (1, 1), (1, 2)):
        text = after.content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        (entry,) = values(text, version)["images"]
        found = entry.get("newTag"), entry.get("digest")
        match pin:
            case Pin.TAG:
                assert found == (tag, None)
            case Pin.DIGEST:
                assert found == (None, str(NEW_DIGEST))
            case Pin.BOTH:
                assert found == (tag, str(NEW_DIGEST))
            case Pin.KEEP:
                assert found in {
                    (tag, None),
                    (None, str(NEW_DIGEST)),
                    (tag, str(NEW_DIGEST)),
                }
