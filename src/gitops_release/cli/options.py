"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from gitops_release.cli.settings import setting
from gitops_release.core.errors import UsageError

_F = TypeVar("_F", bound=Callable[..., Any])


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Let errors about a value begin with the option that it was given for."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from error


def dry_run_option(function: _F) -> _F:
    """Add ``--dry-run``."""
    return setting("--dry-run", is_flag=True, help="Show what would be done, and write nothing.")(
        function
    )


def output_option(content: str) -> Callable[[_F], _F]:
    """Add ``--output`` for a file with the given content."""
    return setting(
        "--output",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"Write {content}.",
    )


def github_options(function: _F) -> _F:
    """Add the options that say how GitHub is reached."""
    for option in reversed(_GITHUB):
        function = option(function)
    return function


def pairs(option: str, texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return each NAME=VALUE split at its first ``=``; raise ``UsageError`` for anything else."""
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(
                f"{option}: expected NAME=VALUE, found {text!r}",
                hint="a variable's value is written NAME=$VARIABLE",
            )
        pairs.append((name, value))
    return tuple(pairs)


_GITHUB: Final[tuple[Callable[[Any], Any], ...]] = (
    setting(
        "--base",
        metavar="BRANCH",
        help="The branch to release into. Default: the repository's.",
    ),
    setting(
        "--github-token-env",
        secret=True,
        default="GITHUB_TOKEN",
        show_default=True,
        metavar="VARIABLE",
        help="The variable that holds the GitHub token (contents and pull requests: write).",
    ),
    setting(
        "--github-api-url",
        default="https://api.github.com",
        show_default=True,
        trusted=True,
        metavar="URL",
        help="The address of GitHub's API; on GitHub Enterprise https://HOST/api/v3.",
    ),
)
