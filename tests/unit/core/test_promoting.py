from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from gitops_release.core.errors import ConflictError, UsageError
from gitops_release.core.image import ImageReference
from gitops_release.core.observation import Assumed
from gitops_release.core.plan import Plan
from gitops_release.core.promoting import (
    CopyImage,
    IfTargetExists,
    PromoteFacts,
    PromoteRequest,
    plan_promotion,
)
from gitops_release.core.publishing import ImageDescription
from tests.fakes import image

IMAGE: Final = image("the release")
OTHER: Final = image("something else")
TAGGED: Final = ImageReference.parse("r.example.com/team/app:1")
PINNED: Final = replace(TAGGED, tag=None, digest=IMAGE.digest)
BOTH: Final = replace(TAGGED, digest=IMAGE.digest)
TARGET: Final = ImageReference.parse("r.example.com/prod/app:1.0")
REASON: Final = "r.example.com wants a user name and a password, found none"
UNKNOWN: Final = Assumed(REASON)
ABSENT: Final = f"{TARGET} is not there yet ({REASON})"

Facts = ImageDescription | Assumed | None


def plan(
    source: Facts,
    target: Facts,
    if_exists: IfTargetExists = IfTargetExists.MOVE,
    reference: ImageReference = TAGGED,
) -> Plan[CopyImage]:
    request = PromoteRequest(reference, TARGET, if_exists)
    return plan_promotion(request, PromoteFacts(source, target))


@pytest.mark.parametrize("if_exists", list(IfTargetExists))
@pytest.mark.parametrize("reference", [TAGGED, PINNED, BOTH], ids=["tag", "digest", "both"])
def test_what_is_not_there_is_copied_by_its_digest(
    if_exists: IfTargetExists, reference: ImageReference
) -> None:
    found = plan(IMAGE, None, if_exists, reference)
    assert found == Plan(
        f"{TARGET} becomes {IMAGE.digest}",
        (CopyImage(replace(reference, digest=IMAGE.digest), TARGET),),
    )


@pytest.mark.parametrize("if_exists", list(IfTargetExists))
def test_what_is_there_is_left_alone(if_exists: IfTargetExists) -> None:
    assert plan(IMAGE, IMAGE, if_exists) == Plan(
        f"nothing to do: {TARGET} is {IMAGE.digest} already"
    )


@pytest.mark.parametrize("if_exists", [IfTargetExists.MOVE])
def test_a_tag_moves_with_a_notice(if_exists: IfTargetExists) -> None:
    found = plan(IMAGE, OTHER, if_exists)
    assert found.actions == (CopyImage(BOTH, TARGET),)
    assert found.notices == (f"{TARGET} moves away from {OTHER.digest}",)


def test_a_tag_that_must_not_move_is_a_conflict() -> None:
    with pytest.raises(ConflictError, match=str(OTHER.digest)) as caught:
        plan(IMAGE, OTHER, IfTargetExists.FAIL)
    assert "--target" in (caught.value.hint or "")


@pytest.mark.parametrize("target", [None, IMAGE, OTHER, UNKNOWN])
def test_a_source_that_is_not_there_is_the_request_s_mistake(target: Facts) -> None:
    with pytest.raises(UsageError, match=f"expected the image {TAGGED}, found nothing"):
        plan(None, target)


@pytest.mark.parametrize("if_exists", list(IfTargetExists))
def test_a_target_that_cannot_be_read_is_assumed_to_be_free(if_exists: IfTargetExists) -> None:
    found = plan(IMAGE, UNKNOWN, if_exists)
    assert found.actions == (CopyImage(BOTH, TARGET),)
    assert found.assumptions == (ABSENT,)
    assert found.notices == ()


def test_a_source_that_cannot_be_read_is_assumed_to_be_there() -> None:
    found = plan(UNKNOWN, None)
    assert found.reason == f"{TARGET} becomes the image of the source"
    assert found.actions == (CopyImage(TAGGED, TARGET),)
    assert found.assumptions == (f"{TAGGED} is there ({REASON})",)


def test_both_may_be_assumed() -> None:
    found = plan(UNKNOWN, UNKNOWN)
    assert found.assumptions == (f"{TAGGED} is there ({REASON})", ABSENT)


@pytest.mark.parametrize("reference", [PINNED, BOTH], ids=["digest", "both"])
def test_a_digest_is_known_without_reading_the_source(reference: ImageReference) -> None:
    assert plan(UNKNOWN, IMAGE, reference=reference).actions == ()
    assert plan(UNKNOWN, None, reference=reference).actions == (CopyImage(reference, TARGET),)
    with pytest.raises(ConflictError):
        plan(UNKNOWN, OTHER, IfTargetExists.FAIL, reference)


def test_an_unknown_source_is_not_taken_for_the_image_that_is_there() -> None:
    assert plan(UNKNOWN, IMAGE).actions == (CopyImage(TAGGED, TARGET),)


def test_an_action_is_a_line_for_people() -> None:
    assert CopyImage(BOTH, TARGET).describe() == f"copy {BOTH} to {TARGET}"
