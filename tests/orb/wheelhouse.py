"""A directory of wheels of the helper and of all that it needs, made without an index.

The helper's wheel is built from this checkout; those of its requirements are put together again
from what is installed in the environment that runs the tests. They fit this Python alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.orb.components import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "gitops-release"


def build_wheelhouse(directory: Path) -> Path:
    """Return `directory`, which then holds the wheels."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(
        [*command, "--directory", str(directory)], cwd=PROJECT, check=True, capture_output=True
    )
    for name in sorted(_needed(NAME) - {NAME}):
        _repack(distribution(name), directory)
    return directory


def _needed(name: str) -> set[str]:
    """Return the names of a distribution and of all that it needs in this environment."""
    found: set[str] = set()
    waiting = [Requirement(name)]
    while waiting:
        requirement = waiting.pop()
        wanted = {canonicalize_name(requirement.name)} | {
            f"{canonicalize_name(requirement.name)}[{extra}]" for extra in requirement.extras
        }
        if wanted <= found:
            continue
        found |= wanted
        waiting += _requirements(requirement)
    return {name for name in found if "[" not in name}


def _requirements(requirement: Requirement) -> Iterator[Requirement]:
    for text in distribution(requirement.name).requires or ():
        needed = Requirement(text)
        extras = requirement.extras or {""}
        if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
            yield needed


def _repack(installed: Distribution, directory: Path) -> None:
    """Write the wheel that this distribution was installed from, without its scripts."""
    tags = re.findall(r"^Tag: (\S+)$", installed.read_text("WHEEL") or "", re.MULTILINE)
    name = canonicalize_name(installed.metadata["Name"]).replace("-", "_")
    kept = {
        str(file): file.locate()
        for file in installed.files or ()
        if not str(file).startswith("..") and "__pycache__" not in str(file)
    }
    info = next(str(path).split("/")[0] for path in kept if path.endswith(".dist-info/WHEEL"))
    made_by_installers = {f"{info}/{file}" for file in ("RECORD", "INSTALLER", "REQUESTED")}
    with zipfile.ZipFile(directory / f"{name}-{installed.version}-{tags[0]}.whl", "w") as wheel:
        for path in sorted(kept.keys() - made_by_installers):
            wheel.write(str(kept[path]), path)
        rows = [f"{path},," for path in (*wheel.namelist(), f"{info}/RECORD")]
        wheel.writestr(f"{info}/RECORD", "\n".join([*rows, ""]))
