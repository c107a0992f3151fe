"""The box's only TLS listener: it streams to the backend of the name that a client asks for.

It is a proxy of TCP, not of HTTP: what a backend gets is what the client sent, and a connection
that a backend resets is reset for the client.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from tests.standins.box import ADDRESS
from tests.standins.clouds.ca import Certificates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

HTTPS: Final = 443
PIECE: Final = 1 << 18
LINGER_SECONDS: Final = 2.0
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Router:
    """Sends connections to backends on 127.0.0.1, which speak plain HTTP.

    The table maps a host name, or a suffix that begins with a dot (`.pkg.dev`), to a port; the
    longest entry wins. To any other name the router answers with TLS's "unrecognized name".

    `connections` are the names that clients have reached, `refused` those they have not, and
    `troubles` are mistakes of the router itself.
    """

    def __init__(
        self, table: Mapping[str, int], certificates: Certificates, http2: Collection[str]
    ) -> None:
        self.address = ("", 0)
        self.connections: list[str] = []
        self.refused: list[str | None] = []
        self.troubles: list[str] = []
        self._table = dict(table)
        self._http2 = frozenset(http2)
        self._contexts = {name: _context(certificates, name) for name in ("http/1.1", "h2")}
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._ending = threading.Event()

    @classmethod
    @contextmanager
    def running(
        cls,
        table: Mapping[str, int] | None = None,
        *,
        http2: Collection[str] = (),
        certificates: Certificates | None = None,
        address: tuple[str, int] = (ADDRESS, HTTPS),
    ) -> Iterator[Router]:
        """Route for the body of a `with`; afterwards no connection and no thread is left.

        The backends of the names in `http2` are gRPC servers. Without `certificates` they are the
        box's.
        """
        router = cls(table or {}, certificates or Certificates.of_box(), http2)
        with socket.create_server(address, backlog=128) as listener:
            router.address = listener.getsockname()
            thread = threading.Thread(target=router._listen, args=(listener,), name="router")
            thread.start()
            try:
                yield router
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
                router._hang_up()

    @contextmanager
    def routing(self, table: Mapping[str, int], *, http2: Collection[str] = ()) -> Iterator[None]:
        """Add to the table for the body of a `with`; afterwards it is what it was before."""
        before = self._table, self._http2
        self._table, self._http2 = {**before[0], **table}, before[1] | frozenset(http2)
        try:
            yield
        finally:
            self._table, self._http2 = before

    def port_of(self, name: str) -> int | None:
        """Return the port of a name's backend."""
        table = self._table
        if name in table:
            return table[name]
        suffixes = [entry for entry in table if entry.startswith(".") and name.endswith(entry)]
        return table[max(suffixes, key=len)] if suffixes else None

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # it was shut down
                return
            thread = threading.Thread(target=self._attend, args=(connection,), name="routed")
            with self._lock:
                self._open[connection] = thread
            thread.start()

    def _hang_up(self) -> None:
        self._ending.set()
        with self._lock:
            left = dict(self._open)
            for connection in left:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in left.values():
            thread.join()

    def _attend(self, connection: socket.socket) -> None:
        # The descriptor stays open under this name, so that hanging up reaches no other one.
        try:
            self._serve(connection.dup())
        except OSError:
            pass  # a client that breaks off is none of the router's business
        except Exception:  # noqa: BLE001 - it would be lost in this thread
            self.troubles.append(traceback.format_exc())
        finally:
            with self._lock:
                del self._open[connection]
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        asked: list[str] = []
        with (
            connection,
            self._greeting(asked).wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            ) as client,
        ):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.do_handshake()
            self.connections += asked
            try:
                with socket.create_connection(("127.0.0.1", self.port_of(asked[0]))) as backend:
                    backend.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    _exchange(client, backend, self._ending)
            except OSError:
                _reset_on_close(client)

    def _greeting(self, asked: list[str]) -> ssl.SSLContext:
        """Return a context for one handshake, which notes the name and chooses by it (RFC 6066)."""

        def choose(connection: ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
            if name is None or self.port_of(name) is None:
                self.refused.append(name)
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            asked.append(name)
            connection.context = self._contexts["h2" if name in self._http2 else "http/1.1"]
            return None

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = choose
        return context


def _context(certificates: Certificates, protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.key)
    context.set_alpn_protocols([protocol])
    return context


class _Flow:
    """One direction of a connection; it reads nothing while something waits to be sent."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.waiting = memoryview(b"")
        self.ended = False

    @property
    def wants_to_read(self) -> bool:
        return not self.ended and not self.waiting

    def move(self) -> bool:
        """Read and send what is possible at once; tell whether there was anything."""
        moved = False
        with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if self.wants_to_read:
                self.waiting = memoryview(self.source.recv(PIECE))
                self.ended = not self.waiting
                moved = True
            if self.waiting:
                self.waiting = self.waiting[self.target.send(self.waiting) :]
                moved = True
        return moved


def _exchange(client: ssl.SSLSocket, backend: socket.socket, ending: threading.Event) -> None:
    """Stream both ways until the backend ends; a reset on one side is one on the other.

    Once `ending` is set, the end of the client's side ends it, too.
    """
    client.setblocking(False)
    backend.setblocking(False)
    up, down = _Flow(client, backend), _Flow(backend, client)
    told = False
    try:
        while not down.ended:
            if not (up.move() | down.move()):
                _wait(up, down)
            if up.ended and ending.is_set():
                return
            if up.ended and not told:
                backend.shutdown(socket.SHUT_WR)
                told = True
    except OSError:
        _reset_on_close(backend)
        raise
    _say_goodbye(client)


def _wait(up: _Flow, down: _Flow) -> None:
    """Wait until one of the flows can move."""
    interest: dict[socket.socket, int] = {}
    for flow in (up, down):
        if flow.wants_to_read:
            interest[flow.source] = interest.get(flow.source, 0) | select.POLLIN
        if flow.waiting:
            interest[flow.target] = interest.get(flow.target, 0) | select.POLLOUT
    poll = select.poll()
    for connection, events in interest.items():
        poll.register(connection, events)
    poll.poll()


def _say_goodbye(client: ssl.SSLSocket) -> None:
    """End TLS, and read what the client still sends: closing now would reset the connection."""
    with suppress(ssl.SSLWantReadError):
        client.unwrap()
    client.shutdown(socket.SHUT_WR)
    poll = select.poll()
    poll.register(client, select.POLLIN)
    while poll.poll(LINGER_SECONDS * 1000) and socket.socket.recv(client, PIECE):
        pass


def _reset_on_close(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
