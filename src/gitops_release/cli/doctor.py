"""The command ``doctor``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from gitops_release.app.examine import Question, examine
from gitops_release.cli.manifest_repositories import (
    open_manifest_repository,
    parse_manifest_repository,
)
from gitops_release.cli.options import github_options, naming
from gitops_release.cli.registry_options import RegistryOptions, connection, registry_options
from gitops_release.cli.session import Session, session_of
from gitops_release.cli.settings import SettingsCommand, setting
from gitops_release.core.errors import GitopsReleaseError, UsageError
from gitops_release.core.image import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitops_release.core.credentials import Credentials
    from gitops_release.registries.hosted import HostedRegistry


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command's options, as click gives them."""

    registry: str | None
    image: str | None
    manifest_repository: str | None
    base: str | None
    github_token_env: str
    github_api_url: str


@click.command("doctor", cls=SettingsCommand, short_help="Check what a release will need.")
@setting("--registry", metavar="HOST/PREFIX", help="The registry to push to. With --image.")
@setting("--image", metavar="NAME", help="The image's name below the registry.")
@setting(
    "--manifest-repository",
    metavar="REPOSITORY",
    help="The manifest repository to release into: OWNER/NAME on GitHub, or ./DIRECTORY.",
)
@github_options
@registry_options
@click.pass_context
def doctor(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - as click has them
    """Check all that a release will need, before a long build is wasted: nothing is written.

    Is there a docker daemon, which credentials are chosen and why, does the registry take them and
    let this image be pushed, can the manifest repository be written. The exit code is that of the
    first thing that is wrong.
    """
    registry = RegistryOptions.taken_from(options)
    _run(session_of(context), registry, Options(**options))


def _run(session: Session, registry: RegistryOptions, options: Options) -> None:
    wrong: list[GitopsReleaseError] = []
    with ExitStack() as stack:
        for finding in examine(_questions(session, registry, options, stack)):
            if isinstance(finding.found, GitopsReleaseError):
                wrong.append(finding.found)
                session.console.note(f"WRONG  {finding.name}: {finding.found.message}")
                if finding.found.hint is not None:
                    session.console.note(f"       hint: {finding.found.hint}")
            else:
                session.console.note(f"ok     {finding.name}: {finding.found}")
    if wrong:
        session.console.result(f"{len(wrong)} wrong")
        raise click.exceptions.Exit(wrong[0].exit_code)
    session.console.result("ok")


def _questions(
    session: Session, registry: RegistryOptions, options: Options, stack: ExitStack
) -> Iterator[Question]:
    from gitops_release.engines.docker import DockerEngine

    if options.registry is None and options.manifest_repository is None:
        raise UsageError(
            "expected something to look at, found neither --registry nor --manifest-repository",
            hint="pass the options that the release will have",
        )
    if options.registry is not None:
        visit = _Visit(session, registry, _repository(options.registry, options.image))
        engine = DockerEngine(session.processes(), session.retry(), session.console.output, 60)
        yield Question("engine", engine.describe)
        yield from visit.questions()
    if options.manifest_repository is not None:
        yield Question("manifest repository", lambda: _manifests(session, options, stack))


def _repository(registry: str, image: str | None) -> Repository:
    if not image:
        raise UsageError("expected --image together with --registry, found it left out")
    with naming("--registry and --image"):
        return Repository.parse(f"{registry.rstrip('/')}/{image}")


@dataclass
class _Visit:
    """What is asked of a registry, and what was learned there so far."""

    session: Session
    options: RegistryOptions
    repository: Repository
    registry: HostedRegistry | None = None  # once we are somebody there
    lacks_repository: bool = False

    def questions(self) -> Iterator[Question]:
        """Give each question when the ones before are answered: some answers spare the next."""
        from gitops_release.registries.kinds import kind_of

        kind = kind_of(self.repository.host).name
        yield Question(f"credentials ({kind})", self._identity)
        if self.registry is None:
            return
        registry = self.registry
        if kind in {"google", "ecr", "ecr-public"}:
            yield Question("repository", lambda: self._exists(registry))
        if not self.lacks_repository:
            yield Question("push", lambda: self._may_push(registry))

    def _identity(self) -> str:
        from gitops_release.registries.kinds import registry_for

        opened = registry_for(self.repository.host, connection(self.session, self.options))
        told = f"{opened.identity()}; {_validity(opened.credentials())}"
        self.registry = opened
        return told

    def _exists(self, registry: HostedRegistry) -> str:
        self.lacks_repository = not registry.repository_exists(self.repository)
        if self.lacks_repository:
            return f"no {self.repository} yet: pass --create-repository to build-and-push-image"
        return f"{self.repository} is there"

    def _may_push(self, registry: HostedRegistry) -> str:
        from gitops_release.registries.blobs import Blobs

        Blobs(registry.contents.session).may_push(self.repository)
        return f"{self.repository} takes a push"


def _validity(credentials: Credentials | None) -> str:
    if credentials is None:
        return "anonymous"
    end = credentials.expires_at
    until = "" if end is None else f", good until {end:%Y-%m-%d %H:%M} UTC"
    return f"user {credentials.username}{until}"


def _manifests(session: Session, options: Options, stack: ExitStack) -> str:
    forge = stack.enter_context(
        open_manifest_repository(
            session,
            parse_manifest_repository(options.manifest_repository or ""),
            api_url=options.github_api_url,
            token_env=options.github_token_env,
            anonymous=False,
        )
    )
    base = forge.repository.base(options.base)
    forge.repository.check_writable()
    return f"{options.manifest_repository} can be written, base {base.branch} at {base.sha[:7]}"
