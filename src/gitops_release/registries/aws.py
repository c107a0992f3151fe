"""Being somebody on AWS, and AWS's failures in our words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as AwsConnectionError,
)
from botocore.parsers import ResponseParserError

from gitops_release.core.errors import (
    AuthenticationError,
    GitopsReleaseError,
    ServiceError,
    UsageError,
)
from gitops_release.system.retry import TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitops_release.registries.connection import Identities

DURATION: Final = 3600  # seconds, the default of a role's longest session
# total_max_attempts counts what it says; max_attempts does not (measured with botocore 1.44.5).
PATIENT: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=10, read_timeout=30
)
REFUSED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
UNFIT: Final = frozenset(
    {
        "InvalidParameterException",
        "InvalidTagParameterException",
        "KmsException",
        "TooManyTagsException",
        "ValidationError",
        "ValidationException",
    }
)
# The transient one in practice: STS could not fetch the issuer's keys (aws-cli-orb#136).
VERIFICATION: Final = "InvalidIdentityToken"


def open_session(identities: Identities, region: str) -> boto3.Session:
    """Return a session: the role's by OIDC, the keys', the profile's or the machine's.

    Raises ``AuthenticationError`` if AWS refuses the token, ``ServiceError`` if it cannot be asked.
    """
    aws = identities.aws
    if aws.role_arn is not None:
        role = aws.role_arn
        return identities.retry.run(
            lambda: _assume(identities, role, region), what=f"assume the role {role}"
        )
    if aws.access_key_id is not None and aws.secret_access_key is not None:
        token = None if aws.session_token is None else aws.session_token.reveal()
        return boto3.Session(
            aws.access_key_id, aws.secret_access_key.reveal(), token, region_name=region
        )
    with translated("the AWS profile"):
        return boto3.Session(profile_name=aws.profile, region_name=region)


def describe_identity(identities: Identities) -> str:
    """Return which identity was chosen: the role, the keys, the profile or the machine's."""
    aws = identities.aws
    if aws.role_arn is not None:
        return f"the job's OIDC token, as the role {aws.role_arn}, since --aws-role-arn is given"
    if aws.access_key_id is not None and aws.secret_access_key is not None:
        return f"the access key {aws.access_key_id}, since its two variables are set"
    if aws.profile is not None:
        return f"the profile {aws.profile}, since --aws-profile is given"
    return "boto3's own chain, since no role, keys or profile are given"


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise AWS's failures as ours; boto3 has tried again by itself where that may help."""
    try:
        yield
    except ClientError as error:
        raise _client_error(error, what) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise AuthenticationError(
            f"{what}: expected AWS credentials, found none",
            hint="pass --aws-role-arn in a CircleCI job with a context, set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or pass --aws-profile",
        ) from error
    except (AwsConnectionError, HTTPClientError) as error:
        raise ServiceError(f"{what}: AWS cannot be reached: {error}") from error
    except ParamValidationError as error:
        raise UsageError(f"{what}: {' '.join(str(error).split())}") from error
    except ResponseParserError as error:  # as a load balancer answers that has lost its backend
        raise ServiceError(f"{what}: expected an answer of AWS, found something else") from error
    except BotoCoreError as error:
        raise AuthenticationError(f"{what}: {error}") from error


def error_code(error: ClientError) -> str:
    """Return AWS's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _assume(identities: Identities, role: str, region: str) -> boto3.Session:
    sts: Any = boto3.client(
        "sts", region_name=region, config=PATIENT.merge(Config(signature_version=UNSIGNED))
    )
    token = identities.tokens.token(identities.oidc_audience)
    with translated(f"the role {role}"):
        try:
            answer = sts.assume_role_with_web_identity(
                RoleArn=role,
                RoleSessionName=identities.aws.session_name,
                WebIdentityToken=token.reveal(),
                DurationSeconds=DURATION,
            )
        except ClientError as error:
            if error_code(error) == VERIFICATION and "retrieve verification key" in str(error):
                raise TransientError(str(error)) from error
            raise
    keys = answer["Credentials"]
    return boto3.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=region
    )


def _client_error(error: ClientError, what: str) -> GitopsReleaseError:
    code = error_code(error)
    said = error.response.get("Error", {}).get("Message", str(error))
    if (
        code in REFUSED
        or code == VERIFICATION
        or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in {401, 403}
    ):
        return AuthenticationError(
            f"{what}: AWS refused: {code}: {said}",
            hint="check the role's trust policy, the keys, and the identity's permissions",
        )
    if code in UNFIT:
        return UsageError(f"{what}: AWS does not take this: {code}: {said}")
    return ServiceError(f"{what}: AWS failed: {code}: {said}")
