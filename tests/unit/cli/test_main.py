from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import click
import pytest

from gitops_release import __version__
from gitops_release.cli.main import _terminate, cli
from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ConflictError,
    GitopsReleaseError,
    ManifestError,
    ServiceError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.system.command_line import CommandLine

COMMANDS = sorted(cli.commands)
SECRET = "hunter22-hunter22"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Let the command ``fail`` fail in a certain way."""

    def let_it(error: BaseException) -> None:
        def callback() -> None:
            raise error

        monkeypatch.setitem(cli.commands, "fail", click.Command("fail", callback=callback))

    return let_it


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (AuthenticationError, 3),
        (ConflictError, 4),
        (ServiceError, 5),
        (ManifestError, 6),
        (BuildError, 7),
    ],
)
def test_each_error_has_its_exit_code_and_no_traceback(
    kind: type[GitopsReleaseError],
    code: int,
    failing: Callable[[BaseException], None],
    command_line: CommandLine,
) -> None:
    failing(kind("expected this, found that", hint="do something"))
    ended = command_line("fail")
    assert ended.code == code
    assert ended.stdout == ""
    assert ended.stderr == "error: expected this, found that\nhint: do something\n"


def test_an_error_may_have_no_hint(
    failing: Callable[[BaseException], None], command_line: CommandLine
) -> None:
    failing(ConflictError("expected this, found that"))
    assert command_line("fail").stderr == "error: expected this, found that\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_130(
    error: BaseException, failing: Callable[[BaseException], None], command_line: CommandLine
) -> None:
    failing(error)
    ended = command_line("fail")
    assert ended.code == 130
    assert ended.stderr.strip() == "interrupted: run again, what was achieved is kept"


def test_a_bug_is_1_with_a_traceback(
    failing: Callable[[BaseException], None], command_line: CommandLine
) -> None:
    failing(KeyError("surprise"))
    ended = command_line("fail")
    assert ended.code == 1
    assert ended.stdout == ""
    assert "Traceback (most recent call last):" in ended.stderr
    assert "KeyError: 'surprise'" in ended.stderr
    assert ended.stderr.rstrip().endswith("please report the lines above")


@pytest.mark.parametrize(
    "error", [KeyError(f"token {SECRET}"), UsageError(f"token {SECRET}", hint=f"not {SECRET}")]
)
@pytest.mark.parametrize("variable", ["GITHUB_TOKEN", "DOCKER_PASSWORD", "MY_API_KEY"])
def test_secrets_are_masked_whatever_happens(
    error: Exception,
    variable: str,
    failing: Callable[[BaseException], None],
    command_line: CommandLine,
) -> None:
    failing(error)
    ended = command_line("fail", environ={variable: SECRET})
    assert SECRET not in ended.stderr
    assert "token ***" in ended.stderr


def test_a_secret_that_is_no_utf_8_is_no_bug(
    failing: Callable[[BaseException], None], command_line: CommandLine
) -> None:
    failing(UsageError("wrong"))
    secret = b"caf\xe9-secret".decode(errors="surrogateescape")
    assert command_line("fail", environ={"MY_TOKEN": secret}).code == 2


def test_a_current_directory_that_is_gone_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: CommandLine
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ended = command_line("create-release-pr", "--image", "r.io/web:1")
    assert ended.code == 2
    assert "current directory" in ended.stderr
    assert "Traceback" not in ended.stderr
    os.chdir(tmp_path)


def test_being_terminated_unwinds(command_line: CommandLine) -> None:
    command_line("--version")
    handler = signal.getsignal(signal.SIGTERM)
    assert handler is _terminate
    with pytest.raises(SystemExit) as caught:
        _terminate(signal.SIGTERM, None)
    assert caught.value.code == 143


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option"),
        (["create-release-pr", "--nonsense"], "No such option"),
        (["create-release-pr", "--pin"], "requires an argument"),
        (["create-release-pr", "--manifest-repository", "a/b", "extra"], "extra argument"),
        (["create-release-pr"], "--manifest-repository"),
        (["build-and-push-image", "--registry", "r.io"], "--image"),
    ],
)
def test_a_wrong_command_line_is_a_clear_line_and_2(
    arguments: list[str], message: str, command_line: CommandLine
) -> None:
    ended = command_line(*arguments)
    assert ended.code == 2
    assert ended.stdout == ""
    assert message.lower() in ended.stderr.lower()
    assert ended.stderr.startswith("error: ")
    assert "--help" in ended.stderr


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("create-release-pr", "--pin", "nonsense"),
        ("build-and-push-image", "--if-exists", "nonsense"),
        ("build-and-push-image", "--engine", "nonsense"),
    ],
)
def test_a_wrong_choice_is_told_with_the_right_ones(
    command: str, option: str, value: str, command_line: CommandLine
) -> None:
    ended = command_line(command, option, value)
    assert ended.code == 2
    assert ended.stderr.startswith(f"error: {option}: expected one of ")
    assert "found 'nonsense'" in ended.stderr


@pytest.mark.parametrize("seconds", ["0", "-1", "1.5", "x", ""])
def test_a_time_is_a_positive_number(seconds: str, command_line: CommandLine) -> None:
    ended = command_line("build-and-push-image", "--timeout", seconds)
    assert ended.code == 2
    assert "--timeout" in ended.stderr


def test_without_a_command_there_is_help(command_line: CommandLine) -> None:
    ended = command_line()
    assert ended.code == 2
    assert ended.stdout == ""
    assert "Usage: gitops-release" in ended.stderr
    assert not ended.stderr.startswith("error: ")


def test_the_version_is_the_package_s(command_line: CommandLine) -> None:
    ended = command_line("--version")
    assert (ended.code, ended.stdout) == (0, f"gitops-release, version {__version__}\n")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command_and_exit_code(flag: str, command_line: CommandLine) -> None:
    ended = command_line(flag)
    assert ended.code == 0
    assert ended.stderr == ""
    assert {"build-and-push-image", "create-release-pr"} <= set(COMMANDS)
    assert all(f"  {command} " in ended.stdout for command in COMMANDS)
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 130, 143):
        assert f"{code}" in ended.stdout.partition("Exit codes:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_describes_every_option(
    command: str, command_line: CommandLine
) -> None:
    ended = command_line(command, "--help")
    assert ended.code == 0
    options = [option for option in cli.commands[command].params if option.name != "help"]
    for option in options:
        assert isinstance(option, click.Option)
        assert option.help, f"{option.opts[0]} has no help"
        assert option.help.rstrip().endswith((".", "tag}.")), f"{option.opts[0]}: no sentence"
        assert option.opts[0] in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_takes_positional_arguments(command: str) -> None:
    assert all(isinstance(option, click.Option) for option in cli.commands[command].params)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_short_description(command: str) -> None:
    text = cli.commands[command].get_short_help_str(200)
    assert text
    assert not text.endswith("...")
