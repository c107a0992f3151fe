"""Kubernetes objects: every ``image`` field, whatever the kind.

https://kubernetes.io/docs/reference/kubernetes-api/ (Container.image, also of init and ephemeral
containers; ImageVolumeSource.reference) and https://kubernetes.io/docs/concepts/overview/
working-with-objects/ (an object has apiVersion and kind). Custom resources follow the custom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitops_release.manifests.formats.kustomize import is_kustomization
from gitops_release.manifests.places import OTHER_IMAGE, ReferencePlace, Remark
from gitops_release.manifests.references import find_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitops_release.manifests.document import Document, Keys, Scalar
    from gitops_release.manifests.places import Finding
    from gitops_release.manifests.references import Targets


class Kubernetes:
    """A ``Format``: the objects that ``kubectl apply`` takes, JSON and ``kind: List`` too."""

    def claims(self, path: str, document: Document) -> bool:
        """Tell whether the document has apiVersion and kind and is no Kustomization."""
        has_both = bool(document.text_at("apiVersion") and document.text_at("kind"))
        return has_both and not is_kustomization(path, document)

    def find(self, document: Document, targets: Targets) -> Iterator[Finding]:
        """Yield the image fields that name one of the images; what the cluster wrote is left."""
        for entry in document.entries():
            scalar = document.resolve(entry.node)
            if scalar is None or not _is_image_field(entry.node.keys):
                continue
            found = find_reference(_text(scalar))
            if found is None:
                yield Remark(entry.node, _not_a_reference(scalar))
                continue
            image = targets.named(found.name)
            if image is None:
                yield Remark(entry.node, OTHER_IMAGE)
            elif _is_status(entry.node.keys):
                yield Remark(entry.node, "a status, which the cluster writes")
            else:
                yield ReferencePlace(image, entry.node, found)

    def names(self, document: Document) -> Iterator[str]:
        """Yield the names in image fields."""
        for entry in document.entries():
            scalar = document.resolve(entry.node)
            if scalar is not None and _is_image_field(entry.node.keys):
                found = find_reference(_text(scalar))
                if found is not None:
                    yield found.name


def _is_image_field(keys: Keys) -> bool:
    match keys:
        case (*_, "image"):
            return True
        case (*_, "image", "reference"):  # the source of an image volume
            return True
        case _:
            return False


def _is_status(keys: Keys) -> bool:
    match keys:
        case ("status", *_) | ("items", int(), "status", *_):
            return True
        case _:
            return False


def _not_a_reference(scalar: Scalar) -> str:
    if "{{" in scalar.value or "$" in scalar.value:
        return "a template, whose value is not known here"
    return "not one image reference on one line"


def _text(scalar: Scalar) -> str:
    """Return the value; of a block scalar, which ends with line breaks, without them."""
    return scalar.value.strip() if scalar.style in {"|", ">"} else scalar.value
