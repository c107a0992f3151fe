"""Names as manifests spell them."""

from __future__ import annotations

import pytest

from gitops_release.core.errors import UsageError
from gitops_release.core.image import ImageReference
from gitops_release.manifests import ManifestEditor
from gitops_release.manifests.references import (
    FoundReference,
    Targets,
    canonical,
    find_reference,
    short_path,
)

DIGEST = "sha256:" + "1a" * 32


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nginx", ("nginx", None, None)),
        ("nginx:1.25", ("nginx", "1.25", None)),
        ("host:5000/a/b", ("host:5000/a/b", None, None)),
        ("host:5000/a/b:c", ("host:5000/a/b", "c", None)),
        (f"host:5000/a/b@{DIGEST}", ("host:5000/a/b", None, DIGEST)),
        (f"host:5000/a/b:c@{DIGEST}", ("host:5000/a/b", "c", DIGEST)),
        ("[::1]:5000/a:b", ("[::1]:5000/a", "b", None)),
        ("asia.gcr.io//x:tag", ("asia.gcr.io//x", "tag", None)),
        ("REGISTRY/x", ("REGISTRY/x", None, None)),
    ],
)
def test_a_reference_is_taken_apart(text: str, found: tuple[str, str | None, str | None]) -> None:
    assert find_reference(text) == FoundReference(*found)


@pytest.mark.parametrize(
    "text",
    [
        *["", "a b", "a:", "a:b:c", "a@", "a@sha256", "a:{{ tag }}", "a:$TAG", "a\n", "a:b\n", "ä"],
        "a" * 2000,
        "a:" + "b" * 129,
    ],
)
def test_other_text_is_no_reference(text: str) -> None:
    assert find_reference(text) is None


@pytest.mark.parametrize(
    "name",
    [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
    ],
)
def test_the_spellings_of_docker_hub_are_one(name: str) -> None:
    assert canonical(name) == "docker.io/library/nginx"
    assert short_path(name) == "nginx"


def test_other_registries_have_one_spelling() -> None:
    assert canonical("localhost/nginx") == "localhost/nginx"
    assert canonical("host:5000/a/b") == "host:5000/a/b"
    assert canonical("acme/web") == "docker.io/acme/web"
    assert short_path("host:5000/a/b") == "a/b"


def test_needles_are_paths_and_what_json_may_make_of_them() -> None:
    images = [
        ImageReference.parse(text)
        for text in ("asia.gcr.io/acme/web:1", "docker.io/library/nginx:1", "eu.gcr.io/acme/web:1")
    ]
    assert ManifestEditor().needles(images) == (b"acme/web", b"acme\\/web", b"nginx")
    assert ManifestEditor().needles([]) == ()


def test_one_image_in_two_versions_is_refused() -> None:
    images = [ImageReference.parse("docker.io/nginx:1"), ImageReference.parse("docker.io/nginx:2")]
    with pytest.raises(UsageError, match="expected one version"):
        Targets.of(images)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("x asia.gcr.io/acme/web:1", True),
        ("--image=asia.gcr.io/acme/web", True),
        ("docker://asia.gcr.io/acme/web", True),
        (r'"asia.gcr.io\/acme\/web:1"', True),
        ("repository: acme/web", True),
        ("asia.gcr.io/acme/web.", True),
        ("asia.gcr.io/acme/web-worker", False),
        ("asia.gcr.io/acme/web/worker", False),
        ("asia.gcr.io/acme/web_2", False),
        ("asia.gcr.io/acme/web.v2", False),
        ("quay.io/acme/web", False),
        ("xasia.gcr.io/acme/web", False),
        ("big-acme/web", False),
    ],
)
def test_a_mention_is_the_whole_name(text: str, *, mentioned: bool) -> None:
    targets = Targets.of([ImageReference.parse("asia.gcr.io/acme/web:1")])
    (spelling,) = targets.spellings.values()
    assert any(True for _ in spelling.find(text.encode())) is mentioned


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("nginx:1.25", True),
        ("library/nginx:1", True),
        ("docker.io/nginx", True),
        ("name: nginx", False),
        ("nginx: 1", False),
        ("quay.io/nginx:1", False),
    ],
)
def test_a_common_word_is_a_mention_only_with_a_tag_or_registry(
    text: str, *, mentioned: bool
) -> None:
    (spelling,) = Targets.of([ImageReference.parse("docker.io/library/nginx:1")]).spellings.values()
    assert any(True for _ in spelling.find(text.encode())) is mentioned
