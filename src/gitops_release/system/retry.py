"""When to try again, how long to wait, and when to give up: one policy for all adapters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import tenacity

from gitops_release.core.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class TransientError(Exception):
    """An attempt failed in a way that another attempt may mend.

    ``retry_after`` is the wait in seconds that the service asked for, if it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and for how long to try; each wait is announced with its reason."""

    announce: Callable[[str], None]
    attempts: int = 5
    first_wait: float = 2.0  # seconds, doubled each time
    longest_wait: float = 60.0  # seconds
    deadline: float = 300.0  # seconds, from the first attempt to the last one's start

    def run(self, attempt: Callable[[], _T], *, what: str) -> _T:
        """Return what the first successful attempt returns.

        Only ``TransientError`` is tried again. Raises ``ServiceError``, saying what failed and
        how often it was tried, when attempts or time are used up.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=self._exhausted,
            wait=self._wait,
            before_sleep=lambda state: self._announce_wait(state, what),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except TransientError as error:
            tried = retrying.statistics.get("attempt_number", 1)
            raise ServiceError(
                f"{what}: {error} (tried {tried} times)",
                hint=_when_to_run_again(error),
            ) from error

    def _exhausted(self, state: tenacity.RetryCallState) -> bool:
        if state.attempt_number >= self.attempts:
            return True
        return (state.seconds_since_start or 0.0) + self._wait(state) > self.deadline

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TransientError) and error.retry_after is not None:
            return error.retry_after
        backoff = tenacity.wait_exponential(multiplier=self.first_wait, max=self.longest_wait)
        return backoff(state)

    def _announce_wait(self, state: tenacity.RetryCallState, what: str) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.announce(f"{what}: {error}; trying again in {state.upcoming_sleep:.0f} s")


def _when_to_run_again(error: TransientError) -> str:
    if error.retry_after is None:
        return "run again later: what was achieved is kept"
    return f"run again in {error.retry_after:.0f} s: what was achieved is kept"
