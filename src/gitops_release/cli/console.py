"""The only printer: one line for machines on stdout, the story for people on stderr."""

from __future__ import annotations

import re
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gitops_release.core.errors import GitopsReleaseError
    from gitops_release.core.plan import Action, Plan
    from gitops_release.system.redaction import Redactor

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
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
        self._print(_harmless(text), sys.stderr)

    def output(self, line: str) -> None:
        """Print a line of another program, colours included."""
        self._print(line, sys.stderr)

    def step(self, text: str) -> None:
        """Print what is being done now."""
        self._print(click.style(f"==> {_harmless(text)}", bold=True), sys.stderr)

    def plan(self, plan: Plan[Action]) -> None:
        """Print a plan: the very object that is executed."""
        for line in plan.describe():
            self.note(line)

    def diff(self, text: str) -> None:
        """Print a unified diff, coloured on a terminal."""
        for line in text.splitlines():
            self._print(click.style(_harmless(line), fg=COLOURS.get(line[:1])), sys.stderr)

    def lines(self, lines: Iterable[object]) -> None:
        """Print lines for people."""
        for line in lines:
            self.note(str(line))

    def error(self, error: GitopsReleaseError) -> None:
        """Print what went wrong and what to do."""
        self._print(f"{click.style('error:', fg='red')} {_harmless(error.message)}", sys.stderr)
        if error.hint is not None:
            self._print(f"{click.style('hint:', fg='yellow')} {_harmless(error.hint)}", sys.stderr)

    def usage_error(self, error: click.ClickException) -> None:
        """Print what the command line got wrong."""
        self._print(
            f"{click.style('error:', fg='red')} {_harmless(error.format_message())}", sys.stderr
        )
        # The parser's own errors do not know their command.
        context = error.ctx if isinstance(error, click.UsageError) else None
        self.note(f"hint: see {context.command_path if context else 'gitops-release'} --help")

    def bug(self, error: Exception) -> None:
        """Print a traceback, for what should never happen."""
        self.note("".join(traceback.format_exception(error)).rstrip())
        self.note("error: this is a bug in gitops-release; please report the lines above")

    def _print(self, text: str, stream: TextIO) -> None:
        # click drops the colours where the stream is no terminal or NO_COLOR asks for that.
        click.echo(self.redactor.redact(text), file=stream)


def _harmless(text: str) -> str:
    """Return the text with control characters shown, not obeyed: names come from repositories."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
