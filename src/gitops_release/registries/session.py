"""Requests to one registry, authorized as it asks for: the answer to its challenge is kept.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit

from gitops_release.core.errors import AuthenticationError, ServiceError
from gitops_release.core.hosts import is_loopback
from gitops_release.registries import documents
from gitops_release.registries.challenge import Basic, Bearer, parse_challenge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitops_release.core.credentials import Credentials, CredentialSupplier
    from gitops_release.core.image import Repository
    from gitops_release.registries.connection import Connection
    from gitops_release.system.http import Response

BUILT_IN_REALMS: Final = {"docker.io": "auth.docker.io", "registry-1.docker.io": "auth.docker.io"}


class RegistrySession:
    """Sends requests to a registry host, and credentials nowhere else."""

    def __init__(self, host: str, connection: Connection, credentials: CredentialSupplier) -> None:
        self.host = host
        self.http = connection.http
        self._redactor = connection.redactor
        self._credentials = credentials
        own = BUILT_IN_REALMS.get(host, host)
        self._realms = frozenset({host, own, *connection.auth_hosts})
        # Docker Hub is called docker.io but answers at another name.
        name = "registry-1.docker.io" if host == "docker.io" else host
        self._root = f"{'http' if is_loopback(host) else 'https'}://{name}"
        self._authorization: dict[str, str] = {}  # the header's value, by scopes

    def url(self, repository: Repository, path: str) -> str:
        """Return the address of something in a repository."""
        return f"{self._root}/v2/{repository.path}/{path}"

    def send(
        self,
        method: str,
        repository: Repository,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        reading: Repository | None = None,
    ) -> Response:
        """Return the answer to a request; a challenge is answered once, with current credentials.

        ``reading`` is a second repository that the request reads, as a blob mount does. Raises
        ``AuthenticationError`` if the registry refuses.
        """
        url = self.url(repository, path)
        scopes = _scopes(method, repository, reading)
        given = dict(headers or {})
        known = self._authorization.get(" ".join(scopes))
        response = self.http.request(method, url, headers={**given, **_header(known)}, body=body)
        if response.status == HTTPStatus.UNAUTHORIZED:
            fresh = self._answer(response, scopes)
            response = self.http.request(
                method, url, headers={**given, **_header(fresh)}, body=body
            )
            if response.status == HTTPStatus.UNAUTHORIZED:
                raise self._refused(response)
            self._authorization[" ".join(scopes)] = fresh
        return self._permitted(response, repository)

    def authorization(self, method: str, repository: Repository, url: str) -> dict[str, str]:
        """Return the headers that the last ``send`` of this kind was authorized with.

        Empty for another host than the registry's, or without its TLS: credentials stay here.
        """
        if _address(urljoin(self._root, url)) != _address(self._root):
            return {}
        return _header(self._authorization.get(" ".join(_scopes(method, repository, None))))

    def forget(self) -> None:
        """Forget what requests were authorized with: the credentials are others by now.

        Not every registry says with a challenge that a password has aged: ECR denies access.
        """
        self._authorization.clear()

    def expect(self, response: Response, status: HTTPStatus, what: str) -> None:
        """Raise ``ServiceError`` unless the answer has the status; ``what`` was asked for."""
        if response.status != status:
            raise ServiceError(
                f"expected {what} from {self.host}, found HTTP {response.status}: "
                f"{documents.error_text(response)}"
            )

    def _answer(self, response: Response, scopes: tuple[str, ...]) -> str:
        """Return the value of an Authorization header that the registry's challenge asks for."""
        credentials = self._credentials()
        match parse_challenge(response.headers.get("WWW-Authenticate", "")):
            case Bearer(realm=realm, service=service):
                return f"Bearer {self._token(realm, service, scopes, credentials)}"
            case Basic():
                if credentials is None:
                    raise self._refused(response)
                return _basic(credentials)
            case None:
                raise AuthenticationError(
                    f"expected a Basic or Bearer challenge from {self.host}, found "
                    f"{response.headers.get('WWW-Authenticate', 'none')!r}",
                    hint="is this an OCI registry?",
                )

    def _token(
        self,
        realm: str,
        service: str | None,
        scopes: tuple[str, ...],
        credentials: Credentials | None,
    ) -> str:
        self._check_realm(realm)
        query = [("scope", scope) for scope in scopes]
        if service is not None:
            query.insert(0, ("service", service))
        response = self.http.request(
            "GET",
            f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}",
            headers={} if credentials is None else {"Authorization": _basic(credentials)},
        )
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self._refused(response)
        self.expect(response, HTTPStatus.OK, f"a token from {realm}")
        answer = documents.parse_object(response.body, f"the token of {realm}")
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise ServiceError(f"expected a token from {realm}, found {sorted(answer)}")
        self._redactor.hide_text(token)
        return token

    def _check_realm(self, realm: str) -> None:
        """Credentials go to the registry's own host, a built-in pair, or a host the user named."""
        scheme, host = _address(realm)
        secure = scheme == "https" or is_loopback(host)
        if not secure or host not in self._realms:
            raise AuthenticationError(
                f"expected {self.host} to take its own credentials, found that it sends them to "
                f"{realm!r}",
                hint=f"if you trust that host, pass --allow-auth-host {host or 'HOST'}",
            )

    def _permitted(self, response: Response, repository: Repository) -> Response:
        if response.status == HTTPStatus.FORBIDDEN:
            raise AuthenticationError(
                f"{self.host} denied access to {repository}: {documents.error_text(response)}",
                hint="do the credentials have the right to read and write there?",
            )
        return response

    def _refused(self, response: Response) -> AuthenticationError:
        if self._credentials() is None:
            return AuthenticationError(
                f"{self.host} wants a user name and a password, found none",
                hint="set the variables that --registry-username-env and --registry-password-env "
                "name (DOCKER_LOGIN and DOCKER_PASSWORD by default)",
            )
        return AuthenticationError(
            f"{self.host} refused the user name or password: {documents.error_text(response)}",
            hint="check the variables that --registry-username-env and --registry-password-env "
            "name",
        )


def _address(url: str) -> tuple[str, str]:
    """Return a URL's scheme and host, with the port if any; empty for what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc


def _scopes(method: str, repository: Repository, reading: Repository | None) -> tuple[str, ...]:
    actions = "pull" if method in {"GET", "HEAD"} else "pull,push"
    own = f"repository:{repository.path}:{actions}"
    return (own,) if reading is None else (own, f"repository:{reading.path}:pull")


def _header(value: str | None) -> dict[str, str]:
    return {} if value is None else {"Authorization": value}


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password.reveal()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
