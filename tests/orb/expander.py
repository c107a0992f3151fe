"""Expands jobs, commands and executors to plain steps, as CircleCI does before it runs a job.

Nothing is executed and nothing is fetched: what comes from an orb that is not inline stays a
step marked as foreign.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.orb.conditions import holds
from tests.orb.parameters import (
    RESERVED,
    ConfigError,
    Parameter,
    Scoped,
    bind,
    declared,
    substitute,
    unescape,
    variable_text,
)
from tests.orb.scope import BUILT_IN_STEPS, Component, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEEPEST: Final = 20
_JOB_OPTIONS: Final = ("working_directory", "shell", "parallelism", "circleci_ip_ranges")
_EXECUTOR_KEYS: Final = ("docker", "machine", "macos", "resource_class", "shell")
_ROOMS: Final = ("docker", "machine", "macos")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an expanded job; a foreign one belongs to an orb that is not at hand."""

    kind: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    foreign: bool = False

    @property
    def name(self) -> str:
        """What CircleCI's page would call the step."""
        return str(self.arguments.get("name", self.kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandedJob:
    """A job without parameters, conditions or commands."""

    name: str
    executor: Mapping[str, object]
    environment: Mapping[str, str]
    steps: tuple[Step, ...]
    options: Mapping[str, object]
    requires: tuple[str, ...] = ()
    invocation: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where names and parameters are looked up; without values, nothing is left to substitute."""

    scope: Scope
    values: Mapping[str, object] | None
    where: str
    depth: int = 0

    def substituted(self, node: object) -> object:
        return node if self.values is None else substitute(node, self.values, self.where)


def expand_job(
    scope: Scope, reference: str, arguments: Mapping[str, object], *, name: str
) -> ExpandedJob | None:
    """Return the job with these arguments, already substituted; None if its orb is not at hand."""
    component = scope.find("jobs", reference)
    if component is None:
        return None
    before, after = arguments.get("pre-steps", []), arguments.get("post-steps", [])
    given = {key: value for key, value in arguments.items() if key not in RESERVED}
    check_names(component)
    frame = _frame(component, given, scope, 0)
    caller = _Frame(scope, None, f"{component.where}, steps around it")
    steps = [
        *_steps(before, caller),
        *_steps(component.body.get("steps"), frame),
        *_steps(after, caller),
    ]
    executor, inherited = _executor(component, frame)
    own = _picked(frame, component.body, ("environment",)).get("environment")
    options = _picked(frame, component.body, _JOB_OPTIONS)
    return ExpandedJob(
        name=name,
        executor=executor,
        environment=_unescaped_texts(inherited, own),
        steps=tuple(steps),
        options=_mapping(unescape(options), frame.where),
    )


def check_names(job: Component) -> None:
    """Raise if a parameter of the job has a name that invocations reserve."""
    taken = sorted(declared(job.body, job.where).keys() & RESERVED)
    if taken:
        raise ConfigError(f"{job.where}: parameters with reserved names {taken}")


def _frame(
    component: Component, arguments: Mapping[str, object], caller: Scope, depth: int
) -> _Frame:
    """Return the component's own frame: its parameters bound, its own scope."""
    if depth > _DEEPEST:
        raise ConfigError(f"{component.where}: commands call each other without end")
    parameters = declared(component.body, component.where)
    bound = bind(parameters, arguments, component.where)
    values = {
        f"parameters.{name}": _scoped(
            parameters[name], value, caller if name in arguments else component.scope
        )
        for name, value in bound.items()
    }
    return _Frame(component.scope, values, component.where, depth)


def _scoped(parameter: Parameter, value: object, scope: Scope) -> object:
    """Executors and steps remember where their names come from; other values are plain."""
    if parameter.type in ("executor", "steps") and not isinstance(value, Scoped):
        return Scoped(value, scope)
    return value


def _steps(nodes: object, frame: _Frame) -> list[Step]:
    if isinstance(nodes, Scoped):
        assert isinstance(nodes.scope, Scope)
        return _steps(nodes.value, _Frame(nodes.scope, None, frame.where, frame.depth))
    if isinstance(nodes, str) and frame.values is not None:
        value = frame.substituted(nodes)
        if isinstance(value, Scoped):
            return _steps(value, frame)
    if not isinstance(nodes, list):
        raise ConfigError(f"{frame.where}: expected a list of steps, found {nodes!r}")
    return [step for node in nodes for step in _step(node, frame)]


def _step(node: object, frame: _Frame) -> list[Step]:
    """Return the plain steps that one entry of a list of steps stands for."""
    kind, body = _entry(node, frame)
    if kind in ("when", "unless"):
        clause = _mapping(body, frame.where)
        if clause.keys() != {"condition", "steps"}:
            raise ConfigError(f"{frame.where}: {kind} expects condition and steps")
        wanted = kind == "when"
        is_true = holds(_unscoped(frame.substituted(clause["condition"])))
        return _steps(clause["steps"], frame) if is_true is wanted else []
    if kind == "steps":
        return _steps(body, frame)
    if kind in BUILT_IN_STEPS and not frame.scope.defines_command(kind):
        return [_built_in(kind, body, frame)]
    arguments = _mapping(frame.substituted(body), frame.where)
    command = frame.scope.find("commands", kind)
    if command is None:
        return [Step(kind, _mapping(unescape(arguments), frame.where), foreign=True)]
    inner = _frame(command, arguments, frame.scope, frame.depth + 1)
    return _steps(command.body.get("steps"), inner)


def _entry(node: object, frame: _Frame) -> tuple[str, object]:
    if isinstance(node, str):
        return node, {}
    if isinstance(node, dict) and len(node) == 1:
        (kind, body), *_ = node.items()
        return str(kind), {} if body is None else body
    raise ConfigError(f"{frame.where}: a step is a name or a mapping with one key, found {node!r}")


def _built_in(kind: str, body: object, frame: _Frame) -> Step:
    if kind == "run" and isinstance(body, str):
        body = {"command": body}
    arguments = dict(_mapping(frame.substituted(body), frame.where))
    if "environment" in arguments:
        arguments["environment"] = _texts(arguments["environment"])
    if kind == "run" and not isinstance(arguments.get("command"), str):
        raise ConfigError(f"{frame.where}: a run step has no command")
    return Step(kind, _mapping(unescape(arguments), frame.where))


def _executor(component: Component, frame: _Frame) -> tuple[dict[str, object], object]:
    """Where the job runs, and the environment that this place brings."""
    body = component.body
    if "executor" not in body:
        place = _picked(frame, body, _EXECUTOR_KEYS)
        return _place(_mapping(unescape(place), frame.where), frame), {}
    spec, scope = frame.substituted(body["executor"]), frame.scope
    if isinstance(spec, Scoped):
        given = spec
        assert isinstance(given.scope, Scope)
        spec, scope = given.value, given.scope
    arguments = dict(spec) if isinstance(spec, dict) else {"name": spec}
    name = str(arguments.pop("name"))
    found = scope.find("executors", name)
    if found is None:
        return {"executor": name}, {}
    inner = _frame(found, arguments, scope, frame.depth + 1)
    place = _picked(inner, found.body, _EXECUTOR_KEYS) | _picked(frame, body, ("resource_class",))
    environment = _picked(inner, found.body, ("environment",)).get("environment")
    return _place(_mapping(unescape(place), inner.where), inner), environment


def _picked(frame: _Frame, body: Mapping[str, object], keys: Sequence[str]) -> dict[str, object]:
    """Return the body's entries with these keys, substituted."""
    picked = {key: body[key] for key in keys if key in body}
    return _mapping(frame.substituted(picked), frame.where)


def _place(place: dict[str, object], frame: _Frame) -> dict[str, object]:
    rooms = [key for key in _ROOMS if key in place]
    if len(rooms) != 1:
        raise ConfigError(f"{frame.where}: expected one of {list(_ROOMS)}, found {rooms}")
    return place


def _texts(environment: object) -> dict[str, str]:
    """Return an environment as a mapping, from the forms that a configuration may give it."""
    entries = environment if isinstance(environment, list) else [environment or {}]
    merged: dict[str, object] = {}
    for entry in entries:
        merged.update(_mapping(entry, "environment"))
    return {name: variable_text(value, name) for name, value in merged.items()}


def _unescaped_texts(*environments: object) -> dict[str, str]:
    """Several environments in one, later ones first in force."""
    merged: dict[str, str] = {}
    for environment in environments:
        merged |= _texts(environment)
    return {name: str(unescape(value)) for name, value in merged.items()}


def _unscoped(node: object) -> object:
    return node.value if isinstance(node, Scoped) else node


def _mapping(node: object, where: str) -> dict[str, object]:
    if not isinstance(node, dict):
        raise ConfigError(f"{where}: expected a mapping, found {node!r}")
    return node
