"""What an image is built from: CircleCI's variables, else the checkout here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gitops_release.core.errors import UsageError
from gitops_release.core.published import Source
from gitops_release.system.checkout import look_at_checkout, web_address
from gitops_release.system.git import Git

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gitops_release.system.checkout import Checkout
    from gitops_release.system.processes import Processes

SHORT = 7  # characters of a commit in the default tag, as in ${CIRCLE_SHA1:0:7}


@dataclass(frozen=True, slots=True)
class BuildSource:
    """An image's source, its commit's time, and the tag that names it by default."""

    source: Source
    committed_at: str | None
    default_tag: str | None


def find_source(
    environ: Mapping[str, str], processes: Processes, ignored: Iterable[Path]
) -> BuildSource:
    """Return the source of a build started here.

    In a CircleCI job the commit is the job's, whatever earlier steps wrote into the checkout;
    elsewhere a tree that differs from its commit has no revision, and its tag ends in ``-dirty``.
    The ignored files are ours and make no difference.
    """
    checkout = look_at_checkout(Git(processes, Path.cwd()), ignored)
    revision = environ.get("CIRCLE_SHA1")
    if revision:
        return _job(environ, revision, checkout)
    if checkout is None:
        return BuildSource(Source(), None, None)
    suffix = "-dirty" if checkout.is_dirty else ""
    return BuildSource(
        Source(
            repository=checkout.origin,
            revision=None if checkout.is_dirty else checkout.revision,
        ),
        None if checkout.is_dirty else checkout.committed_at,
        checkout.revision[:SHORT] + suffix,
    )


def default_tags(found: BuildSource) -> tuple[str, ...]:
    """Return the tag for a build that was given none; raise ``UsageError`` without a commit."""
    if found.default_tag is None:
        raise UsageError(
            f"expected a git commit to name the image after, found none in {Path.cwd()}",
            hint="run in a checkout with a commit, or pass --tag",
        )
    return (found.default_tag,)


def _job(environ: Mapping[str, str], revision: str, checkout: Checkout | None) -> BuildSource:
    """GitHub App projects have no CIRCLE_REPOSITORY_URL: the checkout's remote stands in."""
    url = environ.get("CIRCLE_REPOSITORY_URL")
    origin = None if checkout is None else checkout.origin
    same = checkout is not None and checkout.revision == revision
    return BuildSource(
        Source(
            repository=web_address(url) if url else origin,
            revision=revision,
            branch=environ.get("CIRCLE_BRANCH") or None,
            tag=environ.get("CIRCLE_TAG") or None,
            pipeline_url=environ.get("CIRCLE_BUILD_URL") or None,
        ),
        checkout.committed_at if checkout is not None and same else None,
        revision[:SHORT],
    )
