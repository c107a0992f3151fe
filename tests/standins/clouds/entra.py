"""Microsoft Entra's token endpoint: login.microsoftonline.com.

It gives tokens for applications that a test registers, by a client secret or by a federated
credential: a token of another issuer, whose signature, issuer, subject, audience and times it
verifies. The words of the errors are those of
https://learn.microsoft.com/entra/identity-platform/reference-error-codes and, for what that page
leaves out, of users' reports.
"""

from __future__ import annotations

import datetime as dt
import functools
import secrets
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import jwt

from tests.standins.clouds import oidc
from tests.standins.clouds.fronts import Answer, Exchange, Front

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric import rsa

HOST: Final = "login.microsoftonline.com"
REGISTRIES: Final = "https://containerregistry.azure.net"
SCOPE: Final = f"{REGISTRIES}/.default"
FEDERATION_AUDIENCE: Final = "api://AzureADTokenExchange"
JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY_ID: Final = "entra-stand-in"
LIFETIME: Final = 3599
LEEWAY: Final = 300  # Entra's tolerance for clocks
CONFIGURATION: Final = "/v2.0/.well-known/openid-configuration"
LEARN_MORE: Final = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
CHECK: Final = (
    "Check your federated identity credential Subject, Audience and Issuer against the presented "
    f"assertion. {LEARN_MORE}"
)


@dataclass(frozen=True)
class FederatedCredential:
    """A subject of another issuer that an application trusts; all three must match exactly."""

    issuer: str
    subject: str
    audience: str = FEDERATION_AUDIENCE


@dataclass
class Application:
    """A service principal of a tenant."""

    tenant: str
    client_id: str
    secrets: set[str] = field(default_factory=set)
    federated: list[FederatedCredential] = field(default_factory=list)
    object_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class EntraError(Exception):
    """A refusal, as OAuth words it and as Entra numbers it."""

    def __init__(self, status: int, error: str, number: int, message: str) -> None:
        super().__init__(f"AADSTS{number}: {message}")
        self.status, self.error, self.number = status, error, number

    def answer(self) -> Answer:
        """Return the answer that tells the client."""
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        moment = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
        document = {
            "error": self.error,
            "error_description": f"{self} Trace ID: {trace} Correlation ID: {correlation} "
            f"Timestamp: {moment}",
            "error_codes": [self.number],
            "timestamp": moment,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://{HOST}/error?code={self.number}",
        }
        return Answer.of(self.status, document)


class Entra(Front):
    """Tenants, their applications, and the tokens that these have got.

    `issuers` maps the issuers that Entra can reach to a function that returns their JWKS. Set
    `lifetime` for tokens still to come.
    """

    def __init__(self, issuers: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
        super().__init__()
        self.issuers = dict(issuers)
        self.applications: list[Application] = []
        self.lifetime = LIFETIME

    @classmethod
    @contextmanager
    def running(cls, circleci: oidc.CircleCI | None = None) -> Iterator[Entra]:
        """Serve for the body of a `with`; CircleCI is an issuer that can be reached."""
        issuers = {} if circleci is None else {circleci.issuer: circleci.jwks}
        with cls(issuers).serving() as entra:
            yield entra

    def add_application(self, tenant: str | None = None) -> Application:
        """Register an application in a tenant; without one, in a new tenant."""
        application = Application(tenant or str(uuid.uuid4()), str(uuid.uuid4()))
        self.applications.append(application)
        return application

    def add_secret(self, application: Application) -> str:
        """Give an application a secret in the form that Entra's have; return it."""
        secret = f"{secrets.token_urlsafe(3)[:3]}8Q~{secrets.token_urlsafe(24)}"
        application.secrets.add(secret)
        return secret

    def claims(self, token: str, tenant: str | None = None) -> dict[str, Any] | None:
        """Return the claims of a token for registries that is valid now, and the tenant's.

        Without a tenant, any is good.
        """
        try:
            claims = jwt.decode(
                token, _signing_key().public_key(), [oidc.ALGORITHM], audience=REGISTRIES
            )
        except jwt.PyJWTError:
            return None
        return claims if tenant in {None, claims["tid"]} else None

    def is_valid(self, token: str, tenant: str | None = None) -> bool:
        """Tell whether a registry of the tenant may believe the token."""
        return self.claims(token, tenant) is not None

    def answer(self, exchange: Exchange) -> None:
        """Answer discovery and requests for tokens."""
        received = exchange.received
        tenant, _, rest = received.path.removeprefix("/").partition("/")
        try:
            if received.path == "/common/discovery/instance":
                exchange.send(Answer.of(200, _instances(received.parameters)))
            elif received.method == "GET" and f"/{rest}" == CONFIGURATION:
                exchange.send(Answer.of(200, self._configuration(tenant)))
            elif (received.method, rest) == ("POST", "oauth2/v2.0/token"):
                form = dict(parse_qsl(exchange.body().decode()))
                exchange.send(Answer.of(200, self._token(tenant, form)))
            else:
                exchange.send(Answer(404))
        except EntraError as error:
            exchange.send(error.answer())

    def _configuration(self, tenant: str) -> dict[str, Any]:
        self._require_tenant(tenant)
        base = f"https://{HOST}/{tenant}"
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }

    def _require_tenant(self, tenant: str) -> None:
        if all(application.tenant != tenant for application in self.applications):
            raise EntraError(
                400,
                "invalid_request",
                90002,
                f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID "
                "and are signing into the correct cloud.",
            )

    def _token(self, tenant: str, form: Mapping[str, str]) -> dict[str, Any]:
        self._require_tenant(tenant)
        if form.get("grant_type") != "client_credentials":
            grant = form.get("grant_type")
            text = f"The app requested an unsupported grant type '{grant}'."
            raise EntraError(400, "unsupported_grant_type", 70003, text)
        application = self._application(tenant, form.get("client_id", ""))
        self._authenticate(application, form)
        _require_scope(form.get("scope", ""))
        return {
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "ext_expires_in": self.lifetime,
            "access_token": self._issued(application),
        }

    def _application(self, tenant: str, client_id: str) -> Application:
        for application in self.applications:
            if (application.tenant, application.client_id) == (tenant, client_id):
                return application
        raise EntraError(
            400,
            "unauthorized_client",
            700016,
            f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. "
            "This can happen if the application has not been installed by the administrator of "
            "the tenant or consented to by any user in the tenant.",
        )

    def _authenticate(self, application: Application, form: Mapping[str, str]) -> None:
        if "client_secret" in form:
            if form["client_secret"] not in application.secrets:
                raise EntraError(
                    401,
                    "invalid_client",
                    7000215,
                    "Invalid client secret provided. Ensure the secret being sent in the request "
                    "is the client secret value, not the client secret ID, for a secret added to "
                    f"app '{application.client_id}'.",
                )
        elif form.get("client_assertion_type") == JWT_BEARER:
            self._verify(application, form.get("client_assertion", ""))
        else:
            raise EntraError(
                401,
                "invalid_client",
                7000216,
                "'client_assertion', 'client_secret' or 'request' is required for the "
                "'client_credentials' grant type.",
            )

    def _verify(self, application: Application, assertion: str) -> None:
        """Verify the token of another issuer. Raises EntraError."""
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError as error:
            raise EntraError(
                401, "invalid_client", 50027, "JWT token is invalid or malformed."
            ) from error
        _require_federation(application, claims)
        _require_time(claims)
        try:
            oidc.verified(assertion, self._keys(claims["iss"]), issuer=claims["iss"])
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            return  # within the tolerance
        except jwt.PyJWTError as error:
            raise EntraError(
                401,
                "invalid_client",
                50013,
                f"Assertion failed signature validation. [Reason - {error}.]",
            ) from error

    def _keys(self, issuer: str) -> Mapping[str, Any]:
        if issuer not in self.issuers:
            text = f"Request to External OIDC endpoint failed for issuer '{issuer}'."
            raise EntraError(400, "invalid_request", 90061, text)
        return self.issuers[issuer]()

    def _issued(self, application: Application) -> str:
        now = int(time.time())
        claims = {
            "aud": REGISTRIES,
            "iss": f"https://sts.windows.net/{application.tenant}/",
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
            "appid": application.client_id,
            "idtyp": "app",
            "oid": application.object_id,
            "sub": application.object_id,
            "tid": application.tenant,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        return jwt.encode(claims, _signing_key(), oidc.ALGORITHM, headers={"kid": KEY_ID})


def _require_federation(application: Application, claims: Mapping[str, Any]) -> None:
    """Raise EntraError with the first thing that no federated credential matches."""
    left = application.federated
    for number, claim in ((700211, "iss"), (700213, "sub"), (700212, "aud")):
        name = {"iss": "issuer", "sub": "subject", "aud": "audience"}[claim]
        presented = claims.get(claim)
        left = [credential for credential in left if getattr(credential, name) == presented]
        if not left:
            raise EntraError(
                401,
                "invalid_client",
                number,
                "No matching federated identity record found for presented assertion "
                f"{name} '{presented}'. {CHECK}",
            )


def _require_time(claims: Mapping[str, Any]) -> None:
    now, end = time.time(), claims.get("exp", 0)
    start = claims.get("nbf", claims.get("iat", 0))
    if not start - LEEWAY <= now < end + LEEWAY:
        raise EntraError(
            401,
            "invalid_client",
            700024,
            "Client assertion is not within its valid time range. Current time: "
            f"{_iso(now)}, assertion valid from {_iso(start)}, expiry time of assertion "
            f"{_iso(end)}. Review the documentation at "
            "https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
        )


def _require_scope(scope: str) -> None:
    if not scope.endswith("/.default"):
        raise EntraError(
            400,
            "invalid_scope",
            1002012,
            f"The provided value for scope {scope} is not valid. Client credential flows must have "
            "a scope value with /.default suffixed to the resource identifier (application ID "
            "URI).",
        )
    if scope != SCOPE:
        resource = scope.removesuffix("/.default")
        raise EntraError(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {resource} was not found in the tenant.",
        )


def _instances(parameters: Callable[[str], list[str]]) -> dict[str, Any]:
    """Return what tells Microsoft's library that this host is Entra's, under several names."""
    asked = (parameters("authorization_endpoint") or [f"https://{HOST}/common"])[0]
    tenant = asked.removeprefix(f"https://{HOST}/").partition("/")[0]
    aliases = [HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"]
    return {
        "tenant_discovery_endpoint": f"https://{HOST}/{tenant}{CONFIGURATION}",
        "api-version": "1.1",
        "metadata": [
            {"preferred_network": HOST, "preferred_cache": aliases[1], "aliases": aliases}
        ],
    }


def _iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@functools.cache
def _signing_key() -> rsa.RSAPrivateKey:
    return oidc.new_key()
