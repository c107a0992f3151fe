"""Trims GitHub's OpenAPI description to the operations that the stand-in answers.

Usage: python trim_openapi.py path/to/api.github.com.json

The input is the file `api.github.com.json` of the npm package @octokit/openapi, version 23.0.2
(MIT; its licence lies beside this file). The output, `openapi.json`, is written beside this file
and depends on the input alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = Any  # What a JSON document holds.

OUTPUT = Path(__file__).with_name("openapi.json")

OPERATIONS = frozenset(
    {
        "git/create-blob",
        "git/create-commit",
        "git/create-ref",
        "git/create-tree",
        "git/delete-ref",
        "git/get-blob",
        "git/get-commit",
        "git/get-ref",
        "git/get-tree",
        "git/list-matching-refs",
        "git/update-ref",
        "issues/add-assignees",
        "issues/add-labels",
        "issues/create-comment",
        "issues/create-label",
        "issues/get-label",
        "issues/list-comments",
        "issues/list-labels-on-issue",
        "issues/update",
        "pulls/create",
        "pulls/get",
        "pulls/list",
        "pulls/list-commits",
        "pulls/list-files",
        "pulls/merge",
        "pulls/request-reviewers",
        "pulls/update",
        "rate-limit/get",
        "repos/compare-commits-with-basehead",
        "repos/download-tarball-archive",
        "repos/get",
        "repos/get-branch",
        "repos/get-commit",
        "repos/list-branches",
        "users/get-authenticated",
    }
)

# Words of OpenAPI that say nothing a validator reads.
DROPPED = frozenset(
    {
        "description",
        "example",
        "examples",
        "externalDocs",
        "summary",
        "tags",
        "title",
    }
)
# Words under which the keys are names, not words of OpenAPI.
NAMESPACES = frozenset(
    {
        "properties",
        "patternProperties",
        "responses",
        "schemas",
        "parameters",
        "headers",
        "content",
    }
)


def trimmed(node: Json, parent: str = "") -> Json:
    """Return the node without prose, examples and extensions; names are kept whatever they are."""
    if isinstance(node, list):
        return [trimmed(item) for item in node]
    if not isinstance(node, dict):
        return node
    if parent in NAMESPACES:
        return {name: trimmed_named(parent, value) for name, value in node.items()}
    return {
        word: trimmed(value, word)
        for word, value in node.items()
        if word not in DROPPED and not word.startswith("x-")
    }


def trimmed_named(namespace: str, value: Json) -> Json:
    """Return a named member; a response must keep its description to be valid OpenAPI."""
    result = trimmed(value)
    if namespace == "responses" and "$ref" not in value:
        result["description"] = value["description"]
    return result


def selected_paths(document: dict[str, Json]) -> dict[str, Json]:
    """Return the paths with only the operations in use."""
    paths: dict[str, Json] = {}
    for path, item in document["paths"].items():
        kept = {
            method: trimmed(operation)
            for method, operation in item.items()
            if isinstance(operation, dict) and operation.get("operationId") in OPERATIONS
        }
        if kept:
            paths[path] = kept
    return paths


def references(node: Json) -> set[str]:
    """Return every reference inside the node."""
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(references, node.values()))


def reachable_components(document: dict[str, Json], root: Json) -> dict[str, dict[str, Json]]:
    """Return the components that the root reaches, also through other components."""
    components: dict[str, dict[str, Json]] = {}
    waiting, seen = references(root), set()
    while waiting:
        reference = waiting.pop()
        seen.add(reference)
        _, _, kind, name = reference.split("/")
        value = trimmed_named(kind, document["components"][kind][name])
        components.setdefault(kind, {})[name] = value
        waiting |= references(value) - seen
    return components


def compact(value: Json) -> str:
    """Return the value as JSON on one line, the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def lines(members: dict[str, Json], depth: int) -> str:
    """Return an object with one member a line; at greater depth, members have lines too."""
    rows = (
        f"{compact(name)}:{lines(value, depth - 1) if depth > 1 else compact(value)}"
        for name, value in sorted(members.items())
    )
    return "{\n" + ",\n".join(rows) + "\n}"


def rendered(document: dict[str, Json]) -> str:
    """Return the trimmed description: a line for each operation and each component."""
    paths = selected_paths(document)
    found = {op["operationId"] for item in paths.values() for op in item.values()}
    if missing := OPERATIONS - found:
        raise ValueError(f"not in the description: {', '.join(sorted(missing))}")
    head = {"title": document["info"]["title"], "version": document["info"]["version"]}
    return (
        f'{{"openapi":{compact(document["openapi"])},\n"info":{compact(head)},\n'
        f'"paths":{lines(paths, 2)},\n'
        f'"components":{lines(reachable_components(document, paths), 2)}}}\n'
    )


def main(arguments: list[str]) -> int:
    """Write `openapi.json` from the file named by the only argument."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    document = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    OUTPUT.write_text(rendered(document), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
