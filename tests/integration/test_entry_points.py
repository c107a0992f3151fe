"""The three spellings of the program are one program."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = str(Path(sysconfig.get_path("scripts")) / "gitops-release")
SPELLINGS = {
    "console script": (SCRIPT,),
    "gitops_release": (sys.executable, "-m", "gitops_release"),
    "helper": (sys.executable, "-m", "helper"),
}
COMMANDS = (
    "build-and-push-image",
    "create-release-pr",
    "describe-image",
    "promote-image",
    "doctor",
)


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("arguments", [(), *((command,) for command in COMMANDS)])
def test_every_spelling_shows_the_same_help(arguments: tuple[str, ...]) -> None:
    first, *others = (output(*words, *arguments, "--help") for words in SPELLINGS.values())
    assert first.startswith("Usage: gitops-release")
    assert others == [first, first]


def test_helper_overwrites_nobody_elses_helper() -> None:
    files = [path.name for path in (ROOT / "src" / "helper").iterdir() if path.is_file()]
    assert files == ["__main__.py"]
