"""The ``WWW-Authenticate`` header of registries (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PARAMETER: Final = re.compile(
    r'\s*([A-Za-z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)'
)


@dataclass(frozen=True, slots=True)
class Basic:
    """The registry takes a user name and a password."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """The registry takes a token, which the realm's URL gives for a service."""

    realm: str
    service: str | None


def parse_challenge(header: str) -> Basic | Bearer | None:
    """Return what a challenge asks for; ``None`` if that is neither Basic nor a usable Bearer."""
    scheme, _, rest = header.strip().partition(" ")
    match scheme.lower():
        case "basic":
            return Basic()
        case "bearer":
            parameters = _parameters(rest)
            realm = parameters.get("realm")
            return None if realm is None else Bearer(realm, parameters.get("service"))
        case _:
            return None


def _parameters(text: str) -> dict[str, str]:
    found = {}
    position = 0
    while match := _PARAMETER.match(text, position):
        quoted, token = match[2], match[3]
        value = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        found[match[1].lower()] = value
        position = match.end()
    return found
