from __future__ import annotations

import pytest

from gitops_release.core.diff import unified_diff
from gitops_release.core.manifest import FileChange, FileMode


def change(old: bytes, new: bytes, path: str = "web.yaml") -> FileChange:
    return FileChange(path, FileMode.REGULAR, old, new, ())


def body(old: bytes, new: bytes) -> list[str]:
    return unified_diff([change(old, new)]).split("\n")[3:-1]


def test_each_file_has_its_header() -> None:
    text = unified_diff([change(b"a\n", b"b\n", "x/one.yaml"), change(b"c\n", b"d\n", "two.yaml")])
    assert text == (
        "--- a/x/one.yaml\n+++ b/x/one.yaml\n@@ -1 +1 @@\n-a\n+b\n"
        "--- a/two.yaml\n+++ b/two.yaml\n@@ -1 +1 @@\n-c\n+d\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (b"a\nb\nc\n", b"a\nB\nc\n", [" a", "-b", "+B", " c"]),
        (b"a\r\nb\r\n", b"a\r\nB\r\n", [" a\r", "-b\r", "+B\r"]),
        (b"a\rb\n", b"a\rB\n", ["-a\rb", "+a\rB"]),
        ("a\u2028b\x0c\n".encode(), b"x\n", ["-a\u2028b\x0c", "+x"]),
        (b"\xff\n", b"b\n", ["-\ufffd", "+b"]),
        (b"a", b"b\n", ["-a", "\\ No newline at end of file", "+b"]),
        (b"a\n", b"b", ["-a", "+b", "\\ No newline at end of file"]),
        (
            b"a\nb",
            b"A\nb",
            ["-a", "+A", " b", "\\ No newline at end of file"],
        ),
        (b"", b"b\n", ["+b"]),
    ],
    ids=[
        "LF",
        "CRLF",
        "a lone CR",
        "other separators",
        "no UTF-8",
        "no end before",
        "no end after",
        "no end at all",
        "empty",
    ],
)
def test_lines_are_git_lines(old: bytes, new: bytes, lines: list[str]) -> None:
    assert body(old, new) == lines


def test_no_change_is_no_text() -> None:
    assert unified_diff([]) == ""
    assert unified_diff([change(b"a\n", b"a\n")]) == ""
