"""The command ``build-and-push-image``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitops_release.cli.options import dry_run_option, naming, output_option, pairs
from gitops_release.cli.registry_options import RegistryOptions, connection, registry_options
from gitops_release.cli.repository_options import RepositoryOptions, repository_options
from gitops_release.cli.session import IMPATIENT, PATIENT, Session, session_of
from gitops_release.cli.settings import SettingsCommand, setting
from gitops_release.core.errors import UsageError
from gitops_release.core.image import Repository, check_tag
from gitops_release.core.observation import assume, refuse
from gitops_release.core.publishing import Build, IfExists, PublishRequest

if TYPE_CHECKING:
    from gitops_release.app.publish import Publisher
    from gitops_release.cli.source import BuildSource
    from gitops_release.core.repository_settings import RepositorySettings


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command's options, as click gives them."""

    registry: str
    image: str
    tags: tuple[str, ...]
    build_context: str
    dockerfile: str | None
    build_args: tuple[str, ...]
    target: str | None
    platforms: tuple[str, ...]
    labels: tuple[str, ...]
    if_exists: IfExists
    creation: RepositorySettings | None
    engine: str
    pull: bool
    no_cache: bool
    timeout: int
    output: Path | None
    dry_run: bool


@click.command(
    "build-and-push-image", cls=SettingsCommand, short_help="Build, push, and prove the digest."
)
@setting(
    "--registry",
    required=True,
    metavar="HOST/PREFIX",
    help="Where the image goes, e.g. asia.gcr.io/my-project or registry.example.com:5000/team.",
)
@setting("--image", required=True, metavar="NAME", help="The image's name below the registry.")
@setting(
    "--tag",
    "tags",
    multiple=True,
    separator=",",
    metavar="TAG",
    help="A tag of the image; the first is the release's. May be repeated. "
    "Default: ${CIRCLE_SHA1:0:7}; outside CircleCI the commit, with -dirty if files differ.",
)
@setting(
    "--build-context",
    default=".",
    show_default=True,
    metavar="DIRECTORY",
    help="The directory that is sent to the builder.",
)
@setting(
    "--dockerfile", metavar="FILE", help="The Dockerfile. Default: Dockerfile in the build context."
)
@setting(
    "--build-arg",
    "build_args",
    multiple=True,
    metavar="NAME=VALUE",
    help="A build argument. May be repeated.",
)
@setting("--target", metavar="STAGE", help="The stage to build. Default: the last one.")
@setting(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH",
    help="A platform to build for. May be repeated. Default: the builder's own.",
)
@setting(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="A label of the image, besides its revision, source and time. May be repeated.",
)
@setting(
    "--if-exists",
    type=click.Choice([choice.value for choice in IfExists]),
    default=IfExists.REUSE.value,
    show_default=True,
    help="What to do when the registry has the release's tag: reuse it if it was built from the "
    "same commit with the same options (else build and move the tag), build and move it, or fail.",
)
@setting(
    "--engine",
    type=click.Choice(["auto", "docker"]),
    default="auto",
    show_default=True,
    help="What builds the image.",
)
@setting("--pull", is_flag=True, help="Ask for newer versions of the base images.")
@setting("--no-cache", is_flag=True, help="Build without the cache.")
@setting(
    "--timeout",
    type=click.IntRange(min=1),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="The longest time for one build or one push.",
)
@repository_options
@registry_options
@output_option("image.json there: repository, tags and digest, for create-release-pr")
@dry_run_option
@click.pass_context
def build_and_push_image(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - as click has them
    """Build a Dockerfile, push the image, and prove its digest.

    The last line of output (stdout) is the image, pinned: REPOSITORY:TAG@DIGEST. A second run with
    the same commit and options builds nothing and reports the same digest.
    """
    registry = RegistryOptions.taken_from(options)
    creation = RepositoryOptions.taken_from(options).settings
    if_exists = IfExists(options.pop("if_exists"))
    _run(session_of(context), registry, Options(if_exists=if_exists, creation=creation, **options))


def _run(session: Session, registry: RegistryOptions, options: Options) -> None:
    from gitops_release.cli.source import find_source
    from gitops_release.core import published
    from gitops_release.system.files import check_writable, write_whole

    if options.output is not None and not options.dry_run:
        check_writable(options.output)
    written = [] if options.output is None else [options.output]
    found = find_source(session.environ, session.processes(), written)
    request = _request(options, found)
    publisher = _publisher(session, registry, options, request)
    decision = publisher.plan(request, assume if options.dry_run else refuse)
    session.console.plan(decision.plan)
    if options.dry_run:
        session.console.note("dry run: nothing was written")
        session.console.result(str(request.references[0]))
        return
    image = publisher.execute(request, decision)
    if options.output is not None:
        write_whole(options.output, published.to_json([image]))
        session.console.note(f"wrote {options.output}")
    session.console.result(str(image.reference))


def _request(options: Options, found: BuildSource) -> PublishRequest:
    from gitops_release.cli.source import default_tags

    tags = tuple(dict.fromkeys(options.tags)) or default_tags(found)
    with naming("--tag"):
        for tag in tags:
            check_tag(tag)
    with naming("--registry and --image"):
        repository = Repository.parse(f"{options.registry.rstrip('/')}/{options.image}")
    return PublishRequest(
        repository=repository,
        tags=tags,
        build=_build(options),
        if_exists=options.if_exists,
        source=found.source,
        committed_at=found.committed_at,
        creation=options.creation,
    )


def _build(options: Options) -> Build:
    context = Path(options.build_context)
    if not context.is_dir():
        raise UsageError(
            f"expected a directory as --build-context, found none at {context}",
            hint=f"the current directory is {Path.cwd()}",
        )
    dockerfile = Path(options.dockerfile) if options.dockerfile else context / "Dockerfile"
    if not dockerfile.is_file():
        raise UsageError(
            f"expected a Dockerfile at {dockerfile}, found none",
            hint="--dockerfile is relative to the current directory, not to --build-context",
        )
    return Build(
        context=str(context),
        dockerfile=str(dockerfile),
        build_args=pairs("--build-arg", options.build_args),
        target=options.target or None,
        platforms=options.platforms,
        labels=pairs("--label", options.labels),
        pull=options.pull,
        no_cache=options.no_cache,
    )


def _publisher(
    session: Session, registry: RegistryOptions, options: Options, request: PublishRequest
) -> Publisher:
    from gitops_release.app.publish import Publisher
    from gitops_release.engines.docker import DockerEngine
    from gitops_release.registries.kinds import registry_for

    attempts = IMPATIENT if options.dry_run else PATIENT
    return Publisher(
        registry=registry_for(request.repository.host, connection(session, registry, attempts)),
        engine=DockerEngine(
            session.processes(), session.retry(), session.console.output, options.timeout
        ),
        announce=session.console.step,
    )
