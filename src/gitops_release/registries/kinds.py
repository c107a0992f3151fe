"""The one table of registry kinds: a new registry is one module and one row."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitops_release.registries import ghcr
from gitops_release.registries.generic import GenericProvider
from gitops_release.registries.hosted import HostedRegistry
from gitops_release.registries.hosts import is_acr, is_ecr, is_ecr_public, is_google
from gitops_release.registries.provider import missing_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitops_release.registries.connection import Connection
    from gitops_release.registries.provider import Provider


@dataclass(frozen=True, slots=True)
class RegistryKind:
    """A kind of registry: which hosts are of it, and who provides for one of them."""

    name: str
    owns: Callable[[str], bool]  # an anchored test of the host, port included
    provider: Callable[[str, Connection], Provider]


def _of_extra(extra: str, module: str, name: str) -> Callable[[str, Connection], Provider]:
    """Return a provider whose module, and the SDK behind it, is imported when it is used."""

    def provide(host: str, connection: Connection) -> Provider:
        try:
            found = importlib.import_module(f"gitops_release.registries.{module}")
        except ModuleNotFoundError as error:
            raise missing_extra(extra, host, error) from error
        provider: Provider = getattr(found, name)(host, connection)
        return provider

    return provide


KINDS: Final[tuple[RegistryKind, ...]] = (
    # The first kind that owns the host is taken; generic owns what is left.
    RegistryKind("google", is_google, _of_extra("google", "google", "GoogleProvider")),
    RegistryKind("ecr", is_ecr, _of_extra("ecr", "ecr", "EcrProvider")),
    RegistryKind("ecr-public", is_ecr_public, _of_extra("ecr", "ecr", "EcrPublicProvider")),
    RegistryKind("acr", is_acr, _of_extra("acr", "acr", "AcrProvider")),
    RegistryKind("ghcr", ghcr.HOST.__eq__, ghcr.GhcrProvider),
    RegistryKind("generic", bool, GenericProvider),
)


def kind_of(host: str) -> RegistryKind:
    """Return the kind of the registry at a host."""
    return next(kind for kind in KINDS if kind.owns(host))


def registry_for(host: str, connection: Connection) -> HostedRegistry:
    """Return the registry at a host."""
    return HostedRegistry(host, connection, kind_of(host).provider(host, connection))
