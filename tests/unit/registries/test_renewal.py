from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Final

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError
from gitops_release.registries import renewal
from gitops_release.registries.renewal import MARGIN, RenewedCredentials

START: Final = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)
HOUR: Final = dt.timedelta(hours=1)
SECOND: Final = dt.timedelta(seconds=1)


@dataclass
class Issuer:
    """Issues credentials for an hour, or those it is told to."""

    now: dt.datetime = START
    lives: dt.timedelta | None = HOUR
    anonymous: bool = False
    issued: list[Credentials] = field(default_factory=list)
    asked: int = 0

    def clock(self, zone: dt.tzinfo) -> dt.datetime:
        return self.now.astimezone(zone)

    def __call__(self) -> Credentials | None:
        self.asked += 1
        if self.anonymous:
            return None
        end = None if self.lives is None else self.now + self.lives
        self.issued.append(Credentials("user", Secret(f"password {self.asked}"), end))
        return self.issued[-1]


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Issuer:
    issuer = Issuer()
    clock = SimpleNamespace(now=issuer.clock)
    monkeypatch.setattr(renewal, "dt", SimpleNamespace(datetime=clock, timezone=dt.timezone))
    return issuer


def test_nobody_is_asked_before_credentials_are_wanted(issuer: Issuer) -> None:
    RenewedCredentials(issuer)
    assert issuer.asked == 0


def test_good_credentials_are_kept(issuer: Issuer) -> None:
    renewed = RenewedCredentials(issuer)
    first = renewed.current()
    issuer.now += HOUR - MARGIN
    assert renewed.current() is first
    assert issuer.asked == 1


@pytest.mark.parametrize("later", [HOUR - MARGIN + SECOND, HOUR, 12 * HOUR])
def test_credentials_that_end_soon_are_renewed(issuer: Issuer, later: dt.timedelta) -> None:
    renewed = RenewedCredentials(issuer)
    renewed.current()
    issuer.now += later
    assert renewed.current() is issuer.issued[1]
    assert renewed.current() is issuer.issued[1]


def test_a_password_that_does_not_age_is_fetched_once(issuer: Issuer) -> None:
    issuer.lives = None
    renewed = RenewedCredentials(issuer)
    first = renewed.current()
    issuer.now += 1000 * HOUR
    assert renewed.current() is first


def test_fresh_is_fresh_and_current_afterwards(issuer: Issuer) -> None:
    renewed = RenewedCredentials(issuer)
    renewed.current()
    fresh = renewed.fresh()
    assert fresh is issuer.issued[1]
    assert renewed.current() is fresh


def test_nobody_stays_nobody(issuer: Issuer) -> None:
    issuer.anonymous = True
    renewed = RenewedCredentials(issuer)
    assert renewed.current() is None
    assert renewed.fresh() is None


def test_a_refusal_is_passed_on_and_forgets_nothing(issuer: Issuer) -> None:
    answers = iter([issuer, _refuse])

    def fetch() -> Credentials | None:
        return next(answers)()

    renewed = RenewedCredentials(fetch)
    first = renewed.current()
    with pytest.raises(AuthenticationError):
        renewed.fresh()
    assert renewed.current() is first


def test_a_password_is_not_shown(issuer: Issuer) -> None:
    renewed = RenewedCredentials(issuer)
    renewed.current()
    assert "password 1" not in repr(renewed)


def _refuse() -> None:
    raise AuthenticationError("no")
