from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from gitops_release.core.errors import AuthenticationError, ServiceError
from gitops_release.system.oidc import MARGIN, TOKEN, CircleCITokens, claims_of, expiry_of
from gitops_release.system.processes import Completed
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy
from tests.unit.system.scripted import FakeProcesses

if TYPE_CHECKING:
    from tests.unit.system.scripted import Call, Clock

GET: Final = ("circleci", "run", "oidc", "get")
FAILED: Final = Completed(1, b"", b"no context\n")


def token(**claims: object) -> str:
    """Return a token that is masked only if somebody says so."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"header.{payload}.signature"


def living(seconds: float) -> str:
    return token(exp=time.time() + seconds)


MINTED: Final = token(aud="minted", exp=4e9)


@dataclass
class Job:
    """A job whose program ``circleci`` ends as told, one end after the other."""

    given: str | None = None
    ends: list[Completed] = field(default_factory=lambda: [Completed(0, MINTED.encode(), b"")])
    missing: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.redactor = Redactor()
        self.announced: list[str] = []
        ends: dict[str, Completed] = {}

        def during(_: Call) -> None:
            ends["oidc"] = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]

        self.processes = FakeProcesses(
            ends, {} if self.given is None else {TOKEN: self.given}, self.missing, during
        )
        self.tokens = CircleCITokens(
            self.processes,  # type: ignore[arg-type]
            RetryPolicy(self.announced.append),
            self.redactor,
        )

    @property
    def argv(self) -> list[tuple[str, ...]]:
        return [call.argv for call in self.processes.calls]


@pytest.mark.parametrize("seconds", [MARGIN + 5, 3600])
def test_the_job_s_own_token_is_taken(seconds: float) -> None:
    given = living(seconds)
    job = Job(given)
    assert job.tokens.token(None).reveal() == given
    assert job.argv == []


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        living(-1),
        living(MARGIN - 5),
        token(sub="no end"),
        token(exp="tomorrow"),
        token(exp=None),
        "no token",
        "a.b.c",
        "a.bbbb.c",
        "..",
        "a.é.c",
    ],
    ids=range(12),
)
def test_another_token_is_minted_without_it(given: str | None) -> None:
    job = Job(given)
    assert job.tokens.token(None).reveal() == MINTED
    assert job.argv == [GET]


def test_another_audience_is_minted_though_a_token_is_there() -> None:
    job = Job(living(3600))
    assert job.tokens.token('api://"x"').reveal() == MINTED
    ((*start, option, claims),) = job.argv
    assert (tuple(start), option) == (GET, "--claims")
    assert json.loads(claims) == {"aud": 'api://"x"'}


def test_space_around_a_token_is_not_part_of_it() -> None:
    job = Job(ends=[Completed(0, f"\n{MINTED}\n".encode(), b"")])
    assert job.tokens.token(None).reveal() == MINTED


@pytest.mark.parametrize("given", [living(3600), None], ids=["given", "minted"])
def test_a_token_is_masked_from_now_on(given: str | None) -> None:
    job = Job(given)
    found = job.tokens.token(None).reveal()
    assert job.redactor.redact(f"<{found}>") == "<***>"


@pytest.mark.parametrize("end", [FAILED, Completed(0, b"\n", b"")], ids=["status", "empty"])
def test_a_failure_is_tried_again(end: Completed, clock: Clock) -> None:
    job = Job(ends=[end, end, Completed(0, MINTED.encode(), b"")])
    assert job.tokens.token(None).reveal() == MINTED
    assert clock.slept == [2, 4]
    assert all("circleci run oidc get" in line for line in job.announced)


@pytest.mark.parametrize(
    ("end", "words"), [(FAILED, "no context"), (Completed(0, b"", b""), "an empty token")]
)
@pytest.mark.usefixtures("clock")
def test_a_lasting_failure_is_the_service_s(end: Completed, words: str) -> None:
    job = Job(ends=[end])
    with pytest.raises(ServiceError, match=rf"{words} \(tried 5 times\)"):
        job.tokens.token(None)


@pytest.mark.usefixtures("clock")
def test_what_the_program_says_is_shown_with_secrets_masked() -> None:
    job = Job(ends=[Completed(1, b"", b"refused hunter22")])
    job.redactor.hide_text("hunter22")
    with pytest.raises(ServiceError, match=r"refused \*\*\*"):
        job.tokens.token("x")
    assert "hunter22" not in "".join(job.announced)


@pytest.mark.parametrize(("audience", "named"), [(None, TOKEN), ("api://x", "api://x")])
def test_outside_a_job_there_is_no_token(audience: str | None, named: str, clock: Clock) -> None:
    job = Job(missing=frozenset({"circleci"}))
    with pytest.raises(AuthenticationError, match=named) as caught:
        job.tokens.token(audience)
    assert "context" in (caught.value.hint or "")
    assert clock.slept == []


def test_claims_are_read_but_not_believed() -> None:
    assert claims_of(token(sub="org/1", exp=5)) == {"sub": "org/1", "exp": 5}
    assert expiry_of(token(exp=5)) == 5.0


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c.d", "a.W10.c", "a.NQ.c", "a.////.c"])
def test_what_is_no_token_has_no_claims(text: str) -> None:
    assert claims_of(text) == {}
    assert expiry_of(text) is None


@pytest.mark.parametrize("length", range(8))
def test_padding_is_restored(length: int) -> None:
    claims: dict[str, Any] = {"sub": "x" * length}
    assert claims_of(token(**claims)) == claims
