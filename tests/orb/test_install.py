"""The command `install` on machines that lack this or that."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.orb.components import packed
from tests.orb.runner import WORK_DIR, JobResult, Machine
from tests.orb.stub import build_stub
from tests.orb.workflows import expand

if TYPE_CHECKING:
    from pathlib import Path

VERSION = packed()["commands"]["install"]["parameters"]["helper_version"]["default"]

UV = f"""#!/bin/sh
echo "uv $*" >>"$UV_CALLS"
case "$1" in
  venv) for last in "$@"; do :; done; exec {sys.executable} -I -m venv --without-pip "$last" ;;
  pip) shift 6; exec {sys.executable} -I -m pip --python "$PYTHON_OF_VENV" install --quiet "$@" ;;
esac
"""
WITHOUT_ENSUREPIP = f"""#!/bin/sh
case "$*" in *"import ensurepip"* | *"import virtualenv"*) exit 1 ;; esac
exec {sys.executable} "$@"
"""
BROKEN_SHIM = """#!/bin/sh
echo "pyenv: version '2.7.18' is not installed" >&2
exit 127
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return build_stub(tmp_path / "wheels", VERSION)


def install(
    tmp_path: Path,
    programs: dict[str, str],
    variables: dict[str, str] | None = None,
    **arguments: object,
) -> JobResult:
    """Install on a machine whose PATH begins with these programs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name, text in programs.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    step: dict[str, Any] = {"gitops-release/install": arguments}
    config = {
        "version": 2.1,
        "orbs": {"gitops-release": packed()},
        "jobs": {"j": {"machine": {"image": "i"}, "steps": [step]}},
        "workflows": {"w": {"jobs": ["j"]}},
    }
    environment = {
        "PATH": f"{directory}:/usr/local/bin:/usr/bin:/bin",
        "UV_CALLS": str(tmp_path / "uv_calls"),
        "PYTHON_OF_VENV": str(tmp_path / "venv/bin/python"),
        **(variables or {}),
    }
    return Machine(root=tmp_path / "m", environment=environment).run(expand(config).job("j"))


def test_a_wheel_file_is_installed(tmp_path: Path, wheel: Path) -> None:
    result = install(tmp_path, {}, helper_source=str(wheel))
    assert result.exit_code == 0, result.report()
    assert result.steps[0].stdout == f"gitops-release {VERSION}\n"


def test_a_broken_pyenv_shim_is_passed_over(tmp_path: Path, wheel: Path) -> None:
    result = install(tmp_path, {"python3": BROKEN_SHIM}, helper_source=str(wheel.parent))
    assert result.exit_code == 0, result.report()


def test_uv_helps_a_python_without_ensurepip(tmp_path: Path, wheel: Path) -> None:
    programs = {"python3": WITHOUT_ENSUREPIP, "uv": UV}
    result = install(tmp_path, programs, helper_source=str(wheel.parent), work_dir=str(tmp_path))
    assert result.exit_code == 0, result.report()
    made = (tmp_path / "uv_calls").read_text().splitlines()
    assert [call.split()[1] for call in made] == ["venv", "pip"]


def test_a_machine_without_any_means_is_told_what_it_needs(tmp_path: Path, wheel: Path) -> None:
    result = install(tmp_path, {"python3": WITHOUT_ENSUREPIP}, helper_source=str(wheel))
    assert result.exit_code == 2
    assert "install python3-venv" in result.steps[0].stderr


def test_a_source_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = install(tmp_path, {}, helper_source="wheels/absent.whl")
    assert result.exit_code == 2
    expected = f"neither a file nor a directory: {result.working_directory}/wheels/absent.whl"
    assert expected in result.steps[0].stderr


def test_the_version_must_be_among_the_wheels(tmp_path: Path, wheel: Path) -> None:
    result = install(tmp_path, {}, helper_source=str(wheel.parent), helper_version="99.0.0")
    assert result.exit_code != 0
    assert "99.0.0" in result.steps[0].stderr


def test_variables_for_pip_do_not_move_the_installation(tmp_path: Path, wheel: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    variables = {"PIP_TARGET": str(elsewhere), "PIP_USER": "1", "PYTHONHOME": str(elsewhere)}
    work_dir = f"{WORK_DIR}/deep/er"
    result = install(tmp_path, {}, variables, helper_source=str(wheel), work_dir=work_dir)
    assert result.exit_code == 0, result.report()
    assert not elsewhere.exists()
