"""The command ``describe-image``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from gitops_release.cli.options import naming
from gitops_release.cli.registry_options import RegistryOptions, connection, registry_options
from gitops_release.cli.session import Session, session_of
from gitops_release.cli.settings import SettingsCommand, setting
from gitops_release.core.errors import AuthenticationError, UsageError
from gitops_release.core.image import ImageReference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gitops_release.core.publishing import ImageDescription


@click.command(
    "describe-image", cls=SettingsCommand, short_help="Show what a registry says of an image."
)
@setting(
    "--image",
    required=True,
    metavar="REFERENCE",
    help="The image: REPOSITORY:TAG, REPOSITORY@DIGEST, or both.",
)
@setting(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What is printed on stdout: the pinned reference, or all facts as one line of JSON.",
)
@registry_options
@click.pass_context
def describe_image(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - as click has them
    """Show digest, platforms, size, time, labels and scan findings of an image.

    Nothing is pulled. Of an image for several platforms, the size in bytes, the time and the labels
    are the first platform's. The last line of output (stdout) is the image, pinned, or with
    --format json all facts.
    """
    registry = RegistryOptions.taken_from(options)
    _run(session_of(context), registry, options["image"], options["output_format"])


def _run(session: Session, registry: RegistryOptions, image: str, output_format: str) -> None:
    from gitops_release.registries.kinds import registry_for

    with naming("--image"):
        reference = ImageReference.parse(image)
    opened = registry_for(reference.repository.host, connection(session, registry))
    found = opened.describe(reference)
    if found is None:
        raise UsageError(
            f"expected the image {reference}, found nothing",
            hint="was it pushed, and is the name right?",
        )
    pinned = ImageReference(reference.repository, reference.tag, found.digest)
    facts = {
        **_facts(pinned, found),
        "findings": _if_allowed(session, lambda: opened.findings(pinned)),
        "properties": _if_allowed(session, lambda: opened.properties(pinned)),
    }
    for name, value in facts.items():
        session.console.note(f"{name + ':':12} {_shown(value)}")
    session.console.result(
        json.dumps(facts, separators=(",", ":")) if output_format == "json" else str(pinned)
    )


def _if_allowed(
    session: Session, look: Callable[[], Mapping[str, object] | None]
) -> dict[str, object] | None:
    """Return what more there is to know; who may pull an image may not always see that."""
    try:
        found = look()
    except AuthenticationError as error:
        session.console.note(f"not shown: {error.message}")
        return None
    return None if found is None else dict(found)


def _facts(pinned: ImageReference, found: ImageDescription) -> dict[str, object]:
    return {
        "reference": str(pinned),
        "digest": str(found.digest),
        "media_type": found.media_type,
        "size": found.size,
        "platforms": list(found.platforms),
        "created": found.created,
        "labels": dict(found.labels),
    }


def _shown(value: object) -> str:
    """Return a fact for people; a registry that scans nothing says nothing of findings."""
    match value:
        case None:
            return "the registry says nothing of it"
        case dict() | list() if not value:
            return "none"
        case dict():
            return ", ".join(f"{key}={item}" for key, item in value.items())
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)
