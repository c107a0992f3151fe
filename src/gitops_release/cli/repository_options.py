"""The options that say whether and how a repository is created before the first push."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from gitops_release.cli.options import pairs
from gitops_release.cli.settings import setting
from gitops_release.core.errors import UsageError
from gitops_release.core.repository_settings import RepositorySettings

_F = TypeVar("_F", bound=Callable[..., Any])

SCANNING: Final = {"on": True, "off": False}


@dataclass(frozen=True, kw_only=True)
class RepositoryOptions:
    """The values of the options below, as click gives them."""

    create_repository: bool
    repository_immutable_tags: bool
    repository_mutable_tag_filters: tuple[str, ...]
    repository_scan_on_push: str | None
    repository_kms_key: str | None
    repository_tags: tuple[str, ...]
    repository_lifecycle_policy: Path | None
    repository_access_policy: Path | None

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> RepositoryOptions:
        """Return the values, and leave the command's other options in the dictionary."""
        return cls(**{field.name: options.pop(field.name) for field in fields(cls)})

    @property
    def settings(self) -> RepositorySettings | None:
        """How to create the repository; ``None`` if that is not asked for."""
        if not self.create_repository:
            self._refuse_orphans()
            return None
        scanning = self.repository_scan_on_push
        return RepositorySettings(
            immutable_tags=self.repository_immutable_tags,
            mutable_tag_filters=self.repository_mutable_tag_filters,
            scan_on_push=None if scanning is None else SCANNING[scanning],
            kms_key=self.repository_kms_key or None,
            tags=pairs("--repository-tag", self.repository_tags),
            lifecycle_policy=_text(
                "--repository-lifecycle-policy", self.repository_lifecycle_policy
            ),
            access_policy=_text("--repository-access-policy", self.repository_access_policy),
        )

    def _refuse_orphans(self) -> None:
        """Raise ``UsageError`` for a setting of a repository that nobody asked to create."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "create_repository" and value:
                # A list is called by the plural of its option.
                name = field.name.removesuffix("s") if isinstance(value, tuple) else field.name
                option = f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"expected --create-repository together with {option}, found it left out",
                    hint="an existing repository is never changed",
                )


def repository_options(function: _F) -> _F:
    """Add the options that say whether and how a repository is created."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def _text(option: str, path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{option}: expected a text in UTF-8 at {path}, found: {error}") from error


_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
_OPTIONS: Final[tuple[Callable[[Any], Any], ...]] = (
    setting(
        "--create-repository",
        is_flag=True,
        help="Create the image's repository if it is not there (ECR, Artifact Registry; other "
        "registries do so by themselves). One that is there is never changed.",
    ),
    setting(
        "--repository-immutable-tags", is_flag=True, help="A new repository's tags never move."
    ),
    setting(
        "--repository-mutable-tag-filter",
        "repository_mutable_tag_filters",
        multiple=True,
        metavar="PATTERN",
        help="Tags that move all the same, e.g. latest* (ECR). May be repeated.",
    ),
    setting(
        "--repository-scan-on-push",
        type=click.Choice(sorted(SCANNING)),
        help="Scan what is pushed to a new repository. Default: as the registry is set.",
    ),
    setting(
        "--repository-kms-key",
        metavar="KEY",
        help="The key that encrypts a new repository, in the cloud's own notation.",
    ),
    setting(
        "--repository-tag",
        "repository_tags",
        multiple=True,
        metavar="NAME=VALUE",
        help="A resource tag of a new repository, a label at Google. May be repeated.",
    ),
    setting(
        "--repository-lifecycle-policy",
        type=_FILE,
        metavar="FILE",
        help="A new repository's lifecycle policy (ECR) or clean-up policies (Google), as JSON.",
    ),
    setting(
        "--repository-access-policy",
        type=_FILE,
        metavar="FILE",
        help="A new repository's access policy, as JSON (ECR).",
    ),
)
