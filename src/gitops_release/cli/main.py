"""The entry point: the group of commands, and the one place that turns errors into exit codes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitops_release import __version__
from gitops_release.cli.build_and_push_image import build_and_push_image
from gitops_release.cli.console import Console
from gitops_release.cli.create_release_pr import create_release_pr
from gitops_release.cli.describe_image import describe_image
from gitops_release.cli.doctor import doctor
from gitops_release.cli.promote_image import promote_image
from gitops_release.cli.secret_names import secret_names
from gitops_release.cli.session import Session
from gitops_release.core.credentials import Secret
from gitops_release.core.errors import GitopsReleaseError, UsageError
from gitops_release.system.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTERRUPTED = 130
TERMINATED = 143


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gitops-release")
def cli() -> None:
    """Take an application from a commit to a reviewable release.

    Every command looks first, shows its plan, then acts: running it again is always safe, and
    --dry-run stops after the plan.

    \b
    Exit codes: 0 done or nothing to do; 2 wrong request or machine, nothing was touched;
    3 credentials; 4 conflict, a person decides; 5 a service failed, run again later;
    6 the manifest does not fit; 7 the build failed or the image was refused;
    130, 143 interrupted; 1 a bug.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines


cli.add_command(build_and_push_image)
cli.add_command(create_release_pr)
cli.add_command(promote_image)
cli.add_command(describe_image)
cli.add_command(doctor)


def run(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run the command line and return its exit code; only a bug shows a traceback."""
    environ = dict(os.environ if environ is None else environ)
    redactor = Redactor()
    for name in secret_names(environ, ()):
        redactor.hide(Secret(environ.get(name, "")))
    console = Console(redactor)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        directory = _current_directory()
        session = Session(environ, directory, console.lines, console, redactor)
        return _exit_code(arguments, session)
    except GitopsReleaseError as error:
        console.error(error)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        console.note(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        console.usage_error(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        console.note("interrupted: run again, what was achieved is kept")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort
        console.bug(error)
        return 1


def _exit_code(arguments: Sequence[str] | None, session: Session) -> int:
    ended = cli.main(
        args=None if arguments is None else list(arguments),
        prog_name="gitops-release",
        standalone_mode=False,
        obj=session,
    )
    # click returns the code of --help and --version, and what a command returns otherwise.
    return ended if isinstance(ended, int) else 0


def _current_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"expected a current directory, found: {error.strerror}",
            hint="change to a directory that is there",
        ) from error


def _terminate(_number: int, _frame: object) -> None:
    """Unwind, so that children are stopped and private files are removed."""
    sys.exit(TERMINATED)
