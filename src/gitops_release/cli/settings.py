"""Where the value of each option comes from: the only reader of the environment.

Sources, strongest first: the flag; the orb's parameter (``GITOPS_RELEASE_ORB_<OPTION>``);
``GITOPS_RELEASE_<COMMAND>_<OPTION>``; ``GITOPS_RELEASE_<OPTION>``; the configuration file (the
command's section, then ``defaults``); the default. An empty variable means not given.

The entry point puts a ``SettingsContext`` into ``ctx.obj``; click itself never looks at the
environment. Values from every source, the command line too, are expanded once (``expansion``).
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from gitops_release.cli.config_file import (
    CommandOptions,
    ConfigFile,
    discover,
    load_config_file,
    suggestion,
)
from gitops_release.cli.expansion import expand, split
from gitops_release.cli.secret_names import secret_names
from gitops_release.core.credentials import Secret
from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PREFIX: Final = "GITOPS_RELEASE_"
ORB_PREFIX: Final = f"{PREFIX}ORB_"

_NIL: Final = "<nil>"  # how CircleCI passes an empty pipeline value
_META: Final = "gitops_release.settings"
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN: Final = re.compile(r"gh[a-z]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|A[A-Z]{3}[A-Z2-7]{16}")
_LAST_NEWLINE: Final = re.compile(r"\r?\n\Z")
_ORDER: Final = "flag, orb parameter, command's variable, variable, file, default"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One value of an option and where it comes from, as ``--explain-settings`` shows it."""

    option: str
    value: str | None
    source: str

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.option} ({self.source})"
        value = shlex.quote(self.value) if self.value.isprintable() else repr(self.value)
        return f"{self.option} {value} ({self.source})"


@dataclass(frozen=True, slots=True)
class SettingsContext:
    """What settings are read from, and who shows them: the entry point's part in ``ctx.obj``."""

    environ: Mapping[str, str] = field(repr=False)
    config_directory: Path
    """Where ``.gitops-release.yml`` is looked for."""

    explain: Callable[[Sequence[SettingRow]], None]
    """Prints the rows of ``--explain-settings``."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A value as it was found, before it is expanded: text, a flag's state, or a list."""

    value: object
    source: str
    """For people: ``environment GITOPS_RELEASE_TAG``; empty for the command line."""

    kind: ParameterSource


@dataclass(slots=True)
class _Invocation:
    """What is learned while the options of one command are read, in ``ctx.meta``."""

    file: ConfigFile | None = None
    found: dict[str, _Found] = field(default_factory=dict)
    """By option, with the value expanded."""


class SettingOption(click.Option):
    """An option that is also read from variables and the configuration file.

    ``trusted``: a file that comes with the checkout may not set it. ``secret``: the value is the
    *name* of a variable, is not expanded, and is trusted. ``separator=","``: a list's items in a
    variable are also separated by commas. ``expand=False``: the value is taken as it is written.
    ``in_file=False``: no configuration file may set it.
    """

    def __init__(
        self,
        param_decls: Sequence[str] | None = None,
        *,
        trusted: bool = False,
        secret: bool = False,
        separator: str | None = None,
        expand: bool = True,
        in_file: bool = True,
        **attributes: Any,  # noqa: ANN401 - click's own, checked by click
    ) -> None:
        super().__init__(param_decls, **attributes)
        self.trusted = trusted or secret
        self.secret = secret
        self.separator = separator
        self.expand = expand and not secret
        self.in_file = in_file
        self._check_declaration()

    def _check_declaration(self) -> None:
        if self.envvar or self.prompt or self.count or self.nargs != 1:
            raise TypeError("a setting has no envvar, prompt, count or nargs")
        if self.is_flag and (self.multiple or not self.is_bool_flag):
            raise TypeError("a setting that is a flag is one boolean")
        if self.separator not in {None, ","} or (self.separator and not self.multiple):
            raise TypeError("a separator is a comma, for an option given several times")

    @property
    def flag(self) -> str:
        """The option as users write it, such as ``--build-arg``."""
        return next((name for name in self.opts if name.startswith("--")), self.opts[0])

    @property
    def setting(self) -> str:
        """The option's name in variables and files, such as ``build_arg``."""
        return self.flag.lstrip("-").replace("-", "_").lower()

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """Return the strongest source's value, expanded, as text for click to convert."""
        if ctx.resilient_parsing:
            return super().consume_value(ctx, opts)
        found = self._find(ctx, opts)
        if found is None:
            # What click gives for "nothing" differs from version to version: it is passed on
            # untouched unless it is text to expand.
            value, kind = super().consume_value(ctx, opts)
            found = _Found(value, _describe(kind), kind)
        secrets = _named_secrets(ctx, opts)
        try:
            expanded = self._expanded(found.value, settings_of(ctx).environ, secrets)
        except UsageError as error:
            raise self._blame(error.message, found, hint=error.hint) from error
        found = _Found(expanded, found.source, found.kind)
        _invocation(ctx).found[self.setting] = found
        return found.value, found.kind

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:  # noqa: ANN401 - as click has it
        """Convert as click does; an error names the option and where the value comes from."""
        found = _invocation(ctx).found.get(self.setting)
        try:
            converted = super().type_cast_value(ctx, value)
            if self.secret:
                for name in converted if self.multiple else [converted]:
                    _check_variable_name(name)
        except click.BadParameter as error:
            raise self._blame(self._expected(ctx, value) or error.message, found) from error
        except UsageError as error:
            raise self._blame(error.message, found, hint=error.hint) from error
        return converted

    def _find(self, ctx: click.Context, opts: Mapping[str, Any]) -> _Found | None:
        """Return what a source says, before expansion; ``None`` if only the default is left."""
        if opts.get(self.name or "") is not None:
            value, kind = super().consume_value(ctx, opts)
            return _Found(value, "", kind)
        environ = settings_of(ctx).environ
        for variable in self._variables(ctx):
            text = environ.get(variable, "")
            if not text or (variable.startswith(ORB_PREFIX) and self._is_not_given(ctx, text)):
                continue
            found = _Found(text, f"environment {variable}", ParameterSource.ENVIRONMENT)
            return self._read_variable(found, text)
        file = _invocation(ctx).file
        stated = file.find(_command_name(ctx), self.setting) if file and self.in_file else None
        if file is None or stated is None:
            return None
        found = _Found(
            list(stated.items), f"{file.name} line {stated.line}", ParameterSource.DEFAULT_MAP
        )
        if self.multiple:
            return found
        if stated.is_list:
            raise self._blame("expected one value, found a list", found)
        return _Found(stated.items[0], found.source, found.kind)

    def _variables(self, ctx: click.Context) -> tuple[str, str, str]:
        option = self.setting.upper()
        command = _command_name(ctx).replace("-", "_").upper()
        return f"{ORB_PREFIX}{option}", f"{PREFIX}{command}_{option}", f"{PREFIX}{option}"

    def _is_not_given(self, ctx: click.Context, text: str) -> bool:
        """Whether an orb parameter has the value it has when nobody gave it."""
        if text.strip() == _NIL:
            return True
        on_by_default = self.is_flag and self.get_default(ctx) is True
        return self.is_flag and not on_by_default and text.strip().lower() in {"0", "false"}

    def _read_variable(self, found: _Found, text: str) -> _Found | None:
        """Split a list; ``None`` if nothing but empty lines is in it."""
        if not self.multiple:
            return found
        try:
            items = self._items(text)
        except UsageError as error:
            raise self._blame(error.message, found, hint=error.hint) from error
        return _Found(items, found.source, found.kind) if items else None

    def _items(self, text: str) -> list[str]:
        trimmed = text.strip()
        if trimmed.startswith("[") and (trimmed.endswith("]") or trimmed[1:].lstrip()[:1] == '"'):
            return _json_items(trimmed)
        separators = "\n" + (self.separator or "")
        items = split(text, separators) if self.expand else re.split(f"[{separators}]", text)
        # White space around commas is layout; in a line it may be part of the value.
        stripped = (item.strip() if self.separator else item.removesuffix("\r") for item in items)
        return [item for item in stripped if item]

    def _expanded(self, value: object, environ: Mapping[str, str], secrets: frozenset[str]) -> Any:  # noqa: ANN401 - what click takes
        if isinstance(value, str):
            text = expand(value, environ, secrets=secrets) if self.expand else value
            return _boolean(text) if self.is_flag else text
        if not self.expand or not isinstance(value, (list, tuple)):
            return value
        items = [
            expand(item, environ, secrets=secrets) if isinstance(item, str) else item
            for item in value
        ]
        # As in bash, where an unquoted ${CIRCLE_TAG:+latest} that is empty is no argument.
        kept = [item for item in items if item != ""]
        if items and not kept:
            raise UsageError(
                f"expected at least one value, found that {', '.join(map(repr, value))} is empty",
                hint="set the variable, or leave the option out",
            )
        return kept

    def _expected(self, ctx: click.Context, value: object) -> str | None:
        """Say what could have been given, where click says less."""
        if not isinstance(self.type, click.Choice):
            return None
        choices = [self.type.normalize_choice(choice, ctx) for choice in self.type.choices]
        values = value if isinstance(value, (list, tuple)) else [value]
        normal = ((item, self.type.normalize_choice(item, ctx)) for item in values)
        wrong = next((item for item, choice in normal if choice not in choices), value)
        return f"expected one of {', '.join(choices)}, found {wrong!r}"

    def _blame(self, message: str, found: _Found | None, *, hint: str | None = None) -> UsageError:
        source = found.source.removeprefix("environment ") if found else ""
        where = f"{self.flag} from {source}" if source else self.flag
        return UsageError(f"{where}: {message}", hint=hint)


setting: Final = partial(click.option, cls=SettingOption)
"""Declare a ``SettingOption``: ``@setting("--tag", multiple=True, separator=",")``."""


class SettingsCommand(click.Command):
    """A command whose options are settings, with ``--config`` and ``--explain-settings``."""

    def __init__(self, name: str | None, **attributes: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(name, **attributes)
        self.params[:0] = [
            SettingOption(
                ["--config"],
                type=click.Path(path_type=Path),
                metavar="FILE",
                is_eager=True,
                expose_value=False,
                trusted=True,
                in_file=False,
                callback=_prepare,
                help="Read settings from FILE instead of .gitops-release.yml here; "
                "it may also set what a file of the checkout may not.",
            )
        ]
        self.params.append(
            SettingOption(
                ["--explain-settings"],
                is_flag=True,
                in_file=False,
                help=f"Print each value with its source ({_ORDER}) and do nothing.",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        """Run the command or, with ``--explain-settings``, show its values and nothing else."""
        if ctx.params.pop("explain_settings", False):
            return settings_of(ctx).explain(settings_rows(ctx))
        return super().invoke(ctx)


def settings_of(ctx: click.Context) -> SettingsContext:
    """Return the ``SettingsContext`` that the entry point put into ``ctx.obj``."""
    settings = ctx.find_object(SettingsContext)
    if settings is None:
        raise RuntimeError("the entry point put no SettingsContext into ctx.obj")
    return settings


def settings_rows(ctx: click.Context) -> list[SettingRow]:
    """Return every value of this invocation with its source, in the order of declaration."""
    environ, found = settings_of(ctx).environ, _invocation(ctx).found
    rows: list[SettingRow] = []
    for option in _settings(ctx.command):
        if option.setting in found and option.setting != "explain_settings":
            rows += _rows(option, found[option.setting], environ)
    return rows


def read_secret(settings: SettingsContext, variable: str | None) -> Secret | None:
    """Return the value of the variable that a secret option names; ``None`` if unset or empty.

    One newline at the end is removed: pasting into a form leaves it there, and it is no part of
    the secret.
    """
    value = settings.environ.get(variable, "") if variable else ""
    value = _LAST_NEWLINE.sub("", value)
    return Secret(value) if value else None


def _prepare(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Check the orb's parameters and read the file, before any other option is read."""
    if ctx.resilient_parsing:
        return
    _refuse_unknown_orb_parameters(ctx)
    settings = settings_of(ctx)
    chosen = path or discover(settings.config_directory)
    if chosen is not None:
        file = load_config_file(chosen, _all_commands(ctx), explicit=path is not None)
        _invocation(ctx).file = file


def _refuse_unknown_orb_parameters(ctx: click.Context) -> None:
    known = {option.setting.upper() for option in _settings(ctx.command)}
    for variable in sorted(settings_of(ctx).environ):
        name = variable.removeprefix(ORB_PREFIX)
        if name != variable and name not in known:
            raise UsageError(
                f"expected orb parameters that are options of {_command_name(ctx)}, "
                f"found {variable}",
                hint=suggestion(variable, {f"{ORB_PREFIX}{option}" for option in known}),
            )


def _all_commands(ctx: click.Context) -> dict[str, CommandOptions]:
    """Return what a file may set, for this command and its sisters in the group."""
    commands: dict[str, click.Command] = {}
    if ctx.parent is not None and isinstance(ctx.parent.command, click.Group):
        group = ctx.parent.command
        for name in group.list_commands(ctx.parent):
            command = group.get_command(ctx.parent, name)
            if command is not None:
                commands[name] = command
    commands[_command_name(ctx)] = ctx.command
    return {name: _command_options(command) for name, command in commands.items()}


def _command_options(command: click.Command) -> CommandOptions:
    options = [option for option in _settings(command) if option.in_file]
    return CommandOptions(
        frozenset(option.setting for option in options),
        frozenset(option.setting for option in options if option.trusted),
    )


def _settings(command: click.Command) -> list[SettingOption]:
    return [option for option in command.params if isinstance(option, SettingOption)]


def _command_name(ctx: click.Context) -> str:
    return ctx.command.name or ""


def _invocation(ctx: click.Context) -> _Invocation:
    """Return what is known of this command; the commands of a group share ``ctx.meta``."""
    invocation = ctx.meta.setdefault(f"{_META}.{ctx.command_path}", _Invocation())
    if not isinstance(invocation, _Invocation):
        raise TypeError("ctx.meta holds something else under our name")
    return invocation


def _named_secrets(ctx: click.Context, opts: Mapping[str, Any]) -> frozenset[str]:
    """Every variable that is secret, with those that this invocation's secret options name.

    Asked of the options themselves, since click may read them later than the others.
    """
    named: list[str] = []
    for option in _settings(ctx.command):
        if option.secret:
            found = option._find(ctx, opts)  # noqa: SLF001 - the same class
            value = found.value if found else option.get_default(ctx)
            named += [value] if isinstance(value, str) else []
            named += value if isinstance(value, (list, tuple)) else []
    return secret_names(settings_of(ctx).environ, named)


def _rows(option: SettingOption, found: _Found, environ: Mapping[str, str]) -> list[SettingRow]:
    source = found.source or "command line"
    values = found.value if isinstance(found.value, (list, tuple)) else [found.value]
    texts = [text for text in (_shown(option, value) for value in values) if text is not None]
    if not texts:
        return [SettingRow(option.flag, None, "not given")]
    if not option.secret:
        return [SettingRow(option.flag, text, source) for text in texts]
    states = ("set" if environ.get(text) else "not set" for text in texts)
    return [
        SettingRow(option.flag, text, f"{source}; the variable is {state}")
        for text, state in zip(texts, states, strict=True)
    ]


def _shown(option: SettingOption, value: object) -> str | None:
    """Return the text of a value; ``None`` for what click gives where there is none."""
    if isinstance(option.type, click.Choice) and value in option.type.choices:
        return str(option.type.normalize_choice(value, None))
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float, Path)) else None


def _describe(kind: ParameterSource) -> str:
    return "default" if kind is ParameterSource.DEFAULT else kind.name.lower()


def _json_items(text: str) -> list[str]:
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"expected a JSON array of strings, found an error in it: {error}",
            hint="or write one item per line; an item that begins with [ goes into a JSON array",
        ) from error
    for item in items:
        if not isinstance(item, str):
            raise UsageError(
                f"expected a JSON array of strings, found {json.dumps(item)[:40]} in it",
                hint="put each item in double quotes",
            )
    return [item for item in items if item]


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise UsageError(
            f"expected true or false, found {text!r}",
            hint="also accepted: yes and no, on and off, 1 and 0",
        )
    return word in _TRUE


def _check_variable_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        return
    # The text is not shown: who mistakes the option gives the secret itself.
    if not _VARIABLE_NAME.fullmatch(name) or _TOKEN.fullmatch(name):
        raise UsageError(
            "expected the name of an environment variable, found something else "
            "(not shown, since it may be a secret)",
            hint="put the secret into a variable and give the variable's name",
        )
