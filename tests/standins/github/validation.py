"""Checks requests and answers against GitHub's own OpenAPI description."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

from openapi_schema_validator import (
    OAS30ReadValidator,
    OAS30WriteValidator,
    oas30_format_checker,
)
from referencing import Registry, Resource, Specification

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json: TypeAlias = Any  # What a JSON document holds; the description says more than a type could.

DESCRIPTION = Path(__file__).with_name("openapi.json")
LOCATION = "urn:github:openapi"
# Values of these parameters may hold slashes, though the description does not say so.
WITH_SLASHES = frozenset({"basehead", "branch", "path", "ref"})
# GitHub answers these to any operation, though the description names them for some only.
ANYWHERE = frozenset({401, 403, 404})


@dataclass(frozen=True)
class Violation:
    """Something that GitHub's description does not allow."""

    method: str
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.problem}"


@dataclass(frozen=True)
class Operation:
    """One operation of the description, with the pattern of its paths."""

    id: str
    method: str
    pattern: re.Pattern[str]
    pointer: str
    definition: Mapping[str, Json]

    @property
    def writes(self) -> bool:
        return self.method != "GET"


@dataclass(frozen=True)
class Match:
    """The operation that a request means, with the values of its path parameters."""

    operation: Operation
    parameters: Mapping[str, str]


def path_pattern(template: str) -> re.Pattern[str]:
    """Return the pattern of the paths that the template stands for, still percent-encoded."""
    parts = re.split(r"\{(\w+)\}", template)
    for position in range(1, len(parts), 2):
        name = parts[position]
        parts[position] = f"(?P<{name}>{'.+' if name in WITH_SLASHES else '[^/]+'})"
    for position in range(0, len(parts), 2):
        parts[position] = re.escape(parts[position])
    return re.compile("".join(parts))


def corrected(document: Json) -> Json:
    """Return the description with the points put right in which GitHub itself departs from it."""
    post = document["paths"]["/repos/{owner}/{repo}/issues/{issue_number}/labels"]["post"]
    labels = post["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    labels.append({"type": "array", "items": {"type": "string"}})  # a bare list is accepted

    simple = document["components"]["schemas"]["pull-request-simple"]["properties"]
    simple["labels"]["items"]["properties"]["description"]["nullable"] = True  # as in `label`

    post = document["paths"]["/repos/{owner}/{repo}/git/blobs"]["post"]
    refused = post["responses"]["422"]["content"]["application/json"]["schema"]
    refused["anyOf"] = refused.pop("oneOf")  # every body of the first kind is of the second too
    accept_null(document)
    return document


def accept_null(node: Json) -> None:
    """Let `nullable` count beside `oneOf`, too, where OpenAPI 3.0.3 gives it no effect."""
    members = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for member in members:
        accept_null(member)
    if isinstance(node, dict) and node.get("nullable") is True and "type" not in node:
        for word in ("anyOf", "oneOf"):
            if isinstance(node.get(word), list):
                node[word].append({"enum": [None]})


class Description:
    """GitHub's description of its API: finds operations and checks what goes to and fro."""

    def __init__(self, document: Json) -> None:
        self._document = document
        resource = Resource(document, specification=Specification.OPAQUE)
        self._registry: Registry[Json] = Registry().with_resource(LOCATION, resource)
        self._operations = [
            Operation(
                id=definition["operationId"],
                method=method.upper(),
                pattern=path_pattern(template),
                pointer=f"#/paths/{escaped(template)}/{method}",
                definition=definition,
            )
            for template, item in document["paths"].items()
            for method, definition in item.items()
        ]

    @classmethod
    def load(cls) -> Description:
        return cls(corrected(json.loads(DESCRIPTION.read_text(encoding="utf-8"))))

    def find(self, method: str, path: str) -> Match | None:
        """Return the operation of a percent-encoded path, without the prefix of the API."""
        for operation in self._operations:
            found = operation.pattern.fullmatch(path) if operation.method == method else None
            if found:
                values = {name: unquote(text) for name, text in found.groupdict().items()}
                return Match(operation, values)
        return None

    def malformed(self, operation: Operation, body: Json) -> list[str]:
        """Return what makes GitHub refuse the request body."""
        described = operation.definition.get("requestBody")
        if described is None:
            return [] if body is None else ["a request body is not described"]
        if body is None:
            return ["the request body is missing"] if described.get("required") else []
        pointer = f"{operation.pointer}/requestBody/content/application~1json/schema"
        return self._errors(OAS30WriteValidator, pointer, body)

    def unknown(self, operation: Operation, query: Mapping[str, str], body: Json) -> list[str]:
        """Return what GitHub would silently ignore: members and query words it does not know."""
        parameters = map(self._resolved, operation.definition.get("parameters", []))
        known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        problems = [
            f"query parameter {name!r} is not described" for name in sorted(query.keys() - known)
        ]
        described = operation.definition.get("requestBody")
        if described is not None:
            schema = described["content"]["application/json"]["schema"]
            members = self._unknown_members([schema], body, "")
            problems += [f"request member {name} is not described" for name in members]
        return problems

    def wrong_answer(self, operation: Operation, status: int, body: Json) -> list[str]:
        """Return why GitHub would not give this answer."""
        responses = operation.definition["responses"]
        if str(status) not in responses:
            if status in ANYWHERE:
                return self._errors(OAS30ReadValidator, "#/components/schemas/basic-error", body)
            return [f"status {status} is not described"]
        content = self._resolved(responses[str(status)]).get("content")
        if content is None:
            successful = status < 400
            return ["a body is not described"] if body is not None and successful else []
        own = f"{operation.pointer}/responses/{status}"
        pointer = responses[str(status)].get("$ref", own)
        return self._errors(OAS30ReadValidator, f"{pointer}/content/application~1json/schema", body)

    def _errors(self, validator: type, pointer: str, body: Json) -> list[str]:
        # Through a reference, so that the references inside it are relative to the description.
        checker = validator(
            {"$ref": f"{LOCATION}{pointer}"},
            registry=self._registry,
            format_checker=oas30_format_checker,
        )
        return [
            f"{error.json_path}: {error.message[:400]}"
            for error in sorted(checker.iter_errors(body), key=lambda error: error.json_path)
        ]

    def _resolved(self, node: Json) -> Json:
        while "$ref" in node:
            reference, node = node["$ref"], self._document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]
        return node

    def _unknown_members(self, schemas: list[Json], value: Json, where: str) -> Iterator[str]:
        alternatives = list(self._alternatives(schemas))
        if isinstance(value, list):
            inner = [schema["items"] for schema in alternatives if "items" in schema]
            for position, item in enumerate(value):
                yield from self._unknown_members(inner, item, f"{where}[{position}]")
        elif isinstance(value, dict) and not any(map(is_open, alternatives)):
            for name, member in value.items():
                inner = [
                    schema["properties"][name]
                    for schema in alternatives
                    if name in schema.get("properties", {})
                ]
                if inner:
                    yield from self._unknown_members(inner, member, f"{where}.{name}")
                else:
                    yield f"{where}.{name}".lstrip(".")

    def _alternatives(self, schemas: list[Json]) -> Iterator[Json]:
        for schema in map(self._resolved, schemas):
            yield schema
            for word in ("allOf", "anyOf", "oneOf"):
                yield from self._alternatives(schema.get(word, []))


def is_open(schema: Json) -> bool:
    """Tell whether the schema invites members that it does not name."""
    return bool(schema.get("additionalProperties")) or schema == {"type": "object"}


def escaped(part: str) -> str:
    """Return the text as one part of a JSON pointer in a URL fragment."""
    pointer = part.replace("~", "~0").replace("/", "~1")
    return pointer.replace("{", "%7B").replace("}", "%7D")
