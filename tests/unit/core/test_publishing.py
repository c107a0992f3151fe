from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from gitops_release.core.errors import ConflictError
from gitops_release.core.image import Repository
from gitops_release.core.observation import Assumed
from gitops_release.core.published import Source
from gitops_release.core.publishing import (
    CREATED_LABEL,
    INPUTS_LABEL,
    REVISION_LABEL,
    SOURCE_LABEL,
    AddTags,
    Build,
    BuildAndPush,
    CreateRepository,
    IfExists,
    PublishFacts,
    PublishPlan,
    PublishRequest,
    inputs_fingerprint,
    labelled,
    plan_publish,
)
from gitops_release.core.repository_settings import RepositorySettings
from tests.fakes import image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitops_release.core.publishing import ImageDescription

REPOSITORY = Repository.parse("r.example.com/acme/web")
BUILD = Build(context=".", dockerfile="Dockerfile")
REVISION = "a" * 40
REQUEST = PublishRequest(
    repository=REPOSITORY, tags=("1",), build=BUILD, source=Source(revision=REVISION)
)
SAME = image("web", {REVISION_LABEL: REVISION, INPUTS_LABEL: inputs_fingerprint(BUILD)})
OTHER_REVISION = image("web", {**SAME.labels, REVISION_LABEL: "b" * 40})
OTHER_INPUTS = image("web", {**SAME.labels, INPUTS_LABEL: "sha256:other"})
UNLABELLED = image("web")
UNREVISED = image("web", {INPUTS_LABEL: inputs_fingerprint(BUILD)})
TWO_TAGS = replace(REQUEST, tags=("1", "latest"))
DIRTY = replace(REQUEST, source=Source())


def decide(
    request: PublishRequest, existing: Mapping[str, ImageDescription | None] | Assumed
) -> PublishPlan:
    return plan_publish(request, PublishFacts(engine="an engine", existing=existing))


def build_of(request: PublishRequest) -> BuildAndPush:
    return BuildAndPush(labelled(request), request.references, "an engine")


@dataclass(frozen=True)
class Row:
    """Facts, and what is decided."""

    name: str
    request: PublishRequest
    existing: Mapping[str, ImageDescription | None]
    builds: bool
    tags: tuple[str, ...] = ()
    notices: tuple[str, ...] = field(default=())


ROWS = [
    Row("not there", REQUEST, {"1": None}, builds=True),
    Row("the same build is there", REQUEST, {"1": SAME}, builds=False),
    Row(
        "another revision is there",
        REQUEST,
        {"1": OTHER_REVISION},
        builds=True,
        notices=(
            f"the tag 1 moves away from {OTHER_REVISION.digest}: it was built from {'b' * 40}",
        ),
    ),
    Row(
        "other inputs are there",
        REQUEST,
        {"1": OTHER_INPUTS},
        builds=True,
        notices=(
            f"the tag 1 moves away from {OTHER_INPUTS.digest}: it was built with other options",
        ),
    ),
    Row(
        "somebody else's image is there",
        REQUEST,
        {"1": UNLABELLED},
        builds=True,
        notices=(
            f"the tag 1 moves away from {UNLABELLED.digest}: it was built from an unknown revision",
        ),
    ),
    Row(
        "a dirty tree never reuses",
        DIRTY,
        {"1": SAME},
        builds=True,
        notices=(
            f"the tag 1 moves away from {SAME.digest}: the working tree is not a clean commit",
        ),
    ),
    Row(
        "a dirty tree does not match a dirty tree",
        DIRTY,
        {"1": UNREVISED},
        builds=True,
        notices=(
            f"the tag 1 moves away from {UNREVISED.digest}: the working tree is not a clean commit",
        ),
    ),
    Row(
        "rebuild",
        replace(REQUEST, if_exists=IfExists.REBUILD),
        {"1": SAME},
        builds=True,
        notices=(f"the tag 1 moves away from {SAME.digest}",),
    ),
    Row("fail, not there", replace(REQUEST, if_exists=IfExists.FAIL), {"1": None}, builds=True),
    Row("rebuild, not there", replace(REQUEST, if_exists=IfExists.REBUILD), {}, builds=True),
    Row("both tags are there", TWO_TAGS, {"1": SAME, "latest": SAME}, builds=False),
    Row(
        "the second tag is missing",
        TWO_TAGS,
        {"1": SAME, "latest": None},
        builds=False,
        tags=("latest",),
    ),
    Row(
        "the second tag is elsewhere",
        TWO_TAGS,
        {"1": SAME, "latest": OTHER_REVISION},
        builds=False,
        tags=("latest",),
    ),
    Row(
        "the first tag is missing, whatever the second is",
        TWO_TAGS,
        {"1": None, "latest": SAME},
        builds=True,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_the_facts_decide(row: Row) -> None:
    decision = decide(row.request, row.existing)
    expected: tuple[BuildAndPush | AddTags, ...] = ()
    if row.builds:
        expected = (build_of(row.request),)
    elif row.tags:
        expected = (AddTags(REPOSITORY, SAME.digest, row.tags),)
    assert decision.plan.actions == expected
    assert decision.reused == (None if row.builds else SAME.digest)
    assert decision.plan.notices == row.notices
    assert decision.plan.assumptions == ()


@pytest.mark.parametrize("found", [SAME, OTHER_REVISION, UNLABELLED])
def test_an_existing_tag_is_a_conflict_where_the_request_says_so(found: ImageDescription) -> None:
    request = replace(REQUEST, if_exists=IfExists.FAIL)
    with pytest.raises(ConflictError, match=re.escape(f"found {found.digest}")):
        decide(request, {"1": found})


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_a_registry_that_cannot_be_read_is_assumed_to_be_empty(if_exists: IfExists) -> None:
    request = replace(REQUEST, if_exists=if_exists)
    decision = decide(request, Assumed("no credentials"))
    assert decision.plan.actions == (build_of(request),)
    (assumption,) = decision.plan.assumptions
    assert assumption == "r.example.com/acme/web:1 is not there yet (no credentials)"


def test_an_engine_that_cannot_be_asked_is_assumed() -> None:
    facts = PublishFacts(engine=Assumed("no daemon"), existing={"1": None})
    decision = plan_publish(REQUEST, facts)
    assert decision.plan.assumptions == ("an engine builds it (no daemon)",)


def test_a_reused_image_needs_no_engine() -> None:
    facts = PublishFacts(engine=Assumed("no daemon"), existing={"1": SAME})
    assert plan_publish(REQUEST, facts).plan.assumptions == ()


SETTINGS = RepositorySettings(immutable_tags=True)
CREATE = CreateRepository(REPOSITORY, SETTINGS)


@pytest.mark.parametrize(
    ("creation", "exists", "created"),
    [
        (SETTINGS, False, (CREATE,)),
        (SETTINGS, True, ()),
        (SETTINGS, Assumed("no credentials"), ()),
        (None, True, ()),
        (None, False, ()),
    ],
)
def test_a_repository_is_created_only_where_it_may_be_and_is_missing(
    creation: RepositorySettings | None,
    exists: bool | Assumed,  # noqa: FBT001 - a fact
    created: tuple[CreateRepository, ...],
) -> None:
    request = replace(REQUEST, creation=creation)
    facts = PublishFacts("an engine", {"1": None}, exists)
    assert plan_publish(request, facts).plan.actions == (*created, build_of(request))


def test_a_repository_that_cannot_be_looked_up_is_assumed_to_be_there() -> None:
    request = replace(REQUEST, creation=SETTINGS)
    facts = PublishFacts("an engine", {"1": None}, Assumed("no credentials"))
    assert plan_publish(request, facts).plan.assumptions == (
        "the repository is there (no credentials)",
    )


def test_a_reused_image_needs_no_repository() -> None:
    request = replace(REQUEST, creation=SETTINGS)
    facts = PublishFacts("an engine", {"1": SAME}, repository_exists=False)
    assert plan_publish(request, facts).plan.actions == ()


def test_an_image_is_labelled_with_where_it_comes_from() -> None:
    request = replace(
        REQUEST,
        source=Source(repository="https://github.com/acme/web", revision=REVISION),
        committed_at="2026-01-02T03:04:05Z",
    )
    assert dict(labelled(request).labels) == {
        "org.opencontainers.image.revision": REVISION,
        "org.opencontainers.image.source": "https://github.com/acme/web",
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
        "dev.gitops-release.inputs": inputs_fingerprint(BUILD),
    }


def test_what_is_not_known_is_no_label() -> None:
    assert set(dict(labelled(DIRTY).labels)) == {INPUTS_LABEL}


@pytest.mark.parametrize("label", [REVISION_LABEL, SOURCE_LABEL, CREATED_LABEL, INPUTS_LABEL])
def test_a_label_of_the_user_wins(label: str) -> None:
    build = replace(BUILD, labels=((label, "mine"), ("team", "web")))
    request = replace(
        REQUEST,
        build=build,
        source=Source(repository="https://x", revision=REVISION),
        committed_at="2026-01-02T03:04:05Z",
    )
    labels = labelled(request).labels
    assert dict(labels)[label] == "mine"
    assert dict(labels)["team"] == "web"
    assert len(labels) == len(dict(labels))


def test_the_fingerprint_is_the_same_in_every_version() -> None:
    assert inputs_fingerprint(BUILD) == (
        "sha256:c10060feca069543601e13e7ace3a52896025c6e7a799fc441a5affaf5bbe673"
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(BUILD, pull=True),
        replace(BUILD, no_cache=True),
    ],
)
def test_how_it_is_built_is_no_input(other: Build) -> None:
    assert inputs_fingerprint(other) == inputs_fingerprint(BUILD)


def test_the_order_of_inputs_does_not_matter() -> None:
    one = replace(
        BUILD,
        build_args=(("A", "1"), ("B", "2")),
        labels=(("x", "1"), ("y", "2")),
        platforms=("linux/amd64", "linux/arm64"),
    )
    other = replace(
        BUILD,
        build_args=one.build_args[::-1],
        labels=one.labels[::-1],
        platforms=one.platforms[::-1],
    )
    assert inputs_fingerprint(one) == inputs_fingerprint(other)


@pytest.mark.parametrize(
    "other",
    [
        replace(BUILD, context="web"),
        replace(BUILD, dockerfile="Dockerfile.prod"),
        replace(BUILD, build_args=(("A", "1"),)),
        replace(BUILD, build_args=(("A", "2"),)),
        replace(BUILD, labels=(("A", "1"),)),
        replace(BUILD, target="prod"),
        replace(BUILD, platforms=("linux/arm64",)),
    ],
)
def test_every_input_is_in_the_fingerprint(other: Build) -> None:
    one_argument = replace(BUILD, build_args=(("A", "0"),))
    assert inputs_fingerprint(other) not in {
        inputs_fingerprint(BUILD),
        inputs_fingerprint(one_argument),
    }


def test_a_plan_says_in_a_line_what_will_be_done() -> None:
    build = decide(TWO_TAGS, {}).plan.actions[0].describe()
    assert build == (
        "build Dockerfile in . with an engine, "
        "push r.example.com/acme/web:1, r.example.com/acme/web:latest"
    )
    tag = decide(TWO_TAGS, {"1": SAME}).plan.actions[0].describe()
    assert tag == f"tag r.example.com/acme/web@{SAME.digest} as latest"
