"""Kustomize: the ``images`` of Kustomizations and Components.

https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/ and, in kustomize,
api/types/image.go (the keys) and api/filters/imagetag/updater.go (a newTag or digest replaces the
tag and digest of the manifests; tagSuffix counts only where neither is given).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gitops_release.manifests.places import OTHER_IMAGE, Field, FieldsPlace, Remark, field_value
from gitops_release.manifests.references import find_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitops_release.core.image import ImageReference
    from gitops_release.manifests.document import Collection, Document, Entry
    from gitops_release.manifests.places import Finding
    from gitops_release.manifests.references import Targets

_KINDS: Final = frozenset({"Kustomization", "Component"})
_GROUP: Final = "kustomize.config.k8s.io/"
_FILE_NAMES: Final = frozenset({"kustomization.yaml", "kustomization.yml", "Kustomization"})


def is_kustomization(path: str, document: Document) -> bool:
    """Tell whether kustomize reads the document as a Kustomization or Component.

    Other groups have kinds of these names (Flux's Kustomization, OAM's Component); in a file that
    has kustomize's name, apiVersion and kind may be missing.
    """
    version, kind = document.text_at("apiVersion"), document.text_at("kind")
    if version is not None and not version.startswith(_GROUP):
        return False
    if kind is not None:
        return kind in _KINDS
    return path.rpartition("/")[2] in _FILE_NAMES


class Kustomize:
    """A ``Format``: entries are found by the name they give the image, newName before name."""

    def claims(self, path: str, document: Document) -> bool:
        """Tell whether kustomize reads the document."""
        return is_kustomization(path, document)

    def find(self, document: Document, targets: Targets) -> Iterator[Finding]:
        """Yield the entries whose resulting image is one of the images."""
        for collection in _images(document):
            yield from _findings(document, collection, targets)

    def names(self, document: Document) -> Iterator[str]:
        """Yield the names of the resulting images."""
        for collection in _images(document):
            name, _ = _name(document, collection)
            if name:
                yield name


def _images(document: Document) -> Iterator[Collection]:
    for collection in document.collections:
        match collection.keys:
            case ("images", int()):
                yield collection
            case _:
                pass


def _findings(document: Document, collection: Collection, targets: Targets) -> Iterator[Finding]:
    renamed = _field(document, collection, "newName")
    original = _field(document, collection, "name")
    name, entry = _name(document, collection)
    image = _named(targets, name)
    if original.entry is not None and renamed.value and _named(targets, original.value) != image:
        yield Remark(original.entry.node, f"this entry replaces the image by {renamed.value}")
    if image is None or entry is None:
        fields = (renamed, original)
        yield from (Remark(field.entry.node, OTHER_IMAGE) for field in fields if field.entry)
        return
    place = FieldsPlace(
        image,
        collection,
        entry,
        tag=_field(document, collection, "newTag"),
        digest=_field(document, collection, "digest"),
    )
    suffix = collection.entry("tagSuffix")
    if suffix is not None and place.form.bare:
        reason = "this entry appends a tagSuffix to the tag, which a newTag would put out of action"
        yield Remark(entry.node, reason)
        return
    yield place


def _name(document: Document, collection: Collection) -> tuple[str, Entry | None]:
    """Return the name that the entry gives the image, and the entry of the key that says so."""
    renamed = _field(document, collection, "newName")
    original = _field(document, collection, "name")
    return (renamed.value, renamed.entry) if renamed.value else (original.value, original.entry)


def _field(document: Document, collection: Collection, key: str) -> Field:
    entry = collection.entry(key)
    return Field(key, entry, field_value(document.resolve(entry.node) if entry else None))


def _named(targets: Targets, name: str) -> ImageReference | None:
    found = find_reference(name)
    if found is None or found.tag is not None or found.digest is not None:
        return None
    return targets.named(found.name)
