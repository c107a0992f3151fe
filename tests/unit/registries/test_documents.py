from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_release.core.errors import ServiceError
from gitops_release.core.image import Digest
from gitops_release.registries import documents
from gitops_release.registries.documents import MAX_ERROR, Manifest, Members
from gitops_release.system.http import Response

DIGEST = Digest("sha256:" + "ab" * 32)


def response(body: object, content_type: str = "application/json") -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(400, {"Content-Type": content_type}, content, "https://r.example.com/v2/")


def manifest(members: Members) -> Manifest:
    return Manifest(DIGEST, "", b"", members)


def platform(*names: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), names, strict=False))


INDEX = {
    "manifests": [
        {"digest": str(DIGEST), "platform": platform("linux", "amd64")},
        {"digest": str(DIGEST), "platform": platform("linux", "arm64", "v8")},
        {"digest": str(DIGEST), "platform": platform("unknown", "unknown")},
        {"digest": str(DIGEST)},
        "nonsense",
    ]
}


def test_attestations_are_no_images() -> None:
    assert manifest(INDEX).platforms == ("linux/amd64", "linux/arm64/v8")


def test_a_manifest_has_a_configuration_and_a_size() -> None:
    members = {
        "config": {"digest": str(DIGEST), "size": 7},
        "layers": [{"size": 100}, {"size": 1000}, {}, {"size": "x"}],
    }
    assert manifest(members).config == DIGEST
    assert manifest(members).size == 1107
    assert manifest(members).images == ()


@pytest.mark.parametrize(
    "digest", [None, 5, "", "md5:x", "sha256:", "sha256:abc", "sha256:" + "AB" * 32, "sha256:\n"]
)
def test_a_wrong_digest_is_the_registry_s_fault(digest: object) -> None:
    with pytest.raises(ServiceError, match="sha256 digest"):
        documents.digest_of({"digest": digest})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"<html>", b"\xff\xfe", b"[" * 100_000, b"9" * 5000],
    ids=["empty", "half", "list", "null", "html", "binary", "deep", "long"],
)
def test_anything_but_an_object_is_the_registry_s_fault(content: bytes) -> None:
    with pytest.raises(ServiceError, match="as the manifest of web"):
        documents.parse_object(content, "the manifest of web")


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ({"config": {"Labels": {"a": "1", "b": 2, "c": None}}}, {"a": "1"}),
        ({"config": {"Labels": None}}, {}),
        ({"config": {}}, {}),
        ({"config": None}, {}),
        ({}, {}),
    ],
)
def test_labels_are_text(config: Members, labels: dict[str, str]) -> None:
    assert documents.labels(config) == labels


@pytest.mark.parametrize(
    ("config", "platforms"),
    [
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, ("linux/arm/v7",)),
        ({"os": "linux", "architecture": "amd64", "variant": ""}, ("linux/amd64",)),
        ({"os": "linux"}, ()),
        ({}, ()),
    ],
)
def test_an_image_knows_its_platform(config: Members, platforms: tuple[str, ...]) -> None:
    assert documents.own_platform(config) == platforms


@pytest.mark.parametrize(
    ("members", "header", "media_type"),
    [
        ({"mediaType": "a/b"}, "c/d", "a/b"),
        ({}, "c/d", "c/d"),
        ({"mediaType": 5}, "c/d; charset=utf-8", "c/d"),
    ],
)
def test_a_media_type_is_the_manifest_s_own_or_the_header_s(
    members: Members, header: str, media_type: str
) -> None:
    assert documents.media_type(response({}, header), members) == media_type


@pytest.mark.parametrize(
    ("body", "codes", "text"),
    [
        (
            {"errors": [{"code": "DENIED", "message": "not\nyours"}, {"code": "UNKNOWN"}]},
            {"DENIED", "UNKNOWN"},
            "DENIED: not yours; UNKNOWN:",
        ),
        ({"errors": []}, set(), '{"errors": []}'),
        ({"errors": "x"}, set(), '{"errors": "x"}'),
        ([], set(), "[]"),
        (b"<html>\n  502  </html>", set(), "<html> 502 </html>"),
        (b"", set(), "HTTP 400"),
        (b"\xff", set(), "\ufffd"),
        (b"x" * 9999, set(), "x" * MAX_ERROR),
    ],
)
def test_an_error_is_told_in_the_registry_s_words(body: object, codes: set[str], text: str) -> None:
    assert documents.error_codes(response(body)) == codes
    assert documents.error_text(response(body)) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["errors", "code", "config", "manifests", "platform", "os", "Labels"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(json_values)
def test_no_document_is_a_bug(value: object) -> None:
    documents.error_text(response(value))
    documents.error_codes(response(value))
    if isinstance(value, dict):
        found = manifest(value)
        assert isinstance(found.size, int)
        assert len(found.platforms) == len(found.images)
        documents.labels(value)
        documents.own_platform(value)
        documents.created(value)
