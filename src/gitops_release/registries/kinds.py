"""The one table of registry kinds: a new registry is one module and one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.registries.generic import GenericRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_release.core.ports import Registry
    from gitops_release.registries.connection import Connection


@dataclass(frozen=True, slots=True)
class RegistryKind:
    """A kind of registry: which hosts are of it, and how one of them is opened."""

    name: str
    owns: Callable[[str], bool]  # an anchored test of the host, port included
    open: Callable[[str, Connection], Registry]


def _any_host(host: str) -> bool:
    return bool(host)


KINDS: Final[tuple[RegistryKind, ...]] = (
    # The first kind that owns the host is taken; generic owns what is left.
    RegistryKind("generic", _any_host, GenericRegistry),
)


def registry_for(host: str, connection: Connection) -> Registry:
    """Return the registry at a host."""
    kind = next(kind for kind in KINDS if kind.owns(host))
    return kind.open(host, connection)
