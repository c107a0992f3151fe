"""One registry's side of the distribution protocol, scripted; nothing leaves the process."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import (
    AuthenticationError,
    BuildError,
    ImmutableTagError,
    ServiceError,
)
from gitops_release.core.image import Digest, ImageReference
from gitops_release.registries.connection import Connection
from gitops_release.registries.oci import DistributionClient
from gitops_release.system.redaction import Redactor
from tests.unit.system.scripted import Answer, FakeTransport, Sent, http_client

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "r.example.com"
WEB = ImageReference.parse(f"{HOST}/acme/web:1")
USER = Credentials("user", Secret("hunter22"))
BASIC = "Basic " + base64.b64encode(b"user:hunter22").decode()
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


CONFIG = dump(
    {
        "os": "linux",
        "architecture": "amd64",
        "created": "2026-01-02T03:04:05Z",
        "config": {"Labels": {"team": "web"}},
    }
)
IMAGE = dump(
    {
        "mediaType": MANIFEST,
        "config": {"digest": digest_of(CONFIG), "size": 10},
        "layers": [{"size": 100}],
    }
)
MANY = dump(
    {
        "mediaType": INDEX,
        "manifests": [
            {
                "digest": digest_of(b"an attestation"),
                "platform": {"os": "unknown", "architecture": "unknown"},
            },
            {"digest": digest_of(IMAGE), "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": digest_of(b"other"), "platform": {"os": "linux", "architecture": "arm64"}},
        ],
    }
)
UNKNOWN = Answer(404, dump({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no"}]}))
REFUSED = Answer(401, dump({"errors": [{"code": "UNAUTHORIZED", "message": "bad"}]}))


def challenge(value: str) -> Answer:
    return Answer(401, REFUSED.body, {"WWW-Authenticate": value})


@dataclass
class Registry:
    """A registry that holds one image; answers by path override what it says.

    With ``wants`` it answers that challenge to whoever comes without ``accepts``.
    """

    answers: Mapping[str, Answer] = field(default_factory=dict)
    wants: str | None = None
    accepts: str = BASIC
    credentials: Credentials | None = USER
    auth_hosts: tuple[str, ...] = ()
    host: str = HOST

    def __post_init__(self) -> None:
        self.redactor = Redactor()
        self.transport = FakeTransport(self.answer)
        self.asked = 0
        connection = Connection(
            http_client(self.transport), self.redactor, self.credentials, self.auth_hosts
        )
        self.client = DistributionClient(self.host, connection, self.supply)

    def supply(self) -> Credentials | None:
        self.asked += 1
        return self.credentials

    def answer(self, sent: Sent) -> Answer:
        url = urlsplit(sent.url)
        known: dict[str, Answer] = {
            "/v2/acme/web/manifests/1": Answer(200, IMAGE),
            f"/v2/acme/web/manifests/{digest_of(IMAGE)}": Answer(200, IMAGE),
            f"/v2/acme/web/blobs/{digest_of(CONFIG)}": Answer(200, CONFIG),
            "/token": Answer(200, dump({"token": "t0ken"})),
            **self.answers,
        }
        is_registry = url.path.startswith("/v2/")
        if self.wants is not None and is_registry and not self.knows(sent):
            return challenge(self.wants)
        if sent.method == "PUT" and url.path not in self.answers:
            return Answer(201)
        return known.get(url.path, UNKNOWN)

    def knows(self, sent: Sent) -> bool:
        return sent.headers.get("Authorization") == self.accepts

    def sent_to(self, host: str) -> list[Sent]:
        return [sent for sent in self.transport.sent if urlsplit(sent.url).netloc == host]


def test_an_image_is_described_by_its_manifest_and_configuration() -> None:
    found = Registry().client.describe(WEB)
    assert found is not None
    assert found.digest == Digest(digest_of(IMAGE))
    assert found.configuration == Digest(digest_of(CONFIG))
    assert found.media_type == MANIFEST
    assert found.size == 110
    assert found.platforms == ("linux/amd64",)
    assert found.created == "2026-01-02T03:04:05Z"
    assert found.labels == {"team": "web"}


def test_an_index_is_described_by_its_first_image_without_attestations() -> None:
    registry = Registry({"/v2/acme/web/manifests/1": Answer(200, MANY)})
    found = registry.client.describe(WEB)
    assert found is not None
    assert found.digest == Digest(digest_of(MANY))
    assert found.media_type == INDEX
    assert found.platforms == ("linux/amd64", "linux/arm64")
    assert found.labels == {"team": "web"}


def test_an_image_is_looked_up_by_its_digest_if_it_has_one() -> None:
    registry = Registry({"/v2/acme/web/manifests/1": Answer(500)})
    pinned = ImageReference(WEB.repository, "1", Digest(digest_of(IMAGE)))
    assert registry.client.describe(pinned) is not None


@pytest.mark.parametrize("code", ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"])
def test_not_there_is_what_the_registry_calls_so(code: str) -> None:
    answer = Answer(404, dump({"errors": [{"code": code}]}))
    assert Registry({"/v2/acme/web/manifests/1": answer}).client.describe(WEB) is None


@pytest.mark.parametrize("body", [b"", b"<html>not found</html>", b"{}", b'{"errors":[]}'])
def test_another_404_says_nothing_about_the_image(body: bytes) -> None:
    registry = Registry({"/v2/acme/web/manifests/1": Answer(404, body)})
    with pytest.raises(ServiceError, match="404 without an error code"):
        registry.client.describe(WEB)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (
            ImageReference(WEB.repository, None, Digest(digest_of(CONFIG))),
            Answer(200, IMAGE),
        ),
        (WEB, Answer(200, IMAGE, {"Docker-Content-Digest": digest_of(b"other")})),
    ],
    ids=["asked", "claimed"],
)
def test_a_manifest_with_another_digest_is_not_used(
    reference: ImageReference, answer: Answer
) -> None:
    path = f"/v2/acme/web/manifests/{reference.digest or reference.tag}"
    with pytest.raises(ServiceError, match="expected a manifest with the digest"):
        Registry({path: answer}).client.describe(reference)


def test_a_configuration_with_other_content_is_not_used() -> None:
    path = f"/v2/acme/web/blobs/{digest_of(CONFIG)}"
    with pytest.raises(ServiceError, match="found other content"):
        Registry({path: Answer(200, b"{}")}).client.describe(WEB)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        dump({"config": {"digest": "sha256:short"}}),
        dump({"manifests": [{"platform": {"os": "linux", "architecture": "amd64"}}]}),
    ],
)
def test_a_page_that_is_no_manifest_is_the_service_s_fault(body: bytes) -> None:
    with pytest.raises(ServiceError):
        Registry({"/v2/acme/web/manifests/1": Answer(200, body)}).client.describe(WEB)


def test_a_blob_elsewhere_is_fetched_without_credentials() -> None:
    path = f"/v2/acme/web/blobs/{digest_of(CONFIG)}"
    moved = Answer(307, headers={"Location": "https://cdn.example.net/config?sig=5ecret"})
    registry = Registry({path: moved, "/config": Answer(200, CONFIG)}, wants="Basic realm=x")
    assert registry.client.describe(WEB) is not None
    (sent,) = registry.sent_to("cdn.example.net")
    assert "Authorization" not in sent.headers


@pytest.mark.parametrize("location", ["https://[bad", "file:///etc/passwd"])
def test_a_blob_nowhere_is_the_service_s_fault(location: str) -> None:
    path = f"/v2/acme/web/blobs/{digest_of(CONFIG)}"
    registry = Registry({path: Answer(307, headers={"Location": location})})
    with pytest.raises(ServiceError):
        registry.client.describe(WEB)


def test_a_registry_elsewhere_is_spoken_to_by_https() -> None:
    registry = Registry()
    registry.client.describe(WEB)
    assert {urlsplit(sent.url).scheme for sent in registry.transport.sent} == {"https"}


def test_this_machine_s_registry_is_spoken_to_by_http() -> None:
    registry = Registry(host="127.0.0.1:5000")
    registry.client.describe(ImageReference.parse("127.0.0.1:5000/acme/web:1"))
    assert {urlsplit(sent.url).scheme for sent in registry.transport.sent} == {"http"}


def test_docker_hub_answers_at_another_name() -> None:
    registry = Registry(
        host="docker.io",
        wants='Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
        accepts="Bearer t0ken",
    )
    assert registry.client.describe(ImageReference.parse("docker.io/acme/web:1")) is not None
    assert {urlsplit(sent.url).netloc for sent in registry.transport.sent} == {
        "registry-1.docker.io",
        "auth.docker.io",
    }


# Credentials


def test_nobody_is_given_credentials_who_does_not_ask() -> None:
    registry = Registry()
    registry.client.describe(WEB)
    assert not any("Authorization" in sent.headers for sent in registry.transport.sent)
    assert registry.asked == 0


def test_a_basic_challenge_is_answered_once_and_remembered() -> None:
    registry = Registry(wants='Basic realm="Registry"')
    assert registry.client.describe(WEB) is not None
    given = [sent.headers.get("Authorization") for sent in registry.transport.sent]
    assert given == [None, BASIC, BASIC]
    assert registry.asked == 1


BEARER = f'Bearer realm="https://{HOST}/token",service="{HOST}",scope="ignored"'


def test_a_bearer_challenge_is_answered_with_a_token() -> None:
    registry = Registry(wants=BEARER, accepts="Bearer t0ken")
    assert registry.client.describe(WEB) is not None
    _, token, *rest = registry.transport.sent
    url = urlsplit(token.url)
    assert (url.netloc, url.path) == (HOST, "/token")
    assert parse_qs(url.query) == {"service": [HOST], "scope": ["repository:acme/web:pull"]}
    assert token.headers["Authorization"] == BASIC
    assert [sent.headers["Authorization"] for sent in rest] == ["Bearer t0ken"] * 2


def test_a_realm_may_have_a_query_of_its_own() -> None:
    realm = f'Bearer realm="https://{HOST}/token?account=x"'
    registry = Registry(wants=realm, accepts="Bearer t0ken")
    assert registry.client.describe(WEB) is not None
    query = parse_qs(urlsplit(registry.transport.sent[1].url).query)
    assert query == {"account": ["x"], "scope": ["repository:acme/web:pull"]}


def test_a_public_image_is_read_with_an_anonymous_token() -> None:
    registry = Registry(wants=BEARER, accepts="Bearer t0ken", credentials=None)
    assert registry.client.describe(WEB) is not None
    assert "Authorization" not in registry.transport.sent[1].headers


def test_a_token_is_masked_from_now_on() -> None:
    token = Answer(200, dump({"access_token": "very-secret-token"}))
    registry = Registry({"/token": token}, BEARER, "Bearer very-secret-token")
    assert registry.client.describe(WEB) is not None
    assert registry.redactor.redact("very-secret-token") == "***"


def test_writing_needs_a_token_of_its_own() -> None:
    registry = Registry(wants=BEARER, accepts="Bearer t0ken")
    registry.client.add_tags(WEB.repository, Digest(digest_of(IMAGE)), ["2"])
    scopes = [
        scope
        for sent in registry.transport.sent
        for scope in parse_qs(urlsplit(sent.url).query).get("scope", [])
    ]
    assert scopes == ["repository:acme/web:pull", "repository:acme/web:pull,push"]


@pytest.mark.parametrize(
    "realm",
    [
        "https://evil.test/token",
        f"https://{HOST}.evil.test/token",
        f"https://{HOST}@evil.test/token",
        f"https://evil.test@{HOST}/token",
        f"https://{HOST}:8443/token",
        f"http://{HOST}/token",
        f"ftp://{HOST}/token",
        "//evil.test/token",
        "/token",
        "token",
        "",
        "https://auth.docker.io/token",
        "https://[bad/token",
    ],
)
def test_credentials_go_to_no_other_host(realm: str) -> None:
    registry = Registry(wants=f'Bearer realm="{realm}",service="{HOST}"')
    with pytest.raises(AuthenticationError, match="take its own credentials"):
        registry.client.describe(WEB)
    assert [urlsplit(sent.url).netloc for sent in registry.transport.sent] == [HOST]
    assert not any("Authorization" in sent.headers for sent in registry.transport.sent)


def test_the_user_may_name_another_host_for_credentials() -> None:
    registry = Registry(
        wants='Bearer realm="https://auth.example.net/token"',
        accepts="Bearer t0ken",
        auth_hosts=("auth.example.net",),
    )
    assert registry.client.describe(WEB) is not None
    (sent,) = registry.sent_to("auth.example.net")
    assert sent.headers["Authorization"] == BASIC


@pytest.mark.parametrize("wants", [BEARER, "Basic realm=x"])
def test_credentials_that_are_refused_again_are_an_authentication_error(wants: str) -> None:
    registry = Registry(wants=wants, accepts="nothing at all")
    with pytest.raises(AuthenticationError, match="refused the user name or password"):
        registry.client.describe(WEB)
    assert len(registry.sent_to(HOST)) <= 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_an_authentication_error(status: int) -> None:
    registry = Registry({"/token": Answer(status)}, BEARER)
    with pytest.raises(AuthenticationError, match="refused the user name or password"):
        registry.client.describe(WEB)


def test_missing_credentials_are_named() -> None:
    registry = Registry(wants="Basic realm=x", credentials=None)
    with pytest.raises(AuthenticationError, match="found none") as caught:
        registry.client.describe(WEB)
    assert "DOCKER_LOGIN" in (caught.value.hint or "")


def test_denied_is_an_authentication_error_in_the_registry_s_words() -> None:
    denied = Answer(403, dump({"errors": [{"code": "DENIED", "message": "no write"}]}))
    with pytest.raises(AuthenticationError, match="DENIED: no write"):
        Registry({"/v2/acme/web/manifests/1": denied}).client.describe(WEB)


@pytest.mark.parametrize("wants", ["", "Negotiate", "Bearer service=x"])
def test_a_challenge_that_nobody_knows_is_an_authentication_error(wants: str) -> None:
    with pytest.raises(AuthenticationError, match="a Basic or Bearer challenge"):
        Registry(wants=wants).client.describe(WEB)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 5}', b"<html>"])
def test_an_answer_without_a_token_is_the_service_s_fault(body: bytes) -> None:
    with pytest.raises(ServiceError):
        Registry({"/token": Answer(200, body)}, BEARER).client.describe(WEB)


# Tags


def test_a_tag_is_the_same_manifest_put_again() -> None:
    registry = Registry()
    registry.client.add_tags(WEB.repository, Digest(digest_of(IMAGE)), ["2", "latest"])
    puts = [sent for sent in registry.transport.sent if sent.method == "PUT"]
    assert [(urlsplit(sent.url).path, sent.body) for sent in puts] == [
        ("/v2/acme/web/manifests/2", IMAGE),
        ("/v2/acme/web/manifests/latest", IMAGE),
    ]
    assert {sent.headers["Content-Type"] for sent in puts} == {MANIFEST}


def test_an_image_that_is_gone_is_not_tagged() -> None:
    with pytest.raises(ServiceError, match="nothing to tag"):
        Registry().client.add_tags(WEB.repository, Digest(digest_of(b"gone")), ["2"])


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("MANIFEST_INVALID", "no", BuildError),
        ("TAG_INVALID", "the tag is immutable", ImmutableTagError),
    ],
)
def test_a_tag_that_is_refused_is_told_in_the_registry_s_words(
    code: str, message: str, kind: type[Exception]
) -> None:
    answer = Answer(400, dump({"errors": [{"code": code, "message": message}]}))
    registry = Registry({"/v2/acme/web/manifests/2": answer})
    with pytest.raises(kind, match=f"{code}: {message}"):
        registry.client.add_tags(WEB.repository, Digest(digest_of(IMAGE)), ["2"])
