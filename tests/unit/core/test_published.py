from __future__ import annotations

import json
from typing import Any

import pytest

from gitops_release.core.errors import UsageError
from gitops_release.core.image import Digest, Repository
from gitops_release.core.published import PublishedImage, Source, from_json, to_json

HEX = "0123456789abcdef" * 4
IMAGE = PublishedImage(
    repository=Repository.parse("asia.gcr.io/acme/web"),
    tags=("1234567", "latest"),
    digest=Digest(f"sha256:{HEX}"),
    platforms=("linux/amd64", "linux/arm64/v8"),
    created="2026-01-02T03:04:05Z",
    reused=True,
    source=Source(
        repository="https://github.com/acme/web",
        revision="a" * 40,
        branch="main",
        tag="v1",
        pipeline_number=7,
        pipeline_url="https://app.circleci.com/pipelines/7",
    ),
)


def document(**members: object) -> dict[str, Any]:
    """Return a good document, whose one image has other members."""
    good: dict[str, Any] = json.loads(to_json([IMAGE]))
    good["images"][0].update(members)
    return good


@pytest.mark.parametrize(
    "images",
    [
        [],
        [IMAGE],
        [
            IMAGE,
            PublishedImage(
                repository=Repository.parse("localhost:5000/other"),
                tags=(),
                digest=Digest(f"sha256:{HEX[::-1]}"),
            ),
        ],
    ],
    ids=["none", "one", "a full and a bare one"],
)
def test_what_is_written_is_read_again(images: list[PublishedImage]) -> None:
    assert list(from_json(to_json(images), origin="image.json")) == images


def test_the_file_has_the_members_that_later_steps_rely_on() -> None:
    assert document() == {
        "schema_version": 1,
        "images": [
            {
                "repository": "asia.gcr.io/acme/web",
                "tags": ["1234567", "latest"],
                "digest": f"sha256:{HEX}",
                "reference": f"asia.gcr.io/acme/web:1234567@sha256:{HEX}",
                "platforms": ["linux/amd64", "linux/arm64/v8"],
                "created": "2026-01-02T03:04:05Z",
                "reused": True,
                "source": {
                    "repository": "https://github.com/acme/web",
                    "revision": "a" * 40,
                    "branch": "main",
                    "tag": "v1",
                    "pipeline_number": 7,
                    "pipeline_url": "https://app.circleci.com/pipelines/7",
                },
            }
        ],
    }


def test_members_of_a_later_version_are_ignored() -> None:
    newer = document(signature={"by": "somebody"}) | {"generator": "x"}
    newer["images"][0]["source"]["pull_request"] = 5
    assert from_json(json.dumps(newer), origin="image.json") == (IMAGE,)


@pytest.mark.parametrize("version", [None, 0, 2, "1", 1.5, [], {}])
def test_another_schema_version_is_refused(version: object) -> None:
    text = json.dumps(document() | {"schema_version": version})
    with pytest.raises(UsageError, match=r"schema_version 1 in out/image\.json"):
        from_json(text, origin="out/image.json")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("repository", None),
        ("repository", 1),
        ("repository", "web"),
        ("repository", "asia.gcr.io//web"),
        ("tags", None),
        ("tags", "latest"),
        ("tags", [1]),
        ("tags", ["-rm"]),
        ("digest", None),
        ("digest", "sha256:abc"),
        ("digest", True),
        ("platforms", "linux/amd64"),
        ("created", 20260102),
        ("reused", 1),
        ("reused", "yes"),
        ("source", None),
        ("source", []),
        ("source", {"revision": 1}),
        ("source", {"pipeline_number": "7"}),
        ("source", {"pipeline_number": True}),
        ("source", {"pipeline_number": 7.5}),
    ],
)
def test_a_wrong_member_is_refused_with_the_name_of_the_file(member: str, value: object) -> None:
    text = json.dumps(document(**{member: value}))
    with pytest.raises(UsageError, match=r"out/image\.json"):
        from_json(text, origin="out/image.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "1",
        '"schema_version"',
        '{"schema_version": 1}',
        '{"schema_version": 1, "images": {}}',
        '{"schema_version": 1, "images": [null]}',
        '{"schema_version": 1, "images": [[]]}',
        pytest.param("[" * 100_000, id="deep nesting"),
        pytest.param("9" * 5_000, id="a number of 5000 digits"),
    ],
)
def test_other_content_is_refused_with_the_name_of_the_file(text: str) -> None:
    with pytest.raises(UsageError, match=r"out/image\.json"):
        from_json(text, origin="out/image.json")


def test_a_reference_is_pinned_by_the_first_tag_and_the_digest() -> None:
    assert str(IMAGE.reference) == f"asia.gcr.io/acme/web:1234567@sha256:{HEX}"
