"""What is said when a release cannot be written into the manifests."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from gitops_release.core.errors import ImageNotFoundError, ManifestError
from gitops_release.core.manifest import Location
from gitops_release.manifests.references import canonical
from gitops_release.manifests.survey import image_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gitops_release.core.image import ImageReference
    from gitops_release.core.manifest import ManifestFile, Mention
    from gitops_release.manifests.spans import RefusedError, Source
    from gitops_release.manifests.survey import Survey

_NEAREST = 3


def not_found(image: ImageReference, surveys: Sequence[Survey]) -> ImageNotFoundError:
    """Return the error for an image that no file names, with the nearest names that are there."""
    near = nearest((survey.file for survey in surveys), image)
    return ImageNotFoundError(
        f"expected an image field or a kustomize entry that names {image.repository}, found none",
        image=image,
        hint=f"did you mean {' or '.join(near)}?" if near else "check the name and --path",
    )


def nearest(files: Iterable[ManifestFile], image: ImageReference) -> tuple[str, ...]:
    """Return the image names in the files that are most like the image's, the nearest first."""
    names = {name for file in files for name in image_names(file)}
    spelled = {canonical(name): name for name in sorted(names)}
    near = get_close_matches(canonical(str(image.repository)), sorted(spelled), n=_NEAREST)
    return tuple(spelled[name] for name in near)


def only_mentioned(image: ImageReference, mentions: Iterable[Mention]) -> ManifestError:
    """Return the error for an image that is named only where nothing is edited."""
    return ManifestError(
        f"expected an image field or a kustomize entry that names {image.repository}, "
        f"found it only where it is left alone:{_listed(mentions)}",
        hint="make it an image field of a Kubernetes object or an entry of a Kustomization; "
        "repair a document that is not YAML first",
    )


def ambiguous(image: ImageReference, places: Iterable[Location]) -> ManifestError:
    """Return the error for an image that several files name."""
    return ManifestError(
        f"expected {image.repository} in one file, found it in several:{_listed(places)}",
        hint="choose with --path GLOB, or take them all with --all-files",
    )


def refused(refusals: Iterable[tuple[Source, RefusedError]]) -> ManifestError:
    """Return the error for places that are meant and cannot be edited."""
    listed = [
        f"{Location(source.path, source.lines.number(error.node.start), error.node.keys)}: "
        f"{error.reason}"
        for source, error in refusals
    ]
    return ManifestError(
        f"expected places that can be edited alone, found:{_listed(listed)}",
        hint="write the value on one line of its own, without an alias, and release again",
    )


def unproved(path: str, reason: str) -> ManifestError:
    """Return the error for an edit that did not stand the proof."""
    return ManifestError(
        f"expected {path} to change in the image alone, found that the edit would do more: "
        f"{reason}; nothing was written",
        hint="this is a bug: please report it with the file; until then edit the file by hand",
    )


def _listed(items: Iterable[object]) -> str:
    return "".join(f"\n  {item}" for item in items)
