"""The names that a configuration or an inline orb defines, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.orb.parameters import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILT_IN_STEPS: Final = frozenset(
    {
        "run",
        "checkout",
        "setup_remote_docker",
        "save_cache",
        "restore_cache",
        "store_artifacts",
        "store_test_results",
        "persist_to_workspace",
        "attach_workspace",
        "add_ssh_keys",
    }
)


@dataclass(frozen=True, slots=True)
class Component:
    """A job, command or executor, and the scope in which its own names are looked up."""

    body: Mapping[str, object]
    scope: Scope
    where: str


@dataclass(frozen=True, slots=True)
class Scope:
    """One document's components; an orb known by its reference alone is None."""

    label: str
    components: Mapping[str, Mapping[str, object]]
    orbs: Mapping[str, Scope | None]

    @classmethod
    def parse(cls, document: Mapping[str, object], label: str = "config") -> Scope:
        """Return the scope of a configuration or of a packed orb."""
        kinds = ("commands", "jobs", "executors")
        orbs = _section(document, "orbs", label)
        return cls(
            label,
            {kind: _section(document, kind, label) for kind in kinds},
            {
                name: cls.parse(orb, name) if isinstance(orb, dict) else None
                for name, orb in orbs.items()
            },
        )

    def find(self, kind: str, reference: str) -> Component | None:
        """Return what a name stands for here; None if it belongs to an orb that is not at hand."""
        orb_name, slash, name = reference.rpartition("/")
        if slash:
            if orb_name not in self.orbs:
                raise ConfigError(f"{self.label}: no orb {orb_name!r} for {reference!r}")
            orb = self.orbs[orb_name]
            return None if orb is None else orb.find(kind, name)
        if name not in self.components[kind]:
            raise ConfigError(f"{self.label}: {kind} has no {name!r}")
        body = self.components[kind][name]
        if not isinstance(body, dict):
            raise ConfigError(f"{self.label}: {kind}/{name} is not a mapping")
        return Component(body, self, f"{self.label}/{name}")

    def defines_command(self, name: str) -> bool:
        """Whether a step's name is a command here, which shadows a built-in step."""
        return "/" in name or name in self.components["commands"]


def _section(document: Mapping[str, object], key: str, label: str) -> dict[str, object]:
    section = document.get(key) or {}
    if not isinstance(section, dict):
        raise ConfigError(f"{label}: {key} is not a mapping")
    return section
