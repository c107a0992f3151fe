"""Expands a whole configuration: its workflows' jobs, matrix jobs included, to plain jobs."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tests.orb.conditions import holds
from tests.orb.expander import ExpandedJob, Step, expand_job
from tests.orb.parameters import RESERVED, ConfigError, bind, declared, substitute
from tests.orb.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PIPELINE: Final[Mapping[str, object]] = {
    "pipeline.id": "5034460f-c7c4-4c43-9457-de07e2029e7b",
    "pipeline.number": 25,
    "pipeline.project.slug": "gh/my-org/my-app",
    "pipeline.project.type": "github",
    "pipeline.git.branch": "main",
    "pipeline.git.tag": "",
    "pipeline.git.revision": "0123456789abcdef0123456789abcdef01234567",
}
"""Pipeline values of an ordinary push to main."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The workflows that run, each a list of jobs in the order of the configuration."""

    workflows: Mapping[str, tuple[ExpandedJob, ...]]

    def job(self, name: str) -> ExpandedJob:
        """Return the job with this name, of any workflow."""
        for found in itertools.chain.from_iterable(self.workflows.values()):
            if found.name == name:
                return found
        raise KeyError(name)

    def config(self) -> dict[str, object]:
        """Return the expansion as a configuration without orbs, commands and parameters.

        Approvals and jobs of orbs that are not at hand are left out.
        """
        own = {name: [j for j in jobs if j.executor] for name, jobs in self.workflows.items()}
        every = list(itertools.chain.from_iterable(own.values()))
        names = {job.name for job in every}
        workflows = {
            name: {"jobs": [{_plain(job.name): _invocation(job, names)} for job in jobs]}
            for name, jobs in own.items()
        }
        jobs = {_plain(job.name): _job_config(job) for job in every}
        return {"version": 2.1, "jobs": jobs, "workflows": workflows}


def expand(
    config: Mapping[str, object],
    *,
    pipeline: Mapping[str, object] = PIPELINE,
    parameters: Mapping[str, object] | None = None,
) -> Expansion:
    """Return the configuration with every workflow that its conditions let run, as plain jobs."""
    scope = Scope.parse(config)
    bound = bind(declared(config, "pipeline"), parameters or {}, "pipeline")
    values = {**pipeline, **{f"pipeline.parameters.{k}": v for k, v in bound.items()}}
    workflows = config.get("workflows") or {}
    if not isinstance(workflows, dict):
        raise ConfigError("workflows are not a mapping")
    expanded = {
        name: _workflow(body, scope, values)
        for name, body in workflows.items()
        if isinstance(body, dict) and _runs(body, values)
    }
    return Expansion(expanded)


def _runs(workflow: Mapping[str, object], values: Mapping[str, object]) -> bool:
    wanted = substitute(workflow.get("when", True), values, "workflow")
    unwanted = substitute(workflow.get("unless", False), values, "workflow")
    return holds(wanted) and not holds(unwanted)


def _workflow(
    workflow: Mapping[str, object], scope: Scope, values: Mapping[str, object]
) -> tuple[ExpandedJob, ...]:
    entries = workflow.get("jobs")
    if not isinstance(entries, list):
        raise ConfigError("a workflow has no list of jobs")
    groups: dict[str, list[ExpandedJob]] = {}
    for entry in entries:
        reference, arguments = _parse(entry)
        for job, alias in _invoke(reference, arguments, scope, values):
            if any(job.name == other.name for jobs in groups.values() for other in jobs):
                raise ConfigError(f"two jobs are called {job.name!r}: give one a name")
            groups.setdefault(alias, []).append(job)
    return tuple(_linked(job, groups) for jobs in groups.values() for job in jobs)


def _parse(entry: object) -> tuple[str, dict[str, object]]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        (reference, arguments), *_ = entry.items()
        return str(reference), dict(arguments or {})
    raise ConfigError(f"a workflow's job is a name or a mapping with one key, found {entry!r}")


def _invoke(
    reference: str,
    arguments: dict[str, object],
    scope: Scope,
    values: Mapping[str, object],
) -> list[tuple[ExpandedJob, str]]:
    """Return the jobs of one invocation, several for a matrix, each with its group's name."""
    matrix = arguments.pop("matrix", None)
    jobs = []
    for combination in [None] if matrix is None else combinations(matrix):
        cell = {f"matrix.{k}": v for k, v in (combination or {}).items()}
        given = substitute(arguments, {**values, **cell}, reference)
        assert isinstance(given, dict)
        suffix = "".join(f"-{value}" for value in (combination or {}).values())
        base = str(given.get("name", reference))
        has_own_name = combination is None or "<<" in str(arguments.get("name", ""))
        name = base if has_own_name else base + suffix
        job = _job(reference, {**given, **(combination or {})}, scope, name)
        alias = matrix.get("alias", base) if isinstance(matrix, dict) else base
        jobs.append((job, str(alias)))
    return jobs


def combinations(matrix: object) -> list[dict[str, object]]:
    """Every combination of a matrix's parameters but the excluded ones."""
    if not isinstance(matrix, dict) or not isinstance(matrix.get("parameters"), dict):
        raise ConfigError(f"a matrix has parameters, found {matrix!r}")
    names = list(matrix["parameters"])
    cells = itertools.product(*matrix["parameters"].values())
    every = [dict(zip(names, cell, strict=True)) for cell in cells]
    return [cell for cell in every if cell not in matrix.get("exclude", [])]


def _job(reference: str, arguments: Mapping[str, object], scope: Scope, name: str) -> ExpandedJob:
    invocation = {k: v for k, v in arguments.items() if k in RESERVED - {"pre-steps", "post-steps"}}
    if "type" in arguments:
        job: ExpandedJob | None = None
    else:
        job = expand_job(scope, reference, arguments, name=name)
    if job is None:
        step = Step(reference, dict(arguments), foreign=True)
        job = ExpandedJob(name=name, executor={}, environment={}, steps=(step,), options={})
    return replace(job, invocation=invocation)


def _linked(job: ExpandedJob, groups: Mapping[str, list[ExpandedJob]]) -> ExpandedJob:
    """Return the job with the names of the jobs that it waits for, which must exist."""
    wanted = job.invocation.get("requires") or []
    if not isinstance(wanted, list):
        raise ConfigError(f"{job.name}: requires is not a list")
    names = {other.name for jobs in groups.values() for other in jobs}
    required: list[str] = []
    for item in wanted:
        name = next(iter(item)) if isinstance(item, dict) else str(item)
        if name not in groups and name not in names:
            raise ConfigError(f"{job.name} requires {name!r}, which is not in the workflow")
        required += [other.name for other in groups[name]] if name in groups else [name]
    return replace(job, requires=tuple(required))


def _plain(name: str) -> str:
    """Return a job's name in the letters that the schema allows to one."""
    return re.sub(r"[^A-Za-z0-9_ -]", "-", name)


def _job_config(job: ExpandedJob) -> dict[str, object]:
    steps = [
        {step.kind: dict(step.arguments)} if step.arguments else step.kind for step in job.steps
    ]
    config: dict[str, object] = {**job.executor, **job.options, "steps": steps}
    return {**config, "environment": dict(job.environment)} if job.environment else config


def _invocation(job: ExpandedJob, names: Collection[str]) -> dict[str, object]:
    kept = {k: v for k, v in job.invocation.items() if k not in ("requires", "name", "matrix")}
    requires = [_plain(name) for name in job.requires if name in names]
    return {**kept, "requires": requires} if requires else kept
