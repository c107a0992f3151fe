"""Stand-ins for what the adapters reach the outside by: programs, HTTP and the clock."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from gitops_release.core.errors import MachineError
from gitops_release.system.http import HttpClient
from gitops_release.system.processes import Completed, Followed
from gitops_release.system.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OK = Completed(0, b"", b"")


@dataclass(frozen=True)
class Call:
    """How a program was started."""

    argv: tuple[str, ...]
    environ: Mapping[str, str]
    stdin: bytes
    timeout: float | None


@dataclass
class FakeProcesses:
    """Programs that end as told: the first word of ``ends`` that is in the arguments decides.

    What is not told about ends well and says nothing. ``missing`` programs are not on PATH.
    ``during`` sees each call while it runs.
    """

    ends: Mapping[str, Completed] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    during: Callable[[Call], None] = lambda _: None
    calls: list[Call] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        extra: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float | None = None,
        **_: object,
    ) -> Completed:
        if argv[0] in self.missing:
            raise MachineError(f"expected the program {argv[0]} on PATH, found none")
        call = Call(tuple(argv), {**self.environ, **(extra or {})}, stdin, timeout)
        self.calls.append(call)
        self.during(call)
        return next((end for word, end in self.ends.items() if word in argv), OK)

    def follow(
        self,
        argv: Sequence[str],
        *,
        show: Callable[[str], None],
        extra: Mapping[str, str] | None = None,
        timeout: float,
        **_: object,
    ) -> Followed:
        ended = self.run(argv, extra=extra, timeout=timeout)
        for line in ended.stdout.decode().splitlines():
            show(line)
        return Followed(ended.returncode, ended.stdout.decode())

    def argv_with(self, *words: str) -> tuple[tuple[str, ...], ...]:
        """Return the argument vectors that hold all of the words."""
        return tuple(call.argv for call in self.calls if set(words) <= set(call.argv))


@dataclass(frozen=True)
class Answer:
    """What a server answers."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """What a server got."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass
class FakeTransport(BaseAdapter):
    """Answers requests from a script, or by a function of the request; opens no socket."""

    script: list[Answer | Exception] | Callable[[Sent], Answer]
    sent: list[Sent] = field(default_factory=list)

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # noqa: ANN401
        body = request.body.encode() if isinstance(request.body, str) else request.body
        sent = Sent(request.method or "", request.url or "", request.headers, body)
        self.sent.append(sent)
        answer = self.script(sent) if callable(self.script) else self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code = answer.status
        response.reason = "Reason"
        response.headers.update(answer.headers)
        response.url = sent.url
        response.request = request
        response.raw = HTTPResponse(
            io.BytesIO(answer.body), headers=answer.headers, preload_content=False
        )
        return response

    def close(self) -> None:
        pass


def http_client(transport: FakeTransport, retry: RetryPolicy | None = None) -> HttpClient:
    """Return a client that speaks to the transport alone."""
    client = HttpClient(retry or RetryPolicy(lambda _: None), user_agent="gitops-release/test")
    for prefix in ("https://", "http://"):
        client._session.mount(prefix, transport)
    return client


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
