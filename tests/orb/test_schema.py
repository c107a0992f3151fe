"""CircleCI's JSON Schema, as check-jsonschema ships it, accepts what we write.

A packed orb is written with parameters where the schema wants the values that they stand for;
the places are named here one by one. Expanded, nothing is excused.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from tests.orb.components import FILES, PROJECT, File, config_with_orb, entries, packed
from tests.orb.workflows import expand

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA: Final = "vendor.circle-ci"
CONFIGS: Final = sorted((PROJECT / ".circleci").glob("*.yml"))
EXAMPLES: Final = [file for file in FILES if file.kind == "examples"]
MISTAKES: Final[Mapping[str, object]] = {
    # A boolean in the schema, where a reference to a boolean parameter is just as right.
    "docker_layer_caching": False,
}
"""Keys whose value, where it is a reference, the schema refuses; and a value that it accepts."""

BUILD: Final = {"registry": "localhost:5000/r", "image": "app"}
RELEASE: Final = {"manifest_repository": "my-org/manifests"}


def validate(config: Mapping[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMA, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def excused(node: object, key: str = "") -> object:
    if isinstance(node, dict):
        return {k: excused(v, k) for k, v in node.items()}
    if isinstance(node, list):
        return [excused(item) for item in node]
    is_reference = isinstance(node, str) and node.startswith("<<")
    return MISTAKES[key] if is_reference and key in MISTAKES else node


def with_inline_orb(usage: Mapping[str, Any]) -> dict[str, Any]:
    return {**usage, "orbs": {**usage["orbs"], "gitops-release": packed()}}


def test_the_packed_orb_is_valid(tmp_path: Path) -> None:
    orb = excused({k: v for k, v in packed().items() if k != "examples"})
    assert isinstance(orb, dict)
    validate({"version": 2.1, "orbs": {"gitops-release": orb}}, tmp_path)


def test_the_excuses_are_still_needed(tmp_path: Path) -> None:
    for key in MISTAKES:
        assert any(path and path[-1] == key for path, _ in entries(packed()))
    with pytest.raises(AssertionError, match="layer_caching"):
        validate({"version": 2.1, **packed()}, tmp_path)


@pytest.mark.parametrize("file", EXAMPLES, ids=str)
def test_examples_are_valid_as_written_and_expanded(file: File, tmp_path: Path) -> None:
    usage = file.body["usage"]
    validate(usage, tmp_path)
    validate(expand(with_inline_orb(usage)).config(), tmp_path)


@pytest.mark.parametrize(
    ("build", "release"),
    [
        ({}, {}),
        ({"executor": "gitops-release/docker", "setup_remote_docker": True}, {"image": "a/b:c"}),
        ({"dry_run": True, "attach_workspace": True}, {"dry_run": True, "checkout": False}),
    ],
)
def test_expanded_jobs_are_valid(
    build: dict[str, object], release: dict[str, object], tmp_path: Path
) -> None:
    config = config_with_orb(
        build_and_push_image={**BUILD, **build}, create_release_pr={**RELEASE, **release}
    )
    validate(expand(config).config(), tmp_path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_this_project_s_own_configuration_is_valid(path: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    validate({**config, "orbs": {k: v for k, v in config["orbs"].items() if v}}, tmp_path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_this_project_s_own_jobs_expand(path: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    validate(expand(with_inline_orb(config)).config(), tmp_path)


def test_the_orb_is_tested_as_an_inline_orb() -> None:
    config = yaml.safe_load((PROJECT / ".circleci/test-deploy.yml").read_text(encoding="utf-8"))
    assert config["orbs"]["gitops-release"] == {}
