"""What the box promises, seen from inside; boxes within it show what it looks like from outside."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import botocore
import grpc
import pytest
import requests
from botocore.config import Config

from tests.standins import box, processes
from tests.standins.clouds import ca
from tests.standins.clouds.router import Router

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MINE = "acme.azurecr.io"
BIG = 32 << 20


class Backend(BaseHTTPRequestHandler):
    """Tells what it got, and does what the path says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            socket.close(self.connection.detach())
        elif self.path == "/big":
            self._send(b"x" * BIG, "Connection: close")
        elif self.path == "/slow":
            time.sleep(30)
        else:
            self._send(str(self.headers).encode())

    def do_PUT(self) -> None:
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left:
            piece = self.rfile.read(min(left, 1 << 16))
            digest.update(piece)
            left -= len(piece)
        self._send(digest.hexdigest().encode())

    def do_POST(self) -> None:
        """Answer before the body is read, and say that this was all."""
        self.close_connection = True
        self._send(b"no, thank you", "Connection: close")
        self.connection.shutdown(socket.SHUT_WR)
        while self.rfile.read1(1 << 16):
            pass

    def _send(self, content: bytes, *headers: str) -> None:
        self.send_response(200)
        for header in headers:
            self.send_header(*header.split(": "))
        if not headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[int]:
    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_arguments: object) -> None:
            """Say nothing about clients that leave."""

    with Server(("127.0.0.1", 0), Backend) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def backend(router: Router) -> Iterator[int]:
    with serving() as port, router.routing({MINE: port}):
        yield port


# Names and the network


def test_every_name_of_the_clouds_is_local() -> None:
    addresses = {name: socket.gethostbyname(name) for name in box.NAMES}

    assert set(addresses.values()) == {box.ADDRESS}


@pytest.mark.parametrize(
    "name", ["example.com", "www.example.org", "evil.acme.azurecr.io", "acme.azurecr.io.evil.test"]
)
def test_no_other_name_resolves(name: str) -> None:
    started = time.monotonic()
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(name, 443)

    assert time.monotonic() - started < 5


def test_localhost_is_what_it_was() -> None:
    assert socket.gethostbyname("localhost") == "127.0.0.1"


def test_there_is_no_way_to_another_address() -> None:
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("1.1.1.1", 443), timeout=5)


def test_programs_resolve_the_names_as_well() -> None:
    found = subprocess.run(["getent", "hosts", MINE], check=True, capture_output=True, text=True)

    assert found.stdout.split() == [box.ADDRESS, MINE]


def test_own_names_stay_in_hosts() -> None:
    existing = (
        "127.0.0.1 localhost\n127.0.1.1 builder # me\n::1 ip6-localhost\n10.1.2.3 elsewhere\n"
        "# 127.0.0.1 comment\n127.0.0.1 github.com\n\n"
    )

    lines = box.hosts(existing).splitlines()

    assert lines[:3] == ["127.0.0.1 localhost", "127.0.1.1 builder # me", "::1 ip6-localhost"]
    assert lines[3:] == [f"{box.ADDRESS} {name}" for name in box.NAMES]


# The environment


def test_variables_lead_to_the_bundle_and_nowhere_else() -> None:
    base = {
        "PATH": "/bin",
        "https_proxy": "http://proxy",
        "NO_PROXY": "localhost",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "CIRCLE_OIDC_TOKEN_V2": "token",
        "DOCKER_HOST": "ssh://elsewhere",
        "SSL_CERT_FILE": "/other",
    }

    variables = box.environment(base, Path("/bundle"), Path("/own"))

    assert variables == {
        "PATH": "/bin",
        "AWS_CA_BUNDLE": "/bundle",
        "CURL_CA_BUNDLE": "/bundle",
        "GIT_SSL_CAINFO": "/bundle",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "/bundle",
        "REQUESTS_CA_BUNDLE": "/bundle",
        "SSL_CERT_FILE": "/bundle",
        "GITOPS_RELEASE_TEST_BOX": "1",
        "TEST_BOX_DIRECTORY": "/own",
    }


def test_the_bundle_has_the_systems_authorities_and_the_boxs_own() -> None:
    bundle = Path(os.environ["SSL_CERT_FILE"]).read_text(encoding="ascii")

    assert bundle.endswith(ca.Certificates.of_box().authority.read_text(encoding="ascii"))
    assert bundle.count("BEGIN CERTIFICATE") > 10


def test_the_key_is_private() -> None:
    certificates = ca.Certificates.of_box()

    assert certificates.key.stat().st_mode & 0o777 == 0o600
    assert certificates.key.parent.stat().st_mode & 0o777 == 0o700


# TLS


def test_requests_trusts_the_names(backend: int) -> None:
    assert requests.get(f"https://{MINE}/", timeout=10).status_code == 200
    assert backend


def test_urllib_trusts_the_names(backend: int) -> None:
    with urllib.request.urlopen(f"https://{MINE}/", timeout=10) as response:
        assert response.status == 200
    assert backend


def test_git_trusts_the_names_without_variables(backend: int) -> None:
    command = ["git", "-c", "http.proxy=", "ls-remote", f"https://{MINE}/"]
    answer = subprocess.run(
        command, check=False, capture_output=True, text=True, env={"PATH": os.defpath}
    )

    # It got as far as reading what the backend says.
    assert "is this a git repository?" in answer.stderr
    assert backend


def test_boto_trusts_the_names(router: Router) -> None:
    unsigned = Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
    with serving() as port, router.routing({".amazonaws.com": port}):
        client = boto3.client("sts", region_name="eu-west-1", config=unsigned)
        with pytest.raises(botocore.parsers.ResponseParserError, match="no, thank you"):
            client.get_caller_identity()
        client.close()

    assert router.connections[-1] == "sts.eu-west-1.amazonaws.com"


def test_grpc_trusts_the_names_and_gets_http2(router: Router) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    method = grpc.unary_unary_rpc_method_handler(lambda request, _context: request[::-1])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"M": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    name = "artifactregistry.googleapis.com"
    with (
        router.routing({name: port}, http2=[name]),
        grpc.secure_channel(f"{name}:443", grpc.ssl_channel_credentials()) as channel,
    ):
        assert channel.unary_unary("/test/M")(b"abc", timeout=10) == b"cba"
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), ([], None)],
)
def test_others_speak_the_older_http(backend: int, offered: list[str], chosen: str | None) -> None:
    context = ssl.create_default_context()
    if offered:
        context.set_alpn_protocols(offered)
    with (
        socket.create_connection((box.ADDRESS, 443)) as plain,
        context.wrap_socket(plain, server_hostname=MINE) as client,
    ):
        assert client.selected_alpn_protocol() == chosen
    assert backend


@pytest.mark.parametrize("name", ["other.azurecr.io", "acme.azurecr.io.evil.test", None])
def test_an_unknown_name_is_refused(router: Router, backend: int, name: str | None) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    with (
        socket.create_connection((box.ADDRESS, 443)) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"),
    ):
        context.wrap_socket(plain, server_hostname=name)
    assert router.refused[-1] == name
    assert backend


def test_the_certificate_is_not_good_for_other_names(backend: int) -> None:
    with Router.running({"evil.test": backend}, address=("127.0.0.1", 0)) as other:
        address = other.address
        context = ssl.create_default_context()
        with (
            socket.create_connection(address) as plain,
            pytest.raises(ssl.SSLCertVerificationError, match="mismatch"),
        ):
            context.wrap_socket(plain, server_hostname="evil.test")


# Streams


def test_a_long_push_arrives_whole(backend: int) -> None:
    content = os.urandom(1 << 20) * 32

    answer = requests.put(f"https://{MINE}/", data=content, timeout=60)

    assert answer.text == hashlib.sha256(content).hexdigest()
    assert backend


def test_a_long_answer_arrives_whole(backend: int) -> None:
    assert len(requests.get(f"https://{MINE}/big", timeout=60).content) == BIG
    assert backend


def test_headers_stay_as_they_are(backend: int) -> None:
    request = f"GET / HTTP/1.1\r\nHost: {MINE}\r\nAccept: a/b\r\nAccept: c/d\r\nX-oDD: 1\r\n\r\n"
    with (
        socket.create_connection((box.ADDRESS, 443)) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname=MINE) as client,
    ):
        client.sendall(request.encode())
        answer = client.recv(1 << 16)
        while b"X-oDD" not in answer and (piece := client.recv(1 << 16)):
            answer += piece

    assert b"Accept: a/b\nAccept: c/d\nX-oDD: 1\n" in answer.replace(b"\r\n", b"\n")
    assert backend


def test_an_answer_that_comes_early_arrives(backend: int) -> None:
    answer = requests.post(f"https://{MINE}/", data=b"x" * 200_000, timeout=10)

    assert answer.text == "no, thank you"
    assert backend


def test_a_reset_of_the_backend_is_a_reset_for_the_client(backend: int) -> None:
    with (
        socket.create_connection((box.ADDRESS, 443)) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname=MINE) as client,
    ):
        client.sendall(b"GET /reset HTTP/1.1\r\n\r\n")
        # Python's TLS takes a reset for an end; the socket below it does not.
        with pytest.raises(ConnectionResetError):
            read_to_the_end(client)
    assert backend


def read_to_the_end(client: ssl.SSLSocket) -> None:
    while socket.socket.recv(client, 1 << 16):
        pass


def test_without_a_backend_the_connection_is_reset(router: Router) -> None:
    with (
        router.routing({MINE: 1}),
        pytest.raises(requests.ConnectionError),
    ):
        requests.get(f"https://{MINE}/", timeout=10)


def test_no_thread_outlives_the_router() -> None:
    before = _routed()
    with serving() as port:
        with Router.running({MINE: port}, address=("127.0.0.1", 0)) as router:
            plain = socket.create_connection(router.address)
            client = ssl.create_default_context().wrap_socket(plain, server_hostname=MINE)
            silent = socket.create_connection(router.address)
            client.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
            assert processes.wait_until(lambda: len(_routed() - before) >= 2, 5)
        with client, silent:
            assert not _routed() - before


def _routed() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "routed"}


def test_the_longest_entry_wins() -> None:
    table = {".amazonaws.com": 1, ".dkr.ecr.eu-west-1.amazonaws.com": 2, "gcr.io": 3}
    with Router.running(table, address=("127.0.0.1", 0)) as router:
        assert router.port_of("sts.amazonaws.com") == 1
        assert router.port_of("1.dkr.ecr.eu-west-1.amazonaws.com") == 2
        assert router.port_of("gcr.io") == 3
        assert router.port_of("eu.gcr.io") is None
        assert router.port_of("evilamazonaws.com") is None
        with router.routing({"gcr.io": 4, "eu.gcr.io": 5}):
            assert router.port_of("gcr.io") == 4
        assert router.port_of("gcr.io") == 3


# Another box within this one


def in_box(*command: str) -> list[str]:
    return [sys.executable, "-m", "tests.standins.box", *command]


def run_in_box(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(in_box(*command), check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_the_status_is_the_commands(script: str, status: int) -> None:
    assert run_in_box("sh", "-c", script).returncode == status


def test_a_missing_command_has_the_shells_status() -> None:
    result = run_in_box("no-such-program")

    assert (result.returncode, result.stderr) == (127, "box: no-such-program: command not found\n")


def test_standard_streams_are_the_callers() -> None:
    result = subprocess.run(
        in_box("sh", "-c", "cat; echo error >&2"),
        input="input",
        check=True,
        capture_output=True,
        text=True,
    )

    assert (result.stdout, result.stderr) == ("input", "error\n")


def test_no_process_outlives_the_command(tmp_path: Path) -> None:
    mark = tmp_path / "left"
    run_in_box("sh", "-c", f"(exec tail -f /dev/null {mark}) & (setsid tail -f {mark}) & sleep 0.1")

    assert processes.wait_until(lambda: not processes.mentioning(str(mark)), 5)


def test_no_process_outlives_a_box_that_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "left"
    mark.touch()
    with subprocess.Popen(in_box("tail", "-f", str(mark))) as process:
        assert processes.wait_until(lambda: _tails(mark), 10)
        process.kill()

    assert processes.wait_until(lambda: not processes.mentioning(str(mark)), 5)


def _tails(mark: Path) -> bool:
    return any(
        Path(f"/proc/{number}/comm").read_text(encoding="utf-8").strip() == "tail"
        for number in processes.mentioning(str(mark))
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_command(number: signal.Signals) -> None:
    script = (
        "import signal, sys; signal.signal(int(sys.argv[1]), lambda *_: sys.exit(9)); "
        "print('ready', flush=True); signal.pause()"
    )
    command = in_box(sys.executable, "-c", script, str(int(number)))
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(10) == 9


def test_a_signal_that_nobody_catches_ends_the_command() -> None:
    with subprocess.Popen(
        in_box("sh", "-c", "echo ready; exec sleep 100"), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(10) == 143


def test_mounts_and_files_vanish() -> None:
    hosts, mounts = Path("/etc/hosts").read_bytes(), _mounts()

    result = run_in_box("sh", "-c", "touch /run/left; ls /run $TEST_BOX_DIRECTORY/server.key")

    assert result.stdout.split() == ["/run/box/server.key", "/run:", "box", "left"]
    assert not Path("/run/left").exists()
    assert (Path("/etc/hosts").read_bytes(), _mounts()) == (hosts, mounts)


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()


def test_processes_see_only_those_of_the_box() -> None:
    result = run_in_box("sh", "-c", "echo /proc/[0-9]*")

    assert len(result.stdout.split()) <= 3
    assert "/proc/1" in result.stdout.split()


def test_networks_are_apart(backend: int) -> None:
    probe = f"import socket; socket.create_connection(('127.0.0.1', {backend}))"

    assert "Connection refused" in run_in_box(sys.executable, "-c", probe).stderr


def test_an_authority_of_one_box_is_not_believed_in_another(backend: int) -> None:
    outer = Path(os.environ["SSL_CERT_FILE"]).read_text(encoding="ascii")
    inner = run_in_box("cat", "/etc/ssl/certs/ca-certificates.crt").stdout

    own = inner.removeprefix(outer)
    assert own.count("BEGIN CERTIFICATE") == 1
    assert own.strip() not in outer
    assert backend


def test_others_than_root_have_no_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(box.NoBoxError, match="only root on Linux"):
        box.run(["true"])


@pytest.mark.parametrize("arguments", [[], ["true"]])
def test_without_a_box_the_status_is_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: Sequence[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["box", *arguments])

    assert box.main() == 2
    assert capsys.readouterr().err.count("\n") == 1
