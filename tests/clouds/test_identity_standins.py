"""The clouds' token endpoints: unmodified SDKs get tokens, and whatever is wrong is refused."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, ClientSecretCredential
from google.auth import identity_pool
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from tests.standins.clouds import oidc
from tests.standins.clouds.entra import FEDERATION_AUDIENCE, SCOPE, FederatedCredential
from tests.standins.clouds.google_sts import Provider
from tests.standins.github.faults import Fault, Reply, Reset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.standins.clouds.entra import Application, Entra
    from tests.standins.clouds.google_sts import Google
    from tests.standins.clouds.oidc import CircleCI

CLOUD = "https://www.googleapis.com/auth/cloud-platform"
ACCOUNT = "ci@acme-project.iam.gserviceaccount.com"
PROJECT = "oidc.circleci.com/project-id"


# CircleCI


def test_claims_are_those_of_the_second_version(circleci: CircleCI) -> None:
    token = circleci.mint()

    claims = circleci.verify(token, audience=circleci.job.organization)

    job = circleci.job
    assert claims["iss"] == f"https://oidc.circleci.com/org/{job.organization}"
    assert claims["sub"] == (
        f"org/{job.organization}/project/{job.project}/user/{job.user}"
        "/vcs-origin/github.com/acme/shop/vcs-ref/refs/heads/main"
    )
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["oidc.circleci.com/ssh-rerun"] is False
    assert {name.partition("/")[2] for name in claims if name.startswith("oidc.circleci.com/")} == {
        "context-ids",
        "job-id",
        "org-id",
        "pipeline-definition-id",
        "pipeline-id",
        "project-id",
        "ssh-rerun",
        "vcs-origin",
        "vcs-ref",
        "workflow-id",
    }


def test_the_first_versions_subject_just_fits_google(circleci: CircleCI) -> None:
    assert len(circleci.job.short_subject) == 127
    assert len(circleci.job.subject) > 127


def test_anyone_can_verify_a_token_by_the_issuers_documents(circleci: CircleCI) -> None:
    token = circleci.mint("audience")
    issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
    discovered = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()
    keys = requests.get(discovered["jwks_uri"], timeout=10).json()

    assert discovered["issuer"] == issuer
    assert oidc.verified(token, keys, issuer=issuer, audience="audience")["aud"] == "audience"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"expires_in": -1}, jwt.ExpiredSignatureError),
        ({"audience": "other"}, jwt.InvalidAudienceError),
        ({"issuer": "https://oidc.circleci.com"}, jwt.InvalidIssuerError),
        ({"key": oidc.foreign_key()}, jwt.InvalidSignatureError),
        ({"without": ("exp",)}, jwt.MissingRequiredClaimError),
    ],
)
def test_wrong_tokens_are_wrong(
    circleci: CircleCI, wrong: dict[str, Any], error: type[Exception]
) -> None:
    verify = circleci.verifier("right")

    with pytest.raises(error):
        verify(circleci.mint(**{"audience": "right", **wrong}))


@pytest.fixture
def program(circleci: CircleCI, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    circleci.install(tmp_path / "bin")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["circleci", "run", "oidc", "get", *arguments]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, env={"PATH": path}
        )

    return run


Program = "Callable[..., subprocess.CompletedProcess[str]]"


def test_the_program_mints_a_token_for_an_audience(circleci: CircleCI, program: Program) -> None:
    circleci.job = replace(circleci.job, vcs_ref="refs/tags/v1", ssh_rerun=True)

    result = program("--claims", json.dumps({"aud": FEDERATION_AUDIENCE}))

    claims = circleci.verify(result.stdout.strip(), audience=FEDERATION_AUDIENCE)
    assert claims["sub"].endswith("/vcs-ref/refs/tags/v1")
    assert claims["oidc.circleci.com/ssh-rerun"] is True
    assert circleci.minted == [result.stdout.strip()]


def test_the_program_mints_for_the_organization_by_default(
    circleci: CircleCI, program: Program
) -> None:
    token = program().stdout.strip()

    assert circleci.verify(token)["aud"] == circleci.job.organization


def test_the_program_knows_the_root_issuer(circleci: CircleCI, program: Program) -> None:
    token = program("--root-issuer").stdout.strip()

    claims = oidc.verified(token, circleci.jwks(), issuer=oidc.ROOT_ISSUER)
    assert claims["iss"] == "https://oidc.circleci.com"


@pytest.mark.parametrize(
    ("what", "status", "output"),
    [(Reply(500, "no token"), 1, ""), (Reply(200, ""), 0, "\n"), (Reset(), 1, "")],
)
def test_the_program_fails_when_told_to(
    circleci: CircleCI, program: Program, what: Reply | Reset, status: int, output: str
) -> None:
    circleci.faults.add(Fault("POST", oidc.MINT, what))

    result = program()

    assert (result.returncode, result.stdout) == (status, output)
    assert bool(result.stderr) == bool(status)


@pytest.mark.parametrize("arguments", [["--claims", '{"sub": "other"}'], ["--claims", "{"]])
def test_the_program_refuses_what_circleci_refuses(program: Program, arguments: list[str]) -> None:
    assert program(*arguments).returncode != 0


# Entra


@pytest.fixture
def application(entra: Entra, circleci: CircleCI) -> Application:
    application = entra.add_application()
    application.federated.append(FederatedCredential(circleci.issuer, circleci.job.subject))
    return application


def by_assertion(application: Application, token: str) -> str:
    with ClientAssertionCredential(
        application.tenant, application.client_id, lambda: token
    ) as credential:
        return credential.get_token(SCOPE).token


def test_azure_identity_gets_a_token_for_an_assertion(
    entra: Entra, circleci: CircleCI, application: Application
) -> None:
    token = by_assertion(application, circleci.mint(FEDERATION_AUDIENCE))

    claims = entra.claims(token, application.tenant)
    assert claims is not None
    assert claims["appid"] == application.client_id
    assert claims["aud"] == "https://containerregistry.azure.net"
    assert entra.is_valid(token)
    assert not entra.is_valid(token, "another-tenant")


def test_azure_identity_gets_a_token_for_a_secret(entra: Entra, application: Application) -> None:
    secret = entra.add_secret(application)
    with ClientSecretCredential(application.tenant, application.client_id, secret) as credential:
        token = credential.get_token(SCOPE)

    assert entra.is_valid(token.token, application.tenant)
    assert 3500 < token.expires_on - time.time() <= 3600


@pytest.mark.parametrize(
    ("wrong", "number"),
    [
        ({"expires_in": -600}, 700024),
        ({"audience": "api://other"}, 700212),
        ({"issuer": "https://oidc.circleci.com/org/other"}, 700211),
        ({"subject": "org/other"}, 700213),
        ({"job": oidc.Job(vcs_ref="refs/heads/other")}, 700213),
        ({"key": oidc.foreign_key()}, 50013),
    ],
)
def test_entra_refuses_a_wrong_assertion(
    circleci: CircleCI, application: Application, wrong: dict[str, Any], number: int
) -> None:
    token = circleci.mint(**{"audience": FEDERATION_AUDIENCE, **wrong})

    with pytest.raises(ClientAuthenticationError, match=f"AADSTS{number}: "):
        by_assertion(application, token)


def test_entra_refuses_what_is_no_token(application: Application) -> None:
    with pytest.raises(ClientAuthenticationError, match="AADSTS50027: "):
        by_assertion(application, "no.token.atall")


def test_entra_tolerates_clocks_that_differ(circleci: CircleCI, application: Application) -> None:
    assert by_assertion(application, circleci.mint(FEDERATION_AUDIENCE, expires_in=-60))


def test_entra_cannot_verify_an_issuer_that_it_cannot_reach(
    entra: Entra, circleci: CircleCI, application: Application
) -> None:
    entra.issuers.clear()

    with pytest.raises(ClientAuthenticationError, match="AADSTS90061: "):
        by_assertion(application, circleci.mint(FEDERATION_AUDIENCE))


def test_entra_refuses_a_wrong_secret(entra: Entra, application: Application) -> None:
    entra.add_secret(application)
    other = entra.add_secret(entra.add_application(application.tenant))
    with (
        ClientSecretCredential(application.tenant, application.client_id, other) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215: "),
    ):
        credential.get_token(SCOPE)


def test_entra_refuses_an_unknown_application(entra: Entra, application: Application) -> None:
    secret = entra.add_secret(application)
    with (
        ClientSecretCredential(application.tenant, "other-client", secret) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS700016: "),
    ):
        credential.get_token(SCOPE)


def test_entra_refuses_an_unknown_tenant(entra: Entra, application: Application) -> None:
    secret = entra.add_secret(application)
    with (
        ClientSecretCredential("other-tenant", application.client_id, secret) as credential,
        pytest.raises(ClientAuthenticationError, match="tenant"),
    ):
        credential.get_token(SCOPE)


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ("https://containerregistry.azure.net", "AADSTS1002012: "),
        ("https://other.example/.default", "AADSTS500011: "),
    ],
)
def test_entra_refuses_another_scope(
    entra: Entra, application: Application, scope: str, error: str
) -> None:
    secret = entra.add_secret(application)
    with (
        ClientSecretCredential(application.tenant, application.client_id, secret) as credential,
        pytest.raises(ClientAuthenticationError, match=error),
    ):
        credential.get_token(scope)


def test_a_token_of_entra_expires(entra: Entra, application: Application) -> None:
    entra.lifetime = -1
    form = {
        "grant_type": "client_credentials",
        "client_id": application.client_id,
        "client_secret": entra.add_secret(application),
        "scope": SCOPE,
    }
    url = f"https://login.microsoftonline.com/{application.tenant}/oauth2/v2.0/token"

    token = requests.post(url, form, timeout=10).json()["access_token"]

    assert not entra.is_valid(token)
    assert not entra.is_valid("no token")


def test_a_fault_reaches_the_sdk_which_tries_again(entra: Entra, application: Application) -> None:
    secret = entra.add_secret(application)
    path = f"/{application.tenant}/oauth2/v2.0/token"
    entra.faults.add(Fault("POST", path, Reply(429, None, {"Retry-After": "0"})))
    with ClientSecretCredential(application.tenant, application.client_id, secret) as credential:
        assert entra.is_valid(credential.get_token(SCOPE).token)


# Google


class Supplier(identity_pool.SubjectTokenSupplier):
    def __init__(self, token: str) -> None:
        self.token = token

    def get_subject_token(self, context: object, request: object) -> str:
        del context, request
        return self.token


@pytest.fixture
def provider(google: Google, circleci: CircleCI) -> Provider:
    return google.add_provider(
        Provider(
            circleci.issuer,
            subject=lambda claims: claims[PROJECT],
            attributes={"ref": lambda claims: claims["oidc.circleci.com/vcs-ref"]},
            condition=lambda claims: claims["oidc.circleci.com/vcs-ref"] == "refs/heads/main",
            audiences=(circleci.job.organization,),
        )
    )


def federated(provider: Provider, token: str, account: str | None = None) -> str:
    credentials = identity_pool.Credentials(
        audience=provider.audience,
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        token_url="https://sts.googleapis.com/v1/token",
        subject_token_supplier=Supplier(token),
        service_account_impersonation_url=account
        and f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}"
        ":generateAccessToken",
        scopes=[CLOUD],
    )
    return refreshed(credentials)


def refreshed(credentials: Any) -> str:  # noqa: ANN401 - google.auth has no common public type
    with requests.Session() as session:
        credentials.refresh(Request(session))
    token: str = credentials.token
    return token


def test_google_auth_exchanges_a_token(
    google: Google, circleci: CircleCI, provider: Provider
) -> None:
    token = federated(provider, circleci.mint())

    assert google.principal(token) == provider.principal(circleci.job.project)
    assert google.is_valid(token)


@pytest.mark.parametrize(
    "who",
    [
        lambda provider, job: provider.principal(job.project),
        lambda provider, job: provider.principal_set("ref", job.vcs_ref),
        lambda provider, _: provider.everyone,
    ],
)
def test_google_auth_impersonates_a_service_account(
    google: Google,
    circleci: CircleCI,
    provider: Provider,
    who: Callable[[Provider, oidc.Job], str],
) -> None:
    google.add_service_account(ACCOUNT, who(provider, circleci.job))

    token = federated(provider, circleci.mint(), ACCOUNT)

    assert token.startswith("ya29.")
    assert google.principal(token) == f"serviceAccount:{ACCOUNT}"


@pytest.mark.parametrize("who", ["", "principal://iam.googleapis.com/other"])
def test_google_refuses_an_impersonation_that_nobody_allowed(
    google: Google, circleci: CircleCI, provider: Provider, who: str
) -> None:
    google.add_service_account(ACCOUNT, *filter(None, [who]))

    with pytest.raises(GoogleAuthError, match=r"iam\.serviceAccounts\.getAccessToken"):
        federated(provider, circleci.mint(), ACCOUNT)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"expires_in": -1}, "invalid_grant: ID Token issued at"),
        ({"audience": "other"}, "invalid_grant: The audience in ID Token"),
        ({"issuer": "https://oidc.circleci.com"}, "invalid_grant: The issuer in ID Token"),
        ({"key": oidc.foreign_key()}, "invalid_grant: Invalid JWT signature"),
        (
            {"job": oidc.Job(vcs_ref="refs/heads/other")},
            "unauthorized_client: The given credential is rejected by the attribute condition",
        ),
    ],
)
def test_google_refuses_a_wrong_token(
    circleci: CircleCI, provider: Provider, wrong: dict[str, Any], error: str
) -> None:
    with pytest.raises(GoogleAuthError, match=error):
        federated(provider, circleci.mint(**wrong))


@pytest.mark.parametrize(
    ("subject", "fits"),
    [("x" * 127, True), ("x" * 128, False), ("ä" * 63, True), ("ä" * 64, False)],
)
def test_google_counts_the_bytes_of_a_subject(
    google: Google, circleci: CircleCI, provider: Provider, subject: str, *, fits: bool
) -> None:
    google.providers[:] = [replace(provider, subject=lambda claims: claims["sub"])]
    token = circleci.mint(subject=subject)

    if fits:
        assert federated(provider, token)
    else:
        with pytest.raises(GoogleAuthError, match="invalid_request: The size of mapped attribute"):
            federated(provider, token)


def test_the_usual_subject_is_too_long_for_google(
    google: Google, circleci: CircleCI, provider: Provider
) -> None:
    google.providers[:] = [replace(provider, subject=lambda claims: claims["sub"])]

    with pytest.raises(GoogleAuthError, match="127 bytes"):
        federated(provider, circleci.mint())


def test_google_knows_only_its_providers(circleci: CircleCI, provider: Provider) -> None:
    with pytest.raises(GoogleAuthError, match="invalid_target"):
        federated(replace(provider, name="other"), circleci.mint())


def test_google_cannot_verify_an_issuer_that_it_cannot_reach(
    google: Google, circleci: CircleCI, provider: Provider
) -> None:
    google.issuers.clear()

    with pytest.raises(GoogleAuthError, match="Error connecting to the given credential's issuer"):
        federated(provider, circleci.mint())


def test_without_audiences_a_token_must_be_for_the_provider(
    google: Google, circleci: CircleCI, provider: Provider
) -> None:
    google.providers[:] = [replace(provider, audiences=())]

    assert federated(provider, circleci.mint(f"https:{provider.audience}"))
    with pytest.raises(GoogleAuthError, match="audience in ID Token"):
        federated(provider, circleci.mint())


def by_key(content: Mapping[str, str]) -> str:
    credentials = service_account.Credentials.from_service_account_info(content, scopes=[CLOUD])
    return refreshed(credentials)


def test_google_auth_gets_a_token_for_a_key(google: Google) -> None:
    token = by_key(google.make_service_account_key(ACCOUNT))

    assert google.principal(token) == f"serviceAccount:{ACCOUNT}"


def test_a_key_file_is_one(google: Google, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(google.make_service_account_key(ACCOUNT)), encoding="utf-8")

    credentials = service_account.Credentials.from_service_account_file(str(path), scopes=[CLOUD])

    assert credentials.project_id == "acme-project"
    assert google.is_valid(refreshed(credentials))


def test_google_refuses_the_key_of_another(google: Google) -> None:
    mine = google.make_service_account_key(ACCOUNT)
    other = google.make_service_account_key("other@acme-project.iam.gserviceaccount.com")

    with pytest.raises(GoogleAuthError, match="invalid_grant: Invalid JWT Signature"):
        by_key({**mine, "private_key": other["private_key"]})
    with pytest.raises(GoogleAuthError, match="invalid_grant: Invalid JWT Signature"):
        by_key({**mine, "private_key_id": other["private_key_id"]})
    with pytest.raises(GoogleAuthError, match="account not found"):
        by_key({**mine, "client_email": "nobody@acme-project.iam.gserviceaccount.com"})


def test_google_refuses_an_assertion_for_another_audience(google: Google) -> None:
    key = google.make_service_account_key(ACCOUNT)
    now = int(time.time())
    claims = {"iss": ACCOUNT, "aud": "https://evil.test", "exp": now + 60, "iat": now}

    assert assertion_error(key, claims)["error_description"] == "Invalid JWT Signature."


def test_google_refuses_an_expired_assertion(google: Google) -> None:
    key = google.make_service_account_key(ACCOUNT)
    now = int(time.time())
    claims = {"iss": ACCOUNT, "aud": key["token_uri"], "exp": now - 60, "iat": now - 120}

    assert "short-lived token" in assertion_error(key, claims)["error_description"]


def assertion_error(key: Mapping[str, str], claims: dict[str, Any]) -> dict[str, str]:
    headers = {"kid": key["private_key_id"]}
    assertion = jwt.encode(claims, key["private_key"], "RS256", headers=headers)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion,
    }
    answer = requests.post("https://oauth2.googleapis.com/token", form, timeout=10)
    assert answer.status_code == 400
    refusal: dict[str, str] = answer.json()
    assert refusal["error"] == "invalid_grant"
    return refusal


def test_a_token_that_a_key_has_signed_is_good_for_an_api(google: Google) -> None:
    content = google.make_service_account_key(ACCOUNT)
    credentials = service_account.Credentials.from_service_account_info(content, scopes=[CLOUD])

    token = refreshed(credentials.with_always_use_jwt_access(always_use_jwt_access=True))

    assert google.principal(token) == f"serviceAccount:{ACCOUNT}"
    header, claims, signature = token.split(".")
    forged = json.loads(base64.urlsafe_b64decode(claims + "=="))
    forged["exp"] += 1
    claims = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
    assert google.principal(f"{header}.{claims}.{signature}") is None


def test_tokens_of_google_expire(google: Google, circleci: CircleCI, provider: Provider) -> None:
    google.add_service_account(ACCOUNT, provider.everyone)
    token = federated(provider, circleci.mint())
    account = federated(provider, circleci.mint(), ACCOUNT)

    google.expire()

    assert google.principal(token) is None
    assert google.principal(account) is None
    assert not google.is_valid("no token")
