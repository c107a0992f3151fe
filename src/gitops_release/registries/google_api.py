"""The Artifact Registry API: repositories, in its own message types.

https://cloud.google.com/artifact-registry/docs/reference/rest
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.api_core import exceptions as api_errors
from google.auth import exceptions as auth_errors
from google.cloud.artifactregistry_v1 import ArtifactRegistryClient, CleanupPolicy, Repository
from google.protobuf import json_format  # type: ignore[import-untyped]  # it ships no types

from gitops_release.core.errors import AuthenticationError, ServiceError, UsageError
from gitops_release.registries.google import auth_error
from gitops_release.system.retry import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_release.core.repository_settings import RepositorySettings
    from gitops_release.registries.google_paths import ArtifactRepository
    from gitops_release.system.retry import RetryPolicy

_T = TypeVar("_T")

_DURATION: Final = re.compile(r"(\d+)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TIMEOUT: Final = 30.0  # seconds for one call; the client has none of its own


class RepositoriesApi:
    """Reads and creates repositories as a Google identity."""

    def __init__(self, credentials: Any, retry: RetryPolicy) -> None:  # noqa: ANN401 - google.auth has no common type
        self._credentials = credentials
        self._retry = retry

    def exists(self, target: ArtifactRepository) -> bool:
        """Say whether the API knows the repository."""

        def call(api: ArtifactRegistryClient) -> bool:
            try:
                api.get_repository(name=target.path, retry=None, timeout=TIMEOUT)
            except api_errors.NotFound:
                return False
            return True

        return self._call(call, f"read {target.path}")

    def create(self, target: ArtifactRepository, settings: RepositorySettings) -> None:
        """Create the repository; one that is there meanwhile is left as it is."""

        def call(api: ArtifactRegistryClient) -> None:
            try:
                operation = api.create_repository(
                    parent=target.parent,
                    repository_id=target.name,
                    repository=new_repository(settings),
                    retry=None,
                    timeout=TIMEOUT,
                )
                operation.result(timeout=TIMEOUT)
            except api_errors.Conflict:  # over gRPC its subclass AlreadyExists
                return

        self._call(call, f"create {target.path}")

    def _call(self, call: Callable[[ArtifactRegistryClient], _T], what: str) -> _T:
        def attempt() -> _T:
            try:
                # REST: two calls are not worth the start of gRPC.
                with ArtifactRegistryClient(credentials=self._credentials, transport="rest") as api:
                    return call(api)
            except api_errors.GoogleAPICallError as error:
                raise _api_error(error, what) from error
            except auth_errors.GoogleAuthError as error:
                raise auth_error(error) from error

        return self._retry.run(attempt, what=f"Artifact Registry: {what}")


def new_repository(settings: RepositorySettings) -> Repository:
    """Return a Docker repository with the settings; raise ``UsageError`` for what Google lacks."""
    if settings.access_policy is not None or settings.mutable_tag_filters:
        lacking = "an access policy" if settings.access_policy is not None else "tag filters"
        raise UsageError(
            f"Artifact Registry creates repositories without {lacking}",
            hint="grant access by IAM, or leave the option out",
        )
    return Repository(
        format_=Repository.Format.DOCKER,
        docker_config=Repository.DockerRepositoryConfig(immutable_tags=settings.immutable_tags),
        kms_key_name=settings.kms_key or "",
        labels=dict(settings.tags),
        cleanup_policies=_cleanup_policies(settings.lifecycle_policy),
        vulnerability_scanning_config=_scanning(settings.scan_on_push),
    )


def _scanning(wanted: bool | None) -> Repository.VulnerabilityScanningConfig:  # noqa: FBT001 - a setting's value
    config = Repository.VulnerabilityScanningConfig.EnablementConfig
    if wanted is None:
        return Repository.VulnerabilityScanningConfig()
    # INHERITED is what the project has switched on.
    chosen = config.INHERITED if wanted else config.DISABLED
    return Repository.VulnerabilityScanningConfig(enablement_config=chosen)


def _cleanup_policies(text: str | None) -> dict[str, CleanupPolicy]:
    """Read the policies in the file format of ``gcloud artifacts repositories``: a JSON list."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
        if not isinstance(found, list):
            raise UsageError(
                f"expected clean-up policies as a JSON list, found {type(found).__name__}"
            )
        policies = [CleanupPolicy.from_json(json.dumps(_message(item))) for item in found]
    except (ValueError, TypeError, KeyError, AttributeError, json_format.Error) as error:
        raise UsageError(f"expected clean-up policies as a JSON list, found: {error}") from error
    return {policy.id: policy for policy in policies}


def _message(policy: dict[str, object]) -> dict[str, object]:
    """Return a policy of gcloud's file as the message has it.

    The file says {"name": …, "action": {"type": "Delete"}}, the message {"id": …, "action": …};
    its states are in lower case, and its durations are like 30d.
    """
    action = policy["action"]
    kind = action["type"] if isinstance(action, dict) else action
    rest = {key: value for key, value in policy.items() if key not in {"name", "action"}}
    condition = policy.get("condition")
    if isinstance(condition, dict):
        rest["condition"] = {key: _value(key, value) for key, value in condition.items()}
    return {**rest, "id": policy["name"], "action": str(kind).upper()}


def _value(name: str, value: object) -> object:
    """Return a value of a policy's condition as the message has it."""
    if name == "tagState":
        return str(value).upper()
    if name in {"olderThan", "newerThan"} and (found := _DURATION.fullmatch(str(value))):
        return f"{int(found[1]) * _SECONDS[found[2]]}s"
    return value


def _api_error(error: api_errors.GoogleAPICallError, what: str) -> Exception:
    match error:
        case api_errors.Forbidden() | api_errors.Unauthorized():
            return AuthenticationError(
                f"Google denied to {what}: {error.message}",
                hint="the identity needs roles/artifactregistry.reader to look, and "
                "roles/artifactregistry.admin to create repositories",
            )
        case api_errors.BadRequest():
            return UsageError(f"Google does not {what} as it is asked to: {error.message}")
        case api_errors.ServerError() | api_errors.TooManyRequests():
            return TransientError(str(error.message))
        case _:
            return ServiceError(f"Google failed to {what}: {error.message}")
