"""Make `.venv` from the lock: the Python that runs this file, the locked packages, this project.

Uses the standard library alone, because it runs before anything is installed. A second run finds
its stamp and does nothing, so every target of the Makefile can start with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools import debian

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST = (3, 10)
VERSION = ".".join(map(str, sys.version_info[:2]))
# Not sys.executable: this may run in an environment, even in the one that is to be renewed.
BASE = Path(sys.base_prefix, "bin", f"python{VERSION}")
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements" / "dev.txt"
STAMP = VENV / "bootstrap.json"


def main() -> int:
    """Bring `.venv` up to date; the exit code is 2 when this machine cannot have one."""
    if sys.version_info < OLDEST:
        return _refuse(
            f"Python >= {'.'.join(map(str, OLDEST))} is needed, {sys.executable} is {VERSION}",
            "install a newer one and name it, for example: make PYTHON=python3.12 test",
        )
    try:
        with _alone():
            _bring_up_to_date()
    except debian.CannotInstallError as error:
        return _refuse(str(error), error.hint)
    except subprocess.CalledProcessError as error:
        return _refuse(f"this command ended with {error.returncode}:", _shell(error.cmd))
    return 0


def _bring_up_to_date() -> None:
    """Do the steps whose inputs differ from those in the stamp, each recorded when it is done."""
    done = _read_stamp()
    for name, step, inputs in (
        ("interpreter", _create, f"{BASE} {sys.version} {VENV}"),
        ("lock", _install_lock, _sha256(LOCK)),
        ("project", _install_project, _sha256(*_project_metadata())),
    ):
        if done.get(name) != inputs:
            done = {} if name == "interpreter" else done
            _write_stamp({key: value for key, value in done.items() if key != name})
            step()
            done[name] = inputs
            _write_stamp(done)


def _create() -> None:
    """Make an empty environment, after installing Debian's package for that where it is missing."""
    if importlib.util.find_spec("ensurepip") is None:
        # Debian and Ubuntu split ensurepip off; other Pythons come with it.
        debian.install((f"python{VERSION}-venv",), needed_for="python3 -m venv")
    _say(f"making {VENV.name} with Python {VERSION}")
    _run(str(BASE), "-m", "venv", "--clear", str(VENV))


def _install_lock() -> None:
    """Install exactly what the lock names; nothing is compiled and no other bytes are accepted."""
    _say(f"installing {LOCK.relative_to(ROOT)}")
    _pip("--require-hashes", "--only-binary", ":all:", "--requirement", str(LOCK))


def _install_project() -> None:
    """Install this project in editable form, with its console script."""
    _say("installing this project")
    _pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def _project_metadata() -> list[Path]:
    """Return the files that say what the installed project is called, contains and starts."""
    return [ROOT / "pyproject.toml", ROOT / "src" / "gitops_release" / "__init__.py"]


def _read_stamp() -> dict[str, str]:
    """Return what the environment was made from; nothing if it is not there or does not run."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        subprocess.run([PYTHON, "-c", ""], check=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _write_stamp(stamp: dict[str, str]) -> None:
    """Record what is done; a step that is interrupted is not in it and will be done again."""
    VENV.mkdir(exist_ok=True)
    STAMP.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _alone() -> Iterator[None]:
    """Hold this checkout's lock: `make demo` and `make test` may be started at the same time."""
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    with (cache / "bootstrap.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pip(*arguments: str) -> None:
    # The machine's proxy, certificates, mirrors and PIP_* variables stay in force.
    _run(str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _sha256(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _shell(command: object) -> str:
    return " ".join(map(str, command)) if isinstance(command, (list, tuple)) else str(command)


def _say(text: str) -> None:
    print(f"bootstrap: {text}", flush=True)


def _refuse(problem: str, hint: str) -> int:
    print(f"bootstrap: {problem}\n  {hint}", file=sys.stderr, flush=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
