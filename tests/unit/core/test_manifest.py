from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_release.core.manifest import Edit, Location, apply_edits, key_path, line_of


def edit(start: int, end: int, old: bytes, new: bytes) -> Edit:
    return Edit("web.yaml", start, end, old, new)


@pytest.mark.parametrize(
    ("edits", "content"),
    [
        ((), b"0123456789"),
        ((edit(2, 4, b"23", b"xyz"),), b"01xyz456789"),
        ((edit(0, 1, b"0", b""), edit(9, 10, b"9", b"nine")), b"12345678nine"),
        ((edit(2, 4, b"23", b"a"), edit(4, 6, b"45", b"b")), b"01ab6789"),
        ((edit(10, 10, b"", b"end"),), b"0123456789end"),
    ],
)
def test_spans_are_replaced(edits: tuple[Edit, ...], content: bytes) -> None:
    assert apply_edits(b"0123456789", edits) == content


@pytest.mark.parametrize(
    "edits",
    [
        (edit(2, 4, b"xx", b"a"),),
        (edit(9, 11, b"9x", b"a"),),
        (edit(2, 5, b"234", b"a"), edit(4, 6, b"45", b"b")),
        (edit(4, 6, b"45", b"b"), edit(2, 4, b"23", b"a")),
    ],
    ids=["other bytes", "beyond the end", "overlap", "wrong order"],
)
def test_an_edit_that_does_not_fit_is_a_bug(edits: tuple[Edit, ...]) -> None:
    with pytest.raises(ValueError, match=r"of web\.yaml does not fit"):
        apply_edits(b"0123456789", edits)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ((), ""),
        (("spec", "containers", 0, "image"), ".spec.containers[0].image"),
        (("image-tag", "_x", "ключ"), ".image-tag._x.ключ"),
        (("a.b/c",), '["a.b/c"]'),
        (("0", "1a", ""), '["0"]["1a"][""]'),
        (('say "hi"\\',), '["say \\"hi\\"\\\\"]'),
    ],
)
def test_keys_are_written_as_locations_are(keys: tuple[str | int, ...], text: str) -> None:
    assert key_path(keys) == text


def test_a_location_is_a_file_a_line_and_keys() -> None:
    assert str(Location("k8s/web.yaml", 7, ("spec", 0))) == "k8s/web.yaml:7 .spec[0]"


@pytest.mark.parametrize(
    ("content", "offset", "line"),
    [
        (b"", 0, 1),
        (b"ab\ncd", 2, 1),
        (b"ab\ncd", 3, 2),
        (b"a\r\nb\r\nc", 6, 3),
        (b"a\rb\rc", 4, 3),
        (b"a\n\r\n\rb", 5, 4),
    ],
)
def test_lines_end_with_lf_crlf_or_cr(content: bytes, offset: int, line: int) -> None:
    assert line_of(content, offset) == line


@given(st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4), st.binary(max_size=4))))
def test_bytes_outside_the_spans_stay(pieces: list[tuple[bytes, bytes, bytes]]) -> None:
    content, expected, edits = b"", b"", []
    for kept, old, new in pieces:
        start = len(content) + len(kept)
        edits.append(edit(start, start + len(old), old, new))
        content += kept + old
        expected += kept + new
    assert apply_edits(content, tuple(edits)) == expected
