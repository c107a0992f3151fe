"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from gitops_release.cli.settings import setting

_F = TypeVar("_F", bound=Callable[..., Any])


def dry_run_option(function: _F) -> _F:
    """Add ``--dry-run``."""
    return setting("--dry-run", is_flag=True, help="Show what would be done, and write nothing.")(
        function
    )


def registry_options(function: _F) -> _F:
    """Add the options that say how a registry is reached."""
    for option in reversed(_REGISTRY):
        function = option(function)
    return function


_REGISTRY: Final = (
    setting(
        "--registry-username-env",
        secret=True,
        default="DOCKER_LOGIN",
        show_default=True,
        metavar="VARIABLE",
        help="The variable that holds the registry's user name.",
    ),
    setting(
        "--registry-password-env",
        secret=True,
        default="DOCKER_PASSWORD",
        show_default=True,
        metavar="VARIABLE",
        help="The variable that holds the registry's password.",
    ),
    setting(
        "--allow-auth-host",
        "auth_hosts",
        multiple=True,
        trusted=True,
        metavar="HOST",
        help="A host besides the registry's own that may be given the registry's credentials "
        "in exchange for a token. May be repeated.",
    ),
)
