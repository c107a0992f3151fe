"""The JSON Schemas accept what the program writes, and nothing that it should not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from gitops_release.core import published, released
from gitops_release.core.image import Digest, ImageReference, Repository
from gitops_release.core.manifest import Location, Slot
from gitops_release.core.published import PublishedImage, Source
from gitops_release.core.releasing import Operation, PullRequest, PullRequestState, ReleaseResult
from tests.docs.pages import REFERENCE, fences

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Repository.parse("registry.example.com:5000/shop/web")
DIGEST = Digest("sha256:" + "1" * 64)
COMMIT = "0123456789abcdef0123456789abcdef01234567"

PLAIN = PublishedImage(repository=REPOSITORY, tags=("1.1.0",), digest=DIGEST)
FULL = PublishedImage(
    repository=REPOSITORY,
    tags=("1.1.0", "latest"),
    digest=DIGEST,
    platforms=("linux/amd64", "linux/arm/v7"),
    created="2026-01-13T09:30:00+09:00",
    reused=True,
    source=Source(
        repository="https://github.com/my-org/my-app",
        revision=COMMIT,
        branch="main",
        tag="v1.1.0",
        pipeline_number=42,
        pipeline_url="https://circleci.com/gh/my-org/my-app/42",
    ),
)
PULL_REQUEST = PullRequest(
    7,
    "https://github.com/my-org/manifests/pull/7",
    PullRequestState.OPEN,
    "Release web 1.1.0",
    "",
    COMMIT,
)


def result(operation: Operation) -> ReleaseResult:
    """Return a result with everything that a result can have."""
    reference = ImageReference(REPOSITORY, "1.1.0", DIGEST)
    keys = ("images", 0, "newTag")
    return ReleaseResult(
        operation=operation,
        changed=operation in {Operation.CREATED, Operation.UPDATED, Operation.BRANCH_ONLY},
        branch="release-web-1.1.0",
        pull_request=None if operation is Operation.BRANCH_ONLY else PULL_REQUEST,
        commit=COMMIT,
        slots=(
            Slot(Location("a/kustomization.yaml", 3, keys), reference, "1.0.0", "1.1.0"),
            Slot(Location("a/kustomization.yaml", 3, keys), reference, "", str(DIGEST)),
            Slot(Location("b/kustomization.yaml", 3, keys), reference, str(DIGEST), ""),
        ),
        superseded=(5, 6),
    )


def schema(name: str) -> dict[str, Any]:
    """Return a published schema, which must be one."""
    document: dict[str, Any] = json.loads((REFERENCE / f"{name}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(document)
    return document


def closed(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a schema that allows no members besides those it describes."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {key: closed(value) for key, value in node.items()}
    # Not the mapping of members itself, where `properties` would be a member's name.
    return {**copy, "unevaluatedProperties": False} if node.get("type") == "object" else copy


def problems(name: str, document: object, change: Callable[[Any], Any] = closed) -> list[str]:
    """Return what a schema, by default the closed one, finds wrong with a document."""
    checker = Draft202012Validator.FORMAT_CHECKER
    validator = Draft202012Validator(change(schema(name)), format_checker=checker)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("images", [[], [PLAIN], [FULL, PLAIN]])
def test_image_json_is_valid(images: list[PublishedImage]) -> None:
    assert problems("image", json.loads(published.to_json(images))) == []


@pytest.mark.parametrize("operation", Operation)
def test_release_json_is_valid(operation: Operation) -> None:
    assert problems("release", json.loads(released.to_json(result(operation)))) == []


def test_release_json_without_anything_is_valid() -> None:
    bare = ReleaseResult(operation=Operation.UNCHANGED, changed=False, branch="release-web-1.1.0")
    assert problems("release", json.loads(released.to_json(bare))) == []


def test_operations_are_those_of_the_program() -> None:
    operations = schema("release")["properties"]["operation"]["enum"]
    assert operations == [operation.value for operation in Operation]


def test_versions_are_those_of_the_program() -> None:
    versions = [schema(name)["properties"]["schema_version"]["const"] for name in FILES]
    assert versions == [published.SCHEMA_VERSION, released.SCHEMA_VERSION]


FILES = ("image", "release")
DOCUMENTS = {
    "image": published.to_json([FULL]),
    "release": released.to_json(result(Operation.CREATED)),
}


def paths(node: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return where every value of a document is."""
    inner: list[tuple[str | int, object]] = []
    if isinstance(node, dict):
        inner = list(node.items())
    if isinstance(node, list):
        inner = list(enumerate(node))
    return [found for key, value in inner for found in [(*path, key), *paths(value, (*path, key))]]


EVERY_VALUE = [(name, path) for name in FILES for path in paths(json.loads(DOCUMENTS[name]))]


def changed(name: str, path: tuple[str | int, ...], change: Callable[[Any, Any], None]) -> object:
    """Return a document with one change in the collection that holds a value."""
    document = json.loads(DOCUMENTS[name])
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return document


@pytest.mark.parametrize(("name", "path"), EVERY_VALUE)
def test_a_value_of_another_type_is_refused(name: str, path: tuple[str | int, ...]) -> None:
    def replace(holder: Any, key: Any) -> None:  # noqa: ANN401 - JSON
        holder[key] = 1.5

    assert problems(name, changed(name, path, replace)) != []


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, path in EVERY_VALUE if isinstance(path[-1], str)]
)
def test_a_missing_member_is_refused(name: str, path: tuple[str | int, ...]) -> None:
    def remove(holder: Any, key: Any) -> None:  # noqa: ANN401 - JSON
        del holder[key]

    assert problems(name, changed(name, path, remove)) != []


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, path in EVERY_VALUE if isinstance(path[-1], str)]
)
def test_an_unknown_member_is_for_readers_only(name: str, path: tuple[str | int, ...]) -> None:
    def add(holder: Any, key: Any) -> None:  # noqa: ANN401 - JSON
        holder[f"{key}_of_tomorrow"] = "new"

    document = changed(name, path, add)
    assert problems(name, document) != []
    assert problems(name, document, lambda published_one: published_one) == []


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("release", ("operation",), "exploded"),
        ("release", ("schema_version",), 2),
        ("release", ("commit",), "HEAD"),
        ("release", ("branch",), ""),
        ("release", ("files", 0, "edits"), []),
        ("release", ("files", 0, "edits", 0, "line"), 0),
        ("release", ("superseded", 0), 0),
        ("image", ("schema_version",), 2),
        ("image", ("images", 0, "digest"), "sha256:12"),
        ("image", ("images", 0, "tags", 0), "-no-tag"),
        ("image", ("images", 0, "repository"), "asia.gcr.io//web"),
        ("image", ("images", 0, "repository"), "asia.gcr.io/shop/web:1.1.0"),
        ("image", ("images", 0, "reference"), "asia.gcr.io/shop/web:1.1.0"),
        ("image", ("images", 0, "platforms", 0), "linux"),
        ("image", ("images", 0, "created"), "yesterday"),
    ],
)
def test_a_wrong_value_is_refused(name: str, path: tuple[str | int, ...], value: object) -> None:
    def replace(holder: Any, key: Any) -> None:  # noqa: ANN401 - JSON
        holder[key] = value

    assert problems(name, changed(name, path, replace)) != []


@pytest.mark.parametrize("name", FILES)
def test_the_example_is_valid_and_complete(name: str) -> None:
    (example,) = fences(REFERENCE / f"{name}-json.md", "json")
    document = json.loads(example.text)
    assert problems(name, document) == []
    if name == "image":
        assert [str(image.digest) for image in published.from_json(example.text, origin="it")]
