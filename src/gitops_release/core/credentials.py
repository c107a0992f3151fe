"""Secrets that cannot be printed by accident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A value that shows itself only to ``reveal()``, which is easy to search for."""

    _value: str

    def reveal(self) -> str:
        """Return the value, for the one place that must send it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, format_spec: str) -> str:
        return format("***", format_spec)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password for a registry, and when they stop working if that is known."""

    username: str
    password: Secret
    expires_at: datetime | None = None


CredentialSupplier = Callable[[], Credentials | None]
"""Gives credentials that are good now; ``None`` means that the registry is used anonymously."""
