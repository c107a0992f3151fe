"""The helper itself, installed by the orb."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.orb.components import packed
from tests.orb.runner import WORK_DIR, Machine
from tests.orb.wheelhouse import build_wheelhouse
from tests.orb.workflows import expand


def test_the_helper_and_what_it_needs_are_installed_without_an_index(tmp_path: Path) -> None:
    wheels = build_wheelhouse(tmp_path / "wheels")
    check = {
        "name": "Check",
        "command": f'cd / && "{WORK_DIR}/venv/bin/python" -I -m pip check',
    }
    helper = f'"{WORK_DIR}/venv/bin/python" -I -c "import gitops_release, click, github, yaml"'
    steps = [
        {"gitops-release/install": {"helper_source": str(wheels), "helper_extras": ""}},
        {"run": check},
        {"run": {"name": "Import", "command": helper}},
    ]
    config = {
        "orbs": {"gitops-release": packed()},
        "jobs": {"j": {"machine": {"image": "i"}, "steps": steps}},
        "workflows": {"w": {"jobs": ["j"]}},
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    machine = Machine(root=tmp_path / "machines", environment={"PATH": path})
    result = machine.run(expand(config).job("j"))
    assert result.exit_code == 0, result.report()
