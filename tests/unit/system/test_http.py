from __future__ import annotations

import email.utils
import ssl
import time
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from gitops_release.core.errors import ServiceError
from gitops_release.system.http import MAX_BODY, MAX_REDIRECTS, RETRIED, _retry_after
from tests.unit.system.scripted import Answer, FakeTransport, http_client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.system.scripted import Clock

URL = "https://r.example.com/v2/"
SIGNED = f"{URL}?X-Amz-Signature=5ecret"
MOVED = Answer(307, headers={"Location": "https://cdn.example.net/blob?sig=5ecret"})


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 401, 403, 404, 405, 409, 413, 501])
def test_what_another_attempt_cannot_change_is_an_answer(status: int, clock: Clock) -> None:
    transport = FakeTransport([Answer(status, b"body", {"X-Name": "value"})])
    response = http_client(transport).request("GET", URL)
    assert (response.status, response.body, response.url) == (status, b"body", URL)
    assert response.headers["x-name"] == "value"
    assert clock.slept == []


@pytest.mark.parametrize("status", sorted(RETRIED))
def test_a_failing_service_is_asked_again(status: int, clock: Clock) -> None:
    transport = FakeTransport([Answer(status), Answer(200, b"body")])
    assert http_client(transport).request("GET", URL).body == b"body"
    assert clock.slept == [2]


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError(ConnectionResetError(104, "Connection reset by peer")),
        requests.ConnectTimeout("timed out"),
        requests.ReadTimeout("timed out"),
        requests.exceptions.ChunkedEncodingError("broken"),
    ],
)
def test_a_broken_connection_is_tried_again(error: Exception, clock: Clock) -> None:
    transport = FakeTransport([error, Answer(200)])
    assert http_client(transport).request("GET", URL).status == 200
    assert clock.slept == [2]


def test_a_service_may_say_how_long_to_wait(clock: Clock) -> None:
    transport = FakeTransport([Answer(429, headers={"Retry-After": "17"}), Answer(200)])
    http_client(transport).request("GET", URL)
    assert clock.slept == [17]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("120", 120), (" 5 ", 5), ("", None), ("soon", None), ("-1", None), ("1.5", None)],
)
def test_a_wait_is_a_number_of_seconds(value: str, seconds: float | None) -> None:
    assert _retry_after({"Retry-After": value}) == seconds


def test_a_wait_may_be_a_date() -> None:
    then = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert _retry_after({"Retry-After": then}) == pytest.approx(100, abs=5)
    past = email.utils.formatdate(time.time() - 100, usegmt=True)
    assert _retry_after({"Retry-After": past}) == 0


@given(st.text(st.characters(max_codepoint=255)))
@example("\xb2")
@example("Mon, 01 Jan 99999 00:00:00 GMT")
def test_no_wait_of_a_service_is_a_bug(value: str) -> None:
    found = _retry_after({"Retry-After": value})
    assert found is None or found >= 0


def test_a_request_is_sent_as_it_is() -> None:
    transport = FakeTransport([Answer(201)])
    http_client(transport).request("PUT", URL, headers={"Content-Type": "x/y"}, body=b"\0\xff")
    (sent,) = transport.sent
    assert (sent.method, sent.url, sent.body) == ("PUT", URL, b"\0\xff")
    assert sent.headers["Content-Type"] == "x/y"
    assert sent.headers["User-Agent"] == "gitops-release/test"


def test_a_redirect_is_not_followed_with_credentials() -> None:
    transport = FakeTransport([MOVED])
    response = http_client(transport).request("GET", URL, headers={"Authorization": "Basic x"})
    assert response.status == 307
    assert [sent.url for sent in transport.sent] == [URL]


def test_a_redirect_is_followed_without_credentials() -> None:
    transport = FakeTransport([MOVED, Answer(302, headers={"Location": "/other"}), Answer(200)])
    http_client(transport).get_without_credentials(URL)
    assert [sent.url for sent in transport.sent] == [
        URL,
        "https://cdn.example.net/blob?sig=5ecret",
        "https://cdn.example.net/other",
    ]
    assert not any("Authorization" in sent.headers for sent in transport.sent)


def test_redirects_end() -> None:
    transport = FakeTransport(lambda sent: Answer(302, headers={"Location": sent.url}))
    with pytest.raises(ServiceError, match=f"at most {MAX_REDIRECTS} redirects") as caught:
        http_client(transport).get_without_credentials(SIGNED)
    assert "5ecret" not in caught.value.message


@pytest.mark.parametrize("location", ["file:///etc/passwd", "https://[bad", "gopher://x"])
def test_a_redirect_to_no_web_address_is_the_service_s_fault(location: str, clock: Clock) -> None:
    transport = FakeTransport([Answer(302, headers={"Location": location})])
    with pytest.raises(ServiceError):
        http_client(transport).get_without_credentials(URL)
    assert clock.slept == []


@pytest.mark.parametrize("url", ["https://user:pw@r.example.com/", URL])
def test_no_credentials_are_found_elsewhere(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine r.example.com login user password hunter22\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    transport = FakeTransport([Answer(200)])
    http_client(transport).request("GET", url)
    assert "Authorization" not in transport.sent[0].headers


def test_a_body_may_be_as_long_as_its_limit() -> None:
    transport = FakeTransport([Answer(200, b"x" * MAX_BODY)])
    assert len(http_client(transport).request("GET", URL).body) == MAX_BODY


def test_a_longer_body_is_not_read(clock: Clock) -> None:
    transport = FakeTransport([Answer(200, b"x" * 101)])
    with pytest.raises(ServiceError, match="at most 100 bytes") as caught:
        http_client(transport).request("GET", SIGNED, limit=100)
    assert "5ecret" not in caught.value.message
    assert clock.slept == []


def test_a_longer_body_is_not_read_in_a_redirect_either() -> None:
    transport = FakeTransport([Answer(302, b"x" * 101, {"Location": URL})])
    with pytest.raises(ServiceError, match="at most 100 bytes"):
        http_client(transport).request("GET", URL, limit=100)


@pytest.mark.parametrize("location", ["https://[bad", "\0", "//"])
def test_a_redirect_that_leads_nowhere_is_an_answer(location: str) -> None:
    transport = FakeTransport([Answer(302, headers={"Location": location})])
    assert http_client(transport).request("GET", URL).status == 302


def test_an_untrusted_certificate_is_explained_and_not_tried_again(clock: Clock) -> None:
    reason = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    transport = FakeTransport([requests.exceptions.SSLError(reason)])
    with pytest.raises(ServiceError, match=r"no trusted TLS connection: .*self-signed") as caught:
        http_client(transport).request("GET", SIGNED)
    assert "REQUESTS_CA_BUNDLE" in (caught.value.hint or "")
    assert "5ecret" not in caught.value.message
    assert clock.slept == []


def test_a_query_is_in_no_message(clock: Clock) -> None:
    announced: list[str] = []
    transport = FakeTransport(lambda _: Answer(503))
    client = http_client(transport)
    client._retry = type(client._retry)(announced.append)
    with pytest.raises(ServiceError) as caught:
        client.request("GET", SIGNED)
    assert len(announced) == len(clock.slept) == 4
    assert not any("5ecret" in text for text in [*announced, caught.value.message])
    assert caught.value.message == f"GET {URL}: HTTP 503 Reason (tried 5 times)"


def test_the_innermost_reason_is_shown(clock: Clock) -> None:
    inner = OSError(111, "Connection refused")
    error = requests.ConnectionError(requests.ConnectionError("Max retries exceeded", inner))
    transport = FakeTransport([error] * 5)
    with pytest.raises(ServiceError, match=r": Connection refused \(tried 5 times\)$"):
        http_client(transport).request("GET", URL)
    assert len(clock.slept) == 4
