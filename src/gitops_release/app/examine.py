"""``doctor``: ask everything that a release will need, and say what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_release.core.errors import GitopsReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Question:
    """Something that a release will need, and how to look whether it is there.

    ``look`` returns what was found, for people, or raises what is wrong.
    """

    name: str
    look: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to a question: what was found, or what is wrong."""

    name: str
    found: str | GitopsReleaseError


def examine(questions: Iterable[Question]) -> Iterator[Finding]:
    """Give an answer to each question; one that goes wrong does not keep the others from it."""
    for question in questions:
        yield Finding(question.name, _answer(question))


def _answer(question: Question) -> str | GitopsReleaseError:
    try:
        return question.look()
    except GitopsReleaseError as error:
        return error
