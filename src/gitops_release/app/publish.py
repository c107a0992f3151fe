"""``build-and-push-image``: look at the engine and the registry, decide, build, prove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_release.core.errors import (
    BuildError,
    ConflictError,
    GitopsReleaseError,
    ImmutableTagError,
)
from gitops_release.core.image import Digest, ImageReference
from gitops_release.core.published import PublishedImage
from gitops_release.core.publishing import (
    AddTags,
    BuildAndPush,
    CreateRepository,
    ImageDescription,
    PublishFacts,
    PublishPlan,
    PublishRequest,
    plan_publish,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
                engine=self._engine(unreadable),
                existing=self._existing(request, unreadable),
                repository_exists=self._repository_exists(request, unreadable),
            ),
        )

    def execute(self, request: PublishRequest, decision: PublishPlan) -> PublishedImage:
        """Do what was decided, and return the image as the registry describes it."""
        digest = decision.reused
        for action in decision.plan.actions:
            self.announce(action.describe())
            match action:
                case CreateRepository(repository=repository, settings=settings):
                    self.registry.create_repository(repository, settings)
                case BuildAndPush():
                    digest = self._build_and_push(action)
                case AddTags(repository=repository, digest=known, tags=tags):
                    self.registry.add_tags(repository, known, tags)
        if digest is None:
            raise ValueError("a plan that builds nothing reuses something")
        return self._prove(request, digest, decision)

    def _build_and_push(self, action: BuildAndPush) -> Digest:
        """Return the digest of what was pushed, or of the same image that is there already.

        A registry may refuse an immutable tag even the manifest that it has
        (aws/containers-roadmap#2380).
        """
        try:
            return self.engine.build_and_push(
                action.build, action.references, self.registry.credentials
            )
        except ImmutableTagError as error:
            return self._adopt(action.references, error)

    def _adopt(self, references: Sequence[ImageReference], refusal: ImmutableTagError) -> Digest:
        found = self.registry.describe(references[0])
        built = refusal.built
        if found is None or built is None or built not in {found.digest, found.configuration}:
            there = "nothing" if found is None else found.digest
            raise ConflictError(
                f"expected {references[0]} to name the image {built or 'built here'}, found that "
                f"the tag is immutable and names {there}",
                hint="choose another --tag; a tag of a commit should name that commit's image",
            ) from refusal
        self.announce(f"{references[0]} is there already: {found.digest}")
        others = [
            reference.tag
            for reference in references[1:]
            if reference.tag is not None and self._digest(reference) != found.digest
        ]
        self.registry.add_tags(references[0].repository, found.digest, others)
        return found.digest

    def _digest(self, reference: ImageReference) -> Digest | None:
        found = self.registry.describe(reference)
        return None if found is None else found.digest

    def _engine(self, unreadable: Unreadable) -> str | Assumed:
        try:
            return self.engine.describe()
        except GitopsReleaseError as error:
            return unreadable(error)

    def _repository_exists(self, request: PublishRequest, unreadable: Unreadable) -> bool | Assumed:
        if request.creation is None:
            return True
        self.registry.check_settings(request.creation)
        try:
            return self.registry.repository_exists(request.repository)
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
