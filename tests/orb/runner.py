"""Runs the steps of an expanded job in bash, with what CircleCI puts around them.

Every job has a fresh HOME and working directory under a directory of the caller's. Steps that
need CircleCI itself (remote Docker, caches, ssh keys, foreign orbs) are recorded, not run.
"""

from __future__ import annotations

import os
import shlex
import shutil
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from tests.orb.processes import run_in_group
from tests.orb.workspace import Workspace, copy_tree, matching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.orb.expander import ExpandedJob, Step

WORK_DIR: Final = "/tmp/gitops-release"  # noqa: S108 - the orb's default, on CircleCI's machines
"""The orb's own directory, which a test moves below its own."""
_SHELL: Final = "/bin/bash -eo pipefail"
_REVISION: Final = "0123456789abcdef0123456789abcdef01234567"
Node = TypeVar("Node")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What one step did; a step that was only recorded or was skipped has no exit code."""

    step: Step
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    skipped: bool = False
    timed_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """How a job ended: the first failing step's exit code, else 0."""

    exit_code: int
    steps: tuple[StepResult, ...]
    home: Path
    working_directory: Path
    artifacts: Path

    def step(self, name: str) -> StepResult:
        """Return the result of the step with this name."""
        for result in self.steps:
            if result.step.name == name:
                return result
        raise KeyError(name)

    @property
    def recorded(self) -> tuple[Step, ...]:
        """Steps that were neither run nor skipped."""
        return tuple(r.step for r in self.steps if r.exit_code is None and not r.skipped)

    def report(self) -> str:
        """Every step's output, for the message of a failing assertion."""
        return "\n".join(
            f"== {r.step.name}: {'skipped' if r.skipped else r.exit_code}\n{r.stdout}{r.stderr}"
            for r in self.steps
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where jobs run: a directory, a source for `checkout`, contexts, and the workspace."""

    root: Path
    source: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 120.0
    workspace: Workspace | None = None

    def run(self, job: ExpandedJob) -> JobResult:
        """Return the result of the job's steps, of which each process has ended."""
        session = _Session.start(self, job)
        results: list[StepResult] = []
        exit_code = 0
        for step in session.job.steps:
            if not _is_due(step, failed=exit_code != 0):
                results.append(StepResult(step=step, skipped=True))
                continue
            results.append(session.perform(step))
            exit_code = exit_code or results[-1].exit_code or 0
        return JobResult(
            exit_code=exit_code,
            steps=tuple(results),
            home=session.home,
            working_directory=session.directory,
            artifacts=session.artifacts,
        )

    def run_all(self, jobs: tuple[ExpandedJob, ...]) -> dict[str, JobResult]:
        """Return the results of a workflow's jobs; what needs a failed job does not run."""
        machine = self if self.workspace else replace(self, workspace=Workspace(self.root / "ws"))
        results: dict[str, JobResult] = {}
        for job in jobs:
            if all(name in results and results[name].exit_code == 0 for name in job.requires):
                results[job.name] = machine.run(job)
        return results


@dataclass(frozen=True, slots=True)
class _Session:
    """One job's run: its directories and its environment."""

    machine: Machine
    job: ExpandedJob
    home: Path
    directory: Path
    artifacts: Path
    environment: Mapping[str, str]

    @classmethod
    def start(cls, machine: Machine, job: ExpandedJob) -> _Session:
        root = machine.root / f"job-{uuid.uuid4().hex[:8]}"
        home = root / "home"
        artifacts = root / "artifacts"
        for directory in (home, artifacts, root / "tmp"):
            directory.mkdir(parents=True)
        (root / "bash_env").touch()
        moved = _moved(job, str(root / "work"))
        wanted = str(moved.options.get("working_directory", "~/project"))
        directory = _expanded(wanted, home, home)
        directory.mkdir(parents=True, exist_ok=True)
        environment = {
            **_built_in(job, root, home),
            **machine.environment,
            **moved.environment,
        }
        return cls(machine, moved, home, directory, artifacts, environment)

    def perform(self, step: Step) -> StepResult:
        """Return the step's result; one of CircleCI's that fails has exit code 1 and says why."""
        if step.kind == "run" and not step.foreign:
            return self._run(step)
        actions: dict[str, Callable[[Mapping[str, object]], None]] = {
            "checkout": self._checkout,
            "attach_workspace": self._attach,
            "persist_to_workspace": self._persist,
            "store_artifacts": self._store,
        }
        if step.foreign or step.kind not in actions:
            return StepResult(step=step)
        try:
            actions[step.kind](step.arguments)
        except (OSError, LookupError, ValueError) as error:
            return StepResult(step=step, exit_code=1, stderr=f"{error}\n")
        return StepResult(step=step, exit_code=0)

    def _run(self, step: Step) -> StepResult:
        own = step.arguments.get("environment") or {}
        assert isinstance(own, dict)
        shell = step.arguments.get("shell", self.job.options.get("shell", _SHELL))
        where = self._path(step.arguments.get("working_directory", self.directory))
        ended = run_in_group(
            [*shlex.split(str(shell)), "-c", str(step.arguments["command"])],
            cwd=where,
            environment={**self.environment, **own},
            timeout=self.machine.timeout,
            logs=self.artifacts.parent,
        )
        return StepResult(
            step=step,
            exit_code=ended.exit_code,
            stdout=ended.stdout,
            stderr=ended.stderr,
            timed_out=ended.timed_out,
        )

    def _checkout(self, arguments: Mapping[str, object]) -> None:
        if self.machine.source is None:
            raise LookupError("this machine has no source to check out")
        target = self._path(arguments.get("path", self.directory))
        copy_tree(self.machine.source, target)

    def _workspace(self) -> Workspace:
        if self.machine.workspace is None:
            raise LookupError("this machine has no workspace")
        return self.machine.workspace

    def _attach(self, arguments: Mapping[str, object]) -> None:
        self._workspace().attach(self._path(arguments["at"]), self.job.requires)

    def _persist(self, arguments: Mapping[str, object]) -> None:
        paths = arguments["paths"]
        patterns = [str(p) for p in paths] if isinstance(paths, list) else [str(paths)]
        self._workspace().persist(
            self.job.name, self._path(arguments["root"]), patterns, self.job.requires
        )

    def _store(self, arguments: Mapping[str, object]) -> None:
        """Artifacts that are not there are no error, as on CircleCI."""
        source = self._path(arguments["path"])
        destination = self.artifacts / str(arguments.get("destination", source.name))
        if source.is_dir():
            copy_tree(source, destination)
        for file in [] if source.is_dir() else matching(source.parent, [source.name]):
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, destination)

    def _path(self, text: object) -> Path:
        return _expanded(str(text), self.home, self.directory)


def _is_due(step: Step, *, failed: bool) -> bool:
    match step.arguments.get("when", "on_success"):
        case "always":
            return True
        case "on_fail":
            return failed
        case _:
            return not failed


def _expanded(text: str, home: Path, directory: Path) -> Path:
    """Return a path of a configuration: from ~ or from the working directory."""
    if text == "~" or text.startswith("~/"):
        return home / text[2:]
    return directory / text


def _moved(job: ExpandedJob, work_dir: str) -> ExpandedJob:
    """Return the job with the orb's directory moved: machines of one test share a file system."""
    steps = tuple(replace(s, arguments=_replaced(s.arguments, work_dir)) for s in job.steps)
    return replace(job, steps=steps, environment=_replaced(job.environment, work_dir))


def _replaced(node: Node, work_dir: str) -> Node:
    match node:
        case str():
            return node.replace(WORK_DIR, work_dir)  # type: ignore[return-value]
        case list():
            return [_replaced(item, work_dir) for item in node]  # type: ignore[return-value]
        case dict():
            return {k: _replaced(v, work_dir) for k, v in node.items()}  # type: ignore[return-value]
        case _:
            return node


def _built_in(job: ExpandedJob, root: Path, home: Path) -> dict[str, str]:
    """Return the variables that CircleCI sets for every job, and of this process's PATH alone."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(root / "tmp"),
        "BASH_ENV": str(root / "bash_env"),
        "CI": "true",
        "CIRCLECI": "true",
        "CIRCLE_BRANCH": "main",
        "CIRCLE_BUILD_NUM": "123",
        "CIRCLE_BUILD_URL": "https://circleci.com/gh/my-org/my-app/123",
        "CIRCLE_JOB": job.name,
        "CIRCLE_NODE_INDEX": "0",
        "CIRCLE_NODE_TOTAL": "1",
        "CIRCLE_PIPELINE_ID": "5034460f-c7c4-4c43-9457-de07e2029e7b",
        "CIRCLE_PIPELINE_NUMBER": "25",
        "CIRCLE_PROJECT_REPONAME": "my-app",
        "CIRCLE_PROJECT_USERNAME": "my-org",
        "CIRCLE_SHA1": _REVISION,
        "CIRCLE_USERNAME": "octocat",
        "CIRCLE_WORKFLOW_ID": "3ce51a6d-41a5-4a09-9a65-2f2a5c4b1d1c",
        "CIRCLE_WORKFLOW_JOB_ID": str(uuid.uuid4()),
        "CIRCLE_WORKING_DIRECTORY": "~/project",
    }
