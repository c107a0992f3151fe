"""``promote-image``: look at source and target, decide, copy, prove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_release.core.errors import BuildError, GitopsReleaseError
from gitops_release.core.promoting import (
    CopyImage,
    PromoteFacts,
    PromoteRequest,
    plan_promotion,
)
from gitops_release.core.published import PublishedImage, Source
from gitops_release.core.publishing import REVISION_LABEL, SOURCE_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_release.core.image import ImageReference
    from gitops_release.core.observation import Assumed, Unreadable
    from gitops_release.core.plan import Plan
    from gitops_release.core.ports import Copier, Registry
    from gitops_release.core.publishing import ImageDescription


@dataclass(frozen=True, slots=True)
class Promoter:
    """Promotes images from one registry to another, or within one."""

    source: Registry
    target: Registry
    copier: Copier
    announce: Callable[[str], None]

    def plan(self, request: PromoteRequest, unreadable: Unreadable) -> Plan[CopyImage]:
        """Return what is left to do; writes nothing."""
        facts = PromoteFacts(
            _look(self.source, request.source, unreadable),
            _look(self.target, request.target, unreadable),
        )
        return plan_promotion(request, facts)

    def execute(self, request: PromoteRequest, plan: Plan[CopyImage]) -> PublishedImage:
        """Do what was decided, and return the target as its registry describes it."""
        for action in plan.actions:
            self.announce(action.describe())
            self.copier.copy(action.source, action.target)
        found = self.target.describe(request.target)
        wanted = {action.source.digest for action in plan.actions}
        if found is None or (wanted and found.digest not in wanted):
            raise BuildError(
                f"expected {request.target} to be what was copied, found "
                f"{'nothing' if found is None else found.digest}",
                hint="does another job move this tag at the same time?",
            )
        return PublishedImage(
            repository=request.target.repository,
            tags=() if request.target.tag is None else (request.target.tag,),
            digest=found.digest,
            platforms=found.platforms,
            created=found.created,
            reused=not plan.actions,
            source=Source(
                repository=found.labels.get(SOURCE_LABEL),
                revision=found.labels.get(REVISION_LABEL),
            ),
        )


def _look(
    registry: Registry, image: ImageReference, unreadable: Unreadable
) -> ImageDescription | Assumed | None:
    try:
        return registry.describe(image)
    except GitopsReleaseError as error:
        return unreadable(error)
