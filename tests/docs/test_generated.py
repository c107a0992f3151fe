"""Pages that are generated say what the code says today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs import cli, orb
from tests.docs.pages import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("page", "render", "command"),
    [
        ("cli.md", cli.render, cli.COMMAND),
        ("orb.md", orb.render, orb.COMMAND),
    ],
)
def test_is_up_to_date(page: str, render: Callable[[], str], command: str) -> None:
    # Not compared by pytest, whose diff of two long texts takes long and helps nobody.
    if (REFERENCE / page).read_text("utf-8") != render():
        pytest.fail(f"docs/reference/{page} is out of date, run: {command}", pytrace=False)


@pytest.mark.parametrize("kind", ["commands", "jobs", "executors"])
def test_every_parameter_is_described(kind: str) -> None:
    for name, component in orb.components(kind).items():
        for parameter, about in component["parameters"].items():
            assert about.get("description"), f"{name}: {parameter}"
