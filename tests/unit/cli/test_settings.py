from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from gitops_release.cli.settings import (
    SettingOption,
    SettingRow,
    SettingsCommand,
    SettingsContext,
    read_secret,
    setting,
    settings_of,
)
from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(Enum):
    LOW = "low"
    HIGH = "high"


def demo_options(function: Any) -> Any:  # noqa: ANN401 - a decorator of anything
    for declare in (
        setting("--dry-run", is_flag=True),
        setting("--pull/--no-pull", default=True),
        setting("--jobs", type=int, default=1, show_default=True),
        setting("--level", type=click.Choice(Level, case_sensitive=False), default=Level.LOW),
        setting("--if-exists", type=click.Choice(["reuse", "rebuild", "fail"]), default="reuse"),
        setting("--title", default="Release {image}"),
        setting("--raw", expand=False),
        setting("--raw-item", multiple=True, expand=False),
        setting("--tag", "tags", multiple=True, separator=","),
        setting("--label", multiple=True),
        setting("--login-env", secret=True, default="HARBOR_LOGIN"),
        setting("--ssh-key-env", secret=True, multiple=True),
        setting("--api-url", trusted=True),
    ):
        function = declare(function)
    return function


@dataclass
class Run:
    """A demo command line tool with an environment and a directory of its own."""

    directory: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    rows: list[SettingRow] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    command: str = "build-image"

    def __call__(self, *arguments: str, config: str = "", **environ: str) -> Run:
        if config:
            (self.directory / ".gitops-release.yml").write_text(config, encoding="utf-8")
        self.environ = environ
        result = CliRunner().invoke(
            self.group(),
            [self.command, *arguments],
            obj=SettingsContext(environ, self.directory, self.rows.extend),
            standalone_mode=False,
            catch_exceptions=False,
        )
        if result.exception is not None:
            raise result.exception
        return self

    def group(self) -> click.Group:
        @click.group
        def group() -> None:
            pass

        @group.command("build-image", cls=SettingsCommand)
        @demo_options
        def build_image(**values: object) -> None:
            self.values = values

        @group.command("create-pr", cls=SettingsCommand)
        @setting("--repository", required=True, type=click.Path(path_type=Path))
        @setting("--title", default="Release")
        def create_pr(**values: object) -> None:
            self.values = values

        return group

    def __getitem__(self, name: str) -> object:
        return self.values[name]

    def explained(self, option: str) -> list[str]:
        return [str(row) for row in self.rows if row.option == option]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


# Sources


def test_the_strongest_source_wins(run: Run) -> None:
    config = "defaults: {title: file defaults}\nbuild-image: {title: file}\n"
    sources = {
        "GITOPS_RELEASE_ORB_TITLE": "orb",
        "GITOPS_RELEASE_BUILD_IMAGE_TITLE": "command",
        "GITOPS_RELEASE_TITLE": "variable",
    }
    assert run("--title", "flag", config=config, **sources)["title"] == "flag"
    for variable, value in list(sources.items()):
        assert run(config=config, **sources)["title"] == value
        del sources[variable]
    assert run(config=config)["title"] == "file"
    assert run(config="defaults: {title: file defaults}")["title"] == "file defaults"
    assert run(config="# empty")["title"] == "Release {image}"


@pytest.mark.parametrize("empty", ["", "<nil>", " <nil> "])
def test_an_empty_orb_parameter_is_not_given(run: Run, empty: str) -> None:
    run(GITOPS_RELEASE_ORB_TITLE=empty, GITOPS_RELEASE_ORB_TAG=empty, GITOPS_RELEASE_TITLE="t")
    assert run["title"] == "t"
    assert run["tags"] == ()


def test_an_empty_variable_is_not_given_and_nil_is_a_value_outside_the_orb(run: Run) -> None:
    run(GITOPS_RELEASE_TITLE="", GITOPS_RELEASE_RAW="<nil>")
    assert run["title"] == "Release {image}"
    assert run["raw"] == "<nil>"


def test_an_empty_flag_is_an_empty_value(run: Run) -> None:
    assert run("--title", "", GITOPS_RELEASE_TITLE="t")["title"] == ""


def test_without_any_source_click_s_defaults_hold(run: Run) -> None:
    run()
    assert run.values == {
        "dry_run": False,
        "pull": True,
        "jobs": 1,
        "level": Level.LOW,
        "if_exists": "reuse",
        "title": "Release {image}",
        "raw": None,
        "raw_item": (),
        "tags": (),
        "label": (),
        "login_env": "HARBOR_LOGIN",
        "ssh_key_env": (),
        "api_url": None,
    }


def test_click_converts_values_of_every_source(run: Run) -> None:
    assert run(GITOPS_RELEASE_JOBS="4")["jobs"] == 4
    assert run(GITOPS_RELEASE_LEVEL="HIGH")["level"] is Level.HIGH
    assert run(config="build-image: {jobs: 5}")["jobs"] == 5


def test_the_process_s_environment_is_not_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITOPS_RELEASE_TITLE", "leaked")
    monkeypatch.setenv("GITOPS_RELEASE_ORB_UNKNOWN", "leaked")
    assert run()["title"] == "Release {image}"


def test_a_required_option_may_come_from_any_source(run: Run) -> None:
    run.command = "create-pr"
    assert run(GITOPS_RELEASE_ORB_REPOSITORY="./r")["repository"] == Path("r")
    assert run(config="create-pr: {repository: ./f}")["repository"] == Path("f")
    with pytest.raises(click.MissingParameter, match="repository"):
        run(config="# empty")


def test_help_needs_no_valid_settings(run: Run) -> None:
    result = CliRunner().invoke(
        run.group(),
        ["build-image", "--help"],
        obj=SettingsContext({"GITOPS_RELEASE_JOBS": "x"}, run.directory, run.rows.extend),
    )
    assert result.exit_code == 0
    for text in ("--config FILE", "--explain-settings", "[default: 1]", "--pull / --no-pull"):
        assert text in result.output


def test_a_command_works_outside_of_a_group(tmp_path: Path) -> None:
    @click.command("solo", cls=SettingsCommand)
    @setting("--title")
    @click.pass_context
    def solo(ctx: click.Context, title: str) -> None:
        click.echo(f"{title} {settings_of(ctx).config_directory == tmp_path}")

    settings = SettingsContext({"GITOPS_RELEASE_SOLO_TITLE": "t"}, tmp_path, print)
    assert CliRunner().invoke(solo, [], obj=settings).output == "t True\n"


# Flags


@pytest.mark.parametrize("word", ["true", "1", "Yes", "ON", " true "])
def test_words_switch_a_flag_on(run: Run, word: str) -> None:
    assert run(GITOPS_RELEASE_DRY_RUN=word)["dry_run"] is True
    assert run(GITOPS_RELEASE_ORB_DRY_RUN=word)["dry_run"] is True


@pytest.mark.parametrize("word", ["false", "0", "No", "OFF"])
def test_words_switch_a_flag_off(run: Run, word: str) -> None:
    assert run(GITOPS_RELEASE_PULL=word)["pull"] is False
    assert run(GITOPS_RELEASE_ORB_PULL=word)["pull"] is False


def test_other_words_are_refused_for_a_flag(run: Run) -> None:
    with pytest.raises(UsageError, match=r"--dry-run from GITOPS_RELEASE_DRY_RUN: .*'maybe'"):
        run(GITOPS_RELEASE_DRY_RUN="maybe")


@pytest.mark.parametrize("word", ["0", "false", "False"])
def test_an_orb_flag_that_is_off_like_its_default_is_not_given(run: Run, word: str) -> None:
    run(GITOPS_RELEASE_ORB_DRY_RUN=word, GITOPS_RELEASE_DRY_RUN="1")
    assert run["dry_run"] is True


def test_flags_on_the_command_line_are_strongest(run: Run) -> None:
    assert run("--no-pull", GITOPS_RELEASE_PULL="1")["pull"] is False
    assert run("--dry-run", config="build-image: {dry-run: false}")["dry_run"] is True


def test_a_file_switches_flags(run: Run) -> None:
    run(config="build-image: {dry-run: true, pull: 'no'}")
    assert run["dry_run"] is True
    assert run["pull"] is False


# Lists


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a", ("a",)),
        ("a b, c", ("a b, c",)),
        ("a\nb c\n\nd\n", ("a", "b c", "d")),
        ("a\r\nb\r\n", ("a", "b")),
        ("  a \n b", ("  a ", " b")),
        ('["a b", "c\\nd", ""]', ("a b", "c\nd")),
        (' [\n"a"\n]\n', ("a",)),
        ("[]", ()),
        ("[ab]*.yaml", ("[ab]*.yaml",)),
        ("\n\n", ()),
    ],
)
def test_a_variable_holds_one_item_per_line_or_a_json_array(
    run: Run, text: str, labels: tuple[str, ...]
) -> None:
    assert run(GITOPS_RELEASE_LABEL=text)["label"] == labels


def test_commas_separate_only_where_declared(run: Run) -> None:
    run(GITOPS_RELEASE_TAG="a, b,,c\nd", GITOPS_RELEASE_LABEL="a,b", GITOPS_RELEASE_RAW_ITEM="$,b")
    assert run["tags"] == ("a", "b", "c", "d")
    assert run["label"] == ("a,b",)
    assert run["raw_item"] == ("$,b",)


def test_lists_are_split_before_they_are_expanded(run: Run) -> None:
    values = {"B": "x,y\nz", "SHA": "0123456789"}
    run(GITOPS_RELEASE_TAG="${B//[,\\n]/-},${SHA:0:7}", GITOPS_RELEASE_LABEL="$B\nl", **values)
    assert run["tags"] == ("x-y\nz", "0123456")
    assert run["label"] == ("x,y\nz", "l")
    assert run(GITOPS_RELEASE_LABEL='["$SHA", "b"]', **values)["label"] == ("0123456789", "b")


def test_flags_repeat_and_each_is_one_item(run: Run) -> None:
    assert run("--tag", "a,b", "--tag", "c")["tags"] == ("a,b", "c")


def test_a_file_holds_a_list_or_one_item(run: Run) -> None:
    assert run(config="build-image: {tag: [a, 2]}")["tags"] == ("a", "2")
    assert run(config="build-image: {tag: 'a,b'}")["tags"] == ("a,b",)
    with pytest.raises(UsageError, match=r"--title from \.gitops-release\.yml line 1: .*a list"):
        run(config="build-image: {title: [a]}")


def test_items_that_expand_to_nothing_are_left_out(run: Run) -> None:
    assert run("--tag", "${U:-}", "--tag", "b")["tags"] == ("b",)
    with pytest.raises(UsageError, match="--tag from GITOPS_RELEASE_TAG: expected at least one"):
        run(GITOPS_RELEASE_TAG="${U:-}")


@pytest.mark.parametrize("text", ['["a"', "[a]", "[1]", '[["a"]]', "[" * 100_000 + "]"])
def test_a_broken_json_array_is_refused(run: Run, text: str) -> None:
    with pytest.raises(UsageError, match=r"--label from GITOPS_RELEASE_LABEL: .*JSON array"):
        run(GITOPS_RELEASE_LABEL=text)


# Expansion and secrets


def test_values_of_every_source_are_expanded_once(run: Run) -> None:
    values = {"A": "$B $(id)", "B": "b"}
    assert run("--title", "$A {tag}", **values)["title"] == "$B $(id) {tag}"
    assert run(GITOPS_RELEASE_TITLE="$A", **values)["title"] == "$B $(id)"
    assert run(config="build-image: {title: $A}", **values)["title"] == "$B $(id)"
    assert run(config="build-image: {jobs: '${N:-3}'}")["jobs"] == 3
    assert run(GITOPS_RELEASE_DRY_RUN="${N:-yes}")["dry_run"] is True


def test_values_declared_literal_are_not_expanded(run: Run) -> None:
    run("--raw", "$(id) $U", "--raw-item", "$U", "--raw-item", "")
    assert run["raw"] == "$(id) $U"
    assert run["raw_item"] == ("$U", "")


def test_an_error_in_a_value_names_option_and_source(run: Run) -> None:
    with pytest.raises(UsageError, match=r"^--title: expected no command substitution"):
        run("--title", "$(id)")
    with pytest.raises(UsageError, match=r"^--tag from GITOPS_RELEASE_ORB_TAG: .*variable U"):
        run(GITOPS_RELEASE_ORB_TAG="a,$U")
    with pytest.raises(UsageError, match=r"^--tag from GITOPS_RELEASE_TAG: .*closing brace"):
        run(GITOPS_RELEASE_TAG="a,${U")


def test_a_wrong_choice_is_told_what_there_is(run: Run) -> None:
    with pytest.raises(
        UsageError,
        match=r"^--if-exists from GITOPS_RELEASE_ORB_IF_EXISTS: "
        r"expected one of reuse, rebuild, fail, found 'skip'$",
    ):
        run(GITOPS_RELEASE_ORB_IF_EXISTS="skip")
    with pytest.raises(UsageError, match=r"^--level: expected one of low, high, found 'mid'$"):
        run("--level", "mid")
    with pytest.raises(UsageError, match=r"^--jobs from \.gitops-release\.yml line 1: 'x' is not"):
        run(config="build-image: {jobs: x}")


def test_an_error_of_a_type_of_ours_keeps_its_hint(tmp_path: Path) -> None:
    class Digest(click.types.StringParamType):
        name = "digest"

        def convert(self, value: object, *_: object) -> str:
            raise UsageError(f"expected a digest, found {value!r}", hint="copy it")

    @click.command("solo", cls=SettingsCommand)
    @setting("--digest", type=Digest())
    def solo(digest: str) -> None:
        pass

    settings = SettingsContext({"GITOPS_RELEASE_DIGEST": "x"}, tmp_path, print)
    error = CliRunner().invoke(solo, [], obj=settings).exception
    assert isinstance(error, UsageError)
    assert error.message == "--digest from GITOPS_RELEASE_DIGEST: expected a digest, found 'x'"
    assert error.hint == "copy it"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--title", "$NPM_TOKEN"),
        ("--title", "$HARBOR_LOGIN"),
        ("--title", "$MY_LOGIN", "--login-env", "MY_LOGIN"),
        ("--title", "${KEY_1:0:1}", "--ssh-key-env", "KEY_1"),
        ("--config", "$HARBOR_LOGIN"),
    ],
)
def test_secrets_are_refused_in_other_options(run: Run, arguments: tuple[str, ...]) -> None:
    values = dict.fromkeys(("NPM_TOKEN", "HARBOR_LOGIN", "MY_LOGIN", "KEY_1"), "hunter2")
    with pytest.raises(UsageError, match="expected no secret"):
        run(*arguments, **values)


def test_a_default_that_a_secret_option_replaced_is_no_secret(run: Run) -> None:
    run("--title", "$HARBOR_LOGIN", "--login-env", "OTHER", HARBOR_LOGIN="me")
    assert run["title"] == "me"


def test_a_secret_option_is_the_name_of_a_variable(run: Run) -> None:
    assert run(GITOPS_RELEASE_LOGIN_ENV="MY_LOGIN")["login_env"] == "MY_LOGIN"
    assert run(GITOPS_RELEASE_SSH_KEY_ENV="A\nB")["ssh_key_env"] == ("A", "B")


@pytest.mark.parametrize("value", ["$MY_LOGIN", "hunter-2", "ghp_" + "a1" * 18, "AKIA" + "Q" * 16])
def test_a_value_in_place_of_a_variable_s_name_is_not_shown(run: Run, value: str) -> None:
    with pytest.raises(UsageError, match="--login-env: expected the name") as caught:
        run("--login-env", value)
    assert value not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("value", "secret"),
    [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), (" s ", " s "), ("$X", "$X")],
)
def test_a_secret_is_read_without_its_last_newline(run: Run, value: str, secret: str) -> None:
    settings = SettingsContext({"MY_TOKEN": value}, run.directory, run.rows.extend)
    read = read_secret(settings, "MY_TOKEN")
    assert read is not None
    assert read.reveal() == secret


@pytest.mark.parametrize("variable", [None, "", "UNSET", "EMPTY", "NEWLINE"])
def test_there_is_no_secret_in_a_variable_without_one(run: Run, variable: str | None) -> None:
    environ = {"EMPTY": "", "NEWLINE": "\n"}
    assert read_secret(SettingsContext(environ, run.directory, run.rows.extend), variable) is None


def test_the_context_does_not_print_the_environment(run: Run) -> None:
    assert "hunter2" not in repr(SettingsContext({"A": "hunter2"}, run.directory, print))


# The configuration file


def test_a_discovered_file_sets_no_trusted_option_for_any_command(run: Run) -> None:
    for section in ("defaults", "build-image"):
        for line in ("api-url: https://evil.example.com", "login-env: NPM_TOKEN"):
            with pytest.raises(UsageError, match="comes with the checkout"):
                run(config=f"{section}:\n  {line}\n")
    run.command = "create-pr"
    with pytest.raises(UsageError, match="comes with the checkout"):
        run("--repository", ".", config="build-image: {api-url: x}")


def test_an_explicit_file_replaces_the_discovered_one(run: Run) -> None:
    explicit = run.directory / "mine.yml"
    explicit.write_text("build-image: {api-url: u, login-env: ME, jobs: 2}", encoding="utf-8")
    run("--title", "t", "--config", str(explicit), config="no-such-command: {}")
    assert (run["api_url"], run["login_env"], run["jobs"]) == ("u", "ME", 2)
    assert run(GITOPS_RELEASE_CONFIG=str(explicit))["jobs"] == 2
    assert run(GITOPS_RELEASE_ORB_CONFIG="$HERE/mine.yml", HERE=str(run.directory))["jobs"] == 2


def test_a_file_names_options_of_known_commands_only(run: Run) -> None:
    assert run(config="create-pr: {repository: r}\ndefaults: {repository: r}")["jobs"] == 1
    with pytest.raises(UsageError, match="expected 'defaults' or the name of a command"):
        run(config="create-prs: {}")
    for option in ("config", "explain-settings", "help"):
        with pytest.raises(UsageError, match="expected an option of build-image"):
            run(config=f"build-image: {{{option}: x}}")


def test_a_missing_explicit_file_is_an_error(run: Run) -> None:
    with pytest.raises(UsageError, match="expected a readable configuration file"):
        run("--config", str(run.directory / "none.yml"))


# The orb


def test_an_unknown_orb_parameter_is_refused_with_a_suggestion(run: Run) -> None:
    with pytest.raises(UsageError, match="found GITOPS_RELEASE_ORB_TAGS") as caught:
        run(GITOPS_RELEASE_ORB_TAGS="")
    assert caught.value.hint == "did you mean 'GITOPS_RELEASE_ORB_TAG'?"
    with pytest.raises(UsageError, match="options of build-image"):
        run(GITOPS_RELEASE_ORB_REPOSITORY="an option of create-pr")


# Explaining


def test_explains_each_value_with_its_source_and_does_nothing(run: Run) -> None:
    run(
        *("--explain-settings", "--pull", "--label", "a b", "--label", "c"),
        config="build-image:\n  jobs: 3\n",
        GITOPS_RELEASE_TAG="${SHA:0:7},latest",
        GITOPS_RELEASE_ORB_TITLE="t\x1b[2J",
        SHA="12345678",
        HARBOR_LOGIN="hunter2",
        GITOPS_RELEASE_SSH_KEY_ENV="ABSENT",
    )
    assert run.values == {}
    assert run.explained("--tag") == [
        "--tag 1234567 (environment GITOPS_RELEASE_TAG)",
        "--tag latest (environment GITOPS_RELEASE_TAG)",
    ]
    assert run.explained("--label") == ["--label 'a b' (command line)", "--label c (command line)"]
    assert run.explained("--pull") == ["--pull true (command line)"]
    assert run.explained("--jobs") == ["--jobs 3 (.gitops-release.yml line 2)"]
    assert run.explained("--title") == [
        "--title 't\\x1b[2J' (environment GITOPS_RELEASE_ORB_TITLE)"
    ]
    assert run.explained("--level") == ["--level low (default)"]
    assert run.explained("--dry-run") == ["--dry-run false (default)"]
    assert run.explained("--raw") == ["--raw (not given)"]
    assert run.explained("--raw-item") == ["--raw-item (not given)"]
    assert run.explained("--config") == ["--config (not given)"]
    assert run.explained("--explain-settings") == []
    assert run.explained("--login-env") == [
        "--login-env HARBOR_LOGIN (default; the variable is set)"
    ]
    assert run.explained("--ssh-key-env") == [
        "--ssh-key-env ABSENT (environment GITOPS_RELEASE_SSH_KEY_ENV; the variable is not set)"
    ]
    assert "hunter2" not in "".join(map(str, run.rows))


def test_explaining_may_be_asked_for_by_a_variable(run: Run) -> None:
    assert run(GITOPS_RELEASE_EXPLAIN_SETTINGS="1").explained("--jobs") == ["--jobs 1 (default)"]


# Declarations


@pytest.mark.parametrize(
    "attributes",
    [
        {"envvar": "X"},
        {"prompt": True},
        {"count": True},
        {"nargs": 2},
        {"is_flag": True, "flag_value": "x"},
        {"is_flag": True, "multiple": True},
        {"separator": ";", "multiple": True},
        {"separator": ","},
    ],
)
def test_a_declaration_that_has_no_meaning_here_is_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"setting|separator"):
        SettingOption(["--x"], **attributes)


def test_a_forgotten_settings_context_is_a_bug(run: Run) -> None:
    result = CliRunner().invoke(run.group(), ["build-image"])
    assert isinstance(result.exception, RuntimeError)
