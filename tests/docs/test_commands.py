"""What the pages tell people to type or to configure exists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from gitops_release.cli.config_file import parse_config_file
from gitops_release.cli.main import cli
from gitops_release.cli.settings import _command_options
from tests.docs import orb
from tests.docs.pages import PAGES, ROOT, SHELLS, Fence, code_spans, command_lines, fences

if TYPE_CHECKING:
    from pathlib import Path

IDS = [str(page.relative_to(ROOT)) for page in PAGES]
GROUP = click.Context(cli, info_name="gitops-release", **cli.context_settings)

LINES = [
    (fence, words)
    for page in PAGES
    for fence in fences(page, *SHELLS)
    for words in command_lines(fence)
]
YAML = [
    (fence, yaml.safe_load(fence.text)) for page in PAGES for fence in fences(page, "yaml", "yml")
]
CONFIGURATIONS = [(fence, data) for fence, data in YAML if "workflows" in data]
SETTINGS_FILES = [(fence, data) for fence, data in YAML if set(data) <= {"defaults", *cli.commands}]

OF_CIRCLECI = frozenset(
    {
        *("name", "requires", "context", "filters", "matrix", "type"),
        *("pre-steps", "post-steps", "serial-group"),
    }
)
OF_OTHERS = frozenset({"--help", "--version"})


def context_of(name: str) -> click.Context:
    """Return a context of one of the commands."""
    return click.Context(cli.commands[name], info_name=name, parent=GROUP)


def check(words: list[str]) -> None:
    """Parse a command line as click does, without running anything; raise what click raises."""
    if words[0] in {"--help", "-h", "--version"}:
        assert words[1:] == []
        return
    assert words[0] in cli.commands, words[0]
    context = context_of(words[0])
    given, rest, _ = context.command.make_parser(context).parse_args(words[1:])
    assert rest == []
    for option in context.command.get_params(context):
        assert option.name is not None
        values = given.get(option.name)
        assert values is not None or not option.required or "help" in given, option.name
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str) and isinstance(option.type, click.Choice):
                option.type.convert(value, option, context)


def test_commands_are_found() -> None:
    assert len(LINES) >= 6
    assert len(CONFIGURATIONS) >= 3
    assert len(SETTINGS_FILES) >= 1


@pytest.mark.parametrize(("fence", "words"), LINES, ids=str)
def test_command_line_is_valid(fence: Fence, words: list[str]) -> None:
    assert fence.page.is_file()
    check(words)


@pytest.mark.parametrize(
    "words",
    [
        ["create-pr"],
        ["create-release-pr", "--image", "a.b/c:1"],
        ["create-release-pr", "--manifest-repository", "./m", "--imgae", "a.b/c:1"],
        ["create-release-pr", "--manifest-repository", "./m", "surplus"],
        ["create-release-pr", "--manifest-repository", "./m", "--pin", "everything"],
        ["create-release-pr", "--manifest-repository"],
    ],
)
def test_a_wrong_command_line_is_found(words: list[str]) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        check(words)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_options_in_the_text_exist(page: Path) -> None:
    known = {
        name
        for command in cli.commands
        for option in context_of(command).command.get_params(context_of(command))
        for name in option.opts
    }
    for span in code_spans(page):
        for option in re.findall(r"(?:^|(?<= ))--[a-z][a-z-]*", span):
            assert option in known | OF_OTHERS, option
        if span.startswith("gitops-release "):
            assert span.split()[1] in {*cli.commands, *OF_OTHERS}, span


@pytest.mark.parametrize(("fence", "data"), CONFIGURATIONS, ids=str)
def test_jobs_have_the_orbs_parameters(fence: Fence, data: Any) -> None:  # noqa: ANN401 - YAML
    assert fence.page.is_file()
    jobs = orb.components("jobs")
    for workflow in data["workflows"].values():
        for entry in workflow["jobs"]:
            ((name, given),) = entry.items()
            parameters = jobs[name.removeprefix("gitops-release/")]["parameters"]
            assert set(given) - OF_CIRCLECI <= set(parameters)
            required = {key for key, about in parameters.items() if "default" not in about}
            assert required <= set(given)


def test_parameters_in_the_how_to_exist() -> None:
    jobs = orb.components("jobs").values()
    known = {name for job in jobs for name in job["parameters"]}
    for span in code_spans(ROOT / "docs" / "how-to" / "first-release-on-circleci.md"):
        match = re.match(r"([a-z_]+): ", span)
        if match:
            assert match[1] in known, span


@pytest.mark.parametrize(("fence", "data"), SETTINGS_FILES, ids=str)
def test_settings_file_is_valid(fence: Fence, data: object) -> None:
    assert data is not None
    commands = {name: _command_options(command) for name, command in cli.commands.items()}
    parse_config_file(fence.text.encode(), commands, name=str(fence), explicit=False)


def test_readme_shows_the_orbs_example() -> None:
    (shown,) = fences(ROOT / "README.md", "yaml")
    (example,) = (ROOT / "orb" / "examples").glob("*.yml")
    assert shown.text == orb.usage(example)
