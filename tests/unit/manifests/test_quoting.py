"""What is written as a tag is a string for every reader of YAML."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gitops_release.manifests.quoting import is_plain_string, scalar_text

# Read as a number, date, truth value or null by at least one of YAML 1.1, YAML 1.2, go-yaml v2
# and v3, and JSON. Mostly git revisions that happen to have no other letter than e.
AMBIGUOUS = """
    1234567 0123456 0128901 0 00 -1 +1 12e4567 123e456 096e338 00e1234 1234e56 6063e25 1e5 1e-5 1E5
    0e12345 09e12 1.10 1.0 1. .5 1_000 1__2 1e_5 1e4_ 0x1f 0X1F 0x 0b101 0o17 0o-6 12:30 1:20:30
    1:20:30.5 2024-01-01 2024-1-1 2024-01-01T10:20:30Z .inf -.inf +.Inf .nan .NaN y Y n N yes Yes
    YES no No on On OFF true True TRUE false null Null NULL ~ = << 20240101 1e
""".split()  # noqa: SIM905 - a table

PLAIN = """
    25402c0 47ea3df ede7575 4f3e2a1 e123456 1234567a v1.10 1.25.3 1.10.0 latest sha-1234567 1.2-3
    2024-01-01-1 12e45e7 a1 e1 x null-1 yes-1 _ab 1.10-alpine 20240101-1200 nan inf 0xfg
    sha256:1a1a asia.gcr.io/acme/web:1234567 host:5000/a/b:tag@sha256:1a1a
""".split()  # noqa: SIM905 - a table

tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,11}", fullmatch=True)
number_like = st.text("0123456789eExob_.-+:afinyT", min_size=1, max_size=9)


def ruamel(text: str, version: tuple[int, int]) -> object:
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    value: object = reader.load(text)
    return value


def readings(text: str) -> list[object]:
    return [yaml.safe_load(text), ruamel(text, (1, 1)), ruamel(text, (1, 2))]


@pytest.mark.parametrize("tag", AMBIGUOUS)
def test_text_that_some_reader_takes_for_something_else_is_quoted(tag: str) -> None:
    assert not is_plain_string(tag)
    assert scalar_text(tag) == f'"{tag}"'
    assert readings(scalar_text(tag)) == [tag] * 3


@pytest.mark.parametrize("tag", PLAIN)
def test_text_that_every_reader_takes_for_a_string_stays_plain(tag: str) -> None:
    assert scalar_text(tag) == tag
    assert readings(tag) == [tag] * 3


@pytest.mark.parametrize("text", ["a: b", "a #b", "- a", "a:", "[a", "a,b", "*a", "&a", "!a", "%a"])
def test_text_with_indicators_is_quoted(text: str) -> None:
    assert readings(scalar_text(text)) == [text] * 3


def test_text_with_double_quotes_or_backslashes_gets_single_quotes() -> None:
    assert scalar_text('a"b') == "'a\"b'"
    assert readings(scalar_text("it's \\ x")) == ["it's \\ x"] * 3


@settings(deadline=None)  # readers are slow on a busy machine
@given(tags | number_like)
def test_whatever_is_written_reads_as_that_string(text: str) -> None:
    assert readings(scalar_text(text)) == [text] * 3


@settings(deadline=None)  # readers are slow on a busy machine
@given(tags | number_like)
def test_what_stays_plain_is_no_json_value(text: str) -> None:
    if is_plain_string(text):
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)
