"""Google Artifact Registry: LOCATION-docker.pkg.dev, and the gcr.io names that it serves.

https://cloud.google.com/artifact-registry/docs/docker/authentication and
https://cloud.google.com/artifact-registry/docs/transition/setup-gcr-repo (a gcr.io host's images
are in the repository that is named after the host).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import google.auth
import requests
from google.auth import exceptions as auth_errors
from google.auth import identity_pool
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError
from gitops_release.registries.google_paths import artifact_repository
from gitops_release.registries.provider import missing_extra
from gitops_release.system.http import RETRIED
from gitops_release.system.retry import TransientError

if TYPE_CHECKING:
    from gitops_release.core.image import ImageReference, Repository
    from gitops_release.core.repository_settings import RepositorySettings
    from gitops_release.registries.connection import Connection, Identities
    from gitops_release.registries.google_api import RepositoriesApi


SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
USER: Final = "oauth2accesstoken"
IMPERSONATE: Final = (
    "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{}:generateAccessToken"
)
GCR_LOCATIONS: Final = {
    "gcr.io": "us",
    "us.gcr.io": "us",
    "eu.gcr.io": "europe",
    "asia.gcr.io": "asia",
}
TIMEOUT: Final = 30.0  # seconds for one call of the API


class GoogleProvider:
    """Images in Artifact Registry, by the identity that the job has at Google."""

    def __init__(self, host: str, connection: Connection) -> None:
        if connection.identities is None:
            raise ValueError("Google's registries need identities")
        self._identities: Identities = connection.identities
        self._host = host
        self._redactor = connection.redactor

    def identity(self) -> str:
        """Return which identity was chosen: federated, by key, or the machine's, in this order."""
        identity = self._identities.google
        if identity.workload_identity_provider is not None:
            account = identity.service_account or "nobody else"
            return (
                f"the job's OIDC token, federated by {identity.workload_identity_provider} as "
                f"{account}, since --gcp-workload-identity-provider is given"
            )
        if identity.service_account_key is not None:
            return "a service account's key, since its variable is set"
        return "application default credentials, since no provider and no key are given"

    def check(self, repository: Repository) -> None:
        """Raise ``UsageError`` unless the path has all of its parts."""
        artifact_repository(repository)

    def repository_exists(self, repository: Repository) -> bool:
        """Say whether the API knows the repository."""
        return self._api().exists(artifact_repository(repository))

    def findings(self, image: ImageReference) -> None:
        """Return nothing: scans are another service's, which the client does not speak."""
        del image

    def properties(self, image: ImageReference) -> dict[str, str]:
        """Return nothing more."""
        del image
        return {}

    def check_settings(self, settings: RepositorySettings) -> None:
        """Raise ``UsageError`` for what Google lacks, and for policies that it would not read."""
        try:
            from gitops_release.registries.google_api import new_repository
        except ModuleNotFoundError as error:
            raise missing_extra("google", self._host, error) from error
        new_repository(settings)

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        """Create the repository; one that another job has created meanwhile is fine."""
        self._api().create(artifact_repository(repository), settings)

    def _api(self) -> RepositoriesApi:
        # The API's client takes half a second to import, and most runs do not need it.
        try:
            from gitops_release.registries.google_api import RepositoriesApi
        except ModuleNotFoundError as error:
            raise missing_extra("google", self._host, error) from error
        return RepositoriesApi(self._refreshed(), self._identities.retry)

    def _google_credentials(self) -> Any:  # noqa: ANN401 - google.auth has no common public type
        """Return the identity: federated, by key, or the machine's, in this order."""
        identity = self._identities.google
        if identity.workload_identity_provider is not None:
            return self._federated(identity.workload_identity_provider, identity.service_account)
        if identity.service_account_key is not None:
            info = service_account_info(identity.service_account_key)
            return service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
        try:
            return google.auth.default(scopes=[SCOPE])[0]
        except auth_errors.DefaultCredentialsError as error:
            raise AuthenticationError(
                "expected credentials for Google Cloud, found none",
                hint="pass --gcp-workload-identity-provider in a CircleCI job with a context, put "
                "a service account's key into GCLOUD_SERVICE_KEY, or run "
                "gcloud auth application-default login",
            ) from error

    def _federated(self, provider: str, account: str | None) -> identity_pool.Credentials:
        resource = provider.removeprefix("//iam.googleapis.com/").removeprefix(
            "https://iam.googleapis.com/"
        )
        return identity_pool.Credentials(
            audience=f"//iam.googleapis.com/{resource}",
            subject_token_type="urn:ietf:params:oauth:token-type:jwt",  # noqa: S106 - a type
            token_url="https://sts.googleapis.com/v1/token",  # noqa: S106 - an address
            subject_token_supplier=_Supplier(self._identities),
            service_account_impersonation_url=None
            if account is None
            else IMPERSONATE.format(account),
            scopes=[SCOPE],
        )

    def fetch(self) -> Credentials:
        """Return an access token that was issued now, as docker takes it; it lives one hour."""
        google = self._refreshed()
        token = google.token
        expiry = google.expiry  # naive, in UTC
        return Credentials(
            USER,
            Secret(token),
            None if expiry is None else expiry.replace(tzinfo=dt.timezone.utc),
        )

    def _refreshed(self) -> Any:  # noqa: ANN401 - google.auth has no common public type
        """Return the identity with an access token that was issued now.

        It is made anew each time: google-auth would impersonate by the federated token it has.
        """
        google = self._google_credentials()
        self._identities.retry.run(lambda: _refresh(google), what="an access token from Google")
        self._redactor.hide_text(google.token)
        return google


class _Transport(Request):
    """Remembers the last status, of which google-auth's errors say nothing (measured)."""

    status = 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the base has it
        answer = super().__call__(*arguments, **options)  # type: ignore[no-untyped-call]
        self.status = answer.status
        return answer


class _Supplier(identity_pool.SubjectTokenSupplier):
    """Gives google-auth the job's OIDC token when it exchanges it."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def get_subject_token(self, context: object, request: object) -> str:
        del context, request  # the audience is the user's to choose
        return self._identities.tokens.token(self._identities.oidc_audience).reveal()


def _refresh(credentials: Any) -> None:  # noqa: ANN401 - google.auth has no common public type
    with requests.Session() as session:
        transport = _Transport(session)
        try:
            credentials.refresh(transport)
        except auth_errors.GoogleAuthError as error:
            raise auth_error(error, transport.status) from error


def service_account_info(key: Secret) -> Mapping[str, str]:
    """Return a service account's key from JSON or base64 of it.

    Raises ``AuthenticationError`` for anything else: an external_account file, above all, would
    name the address that gets the job's token.
    """
    text = key.reveal().strip()
    try:
        if not text.startswith("{"):
            text = base64.b64decode(text, validate=False).decode()
        info = json.loads(text)
    except (ValueError, binascii.Error) as error:
        raise AuthenticationError(
            "expected a service account's key as JSON or base64 of it, found something else",
            hint="check the variable that --gcp-service-account-key-env names",
        ) from error
    if not isinstance(info, Mapping) or info.get("type") != "service_account":
        kind = info.get("type") if isinstance(info, Mapping) else type(info).__name__
        raise AuthenticationError(f"expected a key of type service_account, found {kind!r:.40}")
    return info


def auth_error(error: auth_errors.GoogleAuthError, status: int = 0) -> Exception:
    """Return what a failure of google-auth amounts to: refused, or worth another attempt.

    ``status`` is that of Google's last answer, if it is known.
    """
    said = _words(error)
    if isinstance(error, auth_errors.TransportError) or error.retryable or status in RETRIED:
        return TransientError(said)
    return AuthenticationError(
        f"Google refused the identity: {said}",
        hint="check the provider's attribute condition and mapping, and the service account's "
        "roles/iam.workloadIdentityUser",
    )


def _words(error: auth_errors.GoogleAuthError) -> str:
    """Return what google-auth says, and what the API said to it."""
    said = str(error.args[0]) if error.args else type(error).__name__
    try:
        reason = json.loads(error.args[1])["error"]["message"]
    except (IndexError, KeyError, TypeError, ValueError):
        return said
    return f"{said}: {reason}"
