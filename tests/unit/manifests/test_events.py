"""Where scalars stand, with both of PyYAML's parsers."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from gitops_release.manifests import events
from gitops_release.manifests.document import Alias, Scalar
from gitops_release.manifests.events import UnparsableError, parse
from gitops_release.manifests.text import Chunk, Lines, cut


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(events, "parser_class", getattr(yaml, request.param))
    name: str = request.param
    return name


def scalars(content: bytes) -> list[tuple[Any, str, bytes]]:
    """Return keys, value and bytes of all values of a file, in their order."""
    found = [
        scalar
        for chunk in cut(content)
        for document in parse(chunk, lambda _value: True)
        for scalar in document.scalars.values()
    ]
    found.sort(key=lambda scalar: scalar.start)
    return [(each.keys, each.value, content[each.start : each.end]) for each in found]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: b", [(("a",), "b", b"b")]),
        ("a: 'b' # c\n", [(("a",), "b", b"'b'")]),
        (
            'ä🚀: {ö: x👩‍🚀y, b: "z"}\n',
            [(("ä🚀", "ö"), "x👩‍🚀y", "x👩‍🚀y".encode()), (("ä🚀", "b"), "z", b'"z"')],
        ),
        ("\ufeffa: b\n---\nc: d\n", [(("a",), "b", b"b"), (("c",), "d", b"d")]),
        ("\ufeffä: ö\n", [(("ä",), "ö", "ö".encode())]),
        ("a: b\r\nc:\r\n- d\r\n", [(("a",), "b", b"b"), (("c", 0), "d", b"d")]),
        ("a: b\rc: d\r", [(("a",), "b", b"b"), (("c",), "d", b"d")]),
        (
            "a: &x b\nc: !!str d\ne: &y !t 'f'\n",
            [(("a",), "b", b"b"), (("c",), "d", b"d"), (("e",), "f", b"'f'")],
        ),
        ("a: &x # c\n  b\n", [(("a",), "b", b"b")]),
        ("a: !<tag:yaml.org,2002:str> b\n", [(("a",), "b", b"b")]),
        ("a:\nb: &x\n", [(("a",), "", b""), (("b",), "", b"")]),
        ("a: |\n  b\nc: >-\n  d\n", [(("a",), "b\n", b"|\n  b\n"), (("c",), "d", b">-\n  d\n")]),
        (
            "- - a\n  - b\n- c: d\n",
            [((0, 0), "a", b"a"), ((0, 1), "b", b"b"), ((1, "c"), "d", b"d")],
        ),
        (
            "? [a, b]\n: c\n? {d: e}\n: f\ng: h\n",
            [
                (("?", 0), "a", b"a"),
                (("?", 1), "b", b"b"),
                (("?",), "c", b"c"),
                (("?", "d"), "e", b"e"),
                (("?",), "f", b"f"),
                (("g",), "h", b"h"),
            ],
        ),
        ("[a: b, c]", [((0, "a"), "b", b"b"), ((1,), "c", b"c")]),
        ("%YAML 1.1\n---\na: b\n...\n---\nc: d\n", [(("a",), "b", b"b"), (("c",), "d", b"d")]),
        ("# nothing\n---\n---\n...\n", []),
        ("just text", []),
        ("", []),
    ],
)
def test_spans_are_bytes_without_anchor_and_tag(
    content: str, expected: list[tuple[Any, str, bytes]]
) -> None:
    assert scalars(content.encode()) == expected


def test_spans_stay_exact_in_long_text_that_is_not_ascii() -> None:
    lines = [f"k{number}: 'ü{number}'" for number in range(3000)]
    found = scalars("\n".join(lines).encode())
    assert [raw.decode() for _, _, raw in found] == [f"'ü{number}'" for number in range(3000)]


def test_only_collections_with_something_wanted_are_kept() -> None:
    (chunk,) = cut(b"a: {b: c, d: wanted}\ne: {f: g}\nh: {i: &x j}\nk: [*x]\n")
    (document,) = parse(chunk, lambda value: value == "wanted")
    assert [collection.keys for collection in document.collections] == [("a",), ("h",), ("k",), ()]
    assert document.root is document.collections[-1]


def test_an_alias_knows_the_latest_scalar_of_its_anchor() -> None:
    (chunk,) = cut(b"- &x a\n- &x b\n- *x\n- &y [c]\n- *y\n")
    (document,) = parse(chunk, lambda _value: False)
    first, second = document.aliases
    assert isinstance(first, Alias)
    resolved = document.resolve(first)
    assert isinstance(resolved, Scalar)
    assert resolved.value == "b"
    assert document.resolve(second) is None


def test_the_last_of_two_equal_keys_counts() -> None:
    (chunk,) = cut(b"kind: A\nkind: B\n")
    (document,) = parse(chunk, lambda _value: False)
    assert document.text_at("kind") == "B"
    assert document.text_at("other") is None


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: b\nc: [\n", 3),
        (b"a: b\n\xff: c\n", 2),
        (b"a: b\n\n\x00", 3),
        (b"a: *unknown_is_fine\nb: 'open\n", 3),
    ],
)
def test_a_broken_chunk_says_where(content: bytes, line: int) -> None:
    with pytest.raises(UnparsableError) as caught:
        parse(Chunk(0, content), lambda _value: True)
    assert caught.value.line == line
    assert caught.value.words


@pytest.mark.parametrize("bracket", [b"[", b"{a: "])
def test_depth_is_bounded_in_time(bracket: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(UnparsableError, match="nest"):
        parse(Chunk(0, bracket * 100_000), lambda _value: True)
    assert time.monotonic() - start < 5


def test_aliases_are_never_expanded() -> None:
    laughs = [b"a0: &a0 [ha]"]
    laughs += [b"a%d: &a%d [%s]" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 30)]
    (document,) = parse(Chunk(0, b"\n".join(laughs)), lambda _value: False)
    assert len(document.aliases) == 29 * 9


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"a\n---\nb\n---\nc", [b"a\n", b"---\nb\n", b"---\nc"]),
        (b"---\na\n--- b\n---\tc\n---", [b"---\na\n", b"--- b\n", b"---\tc\n", b"---"]),
        (b"a\n----\n --- b\n---c\n", [b"a\n----\n --- b\n---c\n"]),
        (b"a\r---\rb", [b"a\r", b"---\rb"]),
        (b"\xef\xbb\xbf---\na\n---\n", [b"---\na\n", b"---\n"]),
        (b"%TAG ! x\n---\na\n---\nb", [b"%TAG ! x\n---\na\n---\nb"]),
        (b"", []),
    ],
)
def test_a_stream_is_cut_at_documents(content: bytes, parts: list[bytes]) -> None:
    chunks = cut(content)
    assert [chunk.content for chunk in chunks] == parts
    assert all(content[chunk.start : chunk.end] == chunk.content for chunk in chunks)


def test_lines_end_with_lf_crlf_or_cr() -> None:
    lines = Lines(b"a\nb\r\nc\rd")
    assert [lines.number(offset) for offset in (0, 1, 2, 3, 5, 6, 7)] == [1, 1, 2, 2, 3, 3, 4]
    assert [(lines.start(at), lines.end(at), lines.line_break(at)) for at in (0, 2, 5, 7)] == [
        (0, 1, b"\n"),
        (2, 3, b"\r\n"),
        (5, 6, b"\r"),
        (7, 8, b"\r"),
    ]
    assert Lines(b"a").line_break(0) == b"\n"
