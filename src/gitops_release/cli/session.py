"""What the entry point gives to every command: settings, the console and their redactor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_release import __version__
from gitops_release.cli.settings import SettingsContext, read_secret
from gitops_release.core.errors import AuthenticationError, UsageError

if TYPE_CHECKING:
    import click

    from gitops_release.cli.console import Console
    from gitops_release.core.credentials import Credentials, Secret
    from gitops_release.registries.connection import Connection
    from gitops_release.system.processes import Processes
    from gitops_release.system.redaction import Redactor
    from gitops_release.system.retry import RetryPolicy

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

    def retry(self) -> RetryPolicy:
        """Return the policy of repeated attempts, which announces its waits."""
        from gitops_release.system.retry import RetryPolicy

        return RetryPolicy(self.console.note)

    def connection(
        self, username_env: str, password_env: str, auth_hosts: tuple[str, ...]
    ) -> Connection:
        """Return how registries are reached with the credentials in two variables."""
        from gitops_release.registries.connection import Connection
        from gitops_release.system.http import HttpClient

        return Connection(
            HttpClient(self.retry(), user_agent=USER_AGENT),
            self.redactor,
            self._credentials(username_env, password_env),
            auth_hosts,
        )

    def _credentials(self, username_env: str, password_env: str) -> Credentials | None:
        """Return the user name and password; ``None`` if neither is given: anonymous."""
        from gitops_release.core.credentials import Credentials

        username = self.environ.get(username_env, "")
        password = self.secret(password_env)
        if username and password is not None:
            return Credentials(username, password)
        if username or password is not None:
            unset = password_env if username else username_env
            raise AuthenticationError(
                f"expected a user name and a password for the registry, found {unset} unset",
                hint=f"set {unset}, or name another variable",
            )
        return None


def session_of(context: click.Context) -> Session:
    """Return the session that the entry point started."""
    session = context.find_object(Session)
    if session is None:
        raise UsageError("commands are started by gitops_release.cli.main.run")
    return session
