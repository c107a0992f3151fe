from __future__ import annotations

import base64
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError, GitopsReleaseError, ServiceError
from gitops_release.registries import acr
from gitops_release.registries.acr import USER, AcrProvider
from gitops_release.registries.connection import AzureIdentity, Connection, Identities
from gitops_release.system.redaction import Redactor
from gitops_release.system.retry import RetryPolicy
from tests.unit.system.scripted import Answer, FakeTransport, http_client

if TYPE_CHECKING:
    from collections.abc import Callable

HOST: Final = "acme0.azurecr.io"
ADMIN: Final = Credentials("acme0", Secret("admin-password"))
BY_JOB: Final = AzureIdentity(client_id="app", tenant_id="tenant")
BY_SECRET: Final = AzureIdentity(client_id="app", tenant_id="tenant", client_secret=Secret("s3"))
MACHINE: Final = AzureIdentity(managed_identity=True)
PAYLOAD: Final = base64.urlsafe_b64encode(b'{"exp":1767366245}').decode().rstrip("=")
REFRESH: Final = f"header.{PAYLOAD}.signature"
EXCHANGED: Final = Answer(200, json.dumps({"refresh_token": REFRESH}).encode())


class Entra:
    """Entra's credentials: how each was made, and what asking it for a token does."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.failure: Exception | None = None
        self.assertion: Callable[[], str] = str

    def making(self, name: str) -> Callable[..., Entra]:
        def make(*arguments: Any, **options: Any) -> Entra:  # noqa: ANN401 - as azure-identity has them
            self.made.append((name, arguments, options))
            if name == "ClientAssertionCredential":
                self.assertion = arguments[2]
            return self

        return make

    def get_token(self, *scopes: str) -> Any:  # noqa: ANN401 - an access token
        assert scopes == ("https://containerregistry.azure.net/.default",)
        if self.failure is not None:
            raise self.failure
        return type("AccessToken", (), {"token": "the entra token"})


@pytest.fixture
def entra(monkeypatch: pytest.MonkeyPatch) -> Entra:
    entra = Entra()
    for name in (
        "ClientAssertionCredential",
        "ClientSecretCredential",
        "ManagedIdentityCredential",
    ):
        monkeypatch.setattr(acr, name, entra.making(name))
    return entra


class Azure:
    """A registry of Azure that exchanges tokens as told."""

    def __init__(
        self,
        azure: AzureIdentity,
        answer: Answer = EXCHANGED,
        *,
        admin: Credentials | None = None,
        audience: str | None = None,
        host: str = HOST,
    ) -> None:
        self.transport = FakeTransport(lambda _: answer)
        self.redactor = Redactor()
        self.audiences: list[str | None] = []
        identities = Identities(
            tokens=self,
            retry=RetryPolicy(lambda _: None),
            oidc_audience=audience,
            azure=azure,
            password=lambda: admin,
        )
        connection = Connection(http_client(self.transport), self.redactor, identities=identities)
        self.provider = AcrProvider(host, connection)

    def token(self, audience: str | None) -> Secret:
        self.audiences.append(audience)
        return Secret("the job's token")


@pytest.mark.parametrize(
    ("identity", "credential", "words"),
    [
        (BY_JOB, "ClientAssertionCredential", "the job's OIDC token, as the application app"),
        (BY_SECRET, "ClientSecretCredential", "the application app with its secret"),
        (MACHINE, "ManagedIdentityCredential", "the machine's managed identity"),
        (
            AzureIdentity(client_id="app", managed_identity=True),
            "ManagedIdentityCredential",
            "the machine's managed identity",
        ),
    ],
)
def test_an_identity_is_exchanged_for_the_registry_s_password(
    entra: Entra, identity: AzureIdentity, credential: str, words: str
) -> None:
    azure = Azure(identity)
    end = dt.datetime.fromtimestamp(1767366245, dt.timezone.utc)
    assert azure.provider.fetch() == Credentials(USER, Secret(REFRESH), end)
    assert [made[0] for made in entra.made] == [credential]
    assert words in azure.provider.identity()
    (sent,) = azure.transport.sent
    assert (sent.method, sent.url) == ("POST", f"https://{HOST}/oauth2/exchange")
    tenant = {} if identity.tenant_id is None else {"tenant": ["tenant"]}
    assert parse_qs((sent.body or b"").decode()) == {
        "grant_type": ["access_token"],
        "service": [HOST],
        "access_token": ["the entra token"],
        **tenant,
    }
    assert "Authorization" not in sent.headers


def test_both_tokens_are_masked(entra: Entra) -> None:
    del entra
    azure = Azure(BY_JOB)
    azure.provider.fetch()
    assert azure.redactor.redact(f"the entra token, {REFRESH}") == "***, ***"


@pytest.mark.parametrize(
    ("given", "audience"), [(None, "api://AzureADTokenExchange"), ("mine", "mine")]
)
def test_the_job_s_token_is_minted_for_azure(
    entra: Entra, given: str | None, audience: str
) -> None:
    azure = Azure(BY_JOB, audience=given)
    azure.provider.fetch()
    assert entra.assertion() == "the job's token"
    assert azure.audiences == [audience]


@pytest.mark.parametrize(
    ("host", "authority"),
    [
        (HOST, "login.microsoftonline.com"),
        ("acme0.azurecr.cn", "login.chinacloudapi.cn"),
        ("acme0.azurecr.us", "login.microsoftonline.us"),
    ],
)
def test_each_cloud_has_its_own_entra(entra: Entra, host: str, authority: str) -> None:
    Azure(BY_SECRET, host=host).provider.fetch()
    ((_, arguments, options),) = entra.made
    assert arguments == ("tenant", "app", "s3")
    assert options["authority"] == authority


def test_without_an_identity_there_is_the_admin_user(entra: Entra) -> None:
    azure = Azure(AzureIdentity(), admin=ADMIN)
    assert azure.provider.fetch() == ADMIN
    assert "the admin user" in azure.provider.identity()
    assert (entra.made, azure.transport.sent) == ([], [])


def test_nobody_is_told_how_to_be_somebody(entra: Entra) -> None:
    del entra
    with pytest.raises(AuthenticationError, match="found none") as caught:
        Azure(AzureIdentity()).provider.fetch()
    for name in ("--azure-client-id", "AZURE_SP", "--registry-username-env"):
        assert name in (caught.value.hint or "")


def test_a_tenant_is_asked_for(entra: Entra) -> None:
    with pytest.raises(AuthenticationError, match="expected a tenant"):
        Azure(AzureIdentity(client_id="app")).provider.fetch()
    assert entra.made == []


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ClientAuthenticationError("AADSTS700213: no match\nTrace ID: x"), AuthenticationError),
        (CredentialUnavailableError("no endpoint"), AuthenticationError),
        (ServiceRequestError("reset"), ServiceError),
    ],
)
def test_each_failure_of_entra_is_one_of_ours(
    entra: Entra, failure: Exception, kind: type[GitopsReleaseError]
) -> None:
    entra.failure = failure
    azure = Azure(BY_JOB)
    with pytest.raises(kind) as caught:
        azure.provider.fetch()
    assert "Trace ID" not in caught.value.message
    assert azure.transport.sent == []


@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_identity_without_a_role_is_refused_in_the_registry_s_words(
    entra: Entra, status: int
) -> None:
    del entra
    body = b'{"errors": [{"code": "UNAUTHORIZED", "message": "no role"}]}'
    with pytest.raises(AuthenticationError, match="UNAUTHORIZED: no role") as caught:
        Azure(BY_JOB, Answer(status, body)).provider.fetch()
    assert "AcrPush" in (caught.value.hint or "")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"refresh_token": 5}'])
def test_an_answer_without_a_token_is_the_service_s_fault(entra: Entra, body: bytes) -> None:
    del entra
    with pytest.raises(ServiceError):
        Azure(BY_JOB, Answer(200, body)).provider.fetch()


def test_a_password_that_does_not_say_when_it_ends_is_taken(entra: Entra) -> None:
    del entra
    azure = Azure(BY_JOB, Answer(200, b'{"refresh_token": "opaque"}'))
    assert azure.provider.fetch().expires_at is None
