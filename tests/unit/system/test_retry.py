from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitops_release.core.errors import AuthenticationError, ServiceError
from gitops_release.system.retry import RetryPolicy, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.system.scripted import Clock


def policy(announced: list[str] | None = None, **limits: float) -> RetryPolicy:
    announce = (lambda _: None) if announced is None else announced.append
    return RetryPolicy(announce, **limits)  # type: ignore[arg-type]


def failing(*errors: Exception) -> Callable[[], str]:
    """Return an attempt that fails that often and then succeeds."""
    script = list(errors)

    def attempt() -> str:
        if script:
            raise script.pop(0)
        return "done"

    return attempt


def test_a_success_is_returned_at_once(clock: Clock) -> None:
    assert policy().run(failing(), what="push") == "done"
    assert clock.slept == []


def test_waits_are_doubled(clock: Clock) -> None:
    attempt = failing(*[TransientError("503")] * 4)
    assert policy().run(attempt, what="push") == "done"
    assert clock.slept == [2, 4, 8, 16]


def test_waits_have_a_limit(clock: Clock) -> None:
    attempt = failing(*[TransientError("503")] * 5)
    policy(attempts=6, longest_wait=7).run(attempt, what="push")
    assert clock.slept == [2, 4, 7, 7, 7]


def test_each_wait_is_announced_with_its_reason(clock: Clock) -> None:
    announced: list[str] = []
    policy(announced).run(failing(TransientError("HTTP 503")), what="push r.io/web:1")
    assert announced == ["push r.io/web:1: HTTP 503; trying again in 2 s"]
    assert clock.slept == [2]


def test_attempts_are_counted(clock: Clock) -> None:
    with pytest.raises(ServiceError, match=r"^push: HTTP 503 \(tried 5 times\)$"):
        policy().run(failing(*[TransientError("HTTP 503")] * 5), what="push")
    assert len(clock.slept) == 4


def test_a_service_may_say_how_long_to_wait(clock: Clock) -> None:
    attempt = failing(TransientError("429", retry_after=33), TransientError("429", retry_after=0))
    assert policy().run(attempt, what="push") == "done"
    assert clock.slept == [33, 0]


def test_a_wait_beyond_the_deadline_is_not_begun(clock: Clock) -> None:
    attempt = failing(TransientError("429", retry_after=301))
    with pytest.raises(ServiceError) as caught:
        policy().run(attempt, what="push")
    assert clock.slept == []
    assert "run again in 301 s" in (caught.value.hint or "")


def test_the_deadline_counts_the_time_of_attempts(clock: Clock) -> None:
    def slow() -> None:
        clock.now += 200
        raise TransientError("timeout")

    with pytest.raises(ServiceError, match="tried 2 times"):
        policy().run(slow, what="push")


def test_what_another_attempt_cannot_mend_is_not_tried_again(clock: Clock) -> None:
    with pytest.raises(AuthenticationError, match="denied"):
        policy().run(failing(AuthenticationError("denied")), what="push")
    assert clock.slept == []


def test_a_bug_is_not_tried_again(clock: Clock) -> None:
    with pytest.raises(KeyError):
        policy().run(failing(KeyError("x")), what="push")
    assert clock.slept == []
