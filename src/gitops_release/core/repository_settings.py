"""How a repository is created, where a registry does not do so on the first push."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySettings:
    """What a new repository is like; a registry that lacks one of these refuses it by name."""

    immutable_tags: bool = False
    mutable_tag_filters: tuple[str, ...] = ()  # tags that stay mutable all the same
    scan_on_push: bool | None = None  # None leaves it to the registry
    kms_key: str | None = None
    tags: tuple[tuple[str, str], ...] = ()  # resource tags, or labels at Google
    lifecycle_policy: str | None = None  # JSON in the registry's own language
    access_policy: str | None = None  # JSON in the registry's own language
