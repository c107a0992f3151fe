from __future__ import annotations

from dataclasses import dataclass

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ConflictError,
    GitopsReleaseError,
    MachineError,
    ManifestError,
    ServiceError,
    UsageError,
)
from gitops_release.core.observation import Assumed, assume, refuse
from gitops_release.core.plan import Plan


@dataclass(frozen=True)
class Write:
    text: str

    def describe(self) -> str:
        return self.text


def test_a_plan_is_shown_line_by_line() -> None:
    plan = Plan("because", (Write("first"), Write("second")), ("a fact",), ("a remark",))
    assert plan.describe() == (
        "because",
        "- first",
        "- second",
        "assumed: a fact",
        "notice: a remark",
    )


def test_an_empty_plan_is_its_reason() -> None:
    plan: Plan[Write] = Plan("nothing to do")
    assert plan.describe() == ("nothing to do",)


@pytest.mark.parametrize(
    "error", [AuthenticationError("why"), MachineError("why"), ServiceError("why")]
)
def test_a_dry_run_assumes_what_it_may_not_read(error: GitopsReleaseError) -> None:
    assert assume(error) == Assumed("why")


@pytest.mark.parametrize("kind", [UsageError, ConflictError, ManifestError, BuildError])
def test_a_dry_run_assumes_nothing_else(kind: type[GitopsReleaseError]) -> None:
    with pytest.raises(kind):
        assume(kind("why"))


def test_a_run_that_writes_assumes_nothing() -> None:
    with pytest.raises(ServiceError):
        refuse(ServiceError("why"))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (MachineError, 2),
        (AuthenticationError, 3),
        (ConflictError, 4),
        (ServiceError, 5),
        (ManifestError, 6),
        (BuildError, 7),
        (GitopsReleaseError, 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(kind: type[GitopsReleaseError], code: int) -> None:
    assert kind("why").exit_code == code


@pytest.mark.parametrize("shown", ["{0}", "{0!s}", "{0!r}", "{0:>20}"])
def test_a_secret_is_not_printed(shown: str) -> None:
    credentials = Credentials("user", Secret("hunter22"))
    assert "hunter22" not in shown.format(credentials.password)
    assert "hunter22" not in repr(credentials)
    assert credentials.password.reveal() == "hunter22"
