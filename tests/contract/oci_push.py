"""Puts images into a real registry over HTTP: no engine, no layers of use to anybody."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import requests

from gitops_release.core.image import Digest
from gitops_release.core.publishing import ImageDescription

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gitops_release.core.credentials import Credentials
    from gitops_release.core.image import Repository

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
CREATED: Final = "2026-01-02T03:04:05Z"

Descriptor = dict[str, Any]


@dataclass(frozen=True)
class OciPush:
    """Writes one repository as the OCI distribution specification has it."""

    repository: Repository
    login: Credentials

    def image(
        self, tags: Sequence[str], labels: Mapping[str, str], platforms: Sequence[str]
    ) -> ImageDescription:
        """Push an image, for several platforms as an index with an attestation as BuildKit has it.

        Return what a registry should say of it.
        """
        images = [self._manifest(platform, labels) for platform in platforms]
        pushed, config, size = images[0]
        if len(platforms) > 1:
            entries = [
                {**manifest, "platform": _platform(platform)}
                for platform, (manifest, _, _) in zip(platforms, images, strict=True)
            ]
            attestation, _, _ = self._manifest("unknown/unknown", {"attests": "something"})
            entries.append({**attestation, "platform": _platform("unknown/unknown")})
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
            pushed = self._put(index, INDEX)
        for tag in tags:
            self._put_as(tag, pushed)
        return ImageDescription(
            digest=Digest(pushed["digest"]),
            configuration=config,
            media_type=pushed["mediaType"],
            size=size,
            platforms=tuple(platforms),
            created=CREATED,
            labels=dict(labels),
        )

    def _manifest(self, platform: str, labels: Mapping[str, str]) -> tuple[Descriptor, Digest, int]:
        """Push an image for one platform; return it, its configuration, and its size."""
        layer = self._blob(f"layer of {platform}".encode(), LAYER)
        config = self._blob(_json(_config(platform, labels)), CONFIG)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
        }
        size = layer["size"] + config["size"]
        return self._put(manifest, MANIFEST), Digest(config["digest"]), size

    def _blob(self, content: bytes, media_type: str) -> Descriptor:
        started = self._send("POST", f"{self._url}/blobs/uploads/")
        location = requests.compat.urljoin(started.url, started.headers["Location"])
        described = _descriptor(content, media_type)
        separator = "&" if "?" in location else "?"
        self._send("PUT", f"{location}{separator}digest={described['digest']}", content)
        return described

    def _put(self, manifest: Mapping[str, Any], media_type: str) -> Descriptor:
        content = _json(manifest)
        described = _descriptor(content, media_type)
        self._send("PUT", f"{self._url}/manifests/{described['digest']}", content, media_type)
        return described

    def _put_as(self, tag: str, pushed: Descriptor) -> None:
        found = self._send("GET", f"{self._url}/manifests/{pushed['digest']}", b"")
        self._send("PUT", f"{self._url}/manifests/{tag}", found.content, pushed["mediaType"])

    def _send(
        self, method: str, url: str, content: bytes = b"", media_type: str | None = None
    ) -> requests.Response:
        headers = {
            "Content-Type": media_type or "application/octet-stream",
            "Accept": f"{INDEX}, {MANIFEST}",
        }
        answer = requests.request(
            method,
            url,
            data=content,
            headers=headers,
            auth=(self.login.username, self.login.password.reveal()),
            timeout=10,
        )
        answer.raise_for_status()
        return answer

    @property
    def _url(self) -> str:
        return f"http://{self.repository.host}/v2/{self.repository.path}"


def _descriptor(content: bytes, media_type: str) -> Descriptor:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _config(platform: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "created": CREATED,
        **_platform(platform),
        "config": {"Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": []},
    }


def _platform(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()
