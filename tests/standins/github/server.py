"""The stand-in as tests use it: GitHub's REST API over HTTP on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import traceback
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.standins.github import (
    git_operations,
    issue_operations,
    pull_operations,
    repository_operations,
)
from tests.standins.github.bodies import PREFIX
from tests.standins.github.faults import Fault, FaultPlan, Reset
from tests.standins.github.hub import Hub
from tests.standins.github.model import Answer, Call, Json, Permission, Refusal, User, not_found
from tests.standins.github.validation import Description, Match, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Self

HANDLERS = (
    git_operations.HANDLERS
    | issue_operations.HANDLERS
    | pull_operations.HANDLERS
    | repository_operations.HANDLERS
)
FREE_OF_CHARGE = frozenset({"rate-limit/get"})
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class RecordedRequest:
    """A request, and the status it got: none when the connection was reset.

    The path is decoded and has neither the prefix of the API nor the query.
    """

    method: str
    path: str
    status: int | None
    body: Json
    query: Mapping[str, str]
    login: str | None

    @property
    def writes(self) -> bool:
        return self.method not in {"GET", "HEAD"}


@dataclass(frozen=True)
class Incoming:
    """A request as it came over the wire."""

    method: str
    raw_path: str
    query: Mapping[str, str]
    authorization: str | None
    content: bytes

    @property
    def path(self) -> str:
        return unquote(self.raw_path.removeprefix(PREFIX))


class GitHubStandIn:
    """A GitHub of its own, for as long as the context lasts.

    Everything is kept under the directory. `violations` says where a request or an answer departs
    from GitHub's OpenAPI description; a test asserts that it is empty.
    """

    def __init__(self, directory: Path, *, hourly_limit: int = 5000) -> None:
        self.requests: list[RecordedRequest] = []
        self.violations: list[Violation] = []
        self._faults = FaultPlan()
        self._description = Description.load()
        self._server = Server(("127.0.0.1", 0), RequestHandler)
        self._server.stand_in = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.root_url = f"http://127.0.0.1:{self._server.server_port}"
        self.api_url = self.root_url + PREFIX
        self._hub = Hub(directory, self.root_url, hourly_limit)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    # What tests ask for

    def add_repository(
        self,
        full_name: str,
        source: Path | None = None,
        *,
        private: bool = False,
        fork_of: str | None = None,
    ) -> Path:
        """Add a repository and return the path of the bare repository behind it.

        The source is a git repository or a bundle (cloned), a folder of files (committed on
        `main`), or nothing (the repository is empty). The path serves for plain git, too.
        """
        with self._hub.lock:
            repository = self._hub.add_repository(
                full_name, source, private=private, fork_of=fork_of
            )
        return repository.store.path

    def add_user(
        self, login: str, token: str, permissions: Mapping[str, Permission | None]
    ) -> User:
        """Add a user whose token may write or read the repositories named; others are not his."""
        with self._hub.lock:
            return self._hub.add_user(login, token, permissions)

    def inject(self, fault: Fault) -> None:
        """Let the fault befall the next requests that it describes."""
        self._faults.add(fault)

    @property
    def writes(self) -> list[RecordedRequest]:
        """The requests that asked for a change, whether it was made or not."""
        return [request for request in self.requests if request.writes]

    # How requests are answered

    def respond(self, incoming: Incoming) -> Answer | None:
        """Return the answer to a request, or nothing where the connection is to be reset."""
        fault = self._faults.take(incoming.method, incoming.path)
        answer: Answer | None = None
        if fault is None or fault.when == "after":
            answer = self._answer(incoming)
        if fault is not None:
            answer = faulty(fault)
        self._record(incoming, answer)
        return answer

    def _record(self, incoming: Incoming, answer: Answer | None) -> None:
        user = self._hub.known(incoming.authorization)
        self.requests.append(
            RecordedRequest(
                method=incoming.method,
                path=incoming.path,
                status=answer.status if answer else None,
                body=parsed(incoming.content),
                query=incoming.query,
                login=user.login if user else None,
            )
        )

    def rate_headers(self, authorization: str | None) -> dict[str, str]:
        rate = self._hub.rate(self._hub.known(authorization))
        headers = {f"X-RateLimit-{name.title()}": str(value) for name, value in rate.items()}
        return headers | {"X-RateLimit-Resource": "core"}

    def _answer(self, incoming: Incoming) -> Answer:
        if incoming.raw_path.startswith(repository_operations.ARCHIVES):
            return self._archive(incoming)
        path = incoming.raw_path.removeprefix(PREFIX)
        match = self._description.find(incoming.method, path)
        if match is None or path == incoming.raw_path:
            self._report(incoming, ["no such operation is described"])
            return not_found().answer()
        answer = self._described_answer(incoming, match)
        problems = self._description.wrong_answer(match.operation, answer.status, answer.body)
        self._report(incoming, [f"answer {answer.status}: {problem}" for problem in problems])
        return answer

    def _archive(self, incoming: Incoming) -> Answer:
        try:
            token = incoming.query.get("token")
            return repository_operations.archive(self._hub, incoming.raw_path, token)
        except Refusal as refusal:
            return refusal.answer()

    def _described_answer(self, incoming: Incoming, match: Match) -> Answer:
        try:
            caller = self._hub.caller(incoming.authorization)
            with self._hub.lock:
                if match.operation.id not in FREE_OF_CHARGE:
                    self._hub.count(caller)
                self._hub.authorise(match, caller)
                call = self._call(incoming, match, caller)
                return HANDLERS[match.operation.id](self._hub, call)
        except Refusal as refusal:
            return refusal.answer()
        except Exception:  # noqa: BLE001 - the stand-in's own mistake, which no test may miss
            self._report(incoming, [traceback.format_exc()])
            return Answer(500, {"message": "Server Error"})

    def _call(self, incoming: Incoming, match: Match, caller: User | None) -> Call:
        """Return the call that the request means; refuse what GitHub would not understand."""
        body = parsed(incoming.content)
        if isinstance(body, bytes):
            self._report(incoming, ["the request body is not JSON"])
            raise Refusal(400, "Problems parsing JSON")
        self._report(incoming, self._description.unknown(match.operation, incoming.query, body))
        if problems := self._description.malformed(match.operation, body):
            self._report(incoming, [f"request {problem}" for problem in problems])
            raise Refusal(422, f"Invalid request.\n\n{problems[0]}")
        url = self.root_url + incoming.raw_path
        return Call(match.parameters, incoming.query, body, url, caller)

    def _report(self, incoming: Incoming, problems: list[str]) -> None:
        for problem in problems:
            self.violations.append(Violation(incoming.method, incoming.path, problem))


def faulty(fault: Fault) -> Answer | None:
    if isinstance(fault.what, Reset):
        return None
    what = fault.what
    content = what.body.encode() if isinstance(what.body, str) else what.body
    return Answer(what.status, content, what.headers)


def parsed(content: bytes) -> Json:
    """Return the JSON in a body; nothing for none, and the bytes where they are not JSON."""
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content


class Server(ThreadingHTTPServer):
    """Counts its connections, so that it can end them and leave no thread behind."""

    daemon_threads = False  # so that server_close waits for the threads
    stand_in: GitHubStandIn

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - passed on as they are
        super().__init__(*arguments)
        self._connections: set[socket.socket] = set()

    def process_request(self, request: socket.socket, client_address: Any) -> None:  # noqa: ANN401
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # the client was quicker
                connection.shutdown(socket.SHUT_RDWR)


class RequestHandler(BaseHTTPRequestHandler):
    """Speaks HTTP for the stand-in."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_DELETE(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        url = urlsplit(self.path)
        incoming = Incoming(
            method=self.command,
            raw_path=url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            authorization=self.headers.get("Authorization"),
            content=self.rfile.read(int(self.headers.get("Content-Length", 0))),
        )
        answer = self.server.stand_in.respond(incoming)
        if answer is None:
            self._reset_connection()
        else:
            self._send(answer, self.server.stand_in.rate_headers(incoming.authorization))

    def _send(self, answer: Answer, rate: Mapping[str, str]) -> None:
        content = b"" if answer.body is None else answer.body
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": uuid.uuid4().hex.upper(),
            **rate,
            **answer.headers,
        }
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.status != 204:  # which has no content, and so no length of it
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _reset_connection(self) -> None:
        """Close without lingering, which the client sees as a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        os.close(self.connection.detach())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the requests are recorded."""
