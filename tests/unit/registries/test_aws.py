from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from gitops_release.core.credentials import Secret
from gitops_release.core.errors import AuthenticationError, GitopsReleaseError, ServiceError
from gitops_release.registries.aws import describe_identity, open_session, translated
from gitops_release.registries.connection import AwsIdentity, Identities
from gitops_release.system.retry import RetryPolicy

if TYPE_CHECKING:
    from tests.unit.system.scripted import Clock

ROLE: Final = "arn:aws:iam::123456789012:role/ci"
KEYS: Final = AwsIdentity(access_key_id="AKIA0", secret_access_key=Secret("s3cret"))


def failure(code: str, message: str = "no", status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "Call")


@dataclass
class World:
    """STS, which answers one error after the other and then keys."""

    errors: list[ClientError] = field(default_factory=list)
    calls: list[dict[str, object]] = field(default_factory=list)
    clients: list[tuple[str, str]] = field(default_factory=list)
    audiences: list[str | None] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)

    def identities(self, aws: AwsIdentity, audience: str | None = None) -> Identities:
        retry = RetryPolicy(self.announced.append)
        return Identities(tokens=self, retry=retry, oidc_audience=audience, aws=aws)

    def token(self, audience: str | None) -> Secret:
        self.audiences.append(audience)
        return Secret(f"token {len(self.audiences)}")

    def client(self, service: str, *, region_name: str, **_: object) -> World:
        self.clients.append((service, region_name))
        return self

    def assume_role_with_web_identity(self, **arguments: object) -> dict[str, object]:
        self.calls.append(arguments)
        if self.errors:
            raise self.errors.pop(0)
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        return {"Credentials": {name: name.lower() for name in names}}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(boto3, "client", world.client)
    return world


def keys(session: boto3.Session) -> tuple[str, str, str | None]:
    found = session.get_credentials()
    return found.access_key, found.secret_key, found.token


@pytest.mark.parametrize(
    ("aws", "words"),
    [
        (AwsIdentity(role_arn=ROLE, access_key_id="AKIA0", secret_access_key=Secret("s")), ROLE),
        (KEYS, "the access key AKIA0"),
        (AwsIdentity(access_key_id="AKIA0", secret_access_key=Secret("s"), profile="p"), "AKIA0"),
        (AwsIdentity(profile="ci"), "the profile ci"),
        (AwsIdentity(access_key_id="AKIA0"), "boto3's own chain"),
        (AwsIdentity(), "boto3's own chain"),
    ],
)
def test_the_identity_is_explained(world: World, aws: AwsIdentity, words: str) -> None:
    assert words in describe_identity(world.identities(aws))


def test_a_role_is_assumed_by_the_job_s_token(world: World) -> None:
    aws = AwsIdentity(role_arn=ROLE, session_name="circleci-1")
    session = open_session(world.identities(aws, "sts.amazonaws.com"), "eu-west-1")
    assert keys(session) == ("accesskeyid", "secretaccesskey", "sessiontoken")
    assert session.region_name == "eu-west-1"
    assert world.clients == [("sts", "eu-west-1")]
    assert world.audiences == ["sts.amazonaws.com"]
    (call,) = world.calls
    assert call["RoleArn"] == ROLE
    assert call["RoleSessionName"] == "circleci-1"
    assert call["WebIdentityToken"] == "token 1"


def test_an_issuer_that_could_not_be_asked_is_asked_again_with_a_new_token(
    world: World, clock: Clock
) -> None:
    said = "Couldn't retrieve verification key from your identity provider"
    world.errors = [failure("InvalidIdentityToken", said)] * 2
    open_session(world.identities(AwsIdentity(role_arn=ROLE)), "eu-west-1")
    assert [call["WebIdentityToken"] for call in world.calls] == ["token 1", "token 2", "token 3"]
    assert clock.slept == [2, 4]


@pytest.mark.parametrize("code", ["InvalidIdentityToken", "AccessDenied", "ExpiredTokenException"])
def test_a_token_that_is_refused_is_not_shown_again(world: World, clock: Clock, code: str) -> None:
    world.errors = [failure(code, "Not authorized to perform sts:AssumeRoleWithWebIdentity")]
    with pytest.raises(AuthenticationError, match=f"{code}: Not authorized"):
        open_session(world.identities(AwsIdentity(role_arn=ROLE)), "eu-west-1")
    assert len(world.calls) == 1
    assert clock.slept == []


@pytest.mark.parametrize("token", [None, "session"])
def test_keys_are_used_as_they_are(world: World, token: str | None) -> None:
    aws = AwsIdentity(
        access_key_id="AKIA0",
        secret_access_key=Secret("s3cret"),
        session_token=None if token is None else Secret(token),
    )
    session = open_session(world.identities(aws), "eu-west-1")
    assert keys(session) == ("AKIA0", "s3cret", token)
    assert world.audiences == []


def test_a_profile_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(AuthenticationError, match="nobody"):
        open_session(world.identities(AwsIdentity(profile="nobody")), "eu-west-1")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (failure("AccessDeniedException"), AuthenticationError),
        (failure("UnrecognizedClientException"), AuthenticationError),
        (failure("SomethingNew", status=403), AuthenticationError),
        (failure("SomethingNew", status=401), AuthenticationError),
        (failure("ServerException", status=500), ServiceError),
        (failure("ThrottlingException"), ServiceError),
        (NoCredentialsError(), AuthenticationError),
        (PartialCredentialsError(provider="env", cred_var="x"), AuthenticationError),
        (ProfileNotFound(profile="ci"), AuthenticationError),
        (EndpointConnectionError(endpoint_url="https://api.ecr"), ServiceError),
        (ConnectTimeoutError(endpoint_url="https://api.ecr"), ServiceError),
    ],
)
def test_each_failure_is_one_of_ours(error: Exception, kind: type[GitopsReleaseError]) -> None:
    with pytest.raises(kind, match="a password"), translated("a password"):
        raise error


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(KeyError), translated("a password"):
        raise KeyError("x")
