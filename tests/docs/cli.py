"""Renders docs/reference/cli.md from click: ``python -m tests.docs.cli``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

import click

from gitops_release.cli.main import cli
from gitops_release.cli.settings import SettingOption
from tests.docs.markdown import code, escaped, table

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND: Final = "python -m tests.docs.cli > docs/reference/cli.md"

_INTRODUCTION: Final = f"""\
# Commands

<!-- Generated: {COMMAND} -->

The program has three spellings: `gitops-release`, `python -m gitops_release` and
`python -m helper`. Options are the only arguments. `-h` and `--help` show what follows here.

Every option can also be given by a variable or in the configuration file:
[settings](settings.md) says how, and which expressions may stand in values. What the last column
says:

- *required*: the command does not start without it.
- *repeatable*: give the option once for each value.
- *not from the checkout*: a `.gitops-release.yml` that was found in the current directory may not
  set it, a file named by `--config` may.
- *names a variable*: the value is the name of the environment variable that holds the secret.

The plan, the progress and the diff go to stderr. Stdout has one line, for programs: the pinned
image, or the pull request's URL. How a command ended is said by its [exit code](exit-codes.md).
"""


def render() -> str:
    """Return the page."""
    group = click.Context(cli, info_name="gitops-release", **cli.context_settings)
    parts = [_INTRODUCTION, "## gitops-release\n", *_paragraphs(cli)]
    parts.append(table(["Option", "What it does"], [_of_group(o, group) for o in _options(group)]))
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, info_name=name, parent=group)
        header = ["Option", "What it does", "Default", ""]
        rows = [_row(option, context) for option in _options(context)]
        parts += [f"\n## gitops-release {name}\n", *_paragraphs(command), table(header, rows)]
    return "\n".join(parts) + "\n"


def _paragraphs(command: click.Command) -> Iterator[str]:
    r"""Yield the help's paragraphs; after ``\b`` click keeps the lines as they are."""
    text = inspect.cleandoc(command.help or "").partition("\f")[0]
    for paragraph in text.split("\n\n"):
        yield escaped(paragraph.replace("\b", "")) + "\n"


def _options(context: click.Context) -> list[click.Option]:
    options = context.command.get_params(context)
    return [option for option in options if isinstance(option, click.Option) and not option.hidden]


def _of_group(option: click.Option, context: click.Context) -> list[str]:
    return [_name(option, context), escaped(option.help or "")]


def _row(option: click.Option, context: click.Context) -> list[str]:
    default = option.get_default(context)
    shown = str(default) if isinstance(default, str | int) and not option.is_flag else ""
    return [
        _name(option, context),
        escaped(option.help or ""),
        code(shown),
        ", ".join(_remarks(option)),
    ]


def _name(option: click.Option, context: click.Context) -> str:
    names = ", ".join(option.opts)
    return code(names if option.is_flag else f"{names} {option.make_metavar(context)}")


def _remarks(option: click.Option) -> Iterator[str]:
    if option.required:
        yield "required"
    if option.multiple:
        yield "repeatable"
    if isinstance(option, SettingOption):
        if option.in_file and option.trusted:
            yield "not from the checkout"
        if option.secret:
            yield "names a variable"


if __name__ == "__main__":
    print(render(), end="")
