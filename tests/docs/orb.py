"""Renders docs/reference/orb.md from orb/: ``python -m tests.docs.orb``."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.docs.markdown import code, escaped, table
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMMAND: Final = "python -m tests.docs.orb > docs/reference/orb.md"
ORB: Final = ROOT / "orb"

_INTRODUCTION: Final = f"""\
# The orb

<!-- Generated: {COMMAND} -->

Two jobs do all the work; the commands are their parts, for jobs of your own. A parameter reaches
the program as the variable `GITOPS_RELEASE_ORB_<PARAMETER>`, in capitals, and is weaker than
nothing but the command line: see [settings](settings.md).

The default `""` means that the parameter is not given. What holds then is said at the end of the
description, unless a variable or the configuration file of the project sets it. A boolean that is
`false` is not given either.
"""


def render() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for kind in ("jobs", "commands", "executors"):
        parts.append(f"## {kind.capitalize()}\n")
        for name, component in components(kind).items():
            parts += [f"### {kind.removesuffix('s')} {name}\n", *_component(component)]
    parts.append("## Examples\n")
    for file in _files("examples"):
        example = _load(file)
        parts += [
            f"### example {file.stem}\n",
            escaped(example["description"]) + "\n",
            f"```yaml\n{usage(file)}```\n",
        ]
    return "\n".join(parts).rstrip() + "\n"


def components(kind: str) -> dict[str, Any]:
    """Return the orb's jobs, commands or executors by name."""
    return {file.stem: _load(file) for file in _files(kind)}


def usage(file: Path) -> str:
    """Return the configuration that an example shows, as it is written there."""
    _, _, text = file.read_text("utf-8").partition("\nusage:\n")
    return textwrap.dedent(text)


def _files(kind: str) -> list[Path]:
    return sorted((ORB / kind).glob("*.yml"))


def _load(file: Path) -> Any:  # noqa: ANN401 - a document
    return yaml.safe_load(file.read_text("utf-8"))


def _component(component: Mapping[str, Any]) -> Iterator[str]:
    yield escaped(component["description"]) + "\n"
    rows = [_row(name, about) for name, about in component.get("parameters", {}).items()]
    yield table(["Parameter", "Type", "Default", "Description"], rows) + "\n"


def _row(name: str, parameter: Mapping[str, Any]) -> list[str]:
    kind = parameter["type"]
    if kind == "enum":
        kind = "one of " + ", ".join(code(value) for value in parameter["enum"] if value)
    default = "**required**"
    if "default" in parameter:
        value = parameter["default"]
        default = code(value if isinstance(value, str) and value else json.dumps(value))
    return [code(name), kind, default, escaped(parameter["description"])]


if __name__ == "__main__":
    print(render(), end="")
