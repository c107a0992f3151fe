"""Amazon ECR: an account's private registry, and the public one.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError

from gitops_release.core.credentials import Credentials, Secret
from gitops_release.core.errors import ServiceError, UsageError
from gitops_release.registries.aws import (
    PATIENT,
    describe_identity,
    error_code,
    open_session,
    translated,
)
from gitops_release.registries.hosts import ECR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gitops_release.core.image import ImageReference, Repository
    from gitops_release.core.repository_settings import RepositorySettings
    from gitops_release.registries.connection import Connection, Identities

PUBLIC_REGION: Final = "us-east-1"  # the only one whose API gives tokens for the public registry
NO_REPOSITORY: Final = "RepositoryNotFoundException"
NOT_SCANNED: Final = frozenset({"ScanNotFoundException", "ImageNotFoundException"})
EXISTS: Final = "RepositoryAlreadyExistsException"


class EcrProvider:
    """Images in the private registry of an account."""

    def __init__(self, host: str, connection: Connection) -> None:
        match = ECR.fullmatch(host)
        if match is None or connection.identities is None:
            raise ValueError(f"{host} is no registry of ECR, or there are no identities")
        self._identities: Identities = connection.identities
        self._redactor = connection.redactor
        self._account, self._region = match["account"], match["region"]
        endpoint = Config(
            use_fips_endpoint=match["fips"] is not None,
            use_dualstack_endpoint=match["dual"] is not None,
        )
        self._config = PATIENT.merge(endpoint)

    def identity(self) -> str:
        """Return which identity was chosen, and why."""
        return describe_identity(self._identities)

    def check(self, repository: Repository) -> None:
        """Accept every path."""

    def repository_exists(self, repository: Repository) -> bool:
        """Say whether the account has the repository."""
        with translated(f"the repository {repository}"):
            try:
                self._ecr().describe_repositories(
                    registryId=self._account, repositoryNames=[repository.path]
                )
            except ClientError as error:
                if error_code(error) == NO_REPOSITORY:
                    return False
                raise
        return True

    def findings(self, image: ImageReference) -> Mapping[str, int] | None:
        """Return the counts of a finished scan; ``None`` without one."""
        with translated(f"the scan of {image}"):
            try:
                answer = self._ecr().describe_image_scan_findings(
                    registryId=self._account,
                    repositoryName=image.repository.path,
                    imageId={"imageDigest": str(image.digest)},
                    maxResults=1,
                )
            except ClientError as error:
                if error_code(error) in NOT_SCANNED:
                    return None
                raise
        counts = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
        return {str(severity): int(count) for severity, count in counts.items()}

    def properties(self, image: ImageReference) -> dict[str, str]:
        """Return nothing more."""
        del image
        return {}

    def check_settings(self, settings: RepositorySettings) -> None:
        """Raise ``UsageError`` for filters without immutable tags and policies without JSON."""
        _private_settings(settings)
        _check_policy("lifecycle", settings.lifecycle_policy)
        _check_policy("access", settings.access_policy)

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        """Create the repository; one that another job has created meanwhile is left as it is."""
        self.check_settings(settings)
        ecr = self._ecr()
        name = {"registryId": self._account, "repositoryName": repository.path}
        with translated(f"the repository {repository}"):
            try:
                ecr.create_repository(**name, **_private_settings(settings))
            except ClientError as error:
                if error_code(error) == EXISTS:
                    return
                raise
            if settings.lifecycle_policy is not None:
                ecr.put_lifecycle_policy(**name, lifecyclePolicyText=settings.lifecycle_policy)
            if settings.access_policy is not None:
                ecr.set_repository_policy(**name, policyText=settings.access_policy)

    def _ecr(self) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        session = open_session(self._identities, self._region)
        return session.client("ecr", config=self._config)

    def fetch(self) -> Credentials:
        """Return a password that was issued now; it is good for twelve hours."""
        with translated(f"a password for the account {self._account} in {self._region}"):
            answer = self._ecr().get_authorization_token(registryIds=[self._account])
        return _credentials(answer["authorizationData"][0], self._redactor.hide_text)


class EcrPublicProvider:
    """Images in the public registry, below the account's alias."""

    def __init__(self, host: str, connection: Connection) -> None:
        del host  # there is one
        if connection.identities is None:
            raise ValueError("Amazon's registries need identities")
        self._identities: Identities = connection.identities
        self._redactor = connection.redactor

    def identity(self) -> str:
        """Return which identity was chosen, and why."""
        return describe_identity(self._identities)

    def check(self, repository: Repository) -> None:
        """Raise ``UsageError`` unless a name follows the account's alias."""
        _below_alias(repository)

    def repository_exists(self, repository: Repository) -> bool:
        """Say whether the account has the public repository."""
        with translated(f"the repository {repository}"):
            try:
                self._ecr().describe_repositories(repositoryNames=[_below_alias(repository)])
            except ClientError as error:
                if error_code(error) == NO_REPOSITORY:
                    return False
                raise
        return True

    def findings(self, image: ImageReference) -> None:
        """Return nothing: the public registry has no API for scans."""
        del image

    def properties(self, image: ImageReference) -> dict[str, str]:
        """Return nothing more."""
        del image
        return {}

    def check_settings(self, settings: RepositorySettings) -> None:
        """Raise ``UsageError`` for all but tags."""
        _refuse_private_settings(settings)

    def create_repository(self, repository: Repository, settings: RepositorySettings) -> None:
        """Create the public repository; one that is there meanwhile is left as it is."""
        name = _below_alias(repository)
        extra = {"tags": _tags(settings)} if settings.tags else {}
        _refuse_private_settings(settings)
        with translated(f"the repository {repository}"):
            try:
                self._ecr().create_repository(repositoryName=name, **extra)
            except ClientError as error:
                if error_code(error) != EXISTS:
                    raise

    def _ecr(self) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        return open_session(self._identities, PUBLIC_REGION).client("ecr-public", config=PATIENT)

    def fetch(self) -> Credentials:
        """Return a password that was issued now; it is good for twelve hours."""
        with translated("a password for public.ecr.aws"):
            answer = self._ecr().get_authorization_token()
        return _credentials(answer["authorizationData"], self._redactor.hide_text)


def _credentials(data: Any, hide: Callable[[str], None]) -> Credentials:  # noqa: ANN401 - boto3's answer
    username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    if not password:
        raise ServiceError("expected a user and a password from ECR, found another token")
    hide(password)
    return Credentials(username, Secret(password), data["expiresAt"])


def _private_settings(settings: RepositorySettings) -> dict[str, Any]:
    """Return the arguments of CreateRepository."""
    if settings.mutable_tag_filters and not settings.immutable_tags:
        raise UsageError(
            "expected immutable tags together with filters of mutable ones, found the filters alone"
        )
    arguments: dict[str, Any] = {"imageTagMutability": _mutability(settings)}
    if settings.mutable_tag_filters:
        arguments["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": text} for text in settings.mutable_tag_filters
        ]
    if settings.scan_on_push is not None:
        arguments["imageScanningConfiguration"] = {"scanOnPush": settings.scan_on_push}
    if settings.kms_key is not None:
        arguments["encryptionConfiguration"] = {
            "encryptionType": "KMS",
            "kmsKey": settings.kms_key,
        }
    if settings.tags:
        arguments["tags"] = _tags(settings)
    return arguments


def _check_policy(kind: str, text: str | None) -> None:
    """Raise ``UsageError`` for what is no JSON: ECR says so only when the repository is there."""
    try:
        json.loads("{}" if text is None else text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"expected the {kind} policy as JSON, found: {error}") from error


def _mutability(settings: RepositorySettings) -> str:
    if not settings.immutable_tags:
        return "MUTABLE"
    return "IMMUTABLE_WITH_EXCLUSION" if settings.mutable_tag_filters else "IMMUTABLE"


def _tags(settings: RepositorySettings) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in settings.tags]


def _below_alias(repository: Repository) -> str:
    """Return a public repository's name for the API: its path without the account's alias."""
    alias, slash, name = repository.path.partition("/")
    if not slash:
        raise UsageError(f"expected public.ecr.aws/ALIAS/NAME, found {repository}, {alias!r} alone")
    return name


def _refuse_private_settings(settings: RepositorySettings) -> None:
    lacking = {
        "immutable tags": settings.immutable_tags,
        "tag filters": bool(settings.mutable_tag_filters),
        "scanning": settings.scan_on_push is not None,
        "a KMS key": settings.kms_key is not None,
        "a lifecycle policy": settings.lifecycle_policy is not None,
        "an access policy": settings.access_policy is not None,
    }
    for setting, wanted in lacking.items():
        if wanted:
            raise UsageError(
                f"expected no {setting}, which public.ecr.aws does not have",
                hint="leave that option out",
            )
