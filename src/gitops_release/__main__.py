"""``python -m gitops_release`` and the console script ``gitops-release``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    from gitops_release.cli.main import run

    sys.exit(run())


if __name__ == "__main__":
    main()
