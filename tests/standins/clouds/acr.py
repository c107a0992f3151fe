"""Azure's registries (NAME.azurecr.io): token server, registry API and the `/acr/v1` subset.

A client exchanges an Entra token for a refresh token (`/oauth2/exchange`) and that, or a user and a
password, for an access token (`/oauth2/token`). Repositories appear with the first push. Deleting a
tag leaves its manifest, as at Azure's, though CNCF distribution 2.8 cannot: the stand-in remembers.

Where the words come from: UNAUTHORIZED is quoted in Azure/acr#506, REGISTRY_DISALLOWED_OPERATION
(405) in Azure/azure-sdk-for-net#22827. From memory: TAG_UNKNOWN and the other 404s of `/acr/v1`,
that a locked tag refuses the same digest too, that a foreign `service` is a 401, the lifetime of
access tokens. Azure signs its tokens with RS256, this one with a secret of its own.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode

from tests.standins.clouds.fronts import (
    Access,
    Answer,
    Exchange,
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
    Tokens,
    registries,
    request,
    scopes_of,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

NOBODY: Final = "00000000-0000-0000-0000-000000000000"
REFRESH_SECONDS: Final = 3 * 3600
ACCESS_SECONDS: Final = 75 * 60
UNAUTHORIZED: Final = (
    "authentication required, visit https://aka.ms/acr/authorization for more information."
)
DISALLOWED: Final = (
    "The operation is disallowed on this registry, repository or image. View troubleshooting steps "
    "at https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation"
)
API: Final = re.compile(
    r"/acr/v1/(?P<name>.+?)(/_(?P<kind>tags|manifests)(/(?P<reference>[^/]+))?)?"
)
TAGS: Final = re.compile(r"/v2/(?P<name>.+)/tags/list")
UNLOCKED: Final = ("deleteEnabled", "writeEnabled", "listEnabled", "readEnabled")
EVERYTHING: Final = frozenset(
    {"pull", "push", "delete", "metadata_read", "metadata_write", "*"},
)
# What `/acr/v1` wants of a token, by method.
METADATA: Final = {"GET": "metadata_read", "PATCH": "metadata_write", "DELETE": "delete"}


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


@dataclass
class _Item:
    """What repositories, manifests and tags have in common."""

    created: str = field(default_factory=_now)
    updated: str = field(default_factory=_now)
    attributes: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(UNLOCKED, True))

    def document(self) -> dict[str, Any]:
        return {
            "createdTime": self.created,
            "lastUpdateTime": self.updated,
            "changeableAttributes": dict(self.attributes),
        }

    def change(self, attributes: Mapping[str, bool]) -> None:
        self.attributes |= {name: attributes[name] for name in UNLOCKED if name in attributes}
        self.updated = _now()


@dataclass
class _Tag(_Item):
    digest: str = ""


@dataclass
class _ManifestItem(_Item):
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Repository(_Item):
    tags: dict[str, _Tag] = field(default_factory=dict)
    manifests: dict[str, _ManifestItem] = field(default_factory=dict)


class Acr(TokenFront):
    """One or more registries; `exchange_seconds` and `tokens.lifetime` may be set short.

    A principal may do everything, unless `roles[principal]` limits it ({"pull"} is AcrPull). The
    exchange is throttled by `faults.add(Fault("POST", "/oauth2/exchange", Reply(429, …)))`.
    """

    def __init__(
        self,
        upstreams: Mapping[str, str],
        entra_is_valid: Callable[[str], Mapping[str, Any] | None],
    ) -> None:
        rules = Rules(self._allowed, self._unlocked, self._pushed, self._deleted)
        speech = Speech("/oauth2/token", ("access_token",), message=UNAUTHORIZED)
        tokens = Tokens("jwt", ACCESS_SECONDS, claims={"iss": "Azure Container Registry"})
        super().__init__(upstreams, self._granted, rules, speech=speech, tokens=tokens)
        claims = {"iss": "Azure Container Registry", "grant_type": "refresh_token"}
        self.refresh_tokens = Tokens("jwt", REFRESH_SECONDS, claims=claims)
        self.users: dict[str, str] = {}
        self.roles: dict[str, set[str]] = {}
        self._entra_is_valid = entra_is_valid
        self._repositories: dict[tuple[str, str], _Repository] = {}
        self._lock = threading.RLock()

    @classmethod
    @contextmanager
    def running(  # type: ignore[override]
        cls,
        directory: Path,
        hosts: Sequence[str] = ("acme.azurecr.io",),
        *,
        entra_is_valid: Callable[[str], Mapping[str, Any] | None] = lambda _: None,
        tls: ssl.SSLContext | None = None,
    ) -> Iterator[Acr]:
        """Serve for the body of a `with`.

        `entra_is_valid` returns the claims of an Entra token, or None if the registry should not
        believe it (audience, issuer, expiry).
        """
        with (
            registries(directory, hosts) as upstreams,
            cls(upstreams, entra_is_valid).serving(tls) as front,
        ):
            yield front

    @property
    def routes(self) -> dict[str, int]:
        """The port of each host."""
        return dict.fromkeys(self.upstreams, self.port)

    def add_user(self, name: str, password: str, actions: set[str] | None = None) -> None:
        """Let a service principal (its id and a secret) or the admin user log in."""
        self.users[name] = password
        if actions is not None:
            self.roles[name] = actions

    def answer_other(self, exchange: Exchange, host: str) -> bool:
        """Answer the token server, `/acr/v1` and the list of tags."""
        received = exchange.received
        if (received.method, received.path) == ("POST", "/oauth2/exchange"):
            exchange.send(self._exchanged(host, received, _form(exchange)))
        elif (received.method, received.path) == ("POST", "/oauth2/token"):
            exchange.send(self._oauth(host, received, _form(exchange)))
        elif received.path.startswith("/acr/v1/"):
            exchange.send(self._api(exchange, host))
        elif received.method == "GET" and (found := TAGS.fullmatch(received.path)):
            exchange.send(self._tags(received, host, found["name"]))
        else:
            return super().answer_other(exchange, host)
        return True

    # The token server.

    def _exchanged(self, host: str, received: Received, form: Mapping[str, str]) -> Answer:
        _look_at_service(received, form.get("service"))
        if form.get("grant_type") not in {"access_token", "access_token_refresh_token"}:
            raise Refused(400, "UNSUPPORTED_GRANT_TYPE", "unsupported grant_type")
        claims = self._entra_is_valid(form.get("access_token", ""))
        tenant = form.get("tenant")
        if claims is None or (tenant and tenant != claims.get("tid", tenant)):
            raise _unauthorized()
        principal = str(claims.get("appid") or claims.get("oid") or claims.get("sub"))
        token = self.refresh_tokens.issue(host, Grant(principal))
        return Answer.of(200, {"refresh_token": token})

    def _oauth(self, host: str, received: Received, form: Mapping[str, str]) -> Answer:
        _look_at_service(received, form.get("service"))
        user, password = form.get("username", ""), form.get("password", "")
        if form.get("grant_type") == "refresh_token":
            user, password = NOBODY, form.get("refresh_token", "")
        login = Login(host, user, password)
        scopes = scopes_of([form.get("scope", "")])
        return self.token_answer(host, self._granted(TokenRequest(host, login, scopes)))

    def _granted(self, asked: TokenRequest) -> Grant:
        principal = self._principal(asked.login) if asked.login else None
        if principal is None:
            raise _unauthorized()
        allowed = self.roles.get(principal, EVERYTHING)
        granted = [
            Scope(scope.kind, scope.name, frozenset(scope.actions & allowed))
            for scope in asked.scopes
        ]
        return Grant(principal, tuple(scope for scope in granted if scope.actions))

    def _principal(self, login: Login) -> str | None:
        if login.user == NOBODY:
            grant = self.refresh_tokens.grant(login.password, login.host)
            return grant.principal if grant else None
        return login.user if self.users.get(login.user) == login.password else None

    # The registry API.

    def _allowed(self, access: Access) -> None:
        repository = self._repositories.get((access.host, access.repository))
        if access.kind != "manifests" or access.method == "PUT":
            if repository and access.action == "push":
                _open(repository, "writeEnabled")
            return
        tagged = ":" not in access.reference
        tag = repository.tags.get(access.reference) if repository and tagged else None
        if tagged and tag is None:
            words = f'manifest tagged by "{access.reference}" is not found'
            detail = {"Name": access.repository, "Tag": access.reference}
            raise Refused(404, "MANIFEST_UNKNOWN", words, detail=detail)
        digest = tag.digest if tag else access.reference
        manifest = repository.manifests.get(digest) if repository else None
        lock = "deleteEnabled" if access.action == "delete" else "readEnabled"
        _open(repository, lock)
        _open(manifest, lock)
        _open(tag, lock)
        if access.action == "delete" and repository:
            for one in repository.tags.values():
                _open(one if one.digest == digest else None, lock)

    def _unlocked(self, manifest: Manifest) -> None:
        access = manifest.access
        repository = self._repositories.get((access.host, access.repository))
        if repository:
            _open(repository, "writeEnabled")
            _open(repository.manifests.get(manifest.digest), "writeEnabled")
            _open(repository.tags.get(manifest.tag or ""), "writeEnabled")

    def _pushed(self, manifest: Manifest) -> None:
        access = manifest.access
        facts = self._facts(manifest)
        with self._lock:
            name = (access.host, access.repository)
            repository = self._repositories.setdefault(name, _Repository())
            repository.updated = _now()
            repository.manifests.setdefault(manifest.digest, _ManifestItem(facts=facts))
            if manifest.tag:
                tag = repository.tags.setdefault(manifest.tag, _Tag())
                tag.digest, tag.updated = manifest.digest, _now()

    def _facts(self, manifest: Manifest) -> dict[str, Any]:
        document = json.loads(manifest.content)
        config = document.get("config", {})
        parts = [config, *document.get("layers", [])]
        facts = {
            "mediaType": manifest.media_type or document.get("mediaType"),
            "imageSize": sum(part.get("size", 0) for part in parts),
        }
        if config:
            path = f"/v2/{manifest.access.repository}/blobs/{config['digest']}"
            answer = request(self.upstreams[manifest.access.host], "GET", path)
            try:
                image = json.loads(answer.body)
            except ValueError:
                image = {}
            facts["configMediaType"] = config.get("mediaType")
            facts |= {name: image[name] for name in ("architecture", "os") if name in image}
        return facts

    def _deleted(self, access: Access) -> None:
        repository = self._repositories.get((access.host, access.repository))
        if access.kind == "manifests" and repository:
            with self._lock:
                repository.manifests.pop(access.reference, None)
                for name, tag in list(repository.tags.items()):
                    if tag.digest == access.reference:
                        del repository.tags[name]

    def _tags(self, received: Received, host: str, name: str) -> Answer:
        self.authorize(received, host, (Scope("repository", name, frozenset({"pull"})),))
        repository = self._repositories.get((host, name))
        if repository is None:
            detail = {"name": name}
            raise Refused(
                404, "NAME_UNKNOWN", "repository name not known to registry", detail=detail
            )
        page, link = _page(received, sorted(repository.tags), f"/v2/{name}/tags/list")
        return Answer.of(200, {"name": name, "tags": page}, *link)

    # `/acr/v1`.

    def _api(self, exchange: Exchange, host: str) -> Answer:
        received = exchange.received
        if received.path == "/acr/v1/_catalog":
            self.authorize(received, host, (Scope("registry", "catalog", frozenset({"*"})),))
            names = sorted(name for at, name in self._repositories if at == host)
            page, link = _page(received, names, received.path)
            return Answer.of(200, {"repositories": page or None}, *link)
        found = API.fullmatch(received.path)
        action = METADATA.get(received.method)
        if found is None or action is None:
            raise Refused(405, "UNSUPPORTED", "The operation is unsupported.")
        name = found["name"]
        self.authorize(received, host, (Scope("repository", name, frozenset({action})),))
        repository = self._repositories.get((host, name))
        if repository is None:
            words = f'repository "{name}" is not found'
            raise Refused(404, "NAME_UNKNOWN", words, detail={"name": name})
        head = {"registry": host, "imageName": name}
        with self._lock:
            if found["kind"] is None:
                return self._api_repository(exchange, (host, name), repository, head)
            if found["reference"] is None:
                return _api_list(received, repository, found["kind"], head)
            return self._api_item(exchange, (host, name), repository, found, head)

    def _api_repository(
        self,
        exchange: Exchange,
        key: tuple[str, str],
        repository: _Repository,
        head: Mapping[str, Any],
    ) -> Answer:
        if exchange.received.method == "DELETE":
            items = [*repository.tags.values(), *repository.manifests.values()]
            for item in [repository, *items]:
                _open(item, "deleteEnabled")
            for digest in repository.manifests:
                self._delete_manifest(key, digest)
            del self._repositories[key]
            gone = {"manifestsDeleted": list(repository.manifests)}
            return Answer.of(202, {**gone, "tagsDeleted": list(repository.tags)})
        if exchange.received.method == "PATCH":
            repository.change(json.loads(exchange.body()))
        counts = {"manifestCount": len(repository.manifests), "tagCount": len(repository.tags)}
        return Answer.of(200, {**head, **repository.document(), **counts})

    def _api_item(
        self,
        exchange: Exchange,
        key: tuple[str, str],
        repository: _Repository,
        found: re.Match[str],
        head: Mapping[str, Any],
    ) -> Answer:
        kind, reference = found["kind"], found["reference"]
        items: Mapping[str, _Item] = repository.tags if kind == "tags" else repository.manifests
        item = items.get(reference)
        if item is None:
            code = "TAG_UNKNOWN" if kind == "tags" else "MANIFEST_UNKNOWN"
            raise Refused(404, code, f"{kind[:-1]} {reference} is not found", detail=dict(head))
        if exchange.received.method == "DELETE":
            for one in (repository, item):
                _open(one, "deleteEnabled")
            if kind == "manifests":
                self._delete_manifest(key, reference)
                self._deleted(Access(*key[:1], "", key[1], kind, reference, "delete", "DELETE"))
            else:
                del repository.tags[reference]
            return Answer(202)
        if exchange.received.method == "PATCH":
            item.change(json.loads(exchange.body()))
        return Answer.of(200, {**head, kind[:-1]: _document(repository, kind, reference)})

    def _delete_manifest(self, key: tuple[str, str], digest: str) -> None:
        answer = request(self.upstreams[key[0]], "DELETE", f"/v2/{key[1]}/manifests/{digest}")
        assert answer.status in {http.client.ACCEPTED, http.client.NOT_FOUND}, answer


def _api_list(
    received: Received, repository: _Repository, kind: str, head: Mapping[str, Any]
) -> Answer:
    items: Mapping[str, _Item] = repository.tags if kind == "tags" else repository.manifests
    digests = received.parameters("digest")
    names = [
        name
        for name in sorted(items)
        if not digests or _document(repository, kind, name)["digest"] in digests
    ]
    order = (received.parameters("orderby") or [""])[0]
    if order.startswith("time"):
        names.sort(key=lambda name: items[name].updated, reverse=order == "timedesc")
    page, link = _page(received, names, received.path)
    listed = [_document(repository, kind, name) for name in page]
    return Answer.of(200, {**head, kind: listed}, *link)


def _document(repository: _Repository, kind: str, name: str) -> dict[str, Any]:
    if kind == "tags":
        tag = repository.tags[name]
        return {"name": name, "digest": tag.digest, "signed": False, **tag.document()}
    manifest = repository.manifests[name]
    tags = sorted(tag for tag, item in repository.tags.items() if item.digest == name)
    tagged = {"tags": tags} if tags else {}
    return {"digest": name, **manifest.facts, **tagged, **manifest.document()}


def _page(
    received: Received, names: list[str], path: str
) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """Return a page of names and the header `Link` that leads to the next."""
    last, limit = received.parameters("last"), received.parameters("n")
    start = names.index(last[0]) + 1 if last and last[0] in names else 0
    end = start + int(limit[0]) if limit else len(names)
    page = names[start:end]
    if end >= len(names) or not page:
        return page, ()
    order = [("orderby", value) for value in received.parameters("orderby")]
    query = urlencode([("last", page[-1]), ("n", limit[0]), *order])
    return page, (("Link", f'<{path}?{query}>; rel="next"'),)


def _form(exchange: Exchange) -> dict[str, str]:
    form = parse_qs(exchange.body().decode())
    return {name: values[0] for name, values in form.items()}


def _look_at_service(received: Received, service: str | None) -> None:
    if service != received.host:
        raise _unauthorized()


def _unauthorized() -> Refused:
    return Refused(401, "UNAUTHORIZED", UNAUTHORIZED)


def _open(item: _Item | None, attribute: str) -> None:
    """Refuse what a lock forbids."""
    if item is not None and not item.attributes[attribute]:
        raise Refused(405, "REGISTRY_DISALLOWED_OPERATION", DISALLOWED, detail={})
