from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_release.core.errors import UsageError
from gitops_release.core.templates import fill

FIELDS = {"image": "web", "tag": "1.0", "environment": "", "braces": "{image} }} {{"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("Release", "Release"),
        ("{image}-{tag}", "web-1.0"),
        ("{image}{image}", "webweb"),
        ("[{environment}]", "[]"),
        ("{{image}}", "{image}"),
        ("{{{image}}}", "{web}"),
        ("{braces}", "{image} }} {{"),
        ("$TAG ${TAG} %s %(tag)s", None),
        ("100% $5 \\n é", "100% $5 \\n é"),
    ],
)
def test_fields_are_replaced_and_nothing_else(template: str, text: str | None) -> None:
    if text is None:
        with pytest.raises(UsageError):
            fill(template, FIELDS, option="--title")
    else:
        assert fill(template, FIELDS, option="--title") == text


@pytest.mark.parametrize(
    "template", ["{", "}", "a{b", "{image", "image}", "{Image}", "{image.x}", "{image!r}", "{0}"]
)
def test_a_lone_brace_is_refused_with_what_to_write(template: str) -> None:
    with pytest.raises(UsageError, match=r"in --title, found a lone '[{}]' at character") as caught:
        fill(template, FIELDS, option="--title")
    assert "for the character itself" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("template", "hint"),
    [("{imag}", "did you mean {image}?"), ("{zzz}", "known fields: {braces}"), ("{}", "known")],
)
def test_an_unknown_field_is_refused_with_the_known_ones(template: str, hint: str) -> None:
    with pytest.raises(UsageError, match="a known field in --branch") as caught:
        fill(template, FIELDS, option="--branch")
    assert hint in (caught.value.hint or "")
    assert "{environment}" in (caught.value.hint or "")


@given(st.text(), st.text())
def test_a_value_is_never_looked_at_again(before: str, value: str) -> None:
    literal = before.replace("{", "{{").replace("}", "}}")
    assert fill(f"{literal}{{x}}", {"x": value}, option="--title") == before + value
