"""How registries are reached: what the command line hands to each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitops_release.core.credentials import CredentialSupplier, Secret
    from gitops_release.core.ports import TokenSource
    from gitops_release.system.http import HttpClient
    from gitops_release.system.redaction import Redactor
    from gitops_release.system.retry import RetryPolicy


def anonymous() -> None:
    """Give no credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleIdentity:
    """How to be somebody on Google Cloud; nothing given means application default credentials."""

    workload_identity_provider: str | None = None  # projects/N/locations/global/…/providers/Q
    service_account: str | None = None  # an e-mail address, to be impersonated
    service_account_key: Secret | None = None  # JSON, or base64 of it


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsIdentity:
    """How to be somebody on AWS; nothing given means boto3's own chain, instance roles included."""

    role_arn: str | None = None  # assumed with the job's OIDC token
    session_name: str = "gitops-release"
    access_key_id: str | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureIdentity:
    """How to be somebody on Azure."""

    client_id: str | None = None
    tenant_id: str | None = None
    client_secret: Secret | None = None  # without it, the job's OIDC token is the proof
    managed_identity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Who we can be, cloud by cloud, and where an OIDC token for it comes from."""

    tokens: TokenSource
    retry: RetryPolicy
    oidc_audience: str | None = None
    google: GoogleIdentity = GoogleIdentity()
    aws: AwsIdentity = AwsIdentity()
    azure: AzureIdentity = AzureIdentity()
    password: CredentialSupplier = anonymous  # of variables that the user named


@dataclass(frozen=True, slots=True)
class Connection:
    """An HTTP client, the user's identities, and the hosts that may see credentials."""

    http: HttpClient
    redactor: Redactor
    credentials: CredentialSupplier = anonymous
    auth_hosts: tuple[str, ...] = ()  # besides the registry's own: --allow-auth-host
    identities: Identities | None = None
