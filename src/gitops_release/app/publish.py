"""``build-and-push-image``: look at the engine and the registry, decide, build, prove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_release.core.errors import BuildError, GitopsReleaseError
from gitops_release.core.image import Digest, ImageReference
from gitops_release.core.published import PublishedImage
from gitops_release.core.publishing import (
    AddTags,
    BuildAndPush,
    ImageDescription,
    PublishFacts,
    PublishPlan,
    PublishRequest,
    plan_publish,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gitops_release.core.observation import Assumed, Unreadable
    from gitops_release.core.ports import Engine, Registry


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes images with an engine to a registry, and says what it is doing."""

    registry: Registry
    engine: Engine
    announce: Callable[[str], None]

    def plan(self, request: PublishRequest, unreadable: Unreadable) -> PublishPlan:
        """Return what is left to do; writes nothing."""
        return plan_publish(
            request,
            PublishFacts(
                engine=self._engine(unreadable), existing=self._existing(request, unreadable)
            ),
        )

    def execute(self, request: PublishRequest, decision: PublishPlan) -> PublishedImage:
        """Do what was decided, and return the image as the registry describes it."""
        digest = decision.reused
        for action in decision.plan.actions:
            self.announce(action.describe())
            match action:
                case BuildAndPush(build=build, references=references):
                    digest = self.engine.build_and_push(
                        build, references, self.registry.credentials
                    )
                case AddTags(repository=repository, digest=known, tags=tags):
                    self.registry.add_tags(repository, known, tags)
        if digest is None:
            raise ValueError("a plan that builds nothing reuses something")
        return self._prove(request, digest, decision)

    def _engine(self, unreadable: Unreadable) -> str | Assumed:
        try:
            return self.engine.describe()
        except GitopsReleaseError as error:
            return unreadable(error)

    def _existing(
        self, request: PublishRequest, unreadable: Unreadable
    ) -> Mapping[str, ImageDescription | None] | Assumed:
        try:
            return {
                reference.tag or "": self.registry.describe(reference)
                for reference in request.references
            }
        except GitopsReleaseError as error:
            return unreadable(error)

    def _prove(
        self, request: PublishRequest, digest: Digest, decision: PublishPlan
    ) -> PublishedImage:
        """Ask the registry for the digest, and say which tags another build has taken since."""
        pinned = ImageReference(request.repository, request.tags[0], digest)
        found = self.registry.describe(pinned)
        if found is None:
            raise BuildError(
                f"expected {pinned} in the registry after the push, found nothing",
                hint="run again; if it stays so, the registry loses what it accepts",
            )
        for reference in request.references:
            now = self.registry.describe(reference)
            if now is None or now.digest != digest:
                where = "nothing" if now is None else str(now.digest)
                self.announce(
                    f"warning: the tag {reference.tag} names {where} now, not {digest}: "
                    f"another build has moved it; this release stays with its digest"
                )
        return PublishedImage(
            repository=request.repository,
            tags=request.tags,
            digest=digest,
            platforms=found.platforms,
            created=found.created,
            reused=decision.reused is not None,
            source=request.source,
        )
