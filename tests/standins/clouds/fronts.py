"""Fronts that enforce credentials before a real registry (CNCF distribution without any).

A front is a plain HTTP server on a port of 127.0.0.1. A TLS router may stand before it: realms name
the host of the request, with https unless that host is a loopback address. Bodies are streamed in
both directions, chunked ones too, and repeated headers (`Accept`) are kept.

What the stand-in of a cloud adds are callables: who may log in, what a token grants, what is true
of a repository or a tag. They refuse by raising `Refused`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import json
import re
import secrets
import socket
import ssl
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import jwt

from tests.standins import processes
from tests.standins.github.faults import Fault, FaultPlan, Reset
from tests.standins.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Self

PIECE: Final = 1 << 16
HOP_BY_HOP: Final = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
LOOPBACK: Final = re.compile(r"(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?")
DATA: Final = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs|tags|referrers)/(?P<rest>.*)")
ACTIONS: Final = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}
BODILESS: Final = {204, 304}

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Login:
    """A user and a password as a client sent them to a host."""

    host: str
    user: str
    password: str


@dataclass(frozen=True)
class Received:
    """A request as it arrived, without its body."""

    method: str
    host: str
    path: str
    query: str
    headers: Headers

    def header(self, name: str) -> str | None:
        """Return the first header of a name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def parameters(self, name: str) -> list[str]:
        """Return every value of a parameter of the query."""
        return parse_qs(self.query).get(name, [])

    @property
    def target(self) -> str:
        """The path with its query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def origin(self) -> str:
        """The URL that clients have of this host."""
        scheme = "http" if LOOPBACK.fullmatch(self.host) else "https"
        return f"{scheme}://{self.host}"

    @property
    def bearer(self) -> str | None:
        """The token of an `Authorization: Bearer` header."""
        scheme, _, token = (self.header("Authorization") or "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    @property
    def login(self) -> Login | None:
        """The user and password of an `Authorization: Basic` header."""
        scheme, _, encoded = (self.header("Authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            text = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        user, _, password = text.partition(":")
        return Login(self.host, user, password)


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Headers = ()

    @classmethod
    def of(cls, status: int, document: object, *headers: tuple[str, str]) -> Answer:
        """Return an answer with a JSON document."""
        kind = ("Content-Type", "application/json; charset=utf-8")
        return cls(status, json.dumps(document).encode(), (kind, *headers))


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure of the stand-in
    """A refusal in the registry API's form, with the words of a cloud."""

    def __init__(
        self, status: int, code: str, message: str, *headers: tuple[str, str], detail: object = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        error = {"code": code, "message": message}
        document = {"errors": [error if detail is None else {**error, "detail": detail}]}
        self.answer = Answer.of(status, document, *headers)


class Exchange:
    """One request and its one answer."""

    def __init__(self, handler: Handler, received: Received, fault: Fault | None) -> None:
        self.received = received
        self._handler = handler
        self._fault = fault
        self._unread = _pieces(handler)

    def body(self) -> bytes:
        """Read the (rest of the) body."""
        return b"".join(self._unread)

    def send(self, answer: Answer) -> None:
        """Send an answer, or commit the fault that hides it."""
        for _ in self._unread:  # closing before the client has sent all would reset it
            pass
        if not self._hidden():
            length = ("Content-Length", str(len(answer.body)))
            self._start(answer.status, (*answer.headers, length))
            if self.received.method != "HEAD":
                self._handler.wfile.write(answer.body)

    def fetch(self, upstream: str, content: bytes) -> Answer:
        """Ask the registry behind, with a body that is known, and return its whole answer."""
        with self._ask(upstream, iter([content]), len(content)) as response:
            kept = tuple(h for h in _end_to_end(response.msg.items()) if h[0] != "Content-Length")
            return Answer(response.status, response.read(), kept)

    def forward(self, upstream: str) -> None:
        """Stream the request to the registry behind, and its answer to the client."""
        length = self.received.header("Content-Length")
        size = int(length) if length else None
        with self._ask(upstream, self._unread, size) as response:
            if not self._hidden():
                self._relay(response)

    @contextmanager
    def _ask(
        self, upstream: str, pieces: Iterator[bytes], length: int | None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(upstream, timeout=60)
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            target, method = self.received.target, self.received.method
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in _end_to_end(self.received.headers):
                if name.lower() not in {"authorization", "content-length", "expect"}:
                    connection.putheader(name, value)
            chunked = length is None and self._handler.is_chunked
            if chunked:
                connection.putheader("Transfer-Encoding", "chunked")
            elif length is not None:
                connection.putheader("Content-Length", str(length))
            connection.endheaders()
            for piece in pieces:
                connection.send(_chunk(piece) if chunked else piece)
            if chunked:
                connection.send(b"0\r\n\r\n")
            yield connection.getresponse()
        finally:
            connection.close()

    def _relay(self, response: http.client.HTTPResponse) -> None:
        headers = tuple(_end_to_end(response.msg.items()))
        empty = self.received.method == "HEAD" or response.status in BODILESS
        chunked = not empty and response.getheader("Content-Length") is None
        if chunked:
            headers += (("Transfer-Encoding", "chunked"),)
        self._start(response.status, headers)
        while not empty and (piece := response.read(PIECE)):
            self._handler.wfile.write(_chunk(piece) if chunked else piece)
        if chunked:
            self._handler.wfile.write(b"0\r\n\r\n")

    def _start(self, status: int, headers: Headers) -> None:
        self._handler.send_response_only(status)
        for name, value in headers:
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def _hidden(self) -> bool:
        fault, self._fault = self._fault, None
        if fault is None:
            return False
        self.commit(fault)
        return True

    def commit(self, fault: Fault) -> None:
        """Answer with a fault."""
        if isinstance(fault.what, Reset):
            self._handler.reset()
            return
        what, body = fault.what, fault.what.body
        text = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
        kind = "text/plain" if isinstance(body, str) else "application/json"
        headers = (("Content-Type", kind), *what.headers.items())
        self.send(Answer(what.status, text.encode(), headers))


class Front(ABC):
    """A server on a port of 127.0.0.1, which records requests and commits the faults it is given.

    `faults` takes `Fault("PUT", "/v2/app/manifests/v1", Reply(429, None, {"Retry-After": "1"}))`.
    """

    @property
    def handler(self) -> type[Handler]:
        """What speaks with the clients."""
        return Handler

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Received] = []
        self.faults = FaultPlan()

    @abstractmethod
    def answer(self, exchange: Exchange) -> None:
        """Answer a request; `Refused` may be raised instead."""

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[Self]:
        """Serve for the body of a `with`; afterwards no connection is left.

        With `tls` it is https: for an SDK that insists on it, where no router stands before.
        """
        handler = type("Handler", (self.handler,), {"front": self})
        with _Server(("127.0.0.1", 0), handler) as server:
            server.tls = tls
            self.port = server.server_port
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
                server.disconnect()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    tls: ssl.SSLContext | None = None

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        super().__init__(address, handler)
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; a handshake is left to its own thread."""
        connection, address = super().get_request()
        if self.tls:
            connection = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as the base has it
        """Close a connection."""
        super().shutdown_request(request)
        self._open.discard(request)

    def disconnect(self) -> None:
        """End the connections that clients keep open."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        processes.wait_until(lambda: not self._open, seconds=5)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Stay silent about clients that leave; anything else is a fault of the stand-in."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Passes every request of a connection to its front."""

    front: Front
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120
    is_chunked = False

    def _do(self) -> None:
        url = urlsplit(self.path)
        host = self.headers.get("Host", "").lower()
        path = unquote(url.path) if "%" in url.path else url.path
        headers = tuple(self.headers.items())
        received = Received(self.command, host, path, url.query, headers)
        self.front.requests.append(received)
        self.is_chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        fault = self.front.faults.take(received.method, received.path)
        exchange = Exchange(self, received, None if fault and fault.when == "before" else fault)
        if fault and fault.when == "before":
            exchange.commit(fault)
            return
        try:
            self.front.answer(exchange)
        except Refused as refused:
            exchange.send(refused.answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815

    def reset(self) -> None:
        """Reset the connection, as a load balancer does that loses its backend."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        with suppress(OSError):
            socket.close(self.connection.detach())

    def log_message(self, *_: object) -> None:
        """Write nothing: `requests` is the log."""


def _pieces(handler: Handler) -> Iterator[bytes]:
    stream = handler.rfile
    if handler.is_chunked:
        while size := int(stream.readline().split(b";")[0], 16):
            yield stream.read(size)
            stream.readline()
        while stream.readline().strip():
            pass
        return
    left = int(handler.headers.get("Content-Length") or 0)
    while left > 0:
        piece = stream.read(min(left, PIECE))
        if not piece:
            raise ConnectionError("the client left in the middle of a body")
        left -= len(piece)
        yield piece


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in headers if name.lower() not in HOP_BY_HOP)


def request(
    address: str,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Ask a server behind the fronts, and return its whole answer."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.read(), tuple(response.headers.items()))
    finally:
        connection.close()


@contextmanager
def registries(directory: Path, hosts: Iterable[str]) -> Iterator[dict[str, str]]:
    """Run an empty registry for each host; yield their addresses by host."""
    with ExitStack() as stack:
        found = {}
        for host in hosts:
            running = Registry.running(directory / host)
            found[host] = stack.enter_context(running).host
        yield found


@dataclass(frozen=True)
class Access:
    """What a request wants of a repository; `host` is the host whose registry it is."""

    host: str
    principal: str
    repository: str
    kind: str
    reference: str
    action: str
    method: str


@dataclass(frozen=True)
class Manifest:
    """A manifest that is being pushed."""

    access: Access
    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Its digest, computed."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def tag(self) -> str | None:
        """The tag under which it is pushed, if it is not pushed by digest."""
        reference = self.access.reference
        return None if ":" in reference else reference


def _nothing(_: object) -> None:
    pass


@dataclass
class Rules:
    """What a cloud says about accesses that its credentials allow: each returns or refuses.

    `before_manifest`, the registry and `after_manifest` (not called if the registry refuses) are
    one step for a repository: two pushes of one tag do not interleave.
    """

    access: Callable[[Access], None] = _nothing
    before_manifest: Callable[[Manifest], None] = _nothing
    after_manifest: Callable[[Manifest], None] = _nothing
    after_delete: Callable[[Access], None] = _nothing


class RegistryFront(Front):
    """The registry API of one or more hosts; requests to a loopback address reach the first."""

    def __init__(self, upstreams: Mapping[str, str], rules: Rules | None = None) -> None:
        super().__init__()
        self.upstreams = dict(upstreams)
        self.rules = rules or Rules()
        self._locks: dict[tuple[str, str], threading.RLock] = {}

    @abstractmethod
    def authorize(self, received: Received, host: str, wanted: tuple[Scope, ...]) -> str:
        """Return who asks, if that may have what it wants; refuse otherwise."""

    def answer(self, exchange: Exchange) -> None:
        """Answer what is below `/v2/`."""
        received = exchange.received
        host = self.host_of(received)
        if host is None:
            exchange.send(Answer(421, b"this front does not serve that host\n"))
        elif not self.answer_other(exchange, host):
            self._answer_data(exchange, host)

    def answer_other(self, exchange: Exchange, host: str) -> bool:  # noqa: ARG002 - for subclasses
        """Answer a request that is not for the registry API; tell whether it was one."""
        if exchange.received.path.startswith("/v2/"):
            return False
        exchange.send(Answer(404, b"404 page not found\n", (("Content-Type", "text/plain"),)))
        return True

    def host_of(self, received: Received) -> str | None:
        """Return the host of the registry that a request means."""
        if LOOPBACK.fullmatch(received.host):
            return next(iter(self.upstreams))
        return received.host if received.host in self.upstreams else None

    def lock(self, host: str, repository: str) -> threading.RLock:
        """Return the lock of a repository's tags; hosts may be names of one registry."""
        return self._locks.setdefault((self.upstreams[host], repository), threading.RLock())

    def _answer_data(self, exchange: Exchange, host: str) -> None:
        received, upstream = exchange.received, self.upstreams[host]
        found = DATA.fullmatch(received.path)
        if found is None:
            catalog = received.path.startswith("/v2/_catalog")
            wanted = (Scope("registry", "catalog", frozenset({"*"})),) if catalog else ()
            self.authorize(received, host, wanted)
            exchange.forward(upstream)
            return
        action = ACTIONS.get(received.method, "push")
        principal = self.authorize(received, host, _wanted(received, found["name"], action))
        access = Access(
            host, principal, found["name"], found["kind"], found["rest"], action, received.method
        )
        self.rules.access(access)
        if (access.kind, access.method) == ("manifests", "PUT"):
            self._put_manifest(exchange, access)
        else:
            exchange.forward(upstream)
            if access.method == "DELETE":
                self.rules.after_delete(access)

    def _put_manifest(self, exchange: Exchange, access: Access) -> None:
        media_type = exchange.received.header("Content-Type") or ""
        manifest = Manifest(access, exchange.body(), media_type)
        with self.lock(access.host, access.repository):
            self.rules.before_manifest(manifest)
            answer = exchange.fetch(self.upstreams[access.host], manifest.content)
            if answer.status < http.client.MULTIPLE_CHOICES:
                self.rules.after_manifest(manifest)
        exchange.send(answer)


@dataclass(frozen=True)
class Scope:
    """What a token is asked for: `repository:team/app:pull,push`."""

    kind: str
    name: str
    actions: frozenset[str]

    @classmethod
    def parsed(cls, text: str) -> Scope | None:
        """Return the scope that a text means, if it means one."""
        kind, colon, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        if not colon or not name:
            return None
        return cls(kind, name, frozenset(actions.split(",")))

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(sorted(self.actions))}"

    def covers(self, other: Scope) -> bool:
        """Tell whether everything in another scope is in this one; `*` is every action."""
        same = (self.kind, self.name) == (other.kind, other.name)
        return same and (other.actions <= self.actions or "*" in self.actions)


def scopes_of(texts: Iterable[str]) -> tuple[Scope, ...]:
    """Return the scopes of the parameters `scope`, each of which may carry several."""
    words = [word for text in texts for word in text.split()]
    return tuple(scope for word in words if (scope := Scope.parsed(word)))


def _wanted(received: Received, name: str, action: str) -> tuple[Scope, ...]:
    """Return the scopes that a request needs; mounting needs the source's too, as at CNCF's."""
    actions = {"push": {"pull", "push"}}.get(action, {action})
    scopes = [Scope("repository", name, frozenset(actions))]
    if received.method == "POST" and received.parameters("mount"):
        sources = received.parameters("from")
        scopes += [Scope("repository", source, frozenset({"pull"})) for source in sources]
    return tuple(scopes)


class BasicFront(RegistryFront):
    """A registry that takes a user and a password with every request.

    `decide(login, wanted)` returns who that is, None for unknown (401), or raises `Refused`.
    """

    def __init__(
        self,
        upstreams: Mapping[str, str],
        decide: Callable[[Login, tuple[Scope, ...]], str | None],
        rules: Rules | None = None,
        *,
        challenge: Callable[[str], str] = 'Basic realm="{}/"'.format,
        unauthorized: bytes = b"Not Authorized\n",
    ) -> None:
        super().__init__(upstreams, rules)
        self._decide = decide
        self._challenge = challenge
        self._unauthorized = unauthorized

    @classmethod
    @contextmanager
    def running(
        cls,
        upstreams: Mapping[str, str],
        decide: Callable[[Login, tuple[Scope, ...]], str | None],
        rules: Rules | None = None,
    ) -> Iterator[BasicFront]:
        """Serve for the body of a `with`; `upstreams` are addresses of registries by host."""
        with cls(upstreams, decide, rules).serving() as front:
            yield front

    def authorize(self, received: Received, host: str, wanted: tuple[Scope, ...]) -> str:
        """Decide about the login of the request."""
        login = received.login
        at_host = Login(host, login.user, login.password) if login else None
        principal = self._decide(at_host, wanted) if at_host else None
        if principal is None:
            refused = Refused(401, "UNAUTHORIZED", "authentication required")
            challenge = ("WWW-Authenticate", self._challenge(received.origin))
            plain = ("Content-Type", "text/plain; charset=utf-8")
            refused.answer = Answer(401, self._unauthorized, (plain, challenge))
            raise refused
        return principal


@dataclass(frozen=True)
class TokenRequest:
    """A client's request for a token; without a login it is anonymous."""

    host: str
    login: Login | None
    scopes: tuple[Scope, ...]


@dataclass(frozen=True)
class Grant:
    """Who may do what."""

    principal: str
    scopes: tuple[Scope, ...] = ()

    def covers(self, wanted: Iterable[Scope]) -> bool:
        """Tell whether all that is wanted is granted."""
        return all(any(scope.covers(one) for scope in self.scopes) for one in wanted)


@dataclass
class _Issued:
    host: str
    grant: Grant
    expires: float
    uses: int | None


@dataclass
class Tokens:
    """Tokens that were issued. Set `lifetime` or `uses` for those still to come.

    A token expires after `lifetime` seconds, or after `uses` requests: so a test can let it expire
    in the middle of a push. Their text is not believed, JWT or not: what counts is this list.
    (The clouds sign with RS256; these are signed with a secret nobody knows.)
    """

    form: Literal["opaque", "jwt"] = "opaque"
    lifetime: float = 3600
    uses: int | None = None
    claims: Mapping[str, object] = field(default_factory=dict)
    _issued: dict[str, _Issued] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _key: str = field(default_factory=lambda: secrets.token_hex(32))

    def issue(self, host: str, grant: Grant) -> str:
        """Return a new token."""
        expires = time.time() + self.lifetime
        token = self._jwt(host, grant, expires) if self.form == "jwt" else secrets.token_urlsafe(96)
        with self._lock:
            self._issued[token] = _Issued(host, grant, expires, self.uses)
        return token

    def grant(self, token: str, host: str) -> Grant | None:
        """Return what a token grants at a host; None if it is unknown, expired or another's."""
        with self._lock:
            issued = self._issued.get(token)
            if issued is None or issued.host != host or time.time() >= issued.expires:
                return None
            if issued.uses is not None:
                if issued.uses == 0:
                    return None
                issued.uses -= 1
            return issued.grant

    def expire(self) -> None:
        """Let all tokens expire now."""
        with self._lock:
            for issued in self._issued.values():
                issued.expires = 0

    def _jwt(self, host: str, grant: Grant, expires: float) -> str:
        now = int(time.time())
        access = [
            {"Type": scope.kind, "Name": scope.name, "Actions": sorted(scope.actions)}
            for scope in grant.scopes
        ]
        claims = {
            "jti": secrets.token_hex(16),
            "sub": grant.principal,
            "aud": host,
            "nbf": now,
            "iat": now,
            "exp": int(expires),
            "access": access,
            **self.claims,
        }
        return jwt.encode(claims, self._key, algorithm="HS256")


@dataclass(frozen=True)
class Speech:
    """How a cloud's token server and its challenges look."""

    path: str = "/v2/token"
    fields: tuple[str, ...] = ("token",)
    # The answer to an attempt with OAuth's POST; containerd falls back to GET after 401, 404, 405.
    post_status: int = 404
    message: str = "authentication required"


class TokenFront(RegistryFront):
    """A registry that takes a token, which its own token endpoint issues.

    `grant(request)` returns what the login is granted of the scopes it asked for, or raises
    `Refused`. A grant without scopes is what a login to a registry asks for.
    """

    def __init__(
        self,
        upstreams: Mapping[str, str],
        grant: Callable[[TokenRequest], Grant],
        rules: Rules | None = None,
        *,
        speech: Speech | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        super().__init__(upstreams, rules)
        self._grant = grant
        self.speech = speech or Speech()
        self.tokens = tokens or Tokens()

    @classmethod
    @contextmanager
    def running(
        cls,
        upstreams: Mapping[str, str],
        grant: Callable[[TokenRequest], Grant],
        rules: Rules | None = None,
        *,
        speech: Speech | None = None,
        tokens: Tokens | None = None,
    ) -> Iterator[TokenFront]:
        """Serve for the body of a `with`; `upstreams` are addresses of registries by host."""
        with cls(upstreams, grant, rules, speech=speech, tokens=tokens).serving() as front:
            yield front

    def answer_other(self, exchange: Exchange, host: str) -> bool:
        """Answer the token endpoint."""
        received = exchange.received
        if received.path != self.speech.path:
            return super().answer_other(exchange, host)
        if received.method == "POST":
            exchange.send(Answer(self.speech.post_status, b"not found\n"))
            return True
        login = received.login
        if login is None and received.header("Authorization"):
            raise Refused(401, "UNAUTHORIZED", self.speech.message)
        at_host = Login(host, login.user, login.password) if login else None
        asked = TokenRequest(host, at_host, scopes_of(received.parameters("scope")))
        exchange.send(self.token_answer(host, self._grant(asked)))
        return True

    def token_answer(self, host: str, grant: Grant) -> Answer:
        """Return the answer that carries a new token."""
        token = self.tokens.issue(host, grant)
        document: dict[str, Any] = dict.fromkeys(self.speech.fields, token)
        if "token" in document:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            document |= {"expires_in": int(self.tokens.lifetime), "issued_at": now}
        return Answer.of(200, document)

    def authorize(self, received: Received, host: str, wanted: tuple[Scope, ...]) -> str:
        """Look at the token of the request; challenge the client if it does not suffice."""
        token = received.bearer
        if token is None:
            raise self.challenged(received, wanted)
        grant = self.tokens.grant(token, host)
        if grant is None:
            raise self.challenged(received, wanted, "invalid_token")
        if not grant.covers(wanted):
            raise self.challenged(received, wanted, "insufficient_scope")
        return grant.principal

    def challenged(
        self, received: Received, wanted: tuple[Scope, ...], error: str | None = None
    ) -> Refused:
        """Return the challenge for what a client wants."""
        parts = {"realm": f"{received.origin}{self.speech.path}", "service": received.host}
        if wanted:
            parts["scope"] = " ".join(map(str, wanted))
        if error:
            parts["error"] = error
        value = ",".join(f'{name}="{value}"' for name, value in parts.items())
        detail = [
            {"Type": scope.kind, "Name": scope.name, "Action": action}
            for scope in wanted
            for action in sorted(scope.actions)
        ]
        header = ("WWW-Authenticate", f"Bearer {value}")
        return Refused(401, "UNAUTHORIZED", self.speech.message, header, detail=detail or None)
