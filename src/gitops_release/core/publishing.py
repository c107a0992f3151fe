"""What ``build-and-push-image`` is asked, what it must know, and what it decides."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import ConflictError
from gitops_release.core.image import Digest, ImageReference, Repository
from gitops_release.core.observation import Assumed
from gitops_release.core.plan import Plan
from gitops_release.core.published import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitops_release.core.repository_settings import RepositorySettings

REVISION_LABEL: Final = "org.opencontainers.image.revision"
SOURCE_LABEL: Final = "org.opencontainers.image.source"
CREATED_LABEL: Final = "org.opencontainers.image.created"
INPUTS_LABEL: Final = "dev.gitops-release.inputs"


class IfExists(str, Enum):
    """What to do when the registry already has the release's tag."""

    REUSE = "reuse"  # if it was built from this revision with these inputs; else rebuild
    REBUILD = "rebuild"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What an engine builds. Names and values are data: nothing is split or expanded."""

    context: str  # a directory
    dockerfile: str  # a file
    build_args: tuple[tuple[str, str], ...] = ()
    target: str | None = None
    platforms: tuple[str, ...] = ()  # none: the engine's own
    labels: tuple[tuple[str, str], ...] = ()
    pull: bool = False
    no_cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """One image to be in a repository under each of its tags."""

    repository: Repository
    tags: tuple[str, ...]  # at least one; the first is the release's
    build: Build  # without the labels of ``labelled``
    if_exists: IfExists = IfExists.REUSE
    source: Source = Source()
    committed_at: str | None = None  # RFC 3339; the commit's, not the clock's
    creation: RepositorySettings | None = None  # None: the repository is not created

    @property
    def references(self) -> tuple[ImageReference, ...]:
        """The image by each tag, the release's first."""
        return tuple(ImageReference(self.repository, tag) for tag in self.tags)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDescription:
    """What a registry says of an image."""

    digest: Digest
    configuration: Digest | None = None  # of the image, or of an index's first one
    media_type: str
    size: int  # bytes of the configuration and the layers, of all platforms that are described
    platforms: tuple[str, ...]
    created: str | None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublishFacts:
    """What was read before deciding: the engine's description, and the image behind each tag."""

    engine: str | Assumed
    existing: Mapping[str, ImageDescription | None] | Assumed
    repository_exists: bool | Assumed = True  # not asked unless it may be created


@dataclass(frozen=True, slots=True)
class CreateRepository:
    """Create the repository that the image is pushed to."""

    repository: Repository
    settings: RepositorySettings

    def describe(self) -> str:
        """Return one line for people."""
        return f"create the repository {self.repository}"


@dataclass(frozen=True, slots=True)
class BuildAndPush:
    """Build the image, push it under each reference, and prove its digest."""

    build: Build
    references: tuple[ImageReference, ...]
    engine: str

    def describe(self) -> str:
        """Return one line for people."""
        names = ", ".join(str(reference) for reference in self.references)
        build = f"build {self.build.dockerfile} in {self.build.context} with {self.engine}"
        return f"{build}, push {names}"


@dataclass(frozen=True, slots=True)
class AddTags:
    """Give an image that the registry has more tags, without pulling it."""

    repository: Repository
    digest: Digest
    tags: tuple[str, ...]

    def describe(self) -> str:
        """Return one line for people."""
        return f"tag {self.repository}@{self.digest} as {', '.join(self.tags)}"


PublishAction = CreateRepository | BuildAndPush | AddTags


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """What to write, and the digest that is reused if nothing is built."""

    plan: Plan[PublishAction]
    reused: Digest | None = None


def plan_publish(request: PublishRequest, facts: PublishFacts) -> PublishPlan:
    """Decide whether to build, to reuse or to refuse.

    Raises ``ConflictError`` if the release's tag exists and the request forbids that.
    """
    if isinstance(facts.existing, Assumed):
        return _build(
            request,
            facts,
            reason=f"{request.references[0]} is built",
            assumptions=(f"{request.references[0]} is not there yet ({facts.existing.reason})",),
        )
    found = facts.existing.get(request.tags[0])
    if found is None:
        return _build(request, facts, reason=f"{request.references[0]} is not there yet")
    if request.if_exists is IfExists.FAIL:
        raise ConflictError(
            f"expected no {request.references[0]}, found {found.digest}",
            hint="choose another --tag, or pass --if-exists reuse or rebuild",
        )
    if request.if_exists is IfExists.REUSE and _same_build(request, found):
        return _reuse(request, facts.existing, found)
    return _build(
        request,
        facts,
        reason=f"{request.references[0]} is built again",
        notices=(
            f"the tag {request.tags[0]} moves away from {found.digest}{_why(request, found)}",
        ),
    )


def labelled(request: PublishRequest) -> Build:
    """Return the build with the OCI labels of its source and the fingerprint of its inputs.

    Labels given by the request win. Keys: OCI image specification, "Pre-Defined Annotation Keys".
    """
    known = {
        REVISION_LABEL: request.source.revision,
        SOURCE_LABEL: request.source.repository,
        CREATED_LABEL: request.committed_at,
        INPUTS_LABEL: inputs_fingerprint(request.build),
    }
    labels = {key: value for key, value in known.items() if value is not None}
    labels.update(request.build.labels)
    return replace(request.build, labels=tuple(labels.items()))


def inputs_fingerprint(build: Build) -> str:
    """Return a digest of all that shapes the image besides the revision's files.

    ``pull`` and ``no_cache`` are not inputs: they say how to build, not what.
    """
    inputs = [
        build.context,
        build.dockerfile,
        sorted(build.build_args),
        build.target,
        sorted(build.platforms),
        sorted(build.labels),
    ]
    text = json.dumps(inputs, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _same_build(request: PublishRequest, found: ImageDescription) -> bool:
    revision = request.source.revision
    return (
        revision is not None
        and found.labels.get(REVISION_LABEL) == revision
        and found.labels.get(INPUTS_LABEL) == inputs_fingerprint(request.build)
    )


def _why(request: PublishRequest, found: ImageDescription) -> str:
    """Return why the image that is there is not taken, as a clause for people."""
    if request.if_exists is IfExists.REBUILD:
        return ""
    if request.source.revision is None:
        return ": the working tree is not a clean commit"
    revision = found.labels.get(REVISION_LABEL)
    if revision != request.source.revision:
        return f": it was built from {revision or 'an unknown revision'}"
    return ": it was built with other options"


def _build(
    request: PublishRequest,
    facts: PublishFacts,
    *,
    reason: str,
    assumptions: tuple[str, ...] = (),
    notices: tuple[str, ...] = (),
) -> PublishPlan:
    engine = facts.engine
    if isinstance(engine, Assumed):
        assumptions = (*assumptions, f"an engine builds it ({engine.reason})")
        engine = "the engine"
    exists = facts.repository_exists
    if isinstance(exists, Assumed):
        assumptions = (*assumptions, f"the repository is there ({exists.reason})")
    create = _creation(request) if exists is False else ()
    action = BuildAndPush(labelled(request), request.references, engine)
    return PublishPlan(Plan(reason, (*create, action), assumptions, notices))


def _creation(request: PublishRequest) -> tuple[CreateRepository, ...]:
    if request.creation is None:
        return ()
    return (CreateRepository(request.repository, request.creation),)


def _reuse(
    request: PublishRequest,
    existing: Mapping[str, ImageDescription | None],
    found: ImageDescription,
) -> PublishPlan:
    reason = (
        f"{request.references[0]} was built from {request.source.revision} with the same inputs: "
        f"{found.digest} is reused"
    )
    others = tuple(tag for tag in request.tags if not _is(existing.get(tag), found.digest))
    actions = (AddTags(request.repository, found.digest, others),) if others else ()
    return PublishPlan(Plan(reason, actions), reused=found.digest)


def _is(image: ImageDescription | None, digest: Digest) -> bool:
    return image is not None and image.digest == digest
