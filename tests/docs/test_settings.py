"""The page on settings: its tables are evaluated."""

from __future__ import annotations

import re

import pytest

from gitops_release.cli.expansion import expand
from gitops_release.cli.main import cli
from gitops_release.cli.settings import _ORDER, SettingOption
from gitops_release.core.errors import UsageError
from gitops_release.core.image import ImageReference
from gitops_release.core.manifest import ManifestEdits
from gitops_release.core.release_request import ReleaseImage, ReleaseRequest, Wording
from gitops_release.core.release_text import name_release, word_release
from tests.docs.pages import REFERENCE, code, rows, section

PAGE = REFERENCE / "settings.md"
OPTIONS = [
    option
    for command in cli.commands.values()
    for option in command.params
    if isinstance(option, SettingOption)
]
VALUES = section(PAGE, "## Variables in values")
VARIABLES = {code(name): code(value) for name, value in rows(VALUES)}
EXPANSIONS = [
    (code(written), code(becomes))
    for written, becomes, _ in rows(VALUES.partition("these values become:")[2])
]
FIELDS = [code(field) for field, _ in rows(section(PAGE, "## Templates"))]


def test_sources_are_in_the_order_of_the_program() -> None:
    assert [source for source, _ in rows(section(PAGE, "## Sources"))] == _ORDER.split(", ")


@pytest.mark.parametrize(("written", "becomes"), EXPANSIONS)
def test_expansion(written: str, becomes: str) -> None:
    assert expand(written, VARIABLES) == becomes


def test_every_operator_is_shown() -> None:
    shown = " ".join(written for written, _ in EXPANSIONS) + VALUES
    for operator in (":-", ":+", ":?", "##", "%%", "//", "/#", "/%", ",,", "^^", "$$"):
        assert operator in shown


@pytest.mark.parametrize(
    "value", ["$MISSING", "$(date)", "`date`", "$((1))", "$", '${A:-"x"}', "${A", "${A@Q}"]
)
def test_what_is_called_an_error_is_one(value: str) -> None:
    with pytest.raises(UsageError):
        expand(value, {"A": ""} if value.startswith("${A") else {})


def test_secret_options_and_their_defaults() -> None:
    documented = {code(name): code(default) for name, default in rows(section(PAGE, "## Secrets"))}
    assert documented == {
        o.flag: o.default for o in OPTIONS if o.secret and isinstance(o.default, str)
    }
    with pytest.raises(UsageError):
        expand("$GITHUB_TOKEN", {"GITHUB_TOKEN": "x"})


def test_options_that_a_checkout_may_not_set() -> None:
    documented = [code(name) for (name,) in rows(section(PAGE, "## The file"))]
    assert documented == sorted({o.flag for o in OPTIONS if o.trusted and o.in_file})
    assert {o.flag for o in OPTIONS if not o.in_file} == {"--config", "--explain-settings"}


def test_fields_of_templates() -> None:
    body = "".join(FIELDS)
    title = body.replace("{changes}", "")
    branch = title.replace("{branch}", "")
    request = ReleaseRequest(
        images=(ReleaseImage(ImageReference.parse("registry.example.com/shop/web:1.1.0")),),
        wording=Wording(branch="b" + branch, title=title, body=body, commit_message=title),
    )
    assert word_release(request, name_release(request), ManifestEdits()).title


@pytest.mark.parametrize("option", ["branch", "title", "body", "commit_message"])
def test_no_field_is_missing_in_the_table(option: str) -> None:
    request = ReleaseRequest(
        images=(ReleaseImage(ImageReference.parse("registry.example.com/shop/web:1.1.0")),),
        wording=Wording(**{option: "{nonsense}"}),
    )
    with pytest.raises(UsageError) as raised:
        word_release(request, name_release(request), ManifestEdits())
    known = re.findall(r"\{\w+\}", raised.value.hint or "")
    absent = {"branch": {"{branch}", "{changes}"}, "body": set()}.get(option, {"{changes}"})
    assert set(known) == set(FIELDS) - absent
