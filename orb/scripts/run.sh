#!/usr/bin/env bash
# Starts the helper, which reads its settings from the environment (GITOPS_RELEASE_ORB_*).
# -I: neither the working directory nor PYTHON* variables can put another module in its place.
set -euo pipefail

exec "${GITOPS_RELEASE_VENV:?}/bin/python" -I -m gitops_release "${GITOPS_RELEASE_COMMAND:?}"
