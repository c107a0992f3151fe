"""The project's configuration file, ``.gitops-release.yml``: checked text, not yet typed values.

::

    defaults:
      engine: docker
    build-and-push-image:
      tag: ["${CIRCLE_SHA1:0:7}", latest]

A file that was found in the current directory came with the checkout, so whoever can open a pull
request can write it: it may not set a trusted option. A file named by ``--config`` may.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ruamel.yaml.nodes import Node

FILE_NAME: Final = ".gitops-release.yml"
MAX_BYTES: Final = 2**20
DEFAULTS: Final = "defaults"

_TAG: Final = "tag:yaml.org,2002:"
_WHOLE_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]*")
_NUMBER_HINT: Final = "quote it, so that it stays as it is written"


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """The options of one command that a file may name, in ``snake_case``."""

    names: frozenset[str]
    trusted: frozenset[str] = frozenset()
    """Those that only a file named by ``--config`` may set."""


@dataclass(frozen=True, slots=True)
class ConfigValue:
    """What the file says about one option, as it is written there."""

    items: tuple[str, ...]
    is_list: bool
    line: int


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A checked file: for each section, option names in ``snake_case`` and their values."""

    name: str
    sections: Mapping[str, Mapping[str, ConfigValue]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def find(self, command: str, option: str) -> ConfigValue | None:
        """Return what the command's section says, else what the defaults say."""
        for section in (command, DEFAULTS):
            value = self.sections.get(section, {}).get(option)
            if value is not None:
                return value
        return None


@dataclass(frozen=True, slots=True)
class _Rules:
    """What may stand in this file."""

    name: str
    commands: Mapping[str, CommandOptions]
    explicit: bool

    def fail(self, node: Node, message: str, hint: str | None = None) -> UsageError:
        return UsageError(f"{self.name} line {_line(node)}: {message}", hint=hint)

    def options(self, section: str) -> CommandOptions:
        """Return the options of a command, or of all commands together for the defaults."""
        if section != DEFAULTS:
            return self.commands[section]
        everything = self.commands.values()
        return CommandOptions(
            frozenset().union(*(options.names for options in everything)),
            frozenset().union(*(options.trusted for options in everything)),
        )


def discover(directory: Path) -> Path | None:
    """Return the path of the file in ``directory`` if there is one."""
    path = directory / FILE_NAME
    return path if path.is_file() else None


def load_config_file(
    path: Path, commands: Mapping[str, CommandOptions], *, explicit: bool
) -> ConfigFile:
    """Read and check a file of at most 1 MiB; raise ``UsageError`` for what is wrong with it."""
    name = str(path) if explicit else path.name
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"expected a readable configuration file, found for {name}: {error.strerror or error}",
            hint="is the path right, relative to the current directory?",
        ) from error
    return parse_config_file(content, commands, name=name, explicit=explicit)


def parse_config_file(
    content: bytes, commands: Mapping[str, CommandOptions], *, name: str, explicit: bool
) -> ConfigFile:
    """Return the checked content; only an ``explicit`` file may set trusted options."""
    if len(content) > MAX_BYTES:
        raise UsageError(f"{name}: expected at most {MAX_BYTES} bytes, found more")
    root = _compose(content, name)
    if root is None:
        return ConfigFile(name)
    rules = _Rules(name, commands, explicit)
    known = sorted({DEFAULTS, *commands})
    sections: dict[str, Mapping[str, ConfigValue]] = {}
    for key, value in _pairs(rules, root, "sections"):
        section = str(key.value).replace("_", "-")
        if section not in known:
            message = f"expected 'defaults' or the name of a command, found {key.value!r}"
            raise rules.fail(key, message, suggestion(section, known))
        if section in sections:
            raise rules.fail(key, f"expected each section once, found {section!r} again")
        sections[section] = _section(rules, section, value)
    return ConfigFile(name, sections)


def suggestion(found: str, known: Iterable[str]) -> str:
    """Return a hint that names what was probably meant, or all there is."""
    names = sorted(known)
    near = difflib.get_close_matches(found, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(names)}" if names else "there are none here"


def _compose(content: bytes, name: str) -> Node | None:
    # Imported here: most invocations have no file, and the import takes a tenth of a second.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: expected UTF-8, found another byte at {error.start}") from error
    try:
        # Nodes, not values: they keep what was written, and where.
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f"{name} line {mark.line + 1}" if mark is not None else name
        problem = getattr(error, "problem", None) or getattr(error, "reason", None)
        reason = "too deep a structure" if isinstance(error, RecursionError) else problem
        raise UsageError(
            f"{place}: expected YAML, found an error: {reason or type(error).__name__}",
            hint="quote values that hold ': ', ' #' or begin with a special character",
        ) from error
    return node


def _section(rules: _Rules, section: str, node: Node) -> Mapping[str, ConfigValue]:
    options = rules.options(section)
    values: dict[str, ConfigValue] = {}
    for key, value in _pairs(rules, node, "options"):
        option = str(key.value).replace("-", "_")
        if option not in options.names:
            message = f"expected an option of {section}, found {key.value!r}"
            known = {name.replace("_", "-") for name in options.names}
            raise rules.fail(key, message, suggestion(option.replace("_", "-"), known))
        if option in values:
            raise rules.fail(key, f"expected each option once, found {key.value!r} again")
        if option in options.trusted and not rules.explicit:
            raise rules.fail(
                key,
                f"expected no {key.value!r} in a file that comes with the checkout",
                f"set it by --{option.replace('_', '-')} or an environment variable, "
                f"or name this file by --config",
            )
        # An empty value stands where the next thing begins: the option's line is meant.
        if value.tag == f"{_TAG}null":
            message = f"expected a value for {key.value}, found nothing"
            raise rules.fail(key, message, "leave the option out to not set it")
        values[option] = _value(rules, str(key.value), value)
    return values


def _pairs(rules: _Rules, node: Node, what: str) -> list[tuple[Node, Node]]:
    if node.tag == f"{_TAG}null":
        return []
    if not _is(node, "mapping", "map"):
        raise rules.fail(node, f"expected {what} as KEY: VALUE, found {_kind(node)}")
    pairs: list[tuple[Node, Node]] = node.value
    for key, _ in pairs:
        if key.tag != f"{_TAG}str":
            raise rules.fail(key, f"expected the names of {what} as text, found {_kind(key)}")
    return pairs


def _value(rules: _Rules, option: str, node: Node) -> ConfigValue:
    if not _is(node, "sequence", "seq"):
        return ConfigValue((_scalar(rules, option, node),), is_list=False, line=_line(node))
    items = tuple(_scalar(rules, option, item) for item in node.value)
    return ConfigValue(items, is_list=True, line=_line(node))


def _scalar(rules: _Rules, option: str, node: Node) -> str:
    """Return the text of a string, whole number or boolean as it is written."""
    kind, text = str(node.tag).removeprefix(_TAG), node.value
    if kind in {"str", "bool"} and isinstance(text, str):
        return text
    if kind == "int" and isinstance(text, str):
        # 0123456 may be a commit: as a number it would have lost its first digit.
        if _WHOLE_NUMBER.fullmatch(text):
            return text
        raise rules.fail(node, f"expected a plain number for {option}, found {text}", _NUMBER_HINT)
    hint = _NUMBER_HINT if kind in {"float", "timestamp"} else "leave the option out to not set it"
    expected = f"expected text, a whole number, true or false, or a list of these for {option}"
    raise rules.fail(node, f"{expected}, found {_kind(node)}", hint)


def _is(node: Node, shape: str, tag: str) -> bool:
    # The shape too: an explicit tag such as !!map may stand before anything.
    return getattr(node, "id", "") == shape and node.tag == f"{_TAG}{tag}"


def _kind(node: Node) -> str:
    """Say what a node is, with its text if it is a short scalar."""
    names = {"map": "a mapping", "seq": "a list", "null": "nothing", "float": "the decimal number"}
    kind = str(node.tag).removeprefix(_TAG)
    described = names.get(kind, kind)
    if isinstance(node.value, str) and node.value and kind != "null":
        return f"{described} {node.value[:40]}"
    return described


def _line(node: Node) -> int:
    line: int = node.start_mark.line
    return line + 1
