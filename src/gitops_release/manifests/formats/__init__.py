"""The formats in which manifests name images: one module and one row for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gitops_release.manifests.formats import kubernetes, kustomize

if TYPE_CHECKING:
    from gitops_release.manifests.formats.base import Format

FORMATS: Final[tuple[Format, ...]] = (
    kustomize.Kustomize(),
    kubernetes.Kubernetes(),
)
