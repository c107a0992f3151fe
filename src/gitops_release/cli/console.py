"""The only printer: one line for machines on stdout, the story for people on stderr."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gitops_release.core.errors import GitopsReleaseError
    from gitops_release.core.plan import Action, Plan
    from gitops_release.system.redaction import Redactor

COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class Console:
    """Prints text with its secrets masked."""

    redactor: Redactor

    def result(self, line: str) -> None:
        """Print the one line that a program reads."""
        self._print(line, sys.stdout)

    def note(self, text: str) -> None:
        """Print a line for people."""
        self._print(text, sys.stderr)

    def step(self, text: str) -> None:
        """Print what is being done now."""
        self._print(click.style(f"==> {text}", bold=True), sys.stderr)

    def plan(self, plan: Plan[Action]) -> None:
        """Print a plan: the very object that is executed."""
        for line in plan.describe():
            self.note(line)

    def diff(self, text: str) -> None:
        """Print a unified diff, coloured on a terminal."""
        for line in text.splitlines():
            self._print(click.style(line, fg=COLOURS.get(line[:1])), sys.stderr)

    def lines(self, lines: Iterable[object]) -> None:
        """Print lines for people."""
        for line in lines:
            self.note(str(line))

    def error(self, error: GitopsReleaseError) -> None:
        """Print what went wrong and what to do."""
        self._print(f"{click.style('error:', fg='red')} {error.message}", sys.stderr)
        if error.hint is not None:
            self._print(f"{click.style('hint:', fg='yellow')} {error.hint}", sys.stderr)

    def usage_error(self, error: click.ClickException) -> None:
        """Print what the command line got wrong."""
        self._print(f"{click.style('error:', fg='red')} {error.format_message()}", sys.stderr)
        context = error.ctx if isinstance(error, click.UsageError) else None
        if context is not None:
            self.note(f"hint: see {context.command_path} --help")

    def bug(self, error: Exception) -> None:
        """Print a traceback, for what should never happen."""
        self.note("".join(traceback.format_exception(error)).rstrip())
        self.note("error: this is a bug in gitops-release; please report the lines above")

    def _print(self, text: str, stream: TextIO) -> None:
        # click drops the colours where the stream is no terminal or NO_COLOR asks for that.
        click.echo(self.redactor.redact(text), file=stream)
