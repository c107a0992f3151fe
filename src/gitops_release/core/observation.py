"""Facts that could be read, and facts that could only be assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from gitops_release.core.errors import (
    AuthenticationError,
    GitopsReleaseError,
    MachineError,
    ServiceError,
)


@dataclass(frozen=True, slots=True)
class Assumed:
    """A fact that could not be read, and why. It is never the same as "not there"."""

    reason: str


Unreadable = Callable[[GitopsReleaseError], Assumed]
"""What to do about a fact that cannot be read: raise the error, or return an assumption."""


def refuse(error: GitopsReleaseError) -> NoReturn:
    """Raise the error: a run that writes needs its facts."""
    raise error


def assume(error: GitopsReleaseError) -> Assumed:
    """Return the assumption that a dry run shows; raise what another machine would not mend."""
    if isinstance(error, AuthenticationError | MachineError | ServiceError):
        return Assumed(error.message)
    raise error
