"""Parameters of orb components: their declarations, the check of arguments, and substitution."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

RESERVED: Final = frozenset(
    {
        "name",
        "requires",
        "context",
        "filters",
        "matrix",
        "type",
        "pre-steps",
        "post-steps",
        "serial-group",
        "override-with",
    }
)
"""Keys of a job's invocation that are CircleCI's own."""

_REFERENCE: Final = re.compile(r"(?<!\\)<<\s*([\w-]+(?:\.[\w-]+)*)\s*>>")
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES: Final = {"string": str, "enum": str, "boolean": bool, "env_var_name": str, "steps": list}


class ConfigError(Exception):
    """The configuration is one that CircleCI would refuse."""


class Missing(Enum):
    """A value that was not given, which YAML's null is not."""

    VALUE = "not given"


@dataclass(frozen=True, slots=True)
class Scoped:
    """An executor or steps given as an argument: their names mean what they mean to the giver."""

    value: object
    scope: object


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter of a job, command or executor."""

    name: str
    type: str
    default: object = Missing.VALUE
    members: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: str, declaration: object, where: str) -> Parameter:
        """Return the declaration, with a default of its own type."""
        if not isinstance(declaration, dict) or "type" not in declaration:
            raise ConfigError(f"{where}: parameter {name} has no type")
        unknown = declaration.keys() - {"type", "default", "enum", "description"}
        if unknown:
            raise ConfigError(f"{where}: parameter {name} has unknown keys {sorted(unknown)}")
        parameter = cls(
            name,
            declaration["type"],
            declaration.get("default", Missing.VALUE),
            tuple(declaration.get("enum", ())),
        )
        if parameter.type == "enum" and not parameter.members:
            raise ConfigError(f"{where}: parameter {name} is an enum without members")
        if parameter.default is not Missing.VALUE:
            parameter.check(parameter.default, f"{where}, default")
        return parameter

    def check(self, value: object, where: str) -> None:
        """Raise unless the value has this parameter's type."""
        if not self._accepts(value.value if isinstance(value, Scoped) else value):
            kind = f"one of {list(self.members)}" if self.type == "enum" else self.type
            raise ConfigError(f"{where}: {self.name} expects {kind}, found {value!r}")

    def _accepts(self, value: object) -> bool:
        match self.type:
            case "integer":
                return isinstance(value, int) and not isinstance(value, bool)
            case "executor":
                return isinstance(value, str) or (isinstance(value, dict) and "name" in value)
            case "enum":
                return value in self.members
            case "env_var_name":
                return isinstance(value, str) and _VARIABLE_NAME.fullmatch(value) is not None
            case known if known in _TYPES:
                return isinstance(value, _TYPES[known])
            case unknown:
                raise ConfigError(f"parameter {self.name} has the unknown type {unknown!r}")


def declared(component: Mapping[str, object], where: str) -> dict[str, Parameter]:
    """Return the parameters that a component declares."""
    declarations = component.get("parameters") or {}
    if not isinstance(declarations, dict):
        raise ConfigError(f"{where}: parameters are not a mapping")
    return {name: Parameter.parse(name, text, where) for name, text in declarations.items()}


def bind(
    parameters: Mapping[str, Parameter], arguments: Mapping[str, object], where: str
) -> dict[str, object]:
    """Return a checked value for every parameter: the argument's, else the default."""
    unknown = arguments.keys() - parameters.keys()
    if unknown:
        raise ConfigError(f"{where}: unexpected arguments {sorted(unknown)}")
    for name, value in arguments.items():
        parameters[name].check(value, where)
    values = {name: arguments.get(name, p.default) for name, p in parameters.items()}
    missing = sorted(name for name, value in values.items() if value is Missing.VALUE)
    if missing:
        raise ConfigError(f"{where}: missing arguments {missing}")
    return values


def substitute(node: object, values: Mapping[str, object], where: str) -> object:
    """`node` with every `<< name >>` replaced once; a scalar that is one reference keeps its type.

    What a value brings in is data: it is not searched for references.
    """
    match node:
        case str():
            return _substitute_text(node, values, where)
        case list():
            return [substitute(item, values, where) for item in node]
        case dict():
            return {k: substitute_entry(k, v, values, where) for k, v in node.items()}
        case _:
            return node


def substitute_entry(key: object, node: object, values: Mapping[str, object], where: str) -> object:
    """Return a mapping's value, substituted; in `environment` booleans become 1 and 0."""
    if key == "environment" and isinstance(node, dict):
        return {name: variable(value, values, where) for name, value in node.items()}
    return substitute(node, values, where)


def variable(node: object, values: Mapping[str, object], where: str) -> str:
    """Return the text that an environment variable gets after substitution."""
    digits = {name: int(v) if isinstance(v, bool) else v for name, v in values.items()}
    return variable_text(substitute(node, digits, where), where)


def variable_text(value: object, where: str) -> str:
    """Return the text that an environment variable gets: booleans are 1 and 0."""
    if value is None:
        return ""
    if not isinstance(value, bool | int | float | str):
        raise ConfigError(f"{where}: an environment variable cannot hold {value!r}")
    return str(int(value) if isinstance(value, bool) else value)


def unescape(node: object) -> object:
    r"""`node` with every `\<<` turned into the `<<` it stands for."""
    match node:
        case str():
            return node.replace(r"\<<", "<<")
        case list():
            return [unescape(item) for item in node]
        case dict():
            return {key: unescape(value) for key, value in node.items()}
        case _:
            return node


def _substitute_text(text: str, values: Mapping[str, object], where: str) -> object:
    def value_of(match: re.Match[str]) -> object:
        if match.group(1) not in values:
            raise ConfigError(f"{where}: << {match.group(1)} >> is not defined in {text!r}")
        return values[match.group(1)]

    whole = _REFERENCE.fullmatch(text.strip())
    if whole:
        return value_of(whole)
    return _REFERENCE.sub(lambda match: _text_of(value_of(match)), text)


def _text_of(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
