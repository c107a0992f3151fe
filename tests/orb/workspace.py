"""A workflow's workspace: what jobs persist, in layers, and later jobs attach."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path


class WorkspaceError(ValueError):
    """The workspace is one that CircleCI would refuse to persist or to attach."""


@dataclass(frozen=True, slots=True)
class _Layer:
    job: str
    directory: Path
    upstream: frozenset[str]


@dataclass(slots=True)
class Workspace:
    """Layers by job; a job sees those of the jobs before it, whether it waits directly or not."""

    root: Path
    _layers: list[_Layer] = field(default_factory=list)

    def persist(
        self, job: str, root: Path, patterns: Sequence[str], requires: Collection[str]
    ) -> None:
        """Add a layer with the files below `root` that match; a pattern without any is an error."""
        directory = self.root / f"layer-{len(self._layers)}"
        for pattern in patterns:
            found = matching(root, [pattern])
            if not found:
                raise WorkspaceError(f"nothing in {root} matches {pattern!r}")
            for path in found:
                target = directory / path.relative_to(root)
                if path.is_dir():
                    copy_tree(path, target)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, target)
        self._layers.append(_Layer(job, directory, self._before(requires)))

    def attach(self, at: Path, requires: Collection[str]) -> None:
        """Copy the files of the jobs before; concurrent jobs must not have written the same one."""
        at.mkdir(parents=True, exist_ok=True)
        before = self._before(requires)
        writers: dict[Path, _Layer] = {}
        for layer in self._layers:
            if layer.job not in before:
                continue
            for file in (f for f in layer.directory.rglob("*") if f.is_file()):
                name = file.relative_to(layer.directory)
                earlier = writers.get(name)
                if earlier and earlier.job not in {layer.job, *layer.upstream}:
                    raise WorkspaceError(f"{earlier.job} and {layer.job} both persisted {name}")
                writers[name] = layer
            copy_tree(layer.directory, at)

    def _before(self, requires: Collection[str]) -> frozenset[str]:
        """Return the names of all jobs that ran before one with these requirements."""
        layers = [layer for layer in self._layers if layer.job in requires]
        return frozenset(requires).union(*(layer.upstream for layer in layers))


def matching(root: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the paths below `root` that match one of the patterns; a plain name matches itself."""
    return sorted({path for pattern in patterns for path in root.glob(pattern)})


def copy_tree(source: Path, target: Path) -> None:
    """Return a copy of a directory's content, links kept as links, into one that may exist."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
