"""The command ``create-release-pr``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gitops_release.cli.manifest_repositories import (
    Forge,
    open_manifest_repository,
    parse_manifest_repository,
)
from gitops_release.cli.options import dry_run_option, github_options, naming, output_option
from gitops_release.cli.registry_options import RegistryOptions, connection, registry_options
from gitops_release.cli.session import Session, session_of
from gitops_release.cli.settings import SettingsCommand, setting
from gitops_release.core.errors import UsageError
from gitops_release.core.git import Author
from gitops_release.core.image import Digest, ImageReference
from gitops_release.core.manifest import Pin, Selection
from gitops_release.core.observation import assume, refuse
from gitops_release.core.release_request import ReleaseImage, ReleaseRequest, Wording
from gitops_release.core.releasing import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gitops_release.app.release import Decision, Releaser

MAX_MENTIONS: Final = 20  # lines; more would hide the diff

_OUTCOMES: Final = {
    Operation.CREATED: "the pull request is open",
    Operation.UPDATED: "the pull request is up to date",
    Operation.UNCHANGED: "nothing was left to do",
    Operation.MERGED: "it was merged already",
    Operation.DECLINED: "nothing was written, a person has declined it",
    Operation.SUPERSEDED: "nothing was written, a newer release is open",
    Operation.BRANCH_ONLY: "the branch is written; a local repository has no pull requests",
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command's options, as click gives them."""

    images: tuple[str, ...]
    images_from: tuple[Path, ...]
    manifest_repository: str
    paths: tuple[str, ...]
    all_files: bool
    pin: Pin
    environment: str | None
    base: str | None
    branch: str | None
    title: str | None
    body_file: Path | None
    commit_message: str | None
    author: str | None
    github_token_env: str
    github_api_url: str
    output: Path | None
    dry_run: bool


@click.command(
    "create-release-pr", cls=SettingsCommand, short_help="Open the release's pull request."
)
@setting(
    "--image",
    "images",
    multiple=True,
    metavar="REFERENCE",
    help="An image to release: REPOSITORY:TAG, REPOSITORY@DIGEST, or both. May be repeated.",
)
@setting(
    "--images-from",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE|DIRECTORY",
    help="An image.json of build-and-push-image, or a directory of such files. May be repeated.",
)
@setting(
    "--manifest-repository",
    required=True,
    metavar="REPOSITORY",
    help="OWNER/NAME on GitHub, or a local git repository written with a leading "
    "/, ./, ../ or ~ (there the release is a branch).",
)
@setting(
    "--path",
    "paths",
    multiple=True,
    metavar="GLOB",
    help="Files that may be changed; ** crosses directories. May be repeated. "
    "Default: every manifest, as long as only one names the image.",
)
@setting("--all-files", is_flag=True, help="Change every file that names the image.")
@setting(
    "--pin",
    type=click.Choice([pin.value for pin in Pin]),
    default=Pin.KEEP.value,
    show_default=True,
    help="How the image is named afterwards: in each place's own form, by tag, by digest, or both.",
)
@setting(
    "--environment",
    metavar="NAME",
    help="The environment that is released to: part of the branch and of the texts.",
)
@setting(
    "--branch",
    metavar="TEMPLATE",
    help="The release's branch. Default: release-{image}-{tag}, then -{environment}. "
    "Fields: {image}, {repository}, {tag}, {digest}, {revision}, {environment}.",
)
@setting(
    "--title",
    metavar="TEMPLATE",
    help="The pull request's title; also {branch}. Default: Release {image} {tag}.",
)
@setting(
    "--body-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A template of the pull request's description; also {branch} and {changes}, a table.",
)
@setting(
    "--commit-message",
    metavar="TEMPLATE",
    help="The commit's message; also {branch}. Default: as the title.",
)
@setting(
    "--author",
    metavar="'NAME <MAIL>'",
    help="The commit's author. Default: the owner of the token; in a local repository git's.",
)
@github_options
@registry_options
@output_option("release.json there: what was done, the pull request and the changed lines")
@dry_run_option
@click.pass_context
def create_release_pr(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - as click has them
    """Open a pull request that changes an image in a manifest repository, and nothing else.

    The last line of output (stdout) is the pull request's URL, or the branch where there is none.
    A second run changes nothing and reports the same.
    """
    registry = RegistryOptions.taken_from(options)
    pin = Pin(options.pop("pin"))
    _run(session_of(context), registry, Options(pin=pin, **options))


def _run(session: Session, registry: RegistryOptions, options: Options) -> None:
    from gitops_release.core import released
    from gitops_release.system.files import check_writable, write_whole

    if options.output is not None and not options.dry_run:
        check_writable(options.output)
    request = _request(options)
    with open_manifest_repository(
        session,
        parse_manifest_repository(options.manifest_repository),
        api_url=options.github_api_url,
        token_env=options.github_token_env,
        anonymous=options.dry_run,
    ) as forge:
        releaser = _releaser(session, registry, forge)
        decision = releaser.plan(request, assume if options.dry_run else refuse)
        _show(session, decision)
        if options.dry_run:
            session.console.note("dry run: nothing was written")
            session.console.result(decision.text.branch)
            return
        result = releaser.execute(decision)
    if options.output is not None:
        write_whole(options.output, released.to_json(result))
        session.console.note(f"wrote {options.output}")
    session.console.note(f"done: {_OUTCOMES[result.operation]}")
    session.console.result(result.pull_request.url if result.pull_request else result.branch)


def _request(options: Options) -> ReleaseRequest:
    with naming("--image"):
        given = [ReleaseImage(ImageReference.parse(text)) for text in options.images]
    with naming("--author"):
        author = Author.parse(options.author) if options.author else None
    images = _distinct([*given, *_images_from(options.images_from)])
    if not images:
        raise UsageError(
            "expected an image to release, found none",
            hint="pass --image REPOSITORY:TAG, or --images-from the image.json of a build",
        )
    return ReleaseRequest(
        images=images,
        selection=Selection(options.paths, options.all_files, options.pin),
        environment=options.environment or None,
        base=options.base or None,
        wording=Wording(
            branch=options.branch,
            title=options.title,
            body=_body_template(options.body_file),
            commit_message=options.commit_message,
        ),
        author=author,
    )


def _body_template(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--body-file: expected a text in UTF-8 at {path}, found: {error}"
        ) from error


def _images_from(paths: Iterable[Path]) -> Iterator[ReleaseImage]:
    from gitops_release.core import published

    for path in paths:
        for file in _image_files(path):
            try:
                text = file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise UsageError(
                    f"--images-from: expected an image.json at {file}, found: {reason}",
                    hint="build-and-push-image --output FILE writes it",
                ) from error
            for image in published.from_json(text, origin=str(file)):
                yield ReleaseImage(image.reference, image.source)


def _image_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.json"))
    if not files:
        raise UsageError(
            f"expected image.json files in {path}, found none",
            hint="did build-and-push-image run before, and was its workspace attached?",
        )
    return files


def _distinct(images: Iterable[ReleaseImage]) -> tuple[ReleaseImage, ...]:
    """One repository is released once: two versions of it in one pull request are a mistake."""
    found: dict[str, ReleaseImage] = {}
    for image in images:
        repository = str(image.reference.repository)
        known = found.setdefault(repository, image)
        if known.reference != image.reference:
            raise UsageError(
                f"expected one version of {repository}, found {known.reference} and "
                f"{image.reference}",
                hint="release them one after the other",
            )
    return tuple(found.values())


def _releaser(session: Session, registry: RegistryOptions, forge: Forge) -> Releaser:
    from gitops_release.app.release import Releaser
    from gitops_release.manifests import ManifestEditor

    def resolve(image: ImageReference) -> Digest:
        return _digest(session, registry, image)

    return Releaser(
        repository=forge.repository,
        pull_requests=forge.pull_requests,
        editor=ManifestEditor(),
        resolve=resolve,
        announce=session.console.step,
    )


def _digest(session: Session, registry: RegistryOptions, image: ImageReference) -> Digest:
    """Return the digest behind a tag, for manifests that pin it."""
    from gitops_release.registries.kinds import registry_for

    session.console.note(f"the manifest pins a digest: asking {image.repository.host} for {image}")
    found = registry_for(image.repository.host, connection(session, registry)).describe(image)
    if found is None:
        raise UsageError(
            f"expected {image} in its registry, found nothing",
            hint="push it first, give its digest with --image REPOSITORY:TAG@DIGEST, or pass "
            "--pin tag to drop the digest",
        )
    return found.digest


def _show(session: Session, decision: Decision) -> None:
    from gitops_release.core.diff import unified_diff

    console = session.console
    console.plan(decision.release.plan)
    mentions = decision.facts.edits.mentions
    console.lines(f"seen and left alone: {mention}" for mention in mentions[:MAX_MENTIONS])
    if len(mentions) > MAX_MENTIONS:
        console.note(f"seen and left alone: {len(mentions) - MAX_MENTIONS} more")
    console.note(f"branch: {decision.text.branch}")
    console.note(f"title:  {decision.text.title}")
    console.diff(unified_diff(decision.facts.edits.changes))
