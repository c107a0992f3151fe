"""Write the locks in `requirements/` from pyproject.toml, with the hash of every wheel."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"
ENVIRONMENT = ROOT / ".cache" / "lock"
LOCKS = {"runtime.txt": ("--extra", "all"), "dev.txt": ("--extra", "all", "--group", "dev")}


def main(arguments: list[str]) -> int:
    """Resolve for every Python from 3.10 on; `--upgrade` forgets the versions locked so far."""
    # uv is a tool of its own: what it resolves must not depend on what is installed.
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    python = str(ENVIRONMENT / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", UV], check=True)
    for name, groups in LOCKS.items():
        command = [
            *(str(ENVIRONMENT / "bin" / "uv"), "pip", "compile", "--quiet", "--universal"),
            *("--python-version", "3.10", "--generate-hashes", "--no-build"),
            *("--custom-compile-command", "make lock"),
            *("--output-file", f"requirements/{name}", "pyproject.toml", *groups, *arguments),
        ]
        subprocess.run(command, check=True, cwd=ROOT, stdin=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
