"""How registries are reached: what the command line hands to each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitops_release.core.credentials import Credentials
    from gitops_release.system.http import HttpClient
    from gitops_release.system.redaction import Redactor


@dataclass(frozen=True, slots=True)
class Connection:
    """An HTTP client, the user's credentials if any, and the hosts that may see them."""

    http: HttpClient
    redactor: Redactor
    credentials: Credentials | None = None
    auth_hosts: tuple[str, ...] = ()  # besides the registry's own: --allow-auth-host
