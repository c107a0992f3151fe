"""The registries of the three clouds: SDKs run unmodified, and every refusal is the cloud's."""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import json
import os
import ssl
import subprocess
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import grpc
import jwt
import pytest
import requests
from azure.containerregistry import ContainerRegistryClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from google.api_core import exceptions as google_errors
from google.api_core.client_options import ClientOptions
from google.cloud.artifactregistry_v1 import ArtifactRegistryClient, Repository
from google.cloud.artifactregistry_v1.services.artifact_registry.transports import (
    ArtifactRegistryGrpcTransport,
)
from google.oauth2.credentials import Credentials

from tests.standins.clouds import ca
from tests.standins.clouds.acr import NOBODY, Acr
from tests.standins.clouds.artifact_registry import ApiError as GoogleError
from tests.standins.clouds.artifact_registry import ArtifactRegistry
from tests.standins.clouds.ecr import ApiError as AwsError
from tests.standins.clouds.ecr import Aws, Key, WebIdentityError
from tests.standins.clouds.fronts import (
    BasicFront,
    Front,
    Grant,
    Login,
    TokenFront,
    TokenRequest,
    Tokens,
    registries,
)
from tests.standins.github.faults import Fault, Reply, Reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.standins.dockerd import DockerClient, DockerDaemon

ACCOUNT, OTHER = "123456789012", "210987654321"
REGION = "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/release"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
OTHER_HOST = f"{OTHER}.dkr.ecr.{REGION}.amazonaws.com"
DUAL_STACK_HOST = f"{ACCOUNT}.dkr-ecr.{REGION}.on.aws"
OIDC_KEY = "not a secret, but long enough for an HMAC"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PARENT = "projects/acme/locations/europe-west1"


def unique() -> str:
    return f"app-{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True)
class Answered:
    status: int
    code: str
    message: str


@dataclass(frozen=True)
class Data:
    """A client of the registry API; `host` is the name by which a router would send it."""

    port: int
    host: str
    headers: dict[str, str]

    def send(
        self, method: str, path: str, content: bytes | Iterator[bytes] = b"", **headers: str
    ) -> requests.Response:
        url = path if path.startswith("http") else f"http://127.0.0.1:{self.port}{path}"
        sent = {"Host": self.host, "Accept": MANIFEST, **self.headers, **headers}
        return requests.request(method, url, data=content, headers=sent, timeout=30)

    def blob(self, name: str, content: bytes) -> dict[str, Any]:
        """Upload as docker does: a chunked PATCH, then a PUT."""
        begun = self.send("POST", f"/v2/{name}/blobs/uploads/")
        assert begun.status_code == 202, begun.text
        pieces = iter([content[:7], content[7:]])
        patched = self.send("PATCH", begun.headers["Location"], pieces)
        assert patched.status_code == 202, patched.text
        digest = digest_of(content)
        done = self.send("PUT", f"{patched.headers['Location']}&digest={digest}")
        assert done.status_code == 201, done.text
        return {"digest": digest, "size": len(content)}

    def image(self, name: str, text: str = "one") -> bytes:
        config = self.blob(name, json.dumps({"os": "linux", "architecture": text}).encode())
        layer = self.blob(name, f"a layer of {text}".encode())
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **layer}],
        }
        return json.dumps(document).encode()

    def put(self, name: str, tag: str, content: bytes) -> requests.Response:
        headers = {"Content-Type": MANIFEST}
        return self.send("PUT", f"/v2/{name}/manifests/{tag}", content, **headers)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def answered(answer: requests.Response) -> Answered:
    error = answer.json()["errors"][0]
    return Answered(answer.status_code, error["code"], error["message"])


def basic(user: str, password: str) -> dict[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def token_from(
    front: Front, host: str, path: str, login: dict[str, str], *scopes: str
) -> requests.Response:
    parameters = [("service", host), *(("scope", scope) for scope in scopes)]
    url = f"http://127.0.0.1:{front.port}{path}"
    headers = {"Host": host, **login}
    return requests.get(url, params=parameters, headers=headers, timeout=10)


def race(work: Callable[[], str], times: int = 8) -> Counter[str]:
    """Count what happens when work is done by several at the same moment."""
    barrier = threading.Barrier(times)

    def one(_: int) -> str:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(times) as pool:
        return Counter(pool.map(one, range(times)))


@pytest.fixture(scope="session", autouse=True)
def in_the_box() -> None:
    """Unlike their neighbours, these tests need no host names: loopback is enough."""


# Fronts before any registry.


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    hosts = ["registry.example", "other.example"]
    with registries(tmp_path_factory.mktemp("fronts"), hosts) as running:
        yield running


@pytest.fixture
def token_front(upstreams: dict[str, str]) -> Iterator[TokenFront]:
    def grant(asked: TokenRequest) -> Grant:
        return Grant(asked.login.user if asked.login else "", asked.scopes)

    with TokenFront.running(upstreams, grant) as front:
        yield front


def scoped(front: TokenFront, *scopes: str, host: str = "registry.example") -> Data:
    answer = token_from(front, host, "/v2/token", basic("ci", "x"), *scopes)
    return Data(front.port, host, {"Authorization": f"Bearer {answer.json()['token']}"})


def test_a_large_blob_goes_through_a_front_both_ways(token_front: TokenFront) -> None:
    name, content = unique(), os.urandom(20_000_000)
    data = scoped(token_front, f"repository:{name}:pull,push")

    pushed = data.blob(name, content)
    pulled = data.send("GET", f"/v2/{name}/blobs/{pushed['digest']}")

    assert digest_of(pulled.content) == pushed["digest"]


def test_the_challenge_names_the_host_of_the_request(token_front: TokenFront) -> None:
    anonymous = Data(token_front.port, "registry.example", {})

    answer = anonymous.send("POST", "/v2/app/blobs/uploads/")

    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="https://registry.example/v2/token",service="registry.example",'
        'scope="repository:app:pull,push"'
    )
    assert answered(answer).code == "UNAUTHORIZED"


def test_on_loopback_the_realm_is_http(token_front: TokenFront) -> None:
    origin = f"127.0.0.1:{token_front.port}"

    answer = requests.get(f"http://{origin}/v2/", timeout=10)

    expected = f'Bearer realm="http://{origin}/v2/token",service="{origin}"'
    assert answer.headers["WWW-Authenticate"] == expected


def test_a_token_without_the_scope_is_refused(token_front: TokenFront) -> None:
    data = scoped(token_front, "repository:app:pull")

    answer = data.send("POST", "/v2/app/blobs/uploads/")

    assert answer.status_code == 401
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_mounting_a_blob_needs_the_scope_of_its_source(token_front: TokenFront) -> None:
    source, target = unique(), unique()
    scopes = [f"repository:{source}:pull,push", f"repository:{target}:pull,push"]
    digest = scoped(token_front, scopes[0]).blob(source, b"mounted")["digest"]
    path = f"/v2/{target}/blobs/uploads/?mount={digest}&from={source}"

    assert scoped(token_front, scopes[1]).send("POST", path).status_code == 401
    assert scoped(token_front, *scopes).send("POST", path).status_code == 201


def test_a_token_of_another_host_is_refused(token_front: TokenFront) -> None:
    token = scoped(token_front, host="other.example").headers

    answer = Data(token_front.port, "registry.example", token).send("GET", "/v2/")

    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_token_expires_in_the_middle_of_a_push(upstreams: dict[str, str]) -> None:
    def grant(asked: TokenRequest) -> Grant:
        return Grant("ci", asked.scopes)

    with TokenFront.running(upstreams, grant, tokens=Tokens(uses=6)) as front:
        name = unique()
        data = scoped(front, f"repository:{name}:pull,push")
        content = data.image(name)  # six requests

        answer = data.put(name, "v1", content)

        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        again = scoped(front, f"repository:{name}:pull,push")
        assert again.put(name, "v1", content).status_code == 201


@pytest.mark.parametrize("when", ["expire", "lifetime"])
def test_tokens_expire(token_front: TokenFront, when: str) -> None:
    if when == "lifetime":
        token_front.tokens.lifetime = 0.05
    data = scoped(token_front)
    assert data.send("GET", "/v2/").status_code == 200

    if when == "expire":
        token_front.tokens.expire()
    else:
        time.sleep(0.1)

    assert data.send("GET", "/v2/").status_code == 401


def test_faults_before_and_after_the_effect(token_front: TokenFront) -> None:
    name = unique()
    data = scoped(token_front, f"repository:{name}:pull,push")
    content, path = data.image(name), f"/v2/{name}/manifests/v1"
    too_many = Reply(429, {"errors": [{"code": "TOOMANYREQUESTS"}]}, {"Retry-After": "3"})
    token_front.faults.add(Fault("PUT", path, too_many))
    token_front.faults.add(Fault("PUT", path, Reset(), "after"))

    first = data.put(name, "v1", content)
    assert (first.status_code, first.headers["Retry-After"]) == (429, "3")
    assert data.send("HEAD", path).status_code == 404

    with pytest.raises(requests.ConnectionError, match="reset"):
        data.put(name, "v1", content)
    assert data.send("HEAD", path).headers["Docker-Content-Digest"] == digest_of(content)


def test_a_fault_after_a_streamed_request_hides_its_effect(token_front: TokenFront) -> None:
    name = unique()
    data = scoped(token_front, f"repository:{name}:pull,push")
    begun = data.send("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
    path, digest = begun.partition("?")[0], digest_of(b"hidden")
    token_front.faults.add(Fault("PUT", path, Reply(503), "after"))

    answer = data.send("PUT", f"{begun}&digest={digest}", b"hidden")

    assert answer.status_code == 503
    assert data.send("HEAD", f"/v2/{name}/blobs/{digest}").status_code == 200


def test_repeated_accept_headers_all_arrive(token_front: TokenFront) -> None:
    name = unique()
    data = scoped(token_front, f"repository:{name}:pull,push")
    data.put(name, "v1", data.image(name))
    accepts = ["application/vnd.docker.distribution.manifest.v2+json", MANIFEST]
    connection = requests.packages.urllib3.HTTPConnectionPool("127.0.0.1", token_front.port)
    headers = requests.packages.urllib3.HTTPHeaderDict({**data.headers, "Host": data.host})
    for accept in accepts:
        headers.add("Accept", accept)

    answer = connection.request("GET", f"/v2/{name}/manifests/v1", headers=headers)
    connection.close()

    assert answer.headers["Content-Type"] == MANIFEST
    recorded = token_front.requests[-1].headers
    assert ", ".join(value for key, value in recorded if key == "Accept") == ", ".join(accepts)


def test_a_basic_front_looks_at_the_whole_password(upstreams: dict[str, str]) -> None:
    password = "x" * 80 + "right"

    def decide(login: Login, _: object) -> str | None:
        return login.user if login.password == password else None

    with BasicFront.running(upstreams, decide) as front:
        right = Data(front.port, "registry.example", basic("ci", password))
        wrong = Data(front.port, "registry.example", basic("ci", "x" * 80 + "wrong"))

        assert right.send("GET", "/v2/").status_code == 200
        assert wrong.send("GET", "/v2/").status_code == 401


# Amazon.


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    def verify(token: str) -> dict[str, Any]:
        if token == "no-keys":
            words = "Couldn't retrieve verification key from your identity provider"
            raise WebIdentityError("InvalidIdentityToken", words)
        claims: dict[str, Any] = jwt.decode(
            token, OIDC_KEY, ["HS256"], audience="sts.amazonaws.com"
        )
        return claims

    directory = tmp_path_factory.mktemp("ecr")
    with Aws.running(directory, [HOST, OTHER_HOST, DUAL_STACK_HOST], verify=verify) as running:
        running.trust(ROLE, lambda claims: claims["sub"] == "org/acme")
        yield running


@pytest.fixture
def key(aws: Aws) -> Key:
    return aws.add_key(ACCOUNT)


def client(aws: Aws, service: str, key: Key | None, **options: Any) -> Any:  # noqa: ANN401
    credentials = {}
    if key:
        credentials = {
            "aws_access_key_id": key.access_key_id,
            "aws_secret_access_key": key.secret_access_key,
            "aws_session_token": key.session_token,
        }
    url = f"http://127.0.0.1:{aws.control_port}"
    region = options.pop("region", REGION)
    return boto3.client(service, region_name=region, endpoint_url=url, **credentials, **options)


def password_of(aws: Aws, key: Key, region: str = REGION) -> str:
    answer = client(aws, "ecr", key, region=region).get_authorization_token()
    token = answer["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    assert user == "AWS"
    return password


def ecr_data(aws: Aws, password: str, host: str = HOST) -> Data:
    return Data(aws.data_port, host, basic("AWS", password))


def oidc(**claims: object) -> str:
    now = int(time.time())
    usual = {"iss": "https://oidc.example", "sub": "org/acme", "aud": "sts.amazonaws.com"}
    return jwt.encode({**usual, "exp": now + 60, **claims}, OIDC_KEY)


def assume(aws: Aws, token: str, role: str = ROLE) -> dict[str, Any]:
    sts = client(aws, "sts", None, config=Config(signature_version=UNSIGNED))
    answer: dict[str, Any] = sts.assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="job-7", WebIdentityToken=token, DurationSeconds=900
    )
    return answer


def error_of(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_aws_from_a_web_identity_to_an_image(aws: Aws) -> None:
    name, credentials = unique(), assume(aws, oidc())["Credentials"]
    key = aws.keys[credentials["AccessKeyId"]]
    ecr = client(aws, "ecr", key)
    created = ecr.create_repository(
        repositoryName=name, imageScanningConfiguration={"scanOnPush": True}
    )
    assert created["repository"]["repositoryUri"] == f"{HOST}/{name}"

    data = ecr_data(aws, password_of(aws, key))
    content = data.image(name)
    assert data.put(name, "v1", content).status_code == 201

    image = ecr.describe_images(repositoryName=name)["imageDetails"][0]
    layers = json.loads(content)
    size = layers["config"]["size"] + layers["layers"][0]["size"]
    assert (image["imageDigest"], image["imageTags"]) == (digest_of(content), ["v1"])
    assert image["imageSizeInBytes"] == size
    findings = ecr.describe_image_scan_findings(repositoryName=name, imageId={"imageTag": "v1"})
    assert findings["imageScanStatus"]["status"] == "COMPLETE"
    assert aws.sessions[-1].name == "job-7"
    assert aws.sessions[-1].claims["sub"] == "org/acme"
    identity = client(aws, "sts", key).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/release/job-7"


def test_aws_authorization_tokens_last_twelve_hours_and_differ(aws: Aws, key: Key) -> None:
    ecr = client(aws, "ecr", key)

    one, other = (ecr.get_authorization_token()["authorizationData"][0] for _ in range(2))

    assert one["authorizationToken"] != other["authorizationToken"]
    assert one["expiresAt"].timestamp() - time.time() == pytest.approx(12 * 3600, abs=60)
    assert one["proxyEndpoint"] == f"https://{HOST}"


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"sub": "org/other"}, ("AccessDenied", 403)),
        ({"exp": 1}, ("ExpiredTokenException", 400)),
        ({"aud": "somebody"}, ("InvalidIdentityToken", 400)),
    ],
)
def test_aws_refuses_web_identities(
    aws: Aws, claims: dict[str, Any], error: tuple[str, int]
) -> None:
    assert error_of(lambda: assume(aws, oidc(**claims))) == error


def test_aws_refuses_what_is_no_token_and_what_no_trust_policy_names(aws: Aws) -> None:
    invalid = ("InvalidIdentityToken", 400)
    assert error_of(lambda: assume(aws, "garbage")) == invalid
    assert error_of(lambda: assume(aws, "no-keys")) == invalid
    assert error_of(lambda: assume(aws, oidc(), ROLE + "x")) == ("AccessDenied", 403)


def test_aws_refuses_unknown_keys_wrong_secrets_and_expired_sessions(aws: Aws, key: Key) -> None:
    unknown = Key(ACCOUNT, "arn", "id", "AKIAUNKNOWN")
    wrong = Key(ACCOUNT, "arn", "id", key.access_key_id, "wrong")
    session = aws.keys[assume(aws, oidc())["Credentials"]["AccessKeyId"]]
    stripped = Key(ACCOUNT, "arn", "id", session.access_key_id, session.secret_access_key)
    words = {
        "ecr": ("UnrecognizedClientException", "InvalidSignatureException", 400),
        "sts": ("InvalidClientTokenId", "SignatureDoesNotMatch", 403),
    }
    for service, (unrecognized, mismatch, status) in words.items():
        call = "get_authorization_token" if service == "ecr" else "get_caller_identity"
        for used, code in [(unknown, unrecognized), (stripped, unrecognized), (wrong, mismatch)]:
            calls = client(aws, service, used)
            assert error_of(getattr(calls, call)) == (code, status)
    session.expires = 0
    assert error_of(client(aws, "ecr", session).describe_repositories)[0] == "ExpiredTokenException"


def test_aws_refuses_unsigned_calls(aws: Aws) -> None:
    unsigned = {"config": Config(signature_version=UNSIGNED)}

    for service, call, code in [
        ("ecr", "describe_repositories", "MissingAuthenticationTokenException"),
        ("sts", "get_caller_identity", "MissingAuthenticationToken"),
    ]:
        assert error_of(getattr(client(aws, service, None, **unsigned), call))[0] == code


def test_aws_denies_what_a_policy_does_not_allow(aws: Aws, key: Key) -> None:
    name = unique()
    client(aws, "ecr", key).create_repository(repositoryName=name)
    key.denied = {"ecr:CreateRepository", "ecr:InitiateLayerUpload"}

    with pytest.raises(ClientError, match="is not authorized to perform: ecr:CreateRepository"):
        client(aws, "ecr", key).create_repository(repositoryName=unique())
    data = ecr_data(aws, password_of(aws, key))
    refused = answered(data.send("POST", f"/v2/{name}/blobs/uploads/"))
    assert (refused.status, refused.code) == (403, "DENIED")
    assert data.send("GET", f"/v2/{name}/manifests/v1").status_code == 404


def test_ecr_refuses_wrong_passwords_users_and_regions(aws: Aws, key: Key) -> None:
    password = password_of(aws, key)
    foreign = password_of(aws, key, "us-east-1")

    for headers in [
        {},
        basic("AWS", password[:-1]),
        basic("ci", password),
        basic("AWS", foreign),
        {"Authorization": "Basic not-base64"},
    ]:
        answer = Data(aws.data_port, HOST, headers).send("GET", "/v2/")
        assert answer.status_code == 401
        expected = f'Basic realm="https://{HOST}/",service="ecr.amazonaws.com"'
        assert answer.headers["WWW-Authenticate"] == expected


def test_ecr_refuses_an_expired_password(aws: Aws, key: Key) -> None:
    data = ecr_data(aws, password_of(aws, key))
    assert data.send("GET", "/v2/").status_code == 200

    aws.passwords[base64.b64decode(data.headers["Authorization"][6:])[4:].decode()].expires = 0

    words = "Your authorization token has expired. Reauthenticate and try again."
    assert answered(data.send("GET", "/v2/")) == Answered(403, "DENIED", words)


def test_ecr_refuses_another_accounts_password_until_it_shares(aws: Aws) -> None:
    name, owner = unique(), aws.add_key(OTHER)
    client(aws, "ecr", owner).create_repository(repositoryName=name)
    stranger = aws.add_key(ACCOUNT, "stranger")
    data = ecr_data(aws, password_of(aws, stranger), OTHER_HOST)
    ecr = client(aws, "ecr", stranger)

    refused = answered(data.send("POST", f"/v2/{name}/blobs/uploads/"))
    assert (refused.status, refused.code) == (403, "DENIED")
    assert f"{OTHER}:repository/{name} because no resource-based policy" in refused.message
    described = {"registryId": OTHER, "repositoryNames": [name]}
    denied = ("AccessDeniedException", 400)
    assert error_of(lambda: ecr.describe_repositories(**described)) == denied

    aws.share(ACCOUNT, OTHER)
    try:
        assert data.send("POST", f"/v2/{name}/blobs/uploads/").status_code == 202
        assert ecr.describe_repositories(**described)["repositories"][0]["registryId"] == OTHER
    finally:
        aws.shared.clear()


def test_ecr_does_not_know_a_repository_that_was_not_created(aws: Aws, key: Key) -> None:
    data = ecr_data(aws, password_of(aws, key))

    for path in ["/v2/missing/blobs/uploads/", "/v2/missing/manifests/v1"]:
        method = "POST" if path.endswith("uploads/") else "GET"
        assert answered(data.send(method, path)) == Answered(
            404,
            "NAME_UNKNOWN",
            "The repository with name 'missing' does not exist "
            f"in the registry with id '{ACCOUNT}'",
        )


def test_ecr_refuses_an_immutable_tag_even_for_the_same_digest(aws: Aws, key: Key) -> None:
    name, ecr = unique(), client(aws, "ecr", key)
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    data = ecr_data(aws, password_of(aws, key))
    one, two = data.image(name), data.image(name, "two")
    assert data.put(name, "v1", one).status_code == 201

    for content in (one, two):
        assert answered(data.put(name, "v1", content)) == Answered(
            400,
            "TAG_INVALID",
            f"The image tag 'v1' already exists in the '{name}' repository "
            "and cannot be overwritten because the repository is immutable.",
        )
        put = {"repositoryName": name, "imageManifest": content.decode(), "imageTag": "v1"}
        code, _ = error_of(lambda: ecr.put_image(**put))  # noqa: B023 - called at once
        assert code == "ImageTagAlreadyExistsException"
    assert data.put(name, digest_of(one), one).status_code == 201
    assert data.put(name, "v2", one).status_code == 201


@pytest.mark.parametrize(
    ("mutability", "tag", "status"),
    [
        ("IMMUTABLE_WITH_EXCLUSION", "dev-1", 201),
        ("IMMUTABLE_WITH_EXCLUSION", "v1", 400),
        ("MUTABLE_WITH_EXCLUSION", "dev-1", 400),
        ("MUTABLE_WITH_EXCLUSION", "v1", 201),
    ],
)
def test_ecr_honours_exclusion_filters(
    aws: Aws, key: Key, mutability: str, tag: str, status: int
) -> None:
    name = unique()
    client(aws, "ecr", key).create_repository(
        repositoryName=name,
        imageTagMutability=mutability,
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
    )
    data = ecr_data(aws, password_of(aws, key))
    assert data.put(name, tag, data.image(name)).status_code == 201

    assert data.put(name, tag, data.image(name, "two")).status_code == status


def test_ecr_tags_an_image_by_its_api(aws: Aws, key: Key) -> None:
    name, ecr = unique(), client(aws, "ecr", key)
    ecr.create_repository(repositoryName=name)
    data = ecr_data(aws, password_of(aws, key))
    content = data.image(name)
    put = {"repositoryName": name, "imageManifest": content.decode(), "imageTag": "api"}
    missing = {**put, "imageManifest": content.decode().replace("sha256:", "sha256:0", 1)}
    assert error_of(lambda: ecr.put_image(**missing))[0] == "LayersNotFoundException"

    assert ecr.put_image(**put)["image"]["imageId"]["imageDigest"] == digest_of(content)

    assert data.send("GET", f"/v2/{name}/manifests/api").content == content
    assert error_of(lambda: ecr.put_image(**put))[0] == "ImageAlreadyExistsException"


def test_ecr_moves_a_mutable_tag_and_keeps_the_image_that_had_it(aws: Aws, key: Key) -> None:
    name, ecr = unique(), client(aws, "ecr", key)
    ecr.create_repository(repositoryName=name)
    data = ecr_data(aws, password_of(aws, key))
    one, two = data.image(name), data.image(name, "two")

    for content in (one, two):
        assert data.put(name, "latest", content).status_code == 201

    images = ecr.describe_images(repositoryName=name)["imageDetails"]
    tags = {image["imageDigest"]: image.get("imageTags") for image in images}
    assert tags == {digest_of(one): None, digest_of(two): ["latest"]}


@pytest.mark.parametrize("what", ["image", "repository"])
def test_ecr_deletes_images_from_both_planes(aws: Aws, key: Key, what: str) -> None:
    name, ecr = unique(), client(aws, "ecr", key)
    ecr.create_repository(repositoryName=name)
    data = ecr_data(aws, password_of(aws, key))
    data.put(name, "v1", data.image(name))

    if what == "image":
        ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])
    else:
        refused = error_of(lambda: ecr.delete_repository(repositoryName=name))
        assert refused[0] == "RepositoryNotEmptyException"
        ecr.delete_repository(repositoryName=name, force=True)
        ecr.create_repository(repositoryName=name)

    assert data.send("HEAD", f"/v2/{name}/manifests/v1").status_code == 404
    assert ecr.describe_images(repositoryName=name)["imageDetails"] == []


def test_ecr_lets_one_of_many_creators_win(aws: Aws, key: Key) -> None:
    name = unique()

    def create() -> str:
        try:
            client_of_thread.create_repository(repositoryName=name)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "created"

    client_of_thread = client(aws, "ecr", key)

    assert race(create) == {"created": 1, "RepositoryAlreadyExistsException": 7}


def test_ecr_lets_one_of_many_pushes_of_an_immutable_tag_win(aws: Aws, key: Key) -> None:
    name = unique()
    client(aws, "ecr", key).create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    data = ecr_data(aws, password_of(aws, key))
    content = data.image(name)

    statuses = race(lambda: str(data.put(name, "v1", content).status_code))

    assert statuses == {"201": 1, "400": 7}


def test_ecr_fails_when_asked_to(aws: Aws, key: Key) -> None:
    name, ecr = unique(), client(aws, "ecr", key, config=Config(retries={"total_max_attempts": 1}))
    aws.fail("CreateRepository", AwsError("ThrottlingException", "Rate exceeded"))

    assert error_of(lambda: ecr.create_repository(repositoryName=name))[0] == "ThrottlingException"
    assert ecr.create_repository(repositoryName=name)["repository"]["repositoryName"] == name
    assert aws.calls[-2:] == ["CreateRepository", "CreateRepository"]


def test_the_names_of_one_registry_share_their_images(aws: Aws, key: Key) -> None:
    name = unique()
    client(aws, "ecr", key).create_repository(repositoryName=name)
    password = password_of(aws, key)
    one, other = (ecr_data(aws, password, host) for host in (HOST, DUAL_STACK_HOST))

    one.put(name, "v1", one.image(name))

    assert other.send("HEAD", f"/v2/{name}/manifests/v1").status_code == 200


def test_ecr_public(aws: Aws, key: Key) -> None:
    name, public = unique(), client(aws, "ecr-public", key, region="us-east-1")
    uri = public.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    described = public.describe_repositories(repositoryNames=[name])["repositories"]
    assert described[0]["repositoryUri"] == uri
    again = error_of(lambda: public.create_repository(repositoryName=name))
    assert again[0] == "RepositoryAlreadyExistsException"
    token = public.get_authorization_token()["authorizationData"]["authorizationToken"]
    login = {"Authorization": f"Basic {token}"}
    path = uri.removeprefix("public.ecr.aws/")
    scopes = (f"repository:{path}:pull,push", "repository:a/missing:pull,push")
    answer = token_from(aws.public_data, "public.ecr.aws", "/token/", login, *scopes)

    bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
    data = Data(aws.public_port, "public.ecr.aws", bearer)

    assert data.put(path, "v1", data.image(path)).status_code == 201
    missing = answered(data.send("POST", "/v2/a/missing/blobs/uploads/"))
    assert (missing.status, missing.code) == (404, "NAME_UNKNOWN")
    private = basic("AWS", password_of(aws, key))
    refused = token_from(aws.public_data, "public.ecr.aws", "/token/", private)
    assert refused.status_code == 401


def test_ecr_public_is_in_one_region_alone(aws: Aws, key: Key) -> None:
    public = client(aws, "ecr-public", key, region=REGION)

    assert error_of(public.get_authorization_token)[0] == "InvalidSignatureException"


# Azure.


class Entra:
    """A credential of the SDK."""

    def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken("entra", int(time.time()) + 3600)


def entra_is_valid(token: str) -> dict[str, str] | None:
    return {"appid": token, "tid": "tenant"} if token in {"entra", "reader"} else None


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> ca.Certificates:
    return ca.create(tmp_path_factory.mktemp("ca"), ["localhost"])


@pytest.fixture(scope="module")
def acr(tmp_path_factory: pytest.TempPathFactory, certificates: ca.Certificates) -> Iterator[Acr]:
    """Return a registry behind TLS: the SDK insists on it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.key)
    directory = tmp_path_factory.mktemp("acr")
    with Acr.running(directory, entra_is_valid=entra_is_valid, tls=context) as running:
        running.roles["reader"] = {"pull", "metadata_read"}
        running.add_user("acme", "admin password")
        yield running


# The SDK leaves connections unclosed whose answer (the 401 of a challenge) it does not read.
leaking = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def azure(acr: Acr, certificates: ca.Certificates) -> Iterator[ContainerRegistryClient]:
    verify = str(certificates.authority)
    endpoint = f"https://localhost:{acr.port}"
    with ContainerRegistryClient(endpoint, Entra(), connection_verify=verify) as running:
        yield running
    gc.collect()  # now, not in a test that has nothing to do with it


@pytest.fixture
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acr]:
    """Return a registry over HTTP, as it is behind the router."""
    with Acr.running(tmp_path_factory.mktemp("acr"), entra_is_valid=entra_is_valid) as running:
        running.roles["reader"] = {"pull"}
        running.add_user("acme", "admin password")
        yield running


def azure_image(
    azure: ContainerRegistryClient, name: str, text: bytes = b"layer"
) -> dict[str, Any]:
    layer, size = azure.upload_blob(name, io.BytesIO(text))
    config = json.dumps({"os": "linux", "architecture": "arm64"}).encode()
    digest, config_size = azure.upload_blob(name, io.BytesIO(config))
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest,
            "size": config_size,
        },
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": size}
        ],
    }


@leaking
def test_acr_serves_the_sdk(azure: ContainerRegistryClient) -> None:
    name = f"team/{unique()}"
    manifest = azure_image(azure, name)
    digest = azure.set_manifest(name, manifest, tag="v1")
    azure.set_manifest(name, manifest, tag="v2")

    assert name in list(azure.list_repository_names())
    assert azure.get_manifest(name, "v1").digest == digest
    properties = azure.get_repository_properties(name)
    assert (properties.manifest_count, properties.tag_count) == (1, 2)
    tags = list(azure.list_tag_properties(name, results_per_page=1))
    assert [(tag.name, tag.digest) for tag in tags] == [("v1", digest), ("v2", digest)]
    found = azure.get_manifest_properties(name, "v1")
    assert (found.digest, found.tags, found.architecture) == (digest, ["v1", "v2"], "arm64")

    azure.delete_tag(name, "v1")
    with pytest.raises(ResourceNotFoundError):
        azure.get_manifest(name, "v1")
    assert azure.get_manifest(name, "v2").digest == digest
    azure.delete_manifest(name, digest)
    assert azure.get_repository_properties(name).manifest_count == 0
    azure.delete_repository(name)
    assert name not in list(azure.list_repository_names())


@leaking
def test_acr_locks_hold(azure: ContainerRegistryClient) -> None:
    name = unique()
    manifest = azure_image(azure, name)
    azure.set_manifest(name, manifest, tag="v1")
    assert not azure.update_tag_properties(name, "v1", can_write=False, can_delete=False).can_write

    def disallowed(call: Callable[[], object]) -> None:
        with pytest.raises(HttpResponseError, match="operation is disallowed") as caught:
            call()
        assert caught.value.status_code == 405

    disallowed(lambda: azure.set_manifest(name, manifest, tag="v1"))
    disallowed(lambda: azure.set_manifest(name, azure_image(azure, name, b"other"), tag="v1"))
    disallowed(lambda: azure.delete_tag(name, "v1"))
    disallowed(lambda: azure.delete_repository(name))
    azure.set_manifest(name, manifest, tag="v2")
    azure.update_repository_properties(name, can_write=False)
    disallowed(lambda: azure.set_manifest(name, manifest, tag="v3"))


def exchange(acr: Acr, **form: str) -> requests.Response:
    usual = {
        "grant_type": "access_token",
        "service": "acme.azurecr.io",
        "tenant": "tenant",
        "access_token": "entra",
    }
    return requests.post(
        f"http://127.0.0.1:{acr.port}/oauth2/exchange",
        data={**usual, **form},
        headers={"Host": "acme.azurecr.io"},
        timeout=10,
    )


def acr_token(acr: Acr, user: str, password: str, *scopes: str) -> requests.Response:
    login = basic(user, password)
    return token_from(acr, "acme.azurecr.io", "/oauth2/token", login, *scopes)


def acr_data(acr: Acr, user: str, password: str, *scopes: str) -> Data:
    token = acr_token(acr, user, password, *scopes).json()["access_token"]
    return Data(acr.port, "acme.azurecr.io", {"Authorization": f"Bearer {token}"})


def test_acr_logins(plain: Acr) -> None:
    refresh = exchange(plain).json()["refresh_token"]
    plain.add_user("3f1e-sp", "secret")
    assert jwt.decode(refresh, options={"verify_signature": False})["exp"] == pytest.approx(
        time.time() + 3 * 3600, abs=60
    )

    for user, password in [(NOBODY, refresh), ("3f1e-sp", "secret"), ("acme", "admin password")]:
        name = unique()
        data = acr_data(plain, user, password, f"repository:{name}:pull,push")
        assert data.put(name, "v1", data.image(name)).status_code == 201
    forms: list[dict[str, str]] = [
        {"grant_type": "refresh_token", "refresh_token": refresh},
        {"grant_type": "password", "username": "acme", "password": "admin password"},
    ]
    for form in forms:
        form |= {"service": "acme.azurecr.io", "scope": "repository:x:pull"}
        url = f"http://127.0.0.1:{plain.port}/oauth2/token"
        answer = requests.post(url, form, headers={"Host": "acme.azurecr.io"}, timeout=10)
        token = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
        assert token["access"] == [{"Type": "repository", "Name": "x", "Actions": ["pull"]}]


def test_acr_refuses_logins(plain: Acr) -> None:
    words = "authentication required, visit https://aka.ms/acr/authorization for more information."
    unauthorized = Answered(401, "UNAUTHORIZED", words)
    refresh = exchange(plain).json()["refresh_token"]

    for form in [{"access_token": "bad"}, {"tenant": "other"}, {"service": "other.azurecr.io"}]:
        assert answered(exchange(plain, **form)) == unauthorized
    for user, password in [(NOBODY, "bad"), ("acme", "wrong"), ("acme", refresh)]:
        assert answered(acr_token(plain, user, password)) == unauthorized
    access = acr_token(plain, NOBODY, refresh).json()["access_token"]
    assert answered(acr_token(plain, NOBODY, access)) == unauthorized
    plain.refresh_tokens.expire()
    assert answered(acr_token(plain, NOBODY, refresh)) == unauthorized


def test_acr_grants_a_reader_less_than_it_asks_for(plain: Acr) -> None:
    refresh = exchange(plain, access_token="reader").json()["refresh_token"]

    data = acr_data(plain, NOBODY, refresh, "repository:app:pull,push")
    answer = data.send("POST", "/v2/app/blobs/uploads/")

    assert answer.status_code == 401
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert 'realm="https://acme.azurecr.io/oauth2/token"' in answer.headers["WWW-Authenticate"]


def test_acr_throttles_the_exchange_when_asked_to(plain: Acr) -> None:
    reply = Reply(429, {"errors": [{"code": "TOOMANYREQUESTS"}]}, {"Retry-After": "7"})
    plain.faults.add(Fault("POST", "/oauth2/exchange", reply))

    answer = exchange(plain)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert exchange(plain).status_code == 200


def test_acr_lists_a_deleted_tag_no_more(plain: Acr) -> None:
    name = unique()
    actions = "pull,push,delete,metadata_read"
    data = acr_data(plain, "acme", "admin password", f"repository:{name}:{actions}")
    content = data.image(name)
    for tag in ("v1", "v2"):
        data.put(name, tag, content)

    assert data.send("DELETE", f"/acr/v1/{name}/_tags/v1").status_code == 202

    assert data.send("GET", f"/v2/{name}/tags/list").json() == {"name": name, "tags": ["v2"]}
    missing = answered(data.send("GET", f"/v2/{name}/manifests/v1"))
    assert (missing.status, missing.code) == (404, "MANIFEST_UNKNOWN")


# Google.


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArtifactRegistry]:
    directory = tmp_path_factory.mktemp("google")
    with ArtifactRegistry.running(
        directory,
        principal_of={"good": "writer", "weak": "reader", "none": "nobody"}.get,
        principal_of_key=lambda text: "writer" if text == '{"key": 1}' else None,
    ) as running:
        downloads = "artifactregistry.repositories.downloadArtifacts"
        running.permissions = {"reader": {downloads}, "nobody": set()}
        yield running


Call = tuple[ArtifactRegistryClient, dict[str, Any]]


@pytest.fixture(params=["rest", "grpc"])
def transport(
    google: ArtifactRegistry, request: pytest.FixtureRequest
) -> Iterator[Callable[[str | None], Call]]:
    """Return a maker of clients for a token: with what each call needs, on plain loopback."""
    if request.param == "rest":

        def over_rest(token: str | None) -> Call:
            options = ClientOptions(api_endpoint=f"http://127.0.0.1:{google.port}")
            credentials = Credentials(token or "unknown")
            credentials.refresh = lambda _: None  # type: ignore[method-assign]
            made = ArtifactRegistryClient(
                credentials=credentials, transport="rest", client_options=options
            )
            return made, {}

        yield over_rest
        return
    with grpc.insecure_channel(f"127.0.0.1:{google.port}") as channel:

        def over_grpc(token: str | None) -> Call:
            made = ArtifactRegistryClient(transport=ArtifactRegistryGrpcTransport(channel=channel))
            metadata = [("authorization", f"Bearer {token}")] if token else []
            return made, {"metadata": metadata}

        yield over_grpc


def docker_repository(**settings: object) -> Repository:
    return Repository(format_=Repository.Format.DOCKER, **settings)


def google_repository(google: ArtifactRegistry, *, immutable: bool = False) -> str:
    """Create a repository; return its name."""
    name = unique()
    options = ClientOptions(api_endpoint=f"http://127.0.0.1:{google.port}")
    made = ArtifactRegistryClient(
        credentials=Credentials("good"), transport="rest", client_options=options
    )
    wanted = docker_repository(docker_config={"immutable_tags": immutable})
    made.create_repository(parent=PARENT, repository_id=name, repository=wanted).result()
    return name


def google_token(
    google: ArtifactRegistry, login: dict[str, str], *scopes: str, host: str = ""
) -> requests.Response:
    host = host or "europe-west1-docker.pkg.dev"
    return token_from(google.data, host, "/v2/token", login, *scopes)


def google_data(google: ArtifactRegistry, path: str, host: str = "") -> Data:
    host = host or "europe-west1-docker.pkg.dev"
    login = basic("oauth2accesstoken", "good")
    answer = google_token(google, login, f"repository:{path}:pull,push", host=host)
    assert answer.status_code == 200, answer.text
    return Data(google.data_port, host, {"Authorization": f"Bearer {answer.json()['token']}"})


def test_artifact_registry_serves_the_client(
    google: ArtifactRegistry, transport: Callable[[str | None], Call]
) -> None:
    client, with_token = transport("good")
    name = unique()
    path = f"{PARENT}/repositories/{name}"
    with pytest.raises(google_errors.NotFound):
        client.get_repository(name=path, **with_token)
    policy = {"id": "old", "action": "DELETE", "condition": {"older_than": {"seconds": 86400}}}
    wanted = docker_repository(
        docker_config={"immutable_tags": True},
        labels={"team": "a"},
        kms_key_name="projects/acme/keys/k",
        cleanup_policies={"old": policy},
        vulnerability_scanning_config={"enablement_config": "DISABLED"},
    )

    create = {"parent": PARENT, "repository_id": name, "repository": wanted}
    created = client.create_repository(**create, **with_token).result()
    with pytest.raises(google_errors.Conflict, match="the repository already exists"):
        client.create_repository(**create, **with_token)

    found = client.get_repository(name=path, **with_token)
    assert found == created
    assert found.registry_uri == f"europe-west1-docker.pkg.dev/acme/{name}"
    for setting in ("docker_config", "labels", "kms_key_name", "cleanup_policies", "format_"):
        assert getattr(found, setting) == getattr(wanted, setting)
    state = found.vulnerability_scanning_config.enablement_state
    assert state.name == "SCANNING_DISABLED"
    listing = {"parent": PARENT, "page_size": 1}
    listed = [one.name for one in client.list_repositories(request=listing, **with_token)]
    assert path in listed

    image = f"acme/{name}/team/app"
    data = google_data(google, image)
    content = data.image(image)
    assert data.put(image, "v1", content).status_code == 201
    images = list(client.list_docker_images(parent=path, **with_token))
    assert [(one.tags, one.media_type) for one in images] == [(["v1"], MANIFEST)]
    assert images[0].uri == f"europe-west1-docker.pkg.dev/{image}@{digest_of(content)}"
    assert client.get_docker_image(name=images[0].name, **with_token) == images[0]
    tag = client.get_tag(name=f"{path}/packages/team%2Fapp/tags/v1", **with_token)
    assert tag.version == f"{path}/packages/team%2Fapp/versions/{digest_of(content)}"


def test_artifact_registry_refuses_callers(transport: Callable[[str | None], Call]) -> None:
    name = f"{PARENT}/repositories/any"

    def refused(token: str | None, error: type[Exception], words: str) -> None:
        client, with_token = transport(token)
        with pytest.raises(error, match=words):
            client.get_repository(name=name, timeout=10, **with_token)

    refused(None, google_errors.Unauthorized, "authentication credential")
    refused("bad", google_errors.Unauthorized, "invalid authentication credentials")
    denied = (
        "Permission 'artifactregistry.repositories.get' denied on resource "
        f"'//artifactregistry.googleapis.com/{name}' "
    )
    refused("none", google_errors.Forbidden, denied)


def test_artifact_registry_lets_one_of_many_creators_win(
    transport: Callable[[str | None], Call],
) -> None:
    client, with_token = transport("good")
    create = {"parent": PARENT, "repository_id": unique(), "repository": docker_repository()}

    def work() -> str:
        try:
            client.create_repository(**create, **with_token)
        except google_errors.Conflict:
            return "conflict"
        return "created"

    assert race(work) == {"created": 1, "conflict": 7}


def test_artifact_registry_refuses_invalid_repositories(
    transport: Callable[[str | None], Call],
) -> None:
    client, with_token = transport("good")

    for name, wanted in [("UPPER", docker_repository()), ("gcr.io", docker_repository())]:
        with pytest.raises(google_errors.BadRequest):
            client.create_repository(
                parent=PARENT, repository_id=name, repository=wanted, **with_token
            )


def test_artifact_registry_fails_when_asked_to(
    google: ArtifactRegistry, transport: Callable[[str | None], Call]
) -> None:
    client, with_token = transport("good")
    google.fail("ListRepositories", GoogleError(grpc.StatusCode.UNAVAILABLE, "try again"))

    with pytest.raises(google_errors.ServiceUnavailable, match="try again"):
        client.list_repositories(parent=PARENT, retry=None, **with_token)
    client.list_repositories(parent=PARENT, retry=None, **with_token)


def test_google_logins(google: ArtifactRegistry) -> None:
    key = '{"key": 1}'
    encoded = base64.b64encode(key.encode()).decode()
    scope = f"repository:acme/{google_repository(google)}/app:pull,push"

    for user, password, status in [
        ("oauth2accesstoken", "good", 200),
        ("_json_key", key, 200),
        ("_json_key_base64", encoded, 200),
        ("oauth2accesstoken", "bad", 401),
        ("_json_key", encoded, 401),
        ("_json_key_base64", key, 401),
        ("ci", "good", 401),
    ]:
        assert google_token(google, basic(user, password), scope).status_code == status
    assert (
        requests.post(
            f"http://127.0.0.1:{google.data_port}/v2/token", {"grant_type": "password"}, timeout=10
        ).status_code
        == 404
    )


def test_google_denies_what_a_principal_may_not(google: ArtifactRegistry) -> None:
    name = google_repository(google)
    resource = f"{PARENT}/repositories/{name}"
    scope = f"repository:acme/{name}/app:pull,push"
    upload = "artifactregistry.repositories.uploadArtifacts"

    weak = google_token(google, basic("oauth2accesstoken", "weak"), scope)
    anonymous = google_token(google, {}, scope)

    words = f'Permission "{upload}" denied on resource "{resource}" (or it may not exist)'
    assert answered(weak) == Answered(403, "DENIED", words)
    words = (
        "Unauthenticated request. Unauthenticated requests do not have permission "
        f'"{upload}" on resource "{resource}" (or it may not exist)'
    )
    assert answered(anonymous) == Answered(403, "DENIED", words)
    pull = google_token(
        google, basic("oauth2accesstoken", "weak"), f"repository:acme/{name}/a:pull"
    )
    assert pull.status_code == 200


def test_google_does_not_know_a_repository_that_was_not_created(google: ArtifactRegistry) -> None:
    path = "acme/missing/app"

    answer = google_data(google, path).send("POST", f"/v2/{path}/blobs/uploads/")

    assert answered(answer) == Answered(404, "NAME_UNKNOWN", 'Repository "missing" not found')


def test_google_refuses_a_path_without_a_repository(google: ArtifactRegistry) -> None:
    login = basic("oauth2accesstoken", "good")
    token = google_token(google, login, "repository:acme/app:pull,push").json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    data = Data(google.data_port, "europe-west1-docker.pkg.dev", headers)

    answer = answered(data.send("POST", "/v2/acme/app/blobs/uploads/"))

    assert (answer.status, answer.code) == (400, "NAME_INVALID")


def test_gcr_io_is_a_repository_of_its_name(google: ArtifactRegistry) -> None:
    path = f"acme/{unique()}"
    data = google_data(google, path, host="gcr.io")
    missing = answered(data.send("POST", f"/v2/{path}/blobs/uploads/"))
    assert missing == Answered(404, "NAME_UNKNOWN", 'Repository "gcr.io" not found')
    options = ClientOptions(api_endpoint=f"http://127.0.0.1:{google.port}")
    client = ArtifactRegistryClient(
        credentials=Credentials("good"), transport="rest", client_options=options
    )
    client.create_repository(
        parent="projects/acme/locations/us",
        repository_id="gcr.io",
        repository=docker_repository(),
    ).result()

    assert data.put(path, "v1", data.image(path)).status_code == 201


def test_google_refuses_an_immutable_tag_for_another_digest_alone(
    google: ArtifactRegistry,
) -> None:
    path = f"acme/{google_repository(google, immutable=True)}/app"
    data = google_data(google, path)
    one, two = data.image(path), data.image(path, "two")
    assert data.put(path, "v1", one).status_code == 201

    assert data.put(path, "v1", one).status_code == 201
    assert answered(data.put(path, "v1", two)) == Answered(
        400,
        "MANIFEST_INVALID",
        "cannot update tag v1. The repository has enabled tag immutability",
    )


def test_google_tokens_expire(google: ArtifactRegistry) -> None:
    path = f"acme/{google_repository(google)}/app"
    data = google_data(google, path)
    google.data.tokens.expire()

    answer = data.send("POST", f"/v2/{path}/blobs/uploads/")

    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


# Docker itself.


def test_docker_pushes_through_every_front(
    aws: Aws,
    key: Key,
    plain: Acr,
    google: ArtifactRegistry,
    daemon: DockerDaemon,
    docker_client: DockerClient,
    build_context: Path,
    tmp_path: Path,
) -> None:
    created = unique()
    client(aws, "ecr", key).create_repository(repositoryName=created)
    repository = google_repository(google)
    targets = [
        (f"127.0.0.1:{aws.data_port}", created, "AWS", password_of(aws, key)),
        (f"127.0.0.1:{plain.port}", unique(), "acme", "admin password"),
        (f"127.0.0.1:{google.data_port}", f"acme/{repository}/app", "oauth2accesstoken", "good"),
    ]
    (build_context / "Dockerfile").write_text("FROM scratch\nCOPY busybox /busybox\n")
    environment = {
        **docker_client.environment(),
        "DOCKER_HOST": daemon.host,
        "HOME": str(tmp_path),
    }

    def docker(*arguments: str | Path, text: str = "") -> str:
        done = subprocess.run(
            ["docker", *arguments],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            input=text,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for host, path, user, password in targets:
        image = f"{host}/{path}:{uuid.uuid4().hex}"
        docker("build", "--tag", image, build_context)
        docker("login", "--username", user, "--password-stdin", host, text=password)
        assert "digest: sha256:" in docker("push", image)
        docker("rmi", image)
        docker("pull", image)
        docker("logout", host)
