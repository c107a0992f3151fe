from __future__ import annotations

import base64
import json
from typing import Any, Final

import google.auth
import pytest
from google.auth import exceptions as auth_errors

from gitops_release.core.credentials import Secret
from gitops_release.core.errors import AuthenticationError, UsageError
from gitops_release.core.image import Repository
from gitops_release.registries.connection import Connection, GoogleIdentity, Identities
from gitops_release.registries.google import GoogleProvider, auth_error, service_account_info
from gitops_release.registries.google_paths import ArtifactRepository, artifact_repository
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy, TransientError
from tests.unit.system.scripted import FakeTransport, http_client

POOL: Final = "projects/1/locations/global/workloadIdentityPools/ci/providers/circleci"
KEY: Final = json.dumps({"type": "service_account", "private_key": "c4nary"})


class Tokens:
    """A job's token, and the audiences that were asked for."""

    def __init__(self) -> None:
        self.audiences: list[str | None] = []

    def token(self, audience: str | None) -> Secret:
        self.audiences.append(audience)
        return Secret("the job's token")


def provider(tokens: Tokens | None = None, **identity: Any) -> GoogleProvider:  # noqa: ANN401 - of several types
    audience = identity.pop("audience", None)
    identities = Identities(
        tokens=tokens or Tokens(),
        retry=RetryPolicy(lambda _: None),
        oidc_audience=audience,
        google=GoogleIdentity(**identity),
    )
    connection = Connection(http_client(FakeTransport([])), Redactor(), identities=identities)
    return GoogleProvider("europe-docker.pkg.dev", connection)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("europe-west1-docker.pkg.dev/p/apps/web", ("p", "europe-west1", "apps")),
        ("us-docker.pkg.dev/p/apps/team/web", ("p", "us", "apps")),
        ("gcr.io/p/web", ("p", "us", "gcr.io")),
        ("us.gcr.io/p/web", ("p", "us", "us.gcr.io")),
        ("eu.gcr.io/p/team/web", ("p", "europe", "eu.gcr.io")),
        ("asia.gcr.io/p/web", ("p", "asia", "asia.gcr.io")),
    ],
)
def test_an_image_s_repository_is_where_google_keeps_it(
    image: str, expected: tuple[str, str, str]
) -> None:
    found = artifact_repository(Repository.parse(image))
    assert found == ArtifactRepository(*expected)
    project, location, name = expected
    assert found.path == f"projects/{project}/locations/{location}/repositories/{name}"


@pytest.mark.parametrize("image", ["us-docker.pkg.dev/p", "us-docker.pkg.dev/p/web", "gcr.io/web"])
def test_a_path_that_lacks_a_part_is_the_request_s_mistake(image: str) -> None:
    with pytest.raises(UsageError, match="PROJECT"):
        provider(service_account_key=Secret(KEY)).check(Repository.parse(image))


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"\n{KEY}\n",
        base64.b64encode(KEY.encode()).decode(),
        base64.encodebytes(KEY.encode()).decode(),
    ],
    ids=["JSON", "with space", "base64", "base64 in lines"],
)
def test_a_key_is_json_or_base64_of_it(text: str) -> None:
    assert service_account_info(Secret(text)) == json.loads(KEY)


@pytest.mark.parametrize(
    "text",
    [
        "c4nary",
        "{c4nary",
        "[]",
        base64.b64encode(b"c4nary").decode(),
        base64.b64encode(b'["c4nary"]').decode(),
        "/home/ci/c4nary.json",
        # It would name the address that gets the job's token.
        '{"type": "external_account", "token_url": "https://evil.test/c4nary"}',
        '{"type": "authorized_user", "refresh_token": "c4nary"}',
        '{"private_key": "c4nary"}',
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        service_account_info(Secret(text))
    assert "c4nary" not in caught.value.message


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (
            {
                "workload_identity_provider": POOL,
                "service_account": "ci@example.com",
                "service_account_key": Secret(KEY),
            },
            "ci@example.com, since --gcp-workload-identity-provider",
        ),
        ({"service_account_key": Secret(KEY)}, "a service account's key"),
        ({}, "application default credentials"),
    ],
    ids=["federated", "key", "machine"],
)
def test_the_job_comes_before_the_key_and_the_key_before_the_machine(
    identity: dict[str, Any], words: str
) -> None:
    assert words in provider(**identity).identity()


@pytest.mark.parametrize(
    "resource", [POOL, f"//iam.googleapis.com/{POOL}", f"https://iam.googleapis.com/{POOL}"]
)
def test_a_federated_identity_shows_the_job_s_token_to_google_alone(resource: str) -> None:
    tokens = Tokens()
    found = provider(
        tokens,
        workload_identity_provider=resource,
        service_account="ci@example.com",
        audience="mine",
    )._google_credentials()
    info = found.info
    assert info["audience"] == f"//iam.googleapis.com/{POOL}"
    assert info["token_url"] == "https://sts.googleapis.com/v1/token"
    assert info["service_account_impersonation_url"].endswith(
        "/serviceAccounts/ci@example.com:generateAccessToken"
    )
    supplier = found._subject_token_supplier
    assert supplier.get_subject_token(None, None) == "the job's token"
    assert tokens.audiences == ["mine"]


def test_a_machine_without_credentials_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def default(**_: object) -> None:
        raise auth_errors.DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", default)
    with pytest.raises(AuthenticationError, match="found none") as caught:
        provider().fetch()
    assert "--gcp-workload-identity-provider" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (auth_errors.TransportError("reset"), 0, TransientError),
        (auth_errors.RefreshError("later", retryable=True), 0, TransientError),
        (auth_errors.OAuthError("Error code 503: <html>"), 503, TransientError),
        (auth_errors.OAuthError("Error code x: slow down"), 429, TransientError),
        (auth_errors.OAuthError("Error code invalid_grant: expired"), 400, AuthenticationError),
        # A project's number may hold any status.
        (auth_errors.OAuthError("projects/5035004290 is denied"), 403, AuthenticationError),
        (auth_errors.RefreshError(), 0, AuthenticationError),
    ],
)
def test_a_failure_is_a_refusal_or_worth_another_attempt(
    error: auth_errors.GoogleAuthError, status: int, kind: type[Exception]
) -> None:
    assert isinstance(auth_error(error, status), kind)
