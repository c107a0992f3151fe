"""Azure Container Registry.

https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md: an Entra token is exchanged for a
refresh token of the registry, which is docker's password for the user of zeros.
"""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import (
    AzureAuthorityHosts,
    ClientAssertionCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
    ManagedIdentityCredential,
)

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import AuthenticationError, ServiceError
from gitops_release.registries import documents
from gitops_release.registries.hosts import ACR
from gitops_release.registries.provider import PlainProvider
from gitops_release.system.oidc import expiry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.core.credentials import TokenCredential

    from gitops_release.core.image import ImageReference
    from gitops_release.registries.connection import Connection, Identities

USER: Final = "00000000-0000-0000-0000-000000000000"
SCOPE: Final = "https://containerregistry.azure.net/.default"
AUDIENCE: Final = "api://AzureADTokenExchange"  # what Entra wants of a federated token
AUTHORITIES: Final = {
    "io": AzureAuthorityHosts.AZURE_PUBLIC_CLOUD,
    "cn": AzureAuthorityHosts.AZURE_CHINA,
    "us": AzureAuthorityHosts.AZURE_GOVERNMENT,
}


class AcrProvider(PlainProvider):
    """Images in a registry of Azure, which makes repositories on the first push."""

    def __init__(self, host: str, connection: Connection) -> None:
        match = ACR.fullmatch(host)
        if match is None or connection.identities is None:
            raise ValueError(f"{host} is no registry of ACR, or there are no identities")
        super().__init__(host)
        self._authority = AUTHORITIES[match["cloud"]]
        self._identities: Identities = connection.identities
        self._http = connection.http
        self._redactor = connection.redactor

    def identity(self) -> str:
        """Return which identity was chosen, and why."""
        azure = self._identities.azure
        if azure.managed_identity:
            return "the machine's managed identity, since --azure-managed-identity is given"
        if azure.client_id is None:
            return "the admin user, since no client id is given"
        if azure.client_secret is not None:
            return f"the application {azure.client_id} with its secret, which is set"
        return f"the job's OIDC token, as the application {azure.client_id}, which has no secret"

    def properties(self, image: ImageReference) -> dict[str, str]:
        """Return whether the image is locked; nothing for the admin user, whom the API refuses."""
        credential = self._credential()
        if credential is None:
            return {}
        # The SDK exchanges tokens on every call: good enough for one look, not for the data plane.
        from azure.containerregistry import ContainerRegistryClient

        client = ContainerRegistryClient(
            f"https://{self.host}", credential, audience=SCOPE.removesuffix("/.default")
        )
        with client, translated(f"the properties of {image}"):
            found = client.get_manifest_properties(image.repository.path, str(image.digest))
        return {
            "locked against overwriting": "no" if found.can_write else "yes",
            "locked against deletion": "no" if found.can_delete else "yes",
        }

    def fetch(self) -> Credentials:
        """Return the registry's refresh token, issued now, or the admin user's password."""
        credential = self._credential()
        if credential is None:
            named = self._identities.password()
            if named is None:
                raise AuthenticationError(
                    f"expected an identity for {self.host}, found none",
                    hint="pass --azure-client-id and --azure-tenant-id in a CircleCI job with a "
                    "context, set AZURE_SP, AZURE_SP_PASSWORD and AZURE_SP_TENANT, or name the "
                    "admin user's variables with --registry-username-env and "
                    "--registry-password-env",
                )
            return named
        with translated(f"an identity for {self.host}"):
            token = credential.get_token(SCOPE).token
        return self._exchange(token)

    def _credential(self) -> TokenCredential | None:
        """Return the identity at Entra; ``None`` if none is given: that leaves the admin user."""
        azure = self._identities.azure
        if azure.client_id is None and not azure.managed_identity:
            return None
        if azure.managed_identity:
            return ManagedIdentityCredential(client_id=azure.client_id)
        if azure.client_id is None or azure.tenant_id is None:
            raise AuthenticationError(
                "expected a tenant for the Azure identity, found none",
                hint="pass --azure-tenant-id, or set AZURE_SP_TENANT",
            )
        if azure.client_secret is not None:
            return ClientSecretCredential(
                azure.tenant_id,
                azure.client_id,
                azure.client_secret.reveal(),
                authority=self._authority,
            )
        return ClientAssertionCredential(
            azure.tenant_id, azure.client_id, self._assertion, authority=self._authority
        )

    def _assertion(self) -> str:
        audience = self._identities.oidc_audience or AUDIENCE
        return self._identities.tokens.token(audience).reveal()

    def _exchange(self, entra_token: str) -> Credentials:
        """Exchange an Entra token for the registry's refresh token, which lives three hours."""
        self._redactor.hide_text(entra_token)
        form = {"grant_type": "access_token", "service": self.host, "access_token": entra_token}
        if self._identities.azure.tenant_id is not None:
            form["tenant"] = self._identities.azure.tenant_id
        response = self._http.request(
            "POST",
            f"https://{self.host}/oauth2/exchange",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        if response.status in {400, 401, 403}:
            raise AuthenticationError(
                f"{self.host} refused the identity: {documents.error_text(response)}",
                hint="the identity needs the role AcrPush on the registry",
            )
        answer = documents.parse_object(response.body, f"the answer of {self.host}")
        token = answer.get("refresh_token")
        if not isinstance(token, str):
            raise ServiceError(f"expected a refresh token from {self.host}, found none")
        self._redactor.hide_text(token)
        return Credentials(USER, Secret(token), _moment(expiry_of(token)))


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise Azure's failures as ours; the SDK has tried again by itself where that may help."""
    try:
        yield
    except CredentialUnavailableError as error:
        raise AuthenticationError(
            f"{what}: no managed identity is at hand: {error.message}"
        ) from error
    except ClientAuthenticationError as error:
        raise AuthenticationError(
            f"{what}: Azure refused: {_first_line(error)}",
            hint="a federated credential matches subject and audience exactly; CircleCI's "
            "subject holds the user's id",
        ) from error
    except AzureError as error:
        raise ServiceError(f"{what}: Azure failed: {_first_line(error)}") from error


def _moment(epoch: float | None) -> dt.datetime | None:
    """Return a token's end; one that no calendar knows is as good as none."""
    try:
        return None if epoch is None else dt.datetime.fromtimestamp(epoch, dt.timezone.utc)
    except (OverflowError, OSError, ValueError):
        return None


def _first_line(error: AzureError) -> str:
    return (error.message or str(error)).splitlines()[0]
