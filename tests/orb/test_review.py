"""The review rules of circleci/orb-tools (RC006 and RC007 ask the network and are left to it)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import yaml
from ruamel.yaml import YAML

from tests.orb.components import FILES, ORB, PROJECT, File, entries, packed, runs
from tests.orb.parameters import RESERVED

COMPONENTS: Final = [file for file in FILES if file.kind != "examples"]
EXAMPLES: Final = [file for file in FILES if file.kind == "examples"]
SCRIPTS: Final = sorted((ORB / "scripts").iterdir())
YAML_FILES: Final = [ORB / "@orb.yml", *(file.path for file in FILES)]
LONGEST_COMMAND: Final = 64
YAMLLINT: Final = "{extends: relaxed, rules: {line-length: {max: 200}}}"
BIN: Final = Path(sys.executable).parent

each_file = pytest.mark.parametrize("file", FILES, ids=str)
each_component = pytest.mark.parametrize("file", COMPONENTS, ids=str)
each_example = pytest.mark.parametrize("file", EXAMPLES, ids=str)
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)


def version() -> str:
    text = (PROJECT / "src/gitops_release/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__(?:: [^=]+)? = "([^"]+)"$', text, re.MULTILINE)
    assert found, "src/gitops_release/__init__.py sets no __version__"
    return found.group(1)


def test_rc001_the_source_url_is_set() -> None:
    assert packed()["display"]["source_url"].startswith("https://")


@each_file
def test_rc002_every_component_is_described(file: File) -> None:
    assert file.body["description"].strip()


def test_rc003_there_is_an_example() -> None:
    assert EXAMPLES


@each_example
def test_rc004_an_example_s_name_says_what_it_shows(file: File) -> None:
    assert "example" not in file.path.stem


def test_rc005_the_orb_s_description_is_detailed() -> None:
    assert len(packed()["description"]) >= 64


@each_component
def test_rc008_every_run_step_is_a_mapping_with_a_name(file: File) -> None:
    for run in runs(file.body):
        assert isinstance(run, dict)
        assert run["name"].strip()


@each_component
def test_rc009_long_commands_are_included(file: File) -> None:
    for run in runs(file.body):
        assert isinstance(run, dict)
        is_included = run["command"].startswith("<<include(")
        assert is_included or len(run["command"]) <= LONGEST_COMMAND


@each_component
def test_rc010_names_are_snake_case(file: File) -> None:
    for name in (file.path.stem, *file.body.get("parameters", {})):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)


@each_example
def test_rc011_examples_show_this_major_version(file: File) -> None:
    reference = file.body["usage"]["orbs"]["gitops-release"]
    assert reference.split("@")[1].split(".")[0] == version().split(".")[0]


@each_component
def test_rc012_no_default_with_a_variable_reaches_a_key(file: File) -> None:
    body = file.body
    for name, declaration in body.get("parameters", {}).items():
        if re.search(r"\$.", str(declaration.get("default", ""))):
            keyed = [v for path, v in entries(body) if path and path[-1].endswith("key")]
            assert not [value for value in keyed if isinstance(value, str) and name in value]


@each_component
def test_parameters_are_described_and_not_called_as_circleci_s_own(file: File) -> None:
    for name, declaration in file.body.get("parameters", {}).items():
        assert name not in RESERVED
        assert declaration["description"].strip()
        has_default = "default" in declaration
        assert ("Default: " in declaration["description"]) is has_default, name


@each_component
def test_no_parameter_stands_in_the_text_of_a_command(file: File) -> None:
    for run in runs(file.body):
        assert isinstance(run, dict)
        assert "parameters" not in run["command"]
        assert "parameters" not in run["name"]


@each_component
def test_every_parameter_is_used(file: File) -> None:
    body = file.body
    rest = {key: value for key, value in body.items() if key != "parameters"}
    for name in body.get("parameters", {}):
        assert f"<< parameters.{name} >>" in yaml.dump(rest, width=10_000), name


@each_script
def test_scripts_evaluate_nothing(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    assert not re.search(r"\beval\b|`|\bsource |env subst|set -[a-z]*x", text)
    assert "<<" not in text


def test_every_script_is_included() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in YAML_FILES)
    for script in SCRIPTS:
        assert f"<<include(scripts/{script.name})>>" in text


def test_scripts_satisfy_shellcheck_with_every_optional_check() -> None:
    check(BIN / "shellcheck", "--norc", "--enable=all", "--severity=style", *SCRIPTS)


def test_commands_satisfy_shellcheck() -> None:
    commands = {run["command"] for run in runs(packed()) if isinstance(run, dict)}
    for command in commands:
        script = command if command.startswith("#!") else f"#!/usr/bin/env bash\n{command}\n"
        check(BIN / "shellcheck", "--norc", "--enable=all", "-", text=script)


def test_yaml_is_tidy() -> None:
    check(BIN / "yamllint", "--strict", "-d", YAMLLINT, ORB, PROJECT / ".circleci")


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_yaml_reads_the_same_by_both_versions_of_the_standard(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert YAML(typ="safe", pure=True).load(text) == yaml.safe_load(text)


def test_the_helper_s_default_version_is_this_one() -> None:
    for component in packed()["jobs"].values():
        assert component["parameters"]["helper_version"]["default"] == version()


def check(program: Path, *arguments: object, text: str | None = None) -> None:
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
