"""What the entry point gives to every command: settings, the console and their redactor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_release import __version__
from gitops_release.cli.settings import SettingsContext, read_secret
from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    import click

    from gitops_release.cli.console import Console
    from gitops_release.core.credentials import Secret
    from gitops_release.system.processes import Processes
    from gitops_release.system.redaction import Redactor
    from gitops_release.system.retry import RetryPolicy

PATIENT = 5  # attempts
IMPATIENT = 2  # attempts of a dry run, which goes on without what it cannot read
USER_AGENT = f"gitops-release/{__version__}"


@dataclass(frozen=True)
class Session(SettingsContext):
    """One run of the program."""

    console: Console
    redactor: Redactor

    def secret(self, variable: str) -> Secret | None:
        """Return the value of a variable that a secret option names; it is masked from now on."""
        secret = read_secret(self, variable)
        if secret is not None:
            self.redactor.hide(secret)
        return secret

    def processes(self) -> Processes:
        """Return what starts programs, in this run's environment."""
        from gitops_release.system.processes import Processes

        return Processes(self.environ)

    def retry(self, attempts: int = PATIENT) -> RetryPolicy:
        """Return the policy of repeated attempts, which announces its waits."""
        from gitops_release.system.retry import RetryPolicy

        return RetryPolicy(self.console.note, attempts)


def session_of(context: click.Context) -> Session:
    """Return the session that the entry point started."""
    session = context.find_object(Session)
    if session is None:
        raise UsageError("commands are started by gitops_release.cli.main.run")
    return session
