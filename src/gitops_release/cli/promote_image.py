"""The command ``promote-image``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from gitops_release.cli.options import dry_run_option, naming, output_option
from gitops_release.cli.registry_options import RegistryOptions, connection, registry_options
from gitops_release.cli.session import Session, session_of
from gitops_release.cli.settings import SettingsCommand, setting
from gitops_release.core.errors import UsageError
from gitops_release.core.image import ImageReference
from gitops_release.core.observation import assume, refuse
from gitops_release.core.promoting import IfTargetExists, PromoteRequest

if TYPE_CHECKING:
    from pathlib import Path

    from gitops_release.app.promote import Promoter


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command's options, as click gives them."""

    source: str
    target: str
    if_exists: IfTargetExists
    source_username_env: str | None
    source_password_env: str | None
    output: Path | None
    dry_run: bool


@click.command(
    "promote-image", cls=SettingsCommand, short_help="Copy an image by digest, without docker."
)
@setting(
    "--source",
    required=True,
    metavar="REFERENCE",
    help="The image to copy: REPOSITORY:TAG, REPOSITORY@DIGEST, or both.",
)
@setting(
    "--target",
    required=True,
    metavar="REPOSITORY:TAG",
    help="The name that the same image gets, in this registry or another.",
)
@setting(
    "--if-exists",
    type=click.Choice([choice.value for choice in IfTargetExists]),
    default=IfTargetExists.MOVE.value,
    show_default=True,
    help="If the target names another image: move the tag, or fail with exit code 4.",
)
@setting(
    "--source-username-env",
    secret=True,
    metavar="VARIABLE",
    help="The variable that holds the source registry's user name, if it is another registry. "
    "Default: none, the source is read by the cloud's identity or anonymously.",
)
@setting(
    "--source-password-env",
    secret=True,
    metavar="VARIABLE",
    help="The variable that holds the source registry's password.",
)
@registry_options
@output_option("image.json there: repository, tag and digest, for create-release-pr")
@dry_run_option
@click.pass_context
def promote_image(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - as click has them
    """Copy an image by digest to another repository, registry or cloud.

    Inside one registry its layers are mounted, between registries they are streamed; nothing is
    written to disk, and all platforms are copied. The last line of output (stdout) is the target,
    pinned. A second run copies nothing.

    The options --registry-username-env and --registry-password-env are about the target's registry,
    and about the source's if it is the same.
    """
    registry = RegistryOptions.taken_from(options)
    if_exists = IfTargetExists(options.pop("if_exists"))
    _run(session_of(context), registry, Options(if_exists=if_exists, **options))


def _run(session: Session, registry: RegistryOptions, options: Options) -> None:
    from gitops_release.core import published
    from gitops_release.system.files import check_writable, write_whole

    if options.output is not None and not options.dry_run:
        check_writable(options.output)
    request = _request(options)
    promoter = _promoter(session, registry, options, request)
    plan = promoter.plan(request, assume if options.dry_run else refuse)
    session.console.plan(plan)
    if options.dry_run:
        session.console.note("dry run: nothing was written")
        session.console.result(str(request.target))
        return
    image = promoter.execute(request, plan)
    if options.output is not None:
        write_whole(options.output, published.to_json([image]))
        session.console.note(f"wrote {options.output}")
    session.console.result(str(image.reference))


def _request(options: Options) -> PromoteRequest:
    if bool(options.source_username_env) != bool(options.source_password_env):
        raise UsageError(
            "expected --source-username-env and --source-password-env together, found one of them"
        )
    with naming("--source"):
        source = ImageReference.parse(options.source)
    with naming("--target"):
        target = ImageReference.parse(options.target)
        if target.tag is None or target.digest is not None:
            raise UsageError(
                f"expected REPOSITORY:TAG, found {target}",
                hint="the digest is the source's and comes along",
            )
    return PromoteRequest(source, target, options.if_exists)


def _promoter(
    session: Session, registry: RegistryOptions, options: Options, request: PromoteRequest
) -> Promoter:
    from gitops_release.app.promote import Promoter
    from gitops_release.registries.copying import ImageCopier
    from gitops_release.registries.kinds import registry_for

    target = registry_for(request.target.repository.host, connection(session, registry))
    source = target
    if request.source.repository.host != request.target.repository.host:
        # The target's password is never offered to another host.
        reading = replace(
            registry,
            registry_username_env=options.source_username_env or "",
            registry_password_env=options.source_password_env or "",
        )
        source = registry_for(request.source.repository.host, connection(session, reading))
    copier = ImageCopier(
        source.contents, target.contents, session.retry(), announce=session.console.note
    )
    return Promoter(source, target, copier, session.console.step)
