#!/usr/bin/env bash
# Installs the helper in a virtual environment of its own and decides nothing else.
# Settings come from the environment alone: GITOPS_RELEASE_VENV, _HELPER_VERSION, _HELPER_SOURCE,
# _HELPER_EXTRAS.
# Only the constructs of POSIX sh and pipefail are used: images without bash run this in their sh.
# shellcheck disable=SC2292 # [[ ]] is not POSIX
# shellcheck disable=SC2310 # functions in conditions are questions; their failure is an answer
set -euo pipefail

fail() {
  printf 'gitops-release: %s\n' "$1" >&2
  exit 2
}

absolute() {
  case "$1" in
    /*) printf '%s' "$1" ;;
    *) printf '%s/%s' "${PWD}" "$1" ;;
  esac
}

is_recent() {
  "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

# A pyenv shim may be there and fail; the system's Python, and those of pyenv, come after it.
find_python() {
  for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10 \
    /usr/bin/python3 /usr/local/bin/python3 /opt/circleci/.pyenv/versions/*/bin/python3; do
    if is_recent "${candidate}"; then
      command -v "${candidate}"
      return
    fi
  done
  return 1
}

# Debian and Ubuntu ship Pythons without ensurepip; uv and virtualenv do not need it.
make_environment() {
  rm -rf -- "${venv}"
  if "${python}" -I -c 'import ensurepip, venv' 2>/dev/null; then
    "${python}" -I -m venv "${venv}"
  elif command -v uv >/dev/null; then
    uv venv --quiet --no-config --python "${python}" "${venv}"
  elif "${python}" -I -c 'import virtualenv' 2>/dev/null; then
    "${python}" -I -m virtualenv --quiet "${venv}"
  else
    fail "${python} has no ensurepip, and there is no uv or virtualenv; install python3-venv"
  fi
}

install_wheels() {
  if [ -x "${venv}/bin/pip" ]; then
    "${venv}/bin/python" -I -m pip install --disable-pip-version-check --no-input --quiet \
      --only-binary :all: "$@"
  else
    uv pip install --quiet --no-config --python "${venv}/bin/python" --only-binary :all: "$@"
  fi
}

install_helper() {
  extras="${GITOPS_RELEASE_HELPER_EXTRAS:+[${GITOPS_RELEASE_HELPER_EXTRAS}]}"
  requirement="gitops-release${extras}==${GITOPS_RELEASE_HELPER_VERSION:?}"
  if [ -d "${source}" ]; then
    install_wheels --no-index --find-links "${source}" "${requirement}"
  elif [ -n "${source}" ]; then
    install_wheels "${source}${extras}"
  else
    install_wheels "${requirement}"
  fi
}

venv="$(absolute "${GITOPS_RELEASE_VENV:?}")"
source="${GITOPS_RELEASE_HELPER_SOURCE:-}"
if [ -n "${source}" ]; then
  source="$(absolute "${source}")"
  [ -e "${source}" ] || fail "helper_source is neither a file nor a directory: ${source}"
fi

# Nothing in the checkout may stand in for Python, pip or what they import.
cd /
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER
unset PIP_EXTRA_INDEX_URL PIP_FIND_LINKS UV_EXTRA_INDEX_URL UV_FIND_LINKS

directory="$(dirname "${venv}")"
(umask 077 && mkdir -p "${directory}")
[ -O "${directory}" ] || fail "${directory} belongs to somebody else; choose another work_dir"

python="$(find_python)" || fail "no Python 3.10 or newer was found"
make_environment
install_helper
"${venv}/bin/python" -I -c \
  'from importlib.metadata import version; print("gitops-release", version("gitops-release"))'
