"""Plans: what will be done and why, decided before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Action(Protocol):
    """One write, as data."""

    def describe(self) -> str:
        """Return one line for people, in the imperative."""
        ...


ActionT_co = TypeVar("ActionT_co", bound=Action, covariant=True)


@dataclass(frozen=True)  # slots and Generic do not go together before Python 3.12
class Plan(Generic[ActionT_co]):
    """The actions that make the world as requested, in their order.

    No actions means that the world is as requested. ``assumptions`` are facts that could not be
    read and were taken for granted (only a dry run makes any); ``notices`` are what a person
    should know though nothing is wrong.
    """

    reason: str
    actions: tuple[ActionT_co, ...] = ()
    assumptions: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Return the plan as lines for people."""
        return (
            self.reason,
            *(f"- {action.describe()}" for action in self.actions),
            *(f"assumed: {assumption}" for assumption in self.assumptions),
            *(f"notice: {notice}" for notice in self.notices),
        )
