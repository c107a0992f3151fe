"""The options that say how registries are reached and who we are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gitops_release.cli.session import PATIENT
from gitops_release.cli.settings import setting
from gitops_release.core.credentials import Credentials
from gitops_release.core.errors import AuthenticationError

if TYPE_CHECKING:
    from gitops_release.cli.session import Session
    from gitops_release.registries.connection import AwsIdentity, AzureIdentity, Connection

_F = TypeVar("_F", bound=Callable[..., Any])

USERNAME: Final = "DOCKER_LOGIN"
PASSWORD: Final = "DOCKER_PASSWORD"  # noqa: S105 - a variable's name
AWS_KEY_ID: Final = "AWS_ACCESS_KEY_ID"
AWS_SESSION: Final = "AWS_SESSION_TOKEN"
AZURE_SECRET: Final = "AZURE_SP_PASSWORD"  # noqa: S105 - a variable's name
JOB: Final = "CIRCLE_WORKFLOW_JOB_ID"
MAX_SESSION_NAME: Final = 64  # characters, AWS STS AssumeRoleWithWebIdentity


@dataclass(frozen=True, kw_only=True)
class RegistryOptions:
    """The values of the options below, as click gives them."""

    registry_username_env: str
    registry_password_env: str
    auth_hosts: tuple[str, ...]
    oidc_audience: str | None
    gcp_workload_identity_provider: str | None
    gcp_service_account: str | None
    gcp_service_account_key_env: str
    aws_role_arn: str | None
    aws_access_key_id_env: str
    aws_secret_access_key_env: str
    aws_session_token_env: str
    aws_profile: str | None
    azure_client_id: str | None
    azure_tenant_id: str | None
    azure_client_secret_env: str
    azure_managed_identity: bool

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> RegistryOptions:
        """Return the values, and leave the command's other options in the dictionary."""
        return cls(**{field.name: options.pop(field.name) for field in fields(cls)})


def registry_options(function: _F) -> _F:
    """Add the options that say how registries are reached and who we are there."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def connection(session: Session, options: RegistryOptions, attempts: int = PATIENT) -> Connection:
    """Return how registries are reached; nothing is asked of a cloud yet."""
    from gitops_release.cli.session import USER_AGENT
    from gitops_release.registries.connection import Connection, GoogleIdentity, Identities
    from gitops_release.system.http import HttpClient
    from gitops_release.system.oidc import CircleCITokens

    retry = session.retry(attempts)
    return Connection(
        http=HttpClient(retry, user_agent=USER_AGENT),
        redactor=session.redactor,
        credentials=lambda: _password(session, options),
        auth_hosts=options.auth_hosts,
        identities=Identities(
            tokens=CircleCITokens(session.processes(), retry, session.redactor),
            retry=retry,
            oidc_audience=options.oidc_audience or None,
            google=GoogleIdentity(
                workload_identity_provider=options.gcp_workload_identity_provider or None,
                service_account=options.gcp_service_account or None,
                service_account_key=session.secret(options.gcp_service_account_key_env),
            ),
            aws=_aws(session, options),
            azure=_azure(session, options),
            password=lambda: _named_password(session, options),
        ),
    )


def _password(session: Session, options: RegistryOptions) -> Credentials | None:
    """Return the user name and password; ``None`` if neither is given: anonymous."""
    username = session.environ.get(options.registry_username_env, "")
    password = session.secret(options.registry_password_env)
    if username and password is not None:
        return Credentials(username, password)
    if username or password is not None:
        unset = options.registry_password_env if username else options.registry_username_env
        raise AuthenticationError(
            f"expected a user name and a password for the registry, found {unset} unset",
            hint=f"set {unset}, or name another variable",
        )
    return None


def _named_password(session: Session, options: RegistryOptions) -> Credentials | None:
    """Return the user name and password if the user named variables of their own.

    The default ones are meant for Docker Hub more often than not, and no cloud should see that
    password. The orb always passes names, so the default's name counts as not given.
    """
    if (options.registry_username_env, options.registry_password_env) == (USERNAME, PASSWORD):
        return None
    return _password(session, options)


def _aws(session: Session, options: RegistryOptions) -> AwsIdentity:
    from gitops_release.registries.connection import AwsIdentity

    job = session.environ.get(JOB)
    # The session in the default variable belongs to the default keys, not to others.
    with_session = (
        options.aws_access_key_id_env == AWS_KEY_ID or options.aws_session_token_env != AWS_SESSION
    )
    return AwsIdentity(
        role_arn=options.aws_role_arn or None,
        session_name=f"circleci-{job}"[:MAX_SESSION_NAME] if job else "gitops-release",
        access_key_id=session.environ.get(options.aws_access_key_id_env) or None,
        secret_access_key=session.secret(options.aws_secret_access_key_env),
        session_token=session.secret(options.aws_session_token_env) if with_session else None,
        profile=options.aws_profile or None,
    )


def _azure(session: Session, options: RegistryOptions) -> AzureIdentity:
    """Return the Azure identity: an id that was passed is proved by the job's OIDC token.

    The secret is for AZURE_SP, or in a variable that was named on purpose.
    """
    from gitops_release.registries.connection import AzureIdentity

    named = options.azure_client_secret_env != AZURE_SECRET
    with_secret = named or not options.azure_client_id
    return AzureIdentity(
        client_id=options.azure_client_id or session.environ.get("AZURE_SP") or None,
        tenant_id=options.azure_tenant_id or session.environ.get("AZURE_SP_TENANT") or None,
        client_secret=session.secret(options.azure_client_secret_env) if with_secret else None,
        managed_identity=options.azure_managed_identity,
    )


def _secret(name: str, default: str, what: str) -> Callable[[_F], _F]:
    return setting(
        name,
        secret=True,
        default=default,
        show_default=True,
        metavar="VARIABLE",
        help=f"The variable that holds {what}.",
    )


_OPTIONS: Final[tuple[Callable[[Any], Any], ...]] = (
    _secret("--registry-username-env", USERNAME, "the registry's user name"),
    _secret("--registry-password-env", PASSWORD, "the registry's password"),
    setting(
        "--allow-auth-host",
        "auth_hosts",
        multiple=True,
        trusted=True,
        metavar="HOST",
        help="A host besides the registry's own that may be given the registry's credentials "
        "in exchange for a token. May be repeated.",
    ),
    setting(
        "--oidc-audience",
        trusted=True,
        metavar="AUDIENCE",
        help="The audience of the OIDC token that CircleCI mints for a cloud. "
        "Default: the organization's id; for Azure api://AzureADTokenExchange.",
    ),
    setting(
        "--gcp-workload-identity-provider",
        trusted=True,
        metavar="RESOURCE",
        help="Google: projects/N/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, "
        "which takes the job's OIDC token.",
    ),
    setting(
        "--gcp-service-account",
        trusted=True,
        metavar="EMAIL",
        help="Google: the service account to impersonate. Default: none, the pool's own identity.",
    ),
    _secret(
        "--gcp-service-account-key-env",
        "GCLOUD_SERVICE_KEY",
        "a Google service account's key, as JSON or base64 of it",
    ),
    setting(
        "--aws-role-arn",
        trusted=True,
        metavar="ARN",
        help="AWS: the role to assume with the job's OIDC token.",
    ),
    _secret("--aws-access-key-id-env", AWS_KEY_ID, "an AWS access key's id"),
    _secret("--aws-secret-access-key-env", "AWS_SECRET_ACCESS_KEY", "an AWS secret access key"),
    _secret("--aws-session-token-env", AWS_SESSION, "an AWS session's token"),
    setting(
        "--aws-profile",
        trusted=True,
        metavar="NAME",
        help="AWS: a profile of the configuration files. Default: boto3's own chain.",
    ),
    setting(
        "--azure-client-id",
        trusted=True,
        metavar="ID",
        help="Azure: the application, proved by the job's OIDC token, or the user-assigned "
        "managed identity. Default: the value of AZURE_SP, proved by its secret.",
    ),
    setting(
        "--azure-tenant-id",
        trusted=True,
        metavar="ID",
        help="Azure: the tenant. Default: the value of AZURE_SP_TENANT.",
    ),
    _secret("--azure-client-secret-env", AZURE_SECRET, "an Azure application's secret"),
    setting(
        "--azure-managed-identity",
        is_flag=True,
        trusted=True,
        help="Azure: use the machine's managed identity.",
    ),
)
