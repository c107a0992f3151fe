from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitops_release.app.examine import Finding, Question, examine
from gitops_release.core.errors import AuthenticationError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED = AuthenticationError("refused", hint="check the password")
DOWN = ServiceError("down")


def failing(error: Exception) -> Question:
    def look() -> str:
        raise error

    return Question(type(error).__name__, look)


def test_each_question_gets_its_answer_in_order() -> None:
    found = list(examine([Question("one", lambda: "1"), Question("two", lambda: "2")]))
    assert found == [Finding("one", "1"), Finding("two", "2")]


def test_what_is_wrong_keeps_no_other_question_from_its_answer() -> None:
    found = list(examine([failing(REFUSED), Question("two", lambda: "2"), failing(DOWN)]))
    assert [finding.found for finding in found] == [REFUSED, "2", DOWN]


def test_a_question_is_asked_only_after_the_one_before_was_answered() -> None:
    """What was found may decide what is asked next."""
    told: list[str] = []

    def questions() -> Iterator[Question]:
        yield Question("one", lambda: told.append("one") or "1")  # type: ignore[func-returns-value]
        if told:
            yield Question("two", lambda: "2")

    assert [finding.name for finding in examine(questions())] == ["one", "two"]


def test_nothing_is_asked_that_nobody_waits_for() -> None:
    def look() -> str:
        raise AssertionError

    examine([Question("one", look)])


def test_a_bug_is_no_finding() -> None:
    with pytest.raises(ZeroDivisionError):
        list(examine([failing(ZeroDivisionError())]))


def test_a_mistake_in_the_request_ends_the_examination() -> None:
    def questions() -> Iterator[Question]:
        yield Question("one", lambda: "1")
        raise REFUSED

    found = examine(questions())
    assert next(found) == Finding("one", "1")
    with pytest.raises(AuthenticationError):
        next(found)
