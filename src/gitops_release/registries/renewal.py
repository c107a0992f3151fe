"""Credentials that age: kept while they are good, fetched anew when they are not."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_release.core.credentials import Credentials

MARGIN: Final = dt.timedelta(minutes=5)  # a request may take that long


@dataclass(slots=True)
class RenewedCredentials:
    """Fetches credentials, and keeps the last ones until shortly before they end."""

    fetch: Callable[[], Credentials | None]
    _last: Credentials | None = field(default=None, repr=False)

    def fresh(self) -> Credentials | None:
        """Return credentials that were fetched just now; ``None`` is anonymous."""
        self._last = self.fetch()
        return self._last

    def current(self) -> Credentials | None:
        """Return the last credentials if they are still good, else fresh ones."""
        if self._last is None or _ends_soon(self._last):
            return self.fresh()
        return self._last


def _ends_soon(credentials: Credentials) -> bool:
    end = credentials.expires_at
    return end is not None and end - dt.datetime.now(dt.timezone.utc) < MARGIN
