"""Google's token endpoints: sts, iamcredentials and oauth2.googleapis.com.

Workload identity pools exchange a verified OIDC token for a federated token, which may become a
service account's; a service account's key gets a token for a signed assertion. The words of the
errors are Google's as users report them; what no report has is marked.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization

from tests.standins.clouds import oidc
from tests.standins.clouds.fronts import Answer, Exchange, Front

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cryptography.hazmat.primitives.asymmetric import rsa

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
SUBJECT_TYPES: Final = (
    "urn:ietf:params:oauth:token-type:jwt",
    "urn:ietf:params:oauth:token-type:id_token",
)
TOKEN_URI: Final = "https://oauth2.googleapis.com/token"
SCOPES: Final = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/iam",
)
LIFETIME: Final = 3600
SUBJECT_BYTES: Final = 127
IMPERSONATION: Final = ("/v1/projects/-/serviceAccounts/", ":generateAccessToken")
Claims = dict[str, Any]


@dataclass(frozen=True)
class Provider:
    """A provider of a workload identity pool, which trusts one issuer.

    `subject` and `attributes` are the attribute mapping, `condition` is the attribute condition.
    Without `audiences` a token must be for the provider's own URL.
    """

    issuer: str
    project: str = "123456789012"
    pool: str = "circleci"
    name: str = "circleci"
    subject: Callable[[Claims], str] = lambda claims: claims["sub"]
    attributes: Mapping[str, Callable[[Claims], str]] = field(default_factory=dict)
    condition: Callable[[Claims], bool] = lambda _: True
    audiences: tuple[str, ...] = ()

    @property
    def pool_resource(self) -> str:
        """The pool's name in resource names."""
        return f"projects/{self.project}/locations/global/workloadIdentityPools/{self.pool}"

    @property
    def resource(self) -> str:
        """The provider's name, as `--gcp-workload-identity-provider` takes it."""
        return f"{self.pool_resource}/providers/{self.name}"

    @property
    def audience(self) -> str:
        """What a client of the token service names as its audience."""
        return f"//iam.googleapis.com/{self.resource}"

    @property
    def accepted_audiences(self) -> tuple[str, ...]:
        """The audiences of tokens that are accepted."""
        return self.audiences or (f"https:{self.audience}", self.audience)

    def principal(self, subject: str) -> str:
        """Return the name of one identity in policies."""
        return f"principal://iam.googleapis.com/{self.pool_resource}/subject/{subject}"

    def principal_set(self, attribute: str, value: str) -> str:
        """Return the name of all identities with an attribute in policies."""
        return (
            f"principalSet://iam.googleapis.com/{self.pool_resource}/attribute.{attribute}/{value}"
        )

    @property
    def everyone(self) -> str:
        """The name of all identities of the pool in policies."""
        return f"principalSet://iam.googleapis.com/{self.pool_resource}/*"


@dataclass(frozen=True)
class Key:
    """A service account's key."""

    email: str
    identifier: str
    private: rsa.RSAPrivateKey


@dataclass
class _Issued:
    """Whose a token is; `names` are all those by which policies may mean him."""

    principal: str
    names: frozenset[str]
    expires: float


class OAuthError(Exception):
    """A refusal in OAuth's form."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error, self.description, self.status = error, description, status

    def answer(self) -> Answer:
        """Return the answer that tells the client."""
        document = {"error": self.error, "error_description": self.description}
        return Answer.of(self.status, document)


class ApiError(Exception):
    """A refusal in the form of Google's APIs."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.code, self.status, self.message = code, status, message

    def answer(self) -> Answer:
        """Return the answer that tells the client."""
        document = {"code": self.code, "message": self.message, "status": self.status}
        return Answer.of(self.code, {"error": document})


class Google(Front):
    """Pools, service accounts, and the tokens that were issued for them.

    One port serves all three hosts. `issuers` maps the issuers that Google can reach to a function
    that returns their JWKS. Set `lifetime` for tokens still to come.
    """

    def __init__(self, issuers: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
        super().__init__()
        self.issuers = dict(issuers)
        self.lifetime = LIFETIME
        self.providers: list[Provider] = []
        self.keys: list[Key] = []
        self.impersonators: dict[str, set[str]] = {}
        self._issued: dict[str, _Issued] = {}

    @classmethod
    @contextmanager
    def running(cls, circleci: oidc.CircleCI | None = None) -> Iterator[Google]:
        """Serve for the body of a `with`; CircleCI is an issuer that can be reached."""
        issuers = {} if circleci is None else {circleci.issuer: circleci.jwks}
        with cls(issuers).serving() as google:
            yield google

    # What tests ask for

    def add_provider(self, provider: Provider) -> Provider:
        """Let a provider's identities be exchanged."""
        self.providers.append(provider)
        return provider

    def add_service_account(self, email: str, *impersonators: str) -> str:
        """Add a service account that the principals may impersonate; return its principal."""
        self.impersonators.setdefault(email, set()).update(impersonators)
        return f"serviceAccount:{email}"

    def make_service_account_key(
        self, email: str = "ci@acme-project.iam.gserviceaccount.com"
    ) -> dict[str, str]:
        """Make a key of a service account; return the content of its JSON file."""
        self.add_service_account(email)
        key = Key(email, uuid.uuid4().hex, oidc.new_key())
        self.keys.append(key)
        private = key.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": email.partition("@")[2].partition(".")[0],
            "private_key_id": key.identifier,
            "private_key": private.decode(),
            "client_email": email,
            "client_id": str(uuid.uuid4().int)[:21],
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": TOKEN_URI,
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/"
            + email.replace("@", "%40"),
            "universe_domain": "googleapis.com",
        }

    def principal(self, token: str) -> str | None:
        """Return whose token it is, if it is valid now.

        That is `serviceAccount:EMAIL` or `principal://…/subject/SUBJECT`. A JWT that a key of a
        service account has signed counts, too: clients of Google's APIs make it themselves.
        """
        issued = self._issued.get(token)
        if issued is None:
            return self._self_signed(token)
        return issued.principal if time.time() < issued.expires else None

    def is_valid(self, token: str) -> bool:
        """Tell whether a token is valid now."""
        return self.principal(token) is not None

    def expire(self) -> None:
        """Let all tokens that were issued expire now."""
        for issued in self._issued.values():
            issued.expires = 0

    # How requests are answered

    def answer(self, exchange: Exchange) -> None:
        """Answer the three hosts, which have no path in common."""
        try:
            exchange.send(Answer.of(200, self._document(exchange)))
        except (OAuthError, ApiError) as error:
            exchange.send(error.answer())

    def _document(self, exchange: Exchange) -> dict[str, Any]:
        method, path = exchange.received.method, exchange.received.path
        before, after = IMPERSONATION
        if (method, path) == ("POST", "/v1/token"):
            return self._exchange(_form(exchange))
        if (method, path) == ("POST", "/token"):
            return self._bearer(_form(exchange))
        if method == "POST" and path.startswith(before) and path.endswith(after):
            return self._impersonate(path.removeprefix(before).removesuffix(after), exchange)
        raise ApiError(404, "NOT_FOUND", "Requested entity was not found.")

    def _exchange(self, form: Mapping[str, str]) -> dict[str, Any]:
        provider = self._provider(form)
        claims = self._verified(provider, form["subject_token"])
        subject = provider.subject(claims)
        _require_mapped_subject(subject)
        if not provider.condition(claims):
            raise OAuthError(
                "unauthorized_client",
                "The given credential is rejected by the attribute condition.",
                401,
            )
        principal = provider.principal(subject)
        sets = {
            provider.principal_set(name, value(claims))
            for name, value in provider.attributes.items()
        }
        return {
            "access_token": self._issue("ya29.d.", principal, sets | {provider.everyone}),
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }

    def _provider(self, form: Mapping[str, str]) -> Provider:
        """Return the provider that a request is for. Raises OAuthError if it is malformed."""
        expected = {
            "grant_type": (TOKEN_EXCHANGE,),
            "requested_token_type": (ACCESS_TOKEN,),
            "subject_token_type": SUBJECT_TYPES,
        }
        for name, values in expected.items():
            if form.get(name) not in values:
                raise OAuthError("invalid_request", f"Invalid value for {name}.")  # from memory
        if not set(form.get("scope", "").split()) & set(SCOPES) or "subject_token" not in form:
            raise OAuthError("invalid_scope", "Invalid or missing scope.")  # from memory
        for provider in self.providers:
            if provider.audience == form.get("audience"):
                return provider
        raise OAuthError(
            "invalid_target",
            'The target service indicated by the "audience" parameters is invalid. This might '
            "either be because the pool or provider is disabled or deleted or because it doesn't "
            "exist.",
        )

    def _verified(self, provider: Provider, token: str) -> Claims:
        """Return the claims of another issuer's token. Raises OAuthError."""
        jwks = self.issuers.get(provider.issuer)
        if jwks is None:
            raise OAuthError("invalid_grant", "Error connecting to the given credential's issuer.")
        try:
            claims = oidc.verified(token, jwks(), issuer=provider.issuer)
        except jwt.PyJWTError as error:
            raise OAuthError("invalid_grant", _reason(error, token, provider)) from error
        if claims["aud"] not in provider.accepted_audiences:
            raise OAuthError(
                "invalid_grant",
                f"The audience in ID Token [{claims['aud']}] does not match the expected audience.",
            )
        return claims

    def _impersonate(self, email: str, exchange: Exchange) -> dict[str, Any]:
        issued = self._issued.get(exchange.received.bearer or "")
        if issued is None or time.time() >= issued.expires:
            raise ApiError(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials. Expected OAuth 2 access token, "
                "login cookie or other valid authentication credential. See "
                "https://developers.google.com/identity/sign-in/web/devconsole-project.",
            )
        if not issued.names & self.impersonators.get(email, set()):
            raise ApiError(
                403,
                "PERMISSION_DENIED",
                "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may "
                "not exist).",
            )
        wanted = json.loads(exchange.body())
        if not wanted.get("scope"):
            raise ApiError(400, "INVALID_ARGUMENT", "Scope required.")
        seconds = min(int(str(wanted.get("lifetime", "3600s")).removesuffix("s")), self.lifetime)
        token = self._issue("ya29.c.", f"serviceAccount:{email}", seconds=seconds)
        ends = dt.datetime.fromtimestamp(self._issued[token].expires, dt.timezone.utc)
        return {"accessToken": token, "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _bearer(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Give a service account the token for which it has signed an assertion."""
        if form.get("grant_type") != JWT_BEARER:
            text = f"Invalid grant_type: {form.get('grant_type')}"
            raise OAuthError("unsupported_grant_type", text)
        key = self._key_of(form.get("assertion", ""))
        try:
            claims = jwt.decode(
                form["assertion"],
                key.private.public_key(),
                [oidc.ALGORITHM],
                audience=TOKEN_URI,
                issuer=key.email,
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            raise OAuthError(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                "timeframe. Check your iat and exp values in the JWT claim.",
            ) from error
        except jwt.PyJWTError as error:
            raise OAuthError("invalid_grant", "Invalid JWT Signature.") from error
        if not claims.get("scope"):
            raise OAuthError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = self._issue("ya29.c.", f"serviceAccount:{key.email}")
        return {"access_token": token, "expires_in": self.lifetime - 1, "token_type": "Bearer"}

    def _key_of(self, assertion: str) -> Key:
        try:
            identifier = jwt.get_unverified_header(assertion).get("kid")
            email = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError as error:
            raise OAuthError("invalid_grant", "Invalid JWT.") from error  # from memory
        if all(key.email != email for key in self.keys):
            raise OAuthError("invalid_grant", "Invalid grant: account not found")
        for key in self.keys:
            if (key.email, key.identifier) == (email, identifier):
                return key
        raise OAuthError("invalid_grant", "Invalid JWT Signature.")

    def _self_signed(self, token: str) -> str | None:
        try:
            key = self._key_of(token)
            jwt.decode(
                token,
                key.private.public_key(),
                [oidc.ALGORITHM],
                issuer=key.email,
                options={"verify_aud": False, "require": ["exp"]},
            )
        except (OAuthError, jwt.PyJWTError):
            return None
        return f"serviceAccount:{key.email}"

    def _issue(
        self,
        prefix: str,
        principal: str,
        names: frozenset[str] | set[str] = frozenset(),
        seconds: float | None = None,
    ) -> str:
        token = prefix + secrets.token_urlsafe(150)
        expires = time.time() + (self.lifetime if seconds is None else seconds)
        self._issued[token] = _Issued(principal, frozenset({principal, *names}), expires)
        return token


def _require_mapped_subject(subject: str) -> None:
    if len(subject.encode()) > SUBJECT_BYTES:
        raise OAuthError(
            "invalid_request",
            f"The size of mapped attribute google.subject exceeds the {SUBJECT_BYTES} bytes limit. "
            "Either modify your attribute mapping or the incoming assertion to produce a mapped "
            f"attribute that is less than {SUBJECT_BYTES} bytes.",
        )


def _reason(error: jwt.PyJWTError, token: str, provider: Provider) -> str:
    """Return Google's words for what PyJWT found."""
    if isinstance(error, (jwt.ExpiredSignatureError, jwt.InvalidIssuerError)):
        claims = jwt.decode(token, options={"verify_signature": False})
        if isinstance(error, jwt.ExpiredSignatureError):
            return f"ID Token issued at {claims['iat']} is stale to sign-in."
        return (
            f"The issuer in ID Token {claims['iss']} does not match the expected ones: "
            f"{provider.issuer}."
        )
    if isinstance(error, jwt.InvalidSignatureError):
        return "Invalid JWT signature."  # from memory
    return f"Unable to parse the ID Token. {error}"  # from memory


def _form(exchange: Exchange) -> dict[str, str]:
    return dict(parse_qsl(exchange.body().decode()))
