from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError, ServiceError, UsageError
from gitops_release.core.image import Digest, ImageReference, Repository
from gitops_release.core.repository_settings import RepositorySettings
from gitops_release.registries.connection import AwsIdentity, Connection, Identities
from gitops_release.registries.ecr import EcrProvider, EcrPublicProvider
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy
from tests.unit.system.scripted import FakeTransport, http_client

HOST: Final = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
APP: Final = Repository(HOST, "team/app")
PUBLIC: Final = Repository("public.ecr.aws", "alias/team/app")
IMAGE: Final = ImageReference(APP, digest=Digest(f"sha256:{'0' * 64}"))
END: Final = dt.datetime(2026, 1, 2, 15, 4, 5, tzinfo=dt.timezone.utc)


def failure(code: str, status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "Call")


@dataclass
class Api:
    """ECR's API: answers or raises as told, by the call's name, and keeps the calls."""

    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    opened: list[tuple[str, str | None, Any]] = field(default_factory=list)
    redactor: Redactor = field(default_factory=Redactor)

    def client(self, session: boto3.Session, name: str, config: Any) -> Api:  # noqa: ANN401 - botocore's
        self.opened.append((name, session.region_name, config))
        return self

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a call
        def call(**arguments: object) -> Any:  # noqa: ANN401 - an answer
            self.calls.append((name, arguments))
            answer = self.answers.get(name, {})
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def connection(self) -> Connection:
        identities = Identities(
            tokens=None,  # type: ignore[arg-type]
            retry=RetryPolicy(lambda _: None),
            aws=AwsIdentity(access_key_id="AKIA0", secret_access_key=Secret("s3cret")),
        )
        transport = http_client(FakeTransport([]))
        return Connection(transport, self.redactor, identities=identities)

    def private(self, host: str = HOST) -> EcrProvider:
        return EcrProvider(host, self.connection())

    def public(self) -> EcrPublicProvider:
        return EcrPublicProvider("public.ecr.aws", self.connection())

    @property
    def created(self) -> dict[str, Any]:
        (arguments,) = [arguments for name, arguments in self.calls if name == "create_repository"]
        return arguments


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    api = Api()
    monkeypatch.setattr(
        boto3.Session,
        "client",
        lambda session, name, config=None: api.client(session, name, config),
    )
    return api


def token(text: str) -> dict[str, object]:
    return {"authorizationToken": base64.b64encode(text.encode()).decode(), "expiresAt": END}


def test_a_password_is_issued_for_the_host_s_account_and_region(api: Api) -> None:
    api.answers["get_authorization_token"] = {"authorizationData": [token("AWS:c4nary:x")]}
    found = api.private().fetch()
    assert found == Credentials("AWS", Secret("c4nary:x"), END)
    assert api.calls == [("get_authorization_token", {"registryIds": ["123456789012"]})]
    assert [call[:2] for call in api.opened] == [("ecr", "eu-west-1")]
    assert api.redactor.redact("c4nary:x") == "***"


def test_the_public_registry_s_passwords_come_from_one_region(api: Api) -> None:
    api.answers["get_authorization_token"] = {"authorizationData": token("AWS:c4nary")}
    assert api.public().fetch() == Credentials("AWS", Secret("c4nary"), END)
    assert [call[:2] for call in api.opened] == [("ecr-public", "us-east-1")]


def test_a_token_that_holds_no_password_is_the_service_s_fault(api: Api) -> None:
    api.answers["get_authorization_token"] = {"authorizationData": [token("c4nary")]}
    with pytest.raises(ServiceError) as caught:
        api.private().fetch()
    assert "c4nary" not in caught.value.message


@pytest.mark.parametrize(
    ("host", "fips", "dual"),
    [
        (HOST, False, False),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", True, False),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", False, True),
        ("123456789012.dkr-ecr-fips.us-east-1.on.aws", True, True),
    ],
)
def test_the_api_is_asked_at_the_kind_of_address_that_the_host_has(
    api: Api, host: str, *, fips: bool, dual: bool
) -> None:
    api.private(host).repository_exists(Repository(host, "app"))
    ((_, _, config),) = api.opened
    assert (config.use_fips_endpoint, config.use_dualstack_endpoint) == (fips, dual)
    assert config.retries["total_max_attempts"] > 1


@pytest.mark.parametrize(
    ("answer", "there"), [({}, True), (failure("RepositoryNotFoundException"), False)]
)
def test_a_repository_is_there_or_not(api: Api, answer: object, *, there: bool) -> None:
    api.answers["describe_repositories"] = answer
    assert api.private().repository_exists(APP) is there
    assert api.public().repository_exists(PUBLIC) is there
    (_, private), (_, public) = api.calls
    assert private == {"registryId": "123456789012", "repositoryNames": ["team/app"]}
    assert public == {"repositoryNames": ["team/app"]}


def test_who_may_not_look_does_not_learn_that_nothing_is_there(api: Api) -> None:
    api.answers["describe_repositories"] = failure("AccessDeniedException")
    with pytest.raises(AuthenticationError, match="AccessDeniedException"):
        api.private().repository_exists(APP)


def test_a_repository_is_created_with_aws_s_own_settings(api: Api) -> None:
    api.private().create_repository(APP, RepositorySettings())
    assert api.created == {
        "registryId": "123456789012",
        "repositoryName": "team/app",
        "imageTagMutability": "MUTABLE",
    }


def test_a_repository_is_created_as_told(api: Api) -> None:
    settings = RepositorySettings(
        immutable_tags=True,
        mutable_tag_filters=("latest*",),
        scan_on_push=False,
        kms_key="alias/images",
        tags=(("team", "web"),),
        lifecycle_policy='{"rules": []}',
        access_policy='{"Statement": []}',
    )
    api.private().create_repository(APP, settings)
    name = {"registryId": "123456789012", "repositoryName": "team/app"}
    assert api.calls == [
        (
            "create_repository",
            {
                **name,
                "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
                "imageTagMutabilityExclusionFilters": [
                    {"filterType": "WILDCARD", "filter": "latest*"}
                ],
                "imageScanningConfiguration": {"scanOnPush": False},
                "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/images"},
                "tags": [{"Key": "team", "Value": "web"}],
            },
        ),
        ("put_lifecycle_policy", {**name, "lifecyclePolicyText": '{"rules": []}'}),
        ("set_repository_policy", {**name, "policyText": '{"Statement": []}'}),
    ]


def test_a_repository_that_another_job_has_created_is_left_as_it_is(api: Api) -> None:
    api.answers["create_repository"] = failure("RepositoryAlreadyExistsException")
    api.private().create_repository(APP, RepositorySettings(lifecycle_policy="{}"))
    api.public().create_repository(PUBLIC, RepositorySettings())
    assert {name for name, _ in api.calls} == {"create_repository"}


@pytest.mark.parametrize(
    "settings",
    [
        RepositorySettings(immutable_tags=True),
        RepositorySettings(scan_on_push=False),
        RepositorySettings(kms_key="alias/x"),
        RepositorySettings(lifecycle_policy="{}"),
        RepositorySettings(access_policy="{}"),
        RepositorySettings(mutable_tag_filters=("latest",)),
    ],
)
def test_the_public_registry_refuses_what_it_lacks(api: Api, settings: RepositorySettings) -> None:
    with pytest.raises(UsageError, match=r"public\.ecr\.aws"):
        api.public().create_repository(PUBLIC, settings)
    assert api.calls == []


def test_a_public_image_has_an_alias(api: Api) -> None:
    with pytest.raises(UsageError, match=r"public\.ecr\.aws/ALIAS/NAME"):
        api.public().check(Repository("public.ecr.aws", "app"))
    api.public().check(PUBLIC)


@pytest.mark.parametrize(
    ("answer", "findings"),
    [
        (
            {"imageScanFindings": {"findingSeverityCounts": {"HIGH": 2, "LOW": 1}}},
            {"HIGH": 2, "LOW": 1},
        ),
        ({"imageScanFindings": {}}, {}),
        (failure("ScanNotFoundException"), None),
    ],
)
def test_findings_are_counted_or_unknown(api: Api, answer: object, findings: object) -> None:
    api.answers["describe_image_scan_findings"] = answer
    assert api.private().findings(IMAGE) == findings
    ((_, arguments),) = api.calls
    assert arguments["imageId"] == {"imageDigest": str(IMAGE.digest)}
