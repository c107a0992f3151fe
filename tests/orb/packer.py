"""Packs an orb's source directory into one document, by the rules of `circleci orb pack` (v0).

The v0 command is the stricter of the two that exist: what packs here packs with both. Of the orb in
this project both make what this makes (v0 writes the version of an example as a string).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import yaml

if TYPE_CHECKING:
    from pathlib import Path

Yaml: TypeAlias = "bool | int | float | str | list[Yaml] | dict[str, Yaml] | None"
"""What a configuration file holds after parsing."""

KINDS: Final = ("commands", "jobs", "executors", "examples")
_WITH_INCLUDES: Final = ("commands", "jobs", "executors")
_KEPT: Final = ("version", "description", "display", "orbs", *KINDS)
_INCLUDE: Final = re.compile(r"<<\s*include\(([-\w/.]+)\)?\s*>>")
_SUFFIXES: Final = (".yml", ".yaml")


class PackError(Exception):
    """The source directory is not one that `circleci orb pack` would pack."""


def pack(root: Path) -> dict[str, Yaml]:
    """Return the orb under `root` as one mapping, with its scripts included."""
    orb_file = root / "@orb.yml"
    if not orb_file.is_file():
        raise PackError(f"@orb.yml is not in {root}: is this the root of an orb?")
    tree = load(orb_file)
    for kind in KINDS:
        components = _components(root / kind)
        if components:
            tree[kind] = {**_mapping(tree.get(kind), kind), **components}
    orb = {key: tree[key] for key in _KEPT if key in tree}
    return {k: _included(v, root) if k in _WITH_INCLUDES else v for k, v in orb.items()}


def load(path: Path) -> dict[str, Yaml]:
    """Return the mapping in a YAML file, with aliases and merge keys resolved."""
    return _mapping(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)


def dump(orb: dict[str, Yaml]) -> str:
    """Return the packed orb as text, without anchors."""
    return yaml.dump(orb, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True)


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def _components(directory: Path) -> dict[str, Yaml]:
    """Return the components of one kind by name; nested directories are not walked."""
    if not directory.is_dir():
        return {}
    merged: dict[str, Yaml] = {}
    for file in sorted(directory.iterdir()):
        if file.suffix not in _SUFFIXES or file.name.startswith(".") or not file.is_file():
            continue
        if file.name.startswith("@"):
            merged.update(load(file))
        else:
            merged[file.stem] = load(file)
    return merged


def _mapping(node: Yaml, where: str) -> dict[str, Yaml]:
    if node is None:
        return {}
    if not isinstance(node, dict):
        raise PackError(f"{where}: expected a mapping, found {type(node).__name__}")
    return node


def _included(node: Yaml, root: Path) -> Yaml:
    match node:
        case str():
            return _include(node, root)
        case list():
            return [_included(item, root) for item in node]
        case dict():
            return {key: _included(value, root) for key, value in node.items()}
        case _:
            return node


def _include(text: str, root: Path) -> str:
    """Return the file that `text` includes, every `<<` in it escaped; other text as it is."""
    matches = list(_INCLUDE.finditer(text))
    if not matches:
        return text
    if len(matches) > 1:
        raise PackError(f"multiple include statements: {text!r}")
    if matches[0].group(0) != text:
        raise PackError(f"the entire string must be the include statement: {text!r}")
    path = root / matches[0].group(1)
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PackError(f"could not open {path} for inclusion") from error
    return content.replace("<<", r"\<<")
