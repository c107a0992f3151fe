"""Our orb, as the tests of it read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.orb.packer import load, pack

PROJECT: Final = Path(__file__).parents[2]
ORB: Final = PROJECT / "orb"
KINDS: Final = ("jobs", "commands", "executors", "examples")


@dataclass(frozen=True, slots=True)
class File:
    """One component's source file, unpacked."""

    kind: str
    path: Path

    def __str__(self) -> str:
        """Name the file as a test's identifier."""
        return f"{self.kind}/{self.path.stem}"

    @property
    def body(self) -> dict[str, Any]:
        """What the file says."""
        return load(self.path)


FILES: Final = tuple(File(kind, path) for kind in KINDS for path in sorted((ORB / kind).iterdir()))


@cache
def _packed() -> str:
    return json.dumps(pack(ORB))


def packed() -> dict[str, Any]:
    """Return the packed orb, a fresh copy each time."""
    orb: dict[str, Any] = json.loads(_packed())
    return orb


def entries(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every value of a document with its path."""
    yield path, node
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from entries(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from entries(value, (*path, str(index)))


def runs(node: object) -> list[object]:
    """Return every `run` step of a document, inside conditions and defaults too."""
    return [value for path, value in entries(node) if path and path[-1] == "run"]


def config_with_orb(**jobs: Mapping[str, object]) -> dict[str, Any]:
    """Return a configuration whose one workflow runs these jobs of our orb, in order."""
    invocations = [{f"gitops-release/{name}": dict(args)} for name, args in jobs.items()]
    return {
        "version": 2.1,
        "orbs": {"gitops-release": packed()},
        "workflows": {"release": {"jobs": invocations}},
    }
