from __future__ import annotations

from dataclasses import dataclass

import click
import pytest

from gitops_release.cli.console import Console
from gitops_release.core.errors import UsageError
from gitops_release.core.plan import Plan
from gitops_release.system.redaction import Redactor


@dataclass(frozen=True)
class Write:
    text: str

    def describe(self) -> str:
        return self.text


@pytest.fixture
def console() -> Console:
    redactor = Redactor()
    redactor.hide_text("hunter22")
    return Console(redactor)


def test_the_line_for_machines_is_alone_on_stdout(
    console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    console.note("a note")
    console.step("a step")
    console.plan(Plan("because", (Write("write"),), ("a fact",), ("a remark",)))
    console.diff("-a\n+b\n")
    console.lines(["x", 1])
    console.error(UsageError("wrong", hint="right"))
    console.usage_error(click.UsageError("no"))
    console.bug(KeyError("surprise"))
    console.result("r.io/web:1")
    said = capsys.readouterr()
    assert said.out == "r.io/web:1\n"
    assert said.err.startswith(
        "a note\n==> a step\nbecause\n- write\nassumed: a fact\nnotice: a remark\n-a\n+b\nx\n1\n"
        "error: wrong\nhint: right\nerror: no\nhint: see gitops-release --help\n"
    )


def test_no_way_out_shows_a_secret(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    text = "the password is hunter22"
    console.result(text)
    console.note(text)
    console.step(text)
    console.plan(Plan(text, (Write(text),), (text,), (text,)))
    console.diff(f"+{text}")
    console.lines([text])
    console.error(UsageError(text, hint=text))
    console.usage_error(click.UsageError(text))
    console.bug(KeyError(text))
    said = capsys.readouterr()
    assert "hunter22" not in said.out + said.err
    assert said.err.count("***") >= 11


def test_a_pipe_gets_no_colours(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    console.step("x")
    console.diff("+a\n-b\n@@ c\n")
    assert "\x1b" not in capsys.readouterr().err


def test_a_wrong_option_is_told_with_where_to_look(
    console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    context = click.Context(click.Command("promote"), info_name="gitops-release promote")
    console.usage_error(click.UsageError("No such option: --x", context))
    assert capsys.readouterr().err == (
        "error: No such option: --x\nhint: see gitops-release promote --help\n"
    )
