"""The orb's parameters are the command line's options: every one, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
import pytest

from gitops_release.cli.main import cli
from tests.orb.components import packed

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIONS_ONLY: Final[Mapping[str, str]] = {
    "config": "a job's settings are its parameters; a discovered file is still read",
    "explain_settings": "a question of people at a terminal",
    "help": "a question of people at a terminal",
    "version": "a question of people at a terminal",
}
"""Options without a parameter, and why."""

PARAMETERS_OF_STEPS: Final[Mapping[str, str]] = {
    "no_output_timeout": "belongs to CircleCI's step",
    "work_dir": "where the command install put the helper",
}
"""Parameters of the commands without an option, and why."""

PARAMETERS_OF_JOBS: Final[Mapping[str, str]] = {
    **PARAMETERS_OF_STEPS,
    "executor": "where the job runs",
    "checkout": "a step around the command",
    "attach_workspace": "a step around the command",
    "workspace_root": "a step around the command",
    "setup_remote_docker": "a step around the command",
    "remote_docker_version": "a step around the command",
    "remote_docker_layer_caching": "a step around the command",
    "helper_version": "of the command install",
    "helper_source": "of the command install",
    "helper_extras": "of the command install",
}
"""Parameters of the jobs without an option, and why."""

FIXED_BY_JOBS: Final = {"output": "the file that the workspace and the artifacts take"}

COMMANDS: Final = {
    "build_and_push_image": "build-and-push-image",
    "create_release_pr": "create-release-pr",
}

each_command = pytest.mark.parametrize("name", COMMANDS)


def options(name: str) -> dict[str, click.Option]:
    """Return a command's options by the name that the orb gives them."""
    assert isinstance(cli, click.Group)
    found = [p for p in cli.commands[COMMANDS[name]].params if isinstance(p, click.Option)]
    return {max(o.opts, key=len).removeprefix("--").replace("-", "_"): o for o in found}


def parameters(kind: str, name: str) -> dict[str, dict[str, Any]]:
    declared: dict[str, dict[str, Any]] = packed()[kind][name]["parameters"]
    return declared


def passed(name: str) -> dict[str, str]:
    """Return the variables that the command's step sets, by option."""
    (step,) = packed()["commands"][name]["steps"]
    prefix = "GITOPS_RELEASE_ORB_"
    environment: dict[str, str] = step["run"]["environment"]
    found = {k: v for k, v in environment.items() if k.startswith(prefix)}
    return {k.removeprefix(prefix).lower(): v for k, v in found.items()}


@each_command
def test_every_option_is_a_parameter_of_the_command(name: str) -> None:
    missing = options(name).keys() - parameters("commands", name).keys() - OPTIONS_ONLY.keys()
    assert not missing


@each_command
def test_every_parameter_of_the_command_is_an_option(name: str) -> None:
    unknown = parameters("commands", name).keys() - options(name).keys()
    assert unknown == PARAMETERS_OF_STEPS.keys()


@each_command
def test_every_parameter_of_the_command_reaches_the_helper(name: str) -> None:
    wanted = parameters("commands", name).keys() - PARAMETERS_OF_STEPS.keys()
    assert passed(name) == {option: f"<< parameters.{option} >>" for option in wanted}


@each_command
def test_the_job_has_the_command_s_parameters(name: str) -> None:
    of_job, of_command = parameters("jobs", name), parameters("commands", name)
    assert of_command.keys() - of_job.keys() == FIXED_BY_JOBS.keys()
    assert of_job.keys() - of_command.keys() <= PARAMETERS_OF_JOBS.keys()
    for parameter in of_job.keys() & of_command.keys() - {"images_from"}:
        assert of_job[parameter] == of_command[parameter], parameter


@each_command
def test_types_are_those_of_the_options(name: str) -> None:
    for parameter, option in options(name).items():
        if parameter in parameters("commands", name):
            assert parameters("commands", name)[parameter]["type"] == kind_of(parameter, option)


@each_command
def test_members_are_those_of_the_options(name: str) -> None:
    for parameter, option in options(name).items():
        if isinstance(option.type, click.Choice):
            members = parameters("commands", name)[parameter]["enum"]
            assert members == ["", *option.type.choices], parameter


@each_command
def test_what_is_required_has_no_default_and_flags_are_off(name: str) -> None:
    for parameter, declaration in parameters("commands", name).items():
        option = options(name).get(parameter)
        if option is None:
            continue
        assert ("default" not in declaration) is option.required, parameter
        if declaration["type"] == "boolean":
            assert declaration["default"] is False


@each_command
def test_names_of_secrets_have_the_options_defaults(name: str) -> None:
    for parameter, declaration in parameters("commands", name).items():
        if declaration["type"] == "env_var_name":
            assert declaration["default"] == options(name)[parameter].default


@each_command
def test_descriptions_name_the_options_defaults(name: str) -> None:
    for parameter, option in options(name).items():
        if isinstance(option.default, str) and parameter in parameters("commands", name):
            description = parameters("commands", name)[parameter]["description"]
            assert description.endswith(f"Default: {option.default}"), parameter


def kind_of(name: str, option: click.Option) -> str:
    """Return the type of parameter that fits an option."""
    if option.is_flag:
        return "boolean"
    if isinstance(option.type, click.Choice):
        return "enum"
    return "env_var_name" if name.endswith("_env") else "string"
