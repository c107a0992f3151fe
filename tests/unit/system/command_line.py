"""The program as its users see it: arguments and variables in, two streams and a code out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_release.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest


@dataclass(frozen=True)
class Ended:
    """What a run left behind."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class CommandLine:
    """Runs the program in this process."""

    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
        code = run(arguments, environ or {})
        said = self.capture.readouterr()
        return Ended(code, said.out, said.err)
