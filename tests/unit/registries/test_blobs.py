"""One registry's side of blobs, scripted; nothing leaves the process."""

from __future__ import annotations

import base64
import hashlib
import json
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from urllib3.exceptions import ProtocolError

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError, BuildError, ServiceError
from gitops_release.core.image import Digest, Repository
from gitops_release.registries.blobs import Blobs
from gitops_release.registries.connection import Connection
from gitops_release.registries.session import RegistrySession
from gitops_release.system.http import MAX_REDIRECTS, PIECE
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import TransientError
from tests.unit.system.scripted import Answer, FakeTransport, Sent, http_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


HOST: Final = "r.example.com"
CDN: Final = "cdn.example.net"
WEB: Final = Repository(HOST, "acme/web")
BASE: Final = Repository(HOST, "acme/base")
CONTENT: Final = b"a layer" * 1000
DIGEST: Final = Digest(f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
USER: Final = Credentials("user", Secret("hunter22"))
BASIC: Final = "Basic " + base64.b64encode(b"user:hunter22").decode()
UPLOADS: Final = "/v2/acme/web/blobs/uploads/"
BLOB: Final = f"/v2/acme/web/blobs/{DIGEST}"
STARTED: Final = Answer(202, headers={"Location": f"{UPLOADS}7"})
CHALLENGE: Final = Answer(401, headers={"WWW-Authenticate": 'Basic realm="r"'})


def errors(status: int, code: str) -> Answer:
    return Answer(status, json.dumps({"errors": [{"code": code, "message": "no"}]}).encode())


def received(sent: Sent) -> bytes:
    """Return a body that was sent, as a server reads it."""
    body: Any = sent.body
    if not hasattr(body, "read"):
        return body or b""
    return b"".join(iter(lambda: body.read(16384), b""))


class Server:
    """Answers by method and path; whoever comes without ``wants`` is challenged."""

    def __init__(
        self,
        answers: dict[tuple[str, str], Answer | Callable[[Sent], Answer]],
        wants: str | None = BASIC,
        credentials: Credentials | None = USER,
    ) -> None:
        self.answers = answers
        self.wants = wants
        self.bodies: list[bytes] = []
        self.transport = FakeTransport(self.answer)
        connection = Connection(http_client(self.transport), Redactor())
        self.blobs = Blobs(RegistrySession(HOST, connection, lambda: credentials))

    def answer(self, sent: Sent) -> Answer:
        url = urlsplit(sent.url)
        given = sent.headers.get("Authorization")
        if self.wants is not None and url.netloc == HOST and given != self.wants:
            return CHALLENGE
        answer = self.answers.get((sent.method, url.path), Answer(404))
        if not isinstance(answer, Answer):
            return answer(sent)
        self.bodies.append(received(sent))
        return answer

    def sent(self, method: str, host: str = HOST) -> list[Sent]:
        """Return what was sent with this method once the challenge was answered."""
        return [
            sent
            for sent in self.transport.sent
            if sent.method == method
            and urlsplit(sent.url).netloc == host
            and (host != HOST or sent.headers.get("Authorization") == self.wants)
        ]


class FakeDownload:
    """A blob that is being read, and how much of it was asked for."""

    def __init__(self, *pieces: bytes, failure: Exception | None = None) -> None:
        self.given = pieces
        self.taken = 0
        self.failure = failure

    @property
    def pieces(self) -> Iterator[bytes]:
        for piece in self.given:
            self.taken += len(piece)
            yield piece
        if self.failure is not None:
            raise self.failure


def upload(server: Server, content: bytes = CONTENT, size: int = len(CONTENT)) -> None:
    server.blobs.upload(WEB, DIGEST, size, FakeDownload(content))  # type: ignore[arg-type]


def taking(path: str = f"{UPLOADS}7") -> Server:
    """Return a registry that takes an upload."""
    return Server({("POST", UPLOADS): STARTED, ("PUT", path): Answer(201)})


# There or not


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        (Answer(200), True),
        (Answer(307, headers={"Location": f"https://{CDN}/blob"}), True),
        (Answer(404), False),
    ],
)
def test_a_blob_is_there_or_not(answer: Answer, there: bool) -> None:  # noqa: FBT001 - what is expected
    server = Server({("HEAD", BLOB): answer})
    assert server.blobs.has(WEB, DIGEST) is there
    assert server.sent("HEAD", CDN) == []


@pytest.mark.parametrize("status", [204, 400, 405])
def test_another_answer_is_not_taken_for_absence(status: int) -> None:
    server = Server({("HEAD", BLOB): Answer(status)})
    with pytest.raises(ServiceError, match=f"HTTP {status}"):
        server.blobs.has(WEB, DIGEST)


# Mount


def test_a_blob_is_mounted_from_another_repository() -> None:
    server = Server({("POST", UPLOADS): Answer(201)})
    assert server.blobs.mount(WEB, DIGEST, BASE) is True
    (sent,) = server.sent("POST")
    assert parse_qs(urlsplit(sent.url).query) == {"mount": [str(DIGEST)], "from": ["acme/base"]}
    assert server.bodies == [b""]


def test_a_declined_mount_leaves_no_upload_behind() -> None:
    server = Server({("POST", UPLOADS): STARTED, ("DELETE", f"{UPLOADS}7"): Answer(204)})
    server.blobs.may_push(WEB)  # who we are for writes is settled
    assert server.blobs.mount(WEB, DIGEST, BASE) is False
    assert [urlsplit(sent.url).path for sent in server.sent("DELETE")] == [f"{UPLOADS}7"] * 2


def test_a_mount_that_fails_is_not_taken_for_declined() -> None:
    server = Server({("POST", UPLOADS): errors(400, "NAME_INVALID")})
    with pytest.raises(ServiceError, match="NAME_INVALID"):
        server.blobs.mount(WEB, DIGEST, BASE)


def test_a_mount_reads_the_other_repository_with_the_same_token() -> None:
    bearer = f'Bearer realm="https://{HOST}/token",service="{HOST}"'
    scopes: list[list[str]] = []

    def answer(sent: Sent) -> Answer:
        url = urlsplit(sent.url)
        if url.path == "/token":
            scopes.append(parse_qs(url.query)["scope"])
            return Answer(200, b'{"token": "t0ken"}')
        if sent.headers.get("Authorization") != "Bearer t0ken":
            return Answer(401, headers={"WWW-Authenticate": bearer})
        return Answer(201)

    connection = Connection(http_client(FakeTransport(answer)), Redactor())
    assert Blobs(RegistrySession(HOST, connection, lambda: USER)).mount(WEB, DIGEST, BASE)
    assert scopes == [["repository:acme/web:pull,push", "repository:acme/base:pull"]]


# May we push?


def test_the_right_to_push_is_asked_for_by_an_upload_that_is_given_up() -> None:
    server = Server({("POST", UPLOADS): STARTED, ("DELETE", f"{UPLOADS}7"): Answer(204)})
    server.blobs.may_push(WEB)
    assert [sent.method for sent in server.transport.sent] == ["POST", "POST", "DELETE"]
    assert server.bodies == [b"", b""]


@pytest.mark.parametrize("status", [400, 404, 405])
def test_an_upload_that_cannot_be_given_up_is_forgotten(status: int) -> None:
    path = f"{UPLOADS}7"
    Server({("POST", UPLOADS): STARTED, ("DELETE", path): Answer(status)}).blobs.may_push(WEB)


@pytest.mark.usefixtures("clock")
def test_a_registry_that_fails_to_give_up_an_upload_has_let_us_push_all_the_same() -> None:
    path = f"{UPLOADS}7"
    Server({("POST", UPLOADS): STARTED, ("DELETE", path): Answer(500)}).blobs.may_push(WEB)


def test_who_may_not_push_is_told_so() -> None:
    server = Server({("POST", UPLOADS): errors(403, "DENIED")})
    with pytest.raises(AuthenticationError, match="DENIED"):
        server.blobs.may_push(WEB)


# Upload


@pytest.mark.parametrize(
    "location",
    [
        f"{UPLOADS}7",
        f"https://{HOST}{UPLOADS}7",
        f"https://{HOST}{UPLOADS}7?_state=s%2Fs%3D%3D",
        f"{UPLOADS}7?_state=a&n=1",
        f"//{HOST}{UPLOADS}7",
    ],
    ids=["path", "address", "address with a query", "path with a query", "without a scheme"],
)
def test_a_blob_is_sent_to_where_the_registry_says(location: str) -> None:
    server = taking()
    server.answers["POST", UPLOADS] = Answer(202, headers={"Location": location})
    upload(server)
    (put,) = server.sent("PUT")
    query = parse_qs(urlsplit(put.url).query, strict_parsing=True)
    asked = parse_qs(urlsplit(location).query)
    assert query == {**asked, "digest": [str(DIGEST)]}
    assert urlsplit(put.url).scheme == "https"
    assert server.bodies[-1] == CONTENT
    assert put.headers["Content-Length"] == str(len(CONTENT))
    assert put.headers["Content-Type"] == "application/octet-stream"
    assert "Transfer-Encoding" not in put.headers


@pytest.mark.parametrize(
    "host", [CDN, f"{HOST}:8443", f"{HOST}.evil.test", f"user@{HOST}", f"{HOST}@evil.test"]
)
def test_an_upload_elsewhere_carries_no_credentials(host: str) -> None:
    location = f"https://{host}/upload/7?sig=s"
    server = taking("/upload/7")
    server.wants = BASIC
    server.answers["POST", UPLOADS] = Answer(202, headers={"Location": location})
    upload(server)
    (put,) = [sent for sent in server.transport.sent if sent.method == "PUT"]
    assert "Authorization" not in put.headers
    assert server.bodies[-1] == CONTENT


@pytest.mark.parametrize("host", [HOST, CDN])
def test_no_blob_and_no_credentials_are_sent_in_the_clear(host: str) -> None:
    server = taking()
    server.answers["POST", UPLOADS] = Answer(202, headers={"Location": f"http://{host}{UPLOADS}7"})
    with pytest.raises(ServiceError, match="https"):
        upload(server)
    assert all(sent.url.startswith("https://") for sent in server.transport.sent)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "https://[bad", "ftp://x/"])
def test_an_upload_to_no_web_address_is_the_service_s_fault(location: str) -> None:
    server = taking()
    server.answers["POST", UPLOADS] = Answer(202, headers={"Location": location})
    with pytest.raises(ServiceError):
        upload(server)


def test_an_upload_to_nowhere_is_the_service_s_fault() -> None:
    server = taking()
    server.answers["POST", UPLOADS] = Answer(202)
    with pytest.raises(ServiceError, match="where to upload"):
        upload(server)


@pytest.mark.parametrize("status", [200, 204, 400, 404, 413])
def test_a_refused_blob_is_told_in_the_registry_s_words(status: int) -> None:
    server = taking()
    server.answers["PUT", f"{UPLOADS}7"] = errors(status, "DIGEST_INVALID")
    with pytest.raises(BuildError, match="DIGEST_INVALID: no"):
        upload(server)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_upload_is_for_another_attempt(status: int) -> None:
    server = taking()
    server.answers["PUT", f"{UPLOADS}7"] = Answer(status, headers={"Retry-After": "7"})
    with pytest.raises(TransientError) as caught:
        upload(server)
    assert caught.value.retry_after == 7


def test_an_answer_that_breaks_off_is_for_another_attempt() -> None:
    server = taking()
    server.answers["PUT", f"{UPLOADS}7"] = Answer(201, b"half", {"Content-Length": "1000"})
    with pytest.raises(TransientError):
        upload(server)


def test_pieces_are_passed_on_and_not_collected() -> None:
    download = FakeDownload(*[bytes(PIECE)] * 40)
    ahead: list[int] = []

    def read(sent: Sent) -> Answer:
        body: Any = sent.body
        assert download.taken == 0  # nothing is read before there is somebody to take it
        done = 0
        while piece := body.read(16384):
            done += len(piece)
            ahead.append(download.taken - done)
        assert done == 40 * PIECE
        return Answer(201)

    server = Server({("POST", UPLOADS): STARTED, ("PUT", f"{UPLOADS}7"): read})
    server.blobs.upload(WEB, DIGEST, 40 * PIECE, download)  # type: ignore[arg-type]
    assert max(ahead) < PIECE


def test_a_source_that_breaks_off_stops_the_upload() -> None:
    server = taking()
    broken = FakeDownload(CONTENT[:100], failure=TransientError("reset"))
    with pytest.raises(TransientError, match="reset"):
        server.blobs.upload(WEB, DIGEST, len(CONTENT), broken)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "size", [len(CONTENT) - 1, len(CONTENT) + 1, 1], ids=["longer", "shorter", "much longer"]
)
def test_a_blob_of_another_size_than_promised_is_not_sent_to_its_end(size: int) -> None:
    """More would be read as the next request, and for less the registry would wait."""
    server = taking()
    seen: list[bytes] = []

    def read(sent: Sent) -> Answer:
        body: Any = sent.body
        while piece := body.read(64):
            seen.append(piece)
        return Answer(201)

    server.answers["PUT", f"{UPLOADS}7"] = read
    with pytest.raises(TransientError, match=f"expected {size} bytes"):
        upload(server, size=size)
    assert sum(map(len, seen)) <= size


def test_an_empty_blob_is_sent_as_nothing() -> None:
    server = taking()
    server.blobs.upload(WEB, DIGEST, 0, FakeDownload())  # type: ignore[arg-type]
    (put,) = server.sent("PUT")
    assert put.headers["Content-Length"] == "0"


# Download


def test_a_blob_is_read_piece_by_piece() -> None:
    server = Server({("HEAD", BLOB): Answer(200), ("GET", BLOB): Answer(200, bytes(3 * PIECE))})
    with server.blobs.download(WEB, DIGEST) as download:
        assert [len(piece) for piece in download.pieces] == [PIECE] * 3
    (sent,) = server.sent("GET")
    assert sent.headers["Authorization"] == BASIC


def test_who_we_are_is_settled_before_a_blob_is_opened() -> None:
    server = Server({("HEAD", BLOB): Answer(200), ("GET", BLOB): Answer(200, CONTENT)})
    with server.blobs.download(WEB, DIGEST):
        pass
    assert [sent.method for sent in server.transport.sent] == ["HEAD", "HEAD", "GET"]


def test_a_blob_elsewhere_is_read_without_credentials() -> None:
    moved = Answer(307, headers={"Location": f"https://{CDN}/a?sig=5ecret"})
    again = Answer(302, headers={"Location": "/b?sig=5ecret"})
    server = Server(
        {
            ("HEAD", BLOB): moved,
            ("GET", BLOB): moved,
            ("GET", "/a"): again,
            ("GET", "/b"): Answer(200, CONTENT),
        }
    )
    with server.blobs.download(WEB, DIGEST) as download:
        assert b"".join(download.pieces) == CONTENT
    elsewhere = server.sent("GET", CDN)
    assert [urlsplit(sent.url).path for sent in elsewhere] == ["/a", "/b"]
    assert not any("Authorization" in sent.headers for sent in elsewhere)


def test_a_blob_that_comes_back_is_read_without_credentials() -> None:
    """Somebody in between could send us to another path of the registry, as ourselves."""
    moved = Answer(307, headers={"Location": f"https://{CDN}/a"})
    back = Answer(307, headers={"Location": f"https://{HOST}/v2/other/secret"})
    server = Server({("HEAD", BLOB): moved, ("GET", BLOB): moved, ("GET", "/a"): back})
    with pytest.raises(ServiceError, match="HTTP 401"):
        server.blobs.download(WEB, DIGEST)
    assert "Authorization" not in server.transport.sent[-1].headers


def test_redirects_end() -> None:
    moved = Answer(307, headers={"Location": f"https://{CDN}/a"})
    server = Server({("HEAD", BLOB): moved, ("GET", BLOB): moved, ("GET", "/a"): moved})
    with pytest.raises(ServiceError, match="redirects"):
        server.blobs.download(WEB, DIGEST)
    assert len(server.sent("GET", CDN)) == MAX_REDIRECTS - 1


def test_a_blob_that_is_not_there_is_the_service_s_fault() -> None:
    server = Server({})
    with pytest.raises(ServiceError, match="HTTP 404"):
        server.blobs.download(WEB, DIGEST)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_download_is_for_another_attempt(status: int) -> None:
    server = Server({("HEAD", BLOB): Answer(200), ("GET", BLOB): Answer(status)})
    with pytest.raises(TransientError):
        server.blobs.download(WEB, DIGEST)


def test_a_query_is_in_no_message() -> None:
    moved = Answer(307, headers={"Location": f"https://{CDN}/a?sig=5ecret"})
    server = Server({("HEAD", BLOB): moved, ("GET", BLOB): moved})
    with pytest.raises(ServiceError, match=CDN) as caught:
        server.blobs.download(WEB, DIGEST)
    assert "5ecret" not in caught.value.message


def test_a_download_that_breaks_off_is_for_another_attempt() -> None:
    half = Answer(200, CONTENT[:100], {"Content-Length": str(len(CONTENT))})
    server = Server({("HEAD", BLOB): Answer(200), ("GET", BLOB): half})
    with server.blobs.download(WEB, DIGEST) as download, pytest.raises(TransientError):
        list(download.pieces)


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError())),
        requests.ReadTimeout("timed out"),
        requests.ConnectionError(HTTPException("nonsense")),
    ],
)
def test_a_broken_connection_is_for_another_attempt(error: Exception) -> None:
    def fail(_: Sent) -> Answer:
        raise error

    server = taking()
    server.answers["PUT", f"{UPLOADS}7"] = fail
    with pytest.raises(TransientError):
        upload(server)
