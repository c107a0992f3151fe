from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_release.core.markdown import code, table


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("web", "`web`"),
        ("", "`  `"),
        ("a`b", "``a`b``"),
        ("a``b`c", "```a``b`c```"),
        ("`", "`` ` ``"),
        (" a ", "`  a  `"),
        ("a|b", "`a\\|b`"),
        ("a\nb\r\nc", "`a b c`"),
        ("a\0\x1b[31mb", "`a [31mb`"),
        ("@everyone #1 <b> [x](y) **z**", "`@everyone #1 <b> [x](y) **z**`"),
    ],
)
def test_text_is_shown_and_not_interpreted(text: str, markup: str) -> None:
    assert code(text) == markup


@pytest.mark.parametrize(
    "character",
    [
        *("\x00", "\x07", "\n", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029"),
        *("\u061c", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069"),
    ],
    ids=lambda character: f"U+{ord(character):04X}",
)
def test_characters_that_change_how_text_looks_are_dropped(character: str) -> None:
    assert code(f"a{character}b") == "`a b`"


@given(st.text())
def test_a_code_span_ends_where_it_should(text: str) -> None:
    markup = code(text)
    fence = re.match("`+", markup)
    assert fence
    inner = markup[len(fence[0]) : -len(fence[0])]
    assert markup.endswith(fence[0])
    assert not inner.startswith("`")
    assert not inner.endswith("`")
    assert fence[0] not in re.findall("`+", inner)
    assert not re.search(r"(?<!\\)\|", inner)
    assert len(markup.splitlines()) == 1


def test_a_table_has_a_line_for_each_row() -> None:
    assert table(["A", "B"], [["1", "2"], ["3", "4"]]).splitlines() == [
        "| A | B |",
        "| --- | --- |",
        "| 1 | 2 |",
        "| 3 | 4 |",
    ]
