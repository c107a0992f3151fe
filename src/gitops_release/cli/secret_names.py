"""Which environment variables hold secrets, judged by their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KNOWN_SECRET_NAMES: Final = frozenset(
    {
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_SP_PASSWORD",
        "CIRCLE_OIDC_TOKEN",
        "CIRCLE_OIDC_TOKEN_V2",
        "CIRCLE_TOKEN",
        "DOCKER_PASSWORD",
        "GCLOUD_SERVICE_KEY",
        "GH_TOKEN",
        "GITHUB_TOKEN",
    }
)
"""Variables that are secret whatever they are called: defaults of our options, CI's own tokens."""

_SECRET_NAME: Final = re.compile(
    r"""(?: .*_ )?
        (?: TOKEN | PASSWORD | PASSWD | SECRET | SECRET_KEY | ACCESS_KEY | PRIVATE_KEY
          | SERVICE_KEY | API_KEY | CREDENTIALS | PASS | PASSPHRASE | PAT )""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret; ``AWS_ACCESS_KEY_ID``, for one, does not."""
    return name in KNOWN_SECRET_NAMES or _SECRET_NAME.fullmatch(name) is not None


def secret_names(environ: Mapping[str, str], named: Iterable[str]) -> frozenset[str]:
    """Return every name that must not be expanded.

    These are the known ones, those in ``environ`` that end like a secret, and ``named``: what the
    secret options of this invocation name.
    """
    return KNOWN_SECRET_NAMES | {name for name in environ if is_secret_name(name)} | set(named)
