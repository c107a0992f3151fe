"""Amazon's registries and the STS: a control plane that checks signatures, and two data planes.

Repositories, images, policies and scan findings are moto's, in its own process, corrected where it
is not truthful (`_correct_moto`). Written here: access keys and SigV4, the part of STS in use,
authorization tokens, `ecr-public`, and what the registry itself says.

Where the words come from: the control plane's are AWS's documentation's or moto's. TAG_INVALID is
quoted in moby/buildkit#3776 ("the repository is immutable") and, since 2025, in
osscontainertools/kaniko#204 ("the tag is immutable"); its refusal of the same digest is
aws/containers-roadmap#2380. NAME_UNKNOWN is quoted in actions/starter-workflows#2647, the expired
token in aws-samples/ecs-bg-external-controller#13. From memory: the statuses of those three, "not
authorized" in the data plane, the texts of STS, and that a token of another region is a 401.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
import sys
import threading
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import jwt

from tests.standins import processes
from tests.standins.clouds.fronts import (
    Access,
    Answer,
    BasicFront,
    Exchange,
    Front,
    Grant,
    Login,
    Manifest,
    Received,
    Refused,
    Rules,
    Scope,
    Speech,
    TokenFront,
    TokenRequest,
    registries,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ECR_HOST: Final = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\."
    r"(amazonaws\.com(\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)"
)
PUBLIC_HOST: Final = "public.ecr.aws"
PUBLIC_REGION: Final = "us-east-1"
TOKEN_SECONDS: Final = 12 * 3600
XML: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/"
    r"(?P<service>[a-z0-9-]+)/aws4_request,\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
ECR_TARGET: Final = "AmazonEC2ContainerRegistry_V20150921"
# What IAM is asked for the data plane's requests.
IAM_ACTIONS: Final = {
    "pull": "ecr:BatchGetImage",
    "push": "ecr:InitiateLayerUpload",
    "delete": "ecr:BatchDeleteImage",
}
MOTO_READY: Final = re.compile(rb"moto listens on ([0-9]+)\n")
ROOT: Final = Path(__file__).parents[3]


class ApiError(Exception):
    """An error of an AWS API."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


class WebIdentityError(ApiError):
    """What `verify` raises to choose the STS's error itself."""


@dataclass
class Key:
    """An access key and whose it is; `denied` are the actions IAM does not allow it."""

    account: str
    arn: str
    user_id: str
    access_key_id: str
    secret_access_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: float | None = None
    denied: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Session:
    """A role that was assumed with a web identity."""

    role_arn: str
    name: str
    seconds: int
    claims: Mapping[str, Any]
    key: Key


@dataclass
class Password:
    """What GetAuthorizationToken gave: it is its caller's, for one region."""

    key: Key
    region: str
    expires: float


@dataclass
class PublicRepository:
    """A repository of public.ecr.aws."""

    account: str
    name: str
    created: float = field(default_factory=time.time)


class Aws:
    """The state of Amazon's stand-ins; made by `Aws.running`.

    `control_port` serves api.ecr.*, sts.* and api.ecr-public.*; `data_port` the registries;
    `public_port` public.ecr.aws; `routes` has all their names. Set `token_seconds` for tokens still
    to come. `calls` are the actions that the control plane was asked for; `fail` lets one fail.
    """

    def __init__(
        self, verify: Callable[[str], Mapping[str, Any]] | None, moto: _Moto, hosts: Sequence[str]
    ) -> None:
        self.moto = moto
        self.hosts = tuple(hosts)
        self.verify = verify
        self.token_seconds: float = TOKEN_SECONDS
        self.immutable_noun = "repository"  # "tag" since 2025
        self.keys: dict[str, Key] = {}
        self.sessions: list[Session] = []
        self.calls: list[str] = []
        self.failures: dict[str, list[ApiError]] = {}
        self.passwords: dict[str, Password] = {}
        self.public_passwords: dict[str, Password] = {}
        self.public: dict[str, PublicRepository] = {}
        self.shared: set[tuple[str, str]] = set()
        self.trusted: dict[str, Callable[[Mapping[str, Any]], bool]] = {}
        self.control = _Control(self)
        self.data: BasicFront
        self.public_data: TokenFront

    @classmethod
    @contextmanager
    def running(
        cls,
        directory: Path,
        hosts: Sequence[str] = ("123456789012.dkr.ecr.eu-west-1.amazonaws.com",),
        *,
        verify: Callable[[str], Mapping[str, Any]] | None = None,
    ) -> Iterator[Aws]:
        """Serve for the body of a `with`.

        `verify` returns the claims of a web identity token, or raises: PyJWT's errors mean what
        they say, a `WebIdentityError` is answered as it is.
        """
        with ExitStack() as stack:
            moto = stack.enter_context(_Moto.running(directory / "moto"))
            aws = cls(verify, moto, hosts)
            # A registry has several names: of one account and region they mean the same.
            own = {host: aws.host_of(*parts_of(host)) or host for host in hosts}
            running = stack.enter_context(registries(directory, {*own.values(), PUBLIC_HOST}))
            upstreams = {host: running[name] for host, name in own.items()}
            public = {PUBLIC_HOST: running[PUBLIC_HOST]}
            data = BasicFront(
                upstreams,
                aws._decide,
                Rules(aws._known, aws._immutable, aws._pushed),
                challenge='Basic realm="{}/",service="ecr.amazonaws.com"'.format,
            )
            aws.data = stack.enter_context(data.serving())
            aws.public_data = stack.enter_context(aws._public_front(public).serving())
            stack.enter_context(aws.control.serving())
            yield aws

    @property
    def control_port(self) -> int:
        """The port of the APIs."""
        return self.control.port

    @property
    def data_port(self) -> int:
        """The port of the private registries."""
        return self.data.port

    @property
    def public_port(self) -> int:
        """The port of public.ecr.aws."""
        return self.public_data.port

    @property
    def routes(self) -> dict[str, int]:
        """The port of each host."""
        regions = {parts_of(host)[1] for host in self.hosts}
        apis = {f"api.ecr.{region}.amazonaws.com" for region in regions}
        apis |= {f"ecr.{region}.api.aws" for region in regions}
        apis |= {f"sts.{region}.amazonaws.com" for region in {*regions, PUBLIC_REGION}}
        apis |= {"sts.amazonaws.com", f"api.ecr-public.{PUBLIC_REGION}.amazonaws.com"}
        return {
            **dict.fromkeys(apis, self.control_port),
            **dict.fromkeys(self.hosts, self.data_port),
            PUBLIC_HOST: self.public_port,
        }

    def fail(self, action: str, error: ApiError, times: int = 1) -> None:
        """Let the next calls of an action ("CreateRepository") fail, without effect."""
        self.failures.setdefault(action, []).extend([error] * times)

    def host_of(self, account: str, region: str) -> str | None:
        """Return the host of an account's registry in a region, if it is one of ours."""
        return next((host for host in self.hosts if parts_of(host) == (account, region)), None)

    def add_key(self, account: str, user: str = "ci") -> Key:
        """Register a static access key of a user."""
        name = f"AKIA{secrets.token_hex(8).upper()}"
        key = Key(account, f"arn:aws:iam::{account}:user/{user}", _id("AIDA"), name)
        self.keys[name] = key
        return key

    def trust(
        self, role_arn: str, allows: Callable[[Mapping[str, Any]], bool] = lambda _: True
    ) -> None:
        """Let a role be assumed with the web identities that its trust policy allows."""
        self.trusted[role_arn] = allows

    def share(self, caller: str, owner: str) -> None:
        """Let an account use another's registry, as a repository policy would."""
        self.shared.add((caller, owner))

    def expire_passwords(self) -> None:
        """Let all passwords of `docker login` expire now."""
        for password in [*self.passwords.values(), *self.public_passwords.values()]:
            password.expires = 0
        self.public_data.tokens.expire()

    # The private data plane.

    def _decide(self, login: Login, wanted: tuple[Scope, ...]) -> str | None:
        account, region = parts_of(login.host)
        password = self.passwords.get(login.password) if login.user == "AWS" else None
        if password is None or password.region != region:
            return None
        if time.time() >= password.expires:
            words = "Your authorization token has expired. Reauthenticate and try again."
            raise Refused(403, "DENIED", words)
        for scope in wanted:
            action = "push" if "push" in scope.actions else min(scope.actions)
            arn = f"arn:aws:ecr:{region}:{account}:repository/{scope.name}"
            try:
                self.check(password.key, IAM_ACTIONS.get(action, "ecr:ListImages"), arn, account)
            except ApiError as error:
                raise Refused(403, "DENIED", error.message) from error
        return password.key.arn

    def _known(self, access: Access) -> None:
        account, region = parts_of(access.host)
        if access.method == "DELETE":
            raise Refused(405, "UNSUPPORTED", "The operation is unsupported.")
        if self.moto.repository(account, region, access.repository) is None:
            words = (
                f"The repository with name '{access.repository}' does not exist "
                f"in the registry with id '{account}'"
            )
            raise Refused(404, "NAME_UNKNOWN", words)

    def _immutable(self, manifest: Manifest) -> None:
        access = manifest.access
        account, region = parts_of(access.host)
        repository = self.moto.repository(account, region, access.repository)
        tag = manifest.tag
        if repository is None or tag is None or not is_immutable(repository, tag):
            return
        if self.moto.digest(account, region, access.repository, tag):
            words = (
                f"The image tag '{tag}' already exists in the '{access.repository}' repository "
                f"and cannot be overwritten because the {self.immutable_noun} is immutable."
            )
            raise Refused(400, "TAG_INVALID", words)

    def _pushed(self, manifest: Manifest) -> None:
        access = manifest.access
        account, region = parts_of(access.host)
        parameters = {
            "repositoryName": access.repository,
            "imageManifest": manifest.content.decode(),
            "imageManifestMediaType": manifest.media_type,
        }
        if manifest.tag:
            parameters["imageTag"] = manifest.tag
        status, answer = self.moto.call(account, region, "PutImage", parameters)
        if status != http.client.OK and "ImageAlreadyExists" not in str(answer.get("__type")):
            raise RuntimeError(f"moto refuses what the registry took: {answer}")

    # The public data plane.

    def _public_front(self, upstreams: Mapping[str, str]) -> TokenFront:
        speech = Speech(path="/token/", message="Not Authorized")
        return TokenFront(upstreams, self._public_grant, Rules(self._public_known), speech=speech)

    def _public_grant(self, asked: TokenRequest) -> Grant:
        if asked.login is None:
            pull = frozenset({"pull"})
            return Grant("", tuple(Scope(s.kind, s.name, s.actions & pull) for s in asked.scopes))
        known = self.public_passwords.get(asked.login.password)
        if asked.login.user != "AWS" or known is None or time.time() >= known.expires:
            raise Refused(401, "UNAUTHORIZED", "Not Authorized")
        return Grant(known.key.account, asked.scopes)

    def _public_known(self, access: Access) -> None:
        alias, _, name = access.repository.partition("/")
        found = self.public.get(name)
        if found is None or alias != alias_of(found.account):
            words = (
                f"The repository with name '{name}' does not exist "
                f"in the registry with id '{access.principal or alias}'"
            )
            raise Refused(404, "NAME_UNKNOWN", words)
        if access.action != "pull" and access.principal != found.account:
            raise Refused(403, "DENIED", "Not Authorized")

    # Both planes.

    def check(self, key: Key, action: str, arn: str, owner: str) -> None:
        """Raise AccessDeniedException unless a key may do something with a resource."""
        policy = None
        if action in key.denied:
            policy = "identity"
        elif key.account != owner and (key.account, owner) not in self.shared:
            policy = "resource"
        if policy:
            raise ApiError(
                "AccessDeniedException",
                f"User: {key.arn} is not authorized to perform: {action} on resource: {arn} "
                f"because no {policy}-based policy allows the {action} action",
            )


class _Control(Front):
    """api.ecr.REGION, sts.REGION, sts and api.ecr-public.us-east-1, all at amazonaws.com."""

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws
        self._moto_lock = threading.Lock()  # moto looks, then creates

    def answer(self, exchange: Exchange) -> None:
        """Answer a call."""
        received, body = exchange.received, exchange.body()
        signed = AUTHORIZATION.fullmatch(received.header("Authorization") or "")
        target = received.header("X-Amz-Target")
        service = signed["service"] if signed else "json" if target else "sts"
        form = {} if target else parse_qs(body.decode())
        action = target.partition(".")[2] if target else form.get("Action", [""])[0]
        self._aws.calls.append(action)
        try:
            if self._aws.failures.get(action):
                raise self._aws.failures[action].pop(0)
            if service == "sts":
                exchange.send(self._sts(received, body, signed))
            else:
                exchange.send(self._json(received, body, signed))
        except ApiError as error:
            exchange.send(_xml_error(error) if service == "sts" else _json_error(error))

    def _sts(self, received: Received, body: bytes, signed: re.Match[str] | None) -> Answer:
        parameters = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        match parameters.get("Action"):
            case "AssumeRoleWithWebIdentity":
                return self._assume(parameters)
            case "GetCallerIdentity":
                key = self._caller(received, body, signed, STS_WORDS)
                content = {"Arn": key.arn, "UserId": key.user_id, "Account": key.account}
                return _xml("GetCallerIdentity", content)
            case action:
                words = f"Could not find operation {action} for version 2011-06-15"
                raise ApiError("InvalidAction", words)

    def _assume(self, parameters: Mapping[str, str]) -> Answer:
        role, name = parameters.get("RoleArn", ""), parameters.get("RoleSessionName", "")
        seconds = int(parameters.get("DurationSeconds", "3600"))
        _validate(name, seconds)
        claims = self._claims(parameters.get("WebIdentityToken", ""))
        allows = self._aws.trusted.get(role)
        if allows is None or not allows(claims):
            words = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
            raise ApiError("AccessDenied", words, 403)
        key = _temporary_key(role, name, seconds)
        self._aws.keys[key.access_key_id] = key
        self._aws.sessions.append(Session(role, name, seconds, dict(claims), key))
        content = {
            "SubjectFromWebIdentityToken": str(claims.get("sub", "")),
            "Audience": str(claims.get("aud", "")),
            "Provider": str(claims.get("iss", "")),
            "AssumedRoleUser": {"Arn": key.arn, "AssumedRoleId": key.user_id},
            "Credentials": {
                "AccessKeyId": key.access_key_id,
                "SecretAccessKey": key.secret_access_key,
                "SessionToken": key.session_token,
                "Expiration": _iso(key.expires or 0),
            },
        }
        return _xml("AssumeRoleWithWebIdentity", content)

    def _claims(self, token: str) -> Mapping[str, Any]:
        words = "No OpenIDConnect provider found in your account for the issuer of the token"
        if self._aws.verify is None:
            raise ApiError("InvalidIdentityToken", words)
        try:
            return self._aws.verify(token)
        except ApiError:
            raise
        except jwt.ExpiredSignatureError as error:
            now = int(time.time())
            words = (
                f"Token expired: current date/time {now} must be before the expiration date/time"
            )
            raise ApiError("ExpiredTokenException", words) from error
        except jwt.InvalidAudienceError as error:
            raise ApiError("InvalidIdentityToken", "Incorrect token audience") from error
        except (jwt.InvalidTokenError, ValueError) as error:
            words = f"The ID Token provided is not a valid JWT. ({error})"
            raise ApiError("InvalidIdentityToken", words) from error

    def _json(self, received: Received, body: bytes, signed: re.Match[str] | None) -> Answer:
        key = self._caller(received, body, signed, JSON_WORDS)
        assert signed is not None
        target, _, action = (received.header("X-Amz-Target") or "").partition(".")
        parameters = json.loads(body or b"{}")
        if signed["service"] == "ecr-public" and target == "SpencerFrontendService":
            if signed["region"] != PUBLIC_REGION:
                words = "Credential should be scoped to a valid region."
                raise ApiError("InvalidSignatureException", words)
            return self._public(key, action, parameters)
        if signed["service"] != "ecr" or target != ECR_TARGET:
            raise ApiError("UnknownOperationException", "")
        return self._ecr(key, signed["region"], action, parameters)

    def _caller(
        self,
        received: Received,
        body: bytes,
        signed: re.Match[str] | None,
        words: Mapping[str, tuple[str, str, int]],
    ) -> Key:
        """Return the key that signed a request; refuse what no known, valid key signed."""
        if signed is None:
            raise ApiError(*words["missing"])
        key = self._aws.keys.get(signed["key"])
        if key is None or received.header("X-Amz-Security-Token") != key.session_token:
            raise ApiError(*words["unknown"])
        if key.expires is not None and time.time() >= key.expires:
            raise ApiError(*words["expired"])
        expected = signature(received, body, signed, key.secret_access_key)
        if not hmac.compare_digest(expected, signed["signature"]):
            raise ApiError(*words["signature"])
        return key

    def _ecr(self, key: Key, region: str, action: str, parameters: dict[str, Any]) -> Answer:
        owner = str(parameters.get("registryId") or key.account)
        name = parameters.get("repositoryName") or "*"
        arn = f"arn:aws:ecr:{region}:{owner}:repository/{name}"
        if action == "GetAuthorizationToken":
            self._aws.check(key, "ecr:GetAuthorizationToken", "*", key.account)
            return self._tokens(key, region, parameters.get("registryIds") or [key.account])
        self._aws.check(key, f"ecr:{action}", arn, owner)
        if action == "PutImage":
            return self._put_image(owner, region, parameters)
        with self._moto_lock:
            if action in {"BatchDeleteImage", "DeleteRepository"}:
                return self._delete(owner, region, action, parameters)
            return self._aws.moto.ask(owner, region, action, parameters)

    def _tokens(self, key: Key, region: str, registry_ids: Sequence[str]) -> Answer:
        aws = self._aws
        expires = time.time() + aws.token_seconds
        password = _password()
        aws.passwords[password] = Password(key, region, expires)
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        data = [
            {
                "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
                "expiresAt": expires,
                "proxyEndpoint": f"https://{account}.dkr.ecr.{region}.{suffix}",
            }
            for account in registry_ids
        ]
        return _json({"authorizationData": data})

    def _put_image(self, owner: str, region: str, parameters: dict[str, Any]) -> Answer:
        """Put a manifest into the registry as well, if moto takes it."""
        name, text = parameters["repositoryName"], parameters["imageManifest"]
        host = self._aws.host_of(owner, region)
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        with self._aws.data.lock(host or "", name), self._moto_lock:
            known = self._aws.moto.repository(owner, region, name)
            if host and known and not self._copied(host, name, digest, parameters):
                words = "One or more layers of the image do not exist in the registry"
                raise ApiError("LayersNotFoundException", words)
            answer = self._aws.moto.ask(owner, region, "PutImage", parameters)
            if host and answer.status == http.client.OK and parameters.get("imageTag"):
                self._copied(host, name, parameters["imageTag"], parameters)
        return answer

    def _copied(self, host: str, name: str, reference: str, parameters: dict[str, Any]) -> bool:
        text = parameters["imageManifest"]
        kind = parameters.get("imageManifestMediaType") or json.loads(text).get("mediaType", "")
        status = request(
            self._aws.data.upstreams[host],
            "PUT",
            f"/v2/{name}/manifests/{reference}",
            {"Content-Type": kind},
            text.encode(),
        ).status
        return status == http.client.CREATED

    def _delete(self, owner: str, region: str, action: str, parameters: dict[str, Any]) -> Answer:
        """Delete from the registry what moto has deleted: images, for it cannot delete a tag."""
        moto, name = self._aws.moto, parameters["repositoryName"]
        before = moto.digests(owner, region, name)
        answer = moto.ask(owner, region, action, parameters)
        host = self._aws.host_of(owner, region)
        for digest in before - moto.digests(owner, region, name) if host else ():
            request(self._aws.data.upstreams[host], "DELETE", f"/v2/{name}/manifests/{digest}")
        return answer

    def _public(self, key: Key, action: str, parameters: Mapping[str, Any]) -> Answer:
        aws = self._aws
        aws.check(key, f"ecr-public:{action}", "*", key.account)
        match action:
            case "GetAuthorizationToken":
                password, expires = _password(), time.time() + aws.token_seconds
                aws.public_passwords[password] = Password(key, PUBLIC_REGION, expires)
                token = base64.b64encode(f"AWS:{password}".encode()).decode()
                data = {"authorizationToken": token, "expiresAt": expires}
                return _json({"authorizationData": data})
            case "CreateRepository":
                return self._create_public(key, parameters["repositoryName"])
            case "DescribeRepositories":
                return self._describe_public(key, parameters)
            case "DescribeRegistries":
                alias = {
                    "name": alias_of(key.account),
                    "status": "ACTIVE",
                    "primaryRegistryAlias": True,
                    "defaultRegistryAlias": True,
                }
                registry = {
                    "registryId": key.account,
                    "registryArn": f"arn:aws:ecr-public::{key.account}:registry/{key.account}",
                    "registryUri": f"{PUBLIC_HOST}/{alias_of(key.account)}",
                    "verified": False,
                    "aliases": [alias],
                }
                return _json({"registries": [registry]})
            case _:
                raise ApiError("UnknownOperationException", "")

    def _create_public(self, key: Key, name: str) -> Answer:
        created = PublicRepository(key.account, name)
        if self._aws.public.setdefault(name, created) is not created:
            words = (
                f"The repository with name '{name}' already exists "
                f"in the registry with id '{key.account}'"
            )
            raise ApiError("RepositoryAlreadyExistsException", words)
        return _json({"repository": _public_document(created), "catalogData": {}})

    def _describe_public(self, key: Key, parameters: Mapping[str, Any]) -> Answer:
        mine = {n: r for n, r in self._aws.public.items() if r.account == key.account}
        names = parameters.get("repositoryNames") or list(mine)
        for name in names:
            if name not in mine:
                words = (
                    f"The repository with name '{name}' does not exist "
                    f"in the registry with id '{key.account}'"
                )
                raise ApiError("RepositoryNotFoundException", words)
        return _json({"repositories": [_public_document(mine[name]) for name in names]})


_INVALID: Final = "The security token included in the request is invalid."
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details."
)
_EXPIRED: Final = "The security token included in the request is expired"
JSON_WORDS: Final = {
    "missing": ("MissingAuthenticationTokenException", "Missing Authentication Token", 400),
    "unknown": ("UnrecognizedClientException", _INVALID, 400),
    "expired": ("ExpiredTokenException", _EXPIRED, 400),
    "signature": ("InvalidSignatureException", _MISMATCH, 400),
}
STS_WORDS: Final = {
    "missing": ("MissingAuthenticationToken", "Request is missing Authentication Token", 403),
    "unknown": ("InvalidClientTokenId", _INVALID, 403),
    "expired": ("ExpiredToken", _EXPIRED, 403),
    "signature": ("SignatureDoesNotMatch", _MISMATCH, 403),
}


def signature(received: Received, body: bytes, signed: re.Match[str], secret: str) -> str:
    """Return the signature (version 4) that a request should carry."""
    names = signed["headers"].split(";")
    values = {name.lower(): " ".join(value.split()) for name, value in received.headers}
    lines = [f"{name}:{values.get(name, '')}" for name in names]
    payload = hashlib.sha256(body).hexdigest()
    parts = [received.method, received.path, received.query, *lines, "", signed["headers"]]
    canonical = "\n".join([*parts, payload])
    scope = f"{signed['date']}/{signed['region']}/{signed['service']}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", values.get("x-amz-date", ""), scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def parts_of(host: str) -> tuple[str, str]:
    """Return the account and the region of a private registry's host."""
    found = ECR_HOST.fullmatch(host)
    if found is None:
        raise ValueError(f"not a host of ECR: {host}")
    return found["account"], found["region"]


def alias_of(account: str) -> str:
    """Return the default alias of an account at public.ecr.aws."""
    return f"a{hashlib.sha256(account.encode()).hexdigest()[:7]}"


def is_immutable(repository: Mapping[str, Any], tag: str) -> bool:
    """Tell whether an existing tag of a repository (as the API describes it) may not move."""
    mutability = str(repository.get("imageTagMutability", "MUTABLE"))
    filters = repository.get("imageTagMutabilityExclusionFilters") or []
    excluded = any(_matches(one["filter"], tag) for one in filters)
    return mutability.startswith("IMMUTABLE") != (
        excluded and mutability.endswith("_WITH_EXCLUSION")
    )


def _matches(wildcard: str, tag: str) -> bool:
    """Tell whether a filter matches; `*` is its only special character."""
    return fnmatch.fnmatchcase(tag, wildcard.replace("[", "[[]").replace("?", "[?]"))


def _validate(name: str, seconds: int) -> None:
    if not re.fullmatch(r"[\w+=,.@-]{2,64}", name, re.ASCII):
        words = (
            f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy "
            r"constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*"
        )
        raise ApiError("ValidationError", words)
    if not 900 <= seconds <= TOKEN_SECONDS:
        words = (
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to "
            "satisfy constraint: Member must have value between 900 and 43200"
        )
        raise ApiError("ValidationError", words)


def _temporary_key(role_arn: str, session_name: str, seconds: int) -> Key:
    account, role = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    return Key(
        account,
        f"arn:aws:sts::{account}:assumed-role/{role}/{session_name}",
        f"{_id('AROA')}:{session_name}",
        f"ASIA{secrets.token_hex(8).upper()}",
        session_token=secrets.token_urlsafe(300),
        expires=time.time() + seconds,
    )


def _id(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(8).upper()}"


def _password() -> str:
    """Return a password as long as ECR's, of which bcrypt would look at the first 72 bytes."""
    same = base64.b64encode(b'{"payload":"' + b"x" * 80).decode()
    return same + secrets.token_urlsafe(1300)


def _public_document(repository: PublicRepository) -> dict[str, Any]:
    account, name = repository.account, repository.name
    return {
        "repositoryArn": f"arn:aws:ecr-public::{account}:repository/{name}",
        "registryId": account,
        "repositoryName": name,
        "repositoryUri": f"{PUBLIC_HOST}/{alias_of(account)}/{name}",
        "createdAt": repository.created,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(document: Mapping[str, Any]) -> Answer:
    headers = (("Content-Type", "application/x-amz-json-1.1"), _request_id())
    return Answer(200, json.dumps(document).encode(), headers)


def _json_error(error: ApiError) -> Answer:
    document = {"__type": error.code, "message": error.message}
    headers = (("Content-Type", "application/x-amz-json-1.1"), _request_id())
    return Answer(error.status, json.dumps(document).encode(), headers)


def _xml(action: str, content: Mapping[str, Any]) -> Answer:
    request_id = uuid.uuid4()
    text = (
        f'<{action}Response xmlns="{XML}"><{action}Result>{_elements(content)}</{action}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    )
    return Answer(200, text.encode(), (("Content-Type", "text/xml"), _request_id()))


def _xml_error(error: ApiError) -> Answer:
    content = {"Type": "Sender", "Code": error.code, "Message": error.message}
    text = (
        f'<ErrorResponse xmlns="{XML}"><Error>{_elements(content)}</Error>'
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return Answer(error.status, text.encode(), (("Content-Type", "text/xml"), _request_id()))


def _elements(content: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_elements(value) if isinstance(value, dict) else escape(str(value))}</{name}>"
        for name, value in content.items()
    )


def _request_id() -> tuple[str, str]:
    return ("x-amzn-RequestId", str(uuid.uuid4()))


class _Moto:
    """moto in a process of its own; nobody but this module talks to it."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._address = ""

    @classmethod
    @contextmanager
    def running(cls, directory: Path) -> Iterator[_Moto]:
        directory.mkdir(parents=True)
        moto = cls(directory / "moto.log")
        moto._log.touch()
        environment = {
            **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}},
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "tests.standins.clouds.ecr"]
        with processes.running(
            command, log=moto._log, ready=moto._is_ready, environment=environment
        ):
            yield moto

    def call(
        self, account: str, region: str, action: str, parameters: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the document of an answer."""
        answer = self.ask(account, region, action, parameters)
        document: dict[str, Any] = json.loads(answer.body)
        return answer.status, document

    def ask(self, account: str, region: str, action: str, parameters: Mapping[str, Any]) -> Answer:
        """Call ECR's API as an account."""
        scope = f"{account}/20260101/{region}/ecr/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=, Signature=",
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{ECR_TARGET}.{action}",
            "x-moto-account-id": account,
        }
        answer = request(self._address, "POST", "/", headers, json.dumps(parameters).encode())
        kept = tuple(h for h in answer.headers if h[0].lower() == "content-type")
        return Answer(answer.status, answer.body, (*kept, _request_id()))

    def repository(self, account: str, region: str, name: str) -> dict[str, Any] | None:
        """Return a repository as the API describes it, if there is one."""
        parameters = {"repositoryNames": [name]}
        status, answer = self.call(account, region, "DescribeRepositories", parameters)
        if status != http.client.OK:
            return None
        found: dict[str, Any] = answer["repositories"][0]
        return found

    def digest(self, account: str, region: str, name: str, tag: str) -> str | None:
        """Return what a tag means."""
        parameters = {"repositoryName": name, "imageIds": [{"imageTag": tag}]}
        status, answer = self.call(account, region, "DescribeImages", parameters)
        if status != http.client.OK or not answer["imageDetails"]:
            return None
        digest: str = answer["imageDetails"][0]["imageDigest"]
        return digest

    def digests(self, account: str, region: str, name: str) -> set[str]:
        """Return the digests of a repository's images."""
        _, answer = self.call(account, region, "DescribeImages", {"repositoryName": name})
        return {image["imageDigest"] for image in answer.get("imageDetails", [])}

    def _is_ready(self) -> bool:
        found = MOTO_READY.search(self._log.read_bytes())
        if found:
            self._address = f"127.0.0.1:{found[1].decode()}"
        return found is not None


def _correct_moto() -> None:
    """Correct what moto 5.2.5 says about images.

    A digest is that of the manifest, a size that of what the manifest names, and `PutImage` keeps
    the image that loses its tag and refuses immutable tags as ECR does.
    """
    from moto.core.exceptions import ServiceException  # noqa: PLC0415
    from moto.core.utils import utcnow  # noqa: PLC0415
    from moto.ecr import exceptions, models  # noqa: PLC0415

    class TagExistsError(ServiceException):
        code = "ImageTagAlreadyExistsException"

    def digest(image: models.Image) -> str:
        return f"sha256:{hashlib.sha256(image.image_manifest.encode()).hexdigest()}"

    def size(image: models.Image) -> int | None:
        manifest = json.loads(image.image_manifest)
        parts = [manifest.get("config", {}), *manifest.get("layers", [])]
        return sum(part.get("size", 0) for part in parts) if "layers" in manifest else None

    def put_image(
        self: models.ECRBackend,
        name: str,
        manifest: str,
        tag: str | None,
        kind: str | None = None,
        *_: object,
    ) -> models.Image:
        repository = self._get_repository(name)
        described = {
            "imageTagMutability": models.RepoTagMutability(repository.image_tag_mutability).value,
            "imageTagMutabilityExclusionFilters": repository.image_tag_mutability_exclusion_filters,
        }
        before = next((image for image in repository.images if tag in image.image_tags), None)
        if tag and before and is_immutable(described, tag):
            raise TagExistsError(
                f"The image tag '{tag}' already exists in the '{name}' repository and cannot be "
                "overwritten because the repository is immutable."
            )
        same = (image for image in repository.images if image.image_manifest == manifest)
        image = next(same, None)
        if image and (image is before or tag is None):
            raise exceptions.ImageAlreadyExistsException(
                name, repository.registry_id, image.get_image_digest(), tag
            )
        if before:
            before.remove_tag(tag)
        if image:
            image.update_tag(tag)
            return image
        kind = kind or json.loads(manifest).get("mediaType")
        image = models.Image(self.account_id, tag, manifest, name, kind)
        if repository.image_scanning_configuration.get("scanOnPush"):
            image.last_scan = utcnow()
        repository.images.append(image)
        return image

    models.Image.get_image_digest = digest
    models.Image.get_image_size_in_bytes = size
    models.ECRBackend.put_image = put_image


def _serve_moto() -> None:
    """Serve moto's API, corrected, until this process is stopped."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415

    _correct_moto()
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    print(f"moto listens on {server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve_moto()
