"""CircleCI's OIDC tokens: the job's identity, without any stored key.

https://circleci.com/docs/openid-connect-tokens/ : CIRCLE_OIDC_TOKEN_V2 is there in every job with
a context, has the organization's id as its audience and lives one hour from the job's start;
``circleci run oidc get`` mints one with another audience.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.core.credentials import Secret
from gitops_release.core.errors import AuthenticationError, MachineError
from gitops_release.system.retry import TransientError

if TYPE_CHECKING:
    from gitops_release.system.processes import Processes
    from gitops_release.system.redaction import Redactor
    from gitops_release.system.retry import RetryPolicy

TOKEN: Final = "CIRCLE_OIDC_TOKEN_V2"  # noqa: S105 - a variable's name
MARGIN: Final = 60.0  # seconds that a token must still live to be worth sending
WHERE: Final = (
    "OIDC tokens exist in CircleCI jobs that use a context; forked pull requests get none"
)


@dataclass(frozen=True, slots=True)
class CircleCITokens:
    """Gives the job's OIDC token, minted anew where another audience is asked for."""

    processes: Processes
    retry: RetryPolicy
    redactor: Redactor

    def token(self, audience: str | None) -> Secret:
        """Return a token for an audience; ``None`` is the organization's own.

        Raises ``AuthenticationError`` if there is none, or none that still lives.
        """
        if audience is None:
            given = self.processes.environ.get(TOKEN, "")
            if given and _lifetime(given) > MARGIN:
                self.redactor.hide_text(given)
                return Secret(given)
        return self.retry.run(lambda: self._mint(audience), what="circleci run oidc get")

    def _mint(self, audience: str | None) -> Secret:
        claims = () if audience is None else ("--claims", json.dumps({"aud": audience}))
        try:
            minted = self.processes.run(["circleci", "run", "oidc", "get", *claims], timeout=60)
        except MachineError as error:
            raise AuthenticationError(_missing(audience), hint=WHERE) from error
        token = minted.stdout.decode().strip()
        if minted.returncode != 0 or not token:
            # An empty token with status 0 was seen in the field (aws-cli-orb#227).
            raise TransientError(self.redactor.redact(minted.message) or "an empty token")
        self.redactor.hide_text(token)
        return Secret(token)


def claims_of(token: str) -> Mapping[str, object]:
    """Return a token's claims, not verified: that is for the cloud to do. Empty if unreadable."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""  # noqa: PLR2004 - RFC 7515
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, Mapping) else {}


def expiry_of(token: str) -> float | None:
    """Return the epoch second at which a token ends, if it says so."""
    expires = claims_of(token).get("exp")
    return float(expires) if isinstance(expires, int | float) else None


def _missing(audience: str | None) -> str:
    if audience is None:
        return (
            f"expected an OIDC token in {TOKEN} that is valid now, or the program circleci, "
            "found neither"
        )
    return f"expected the program circleci to mint an OIDC token for {audience}, found no program"


def _lifetime(token: str) -> float:
    expires = expiry_of(token)
    return 0.0 if expires is None else expires - time.time()
