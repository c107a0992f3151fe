from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from tests.orb.conditions import holds
from tests.orb.parameters import ConfigError
from tests.orb.workflows import Expansion, combinations, expand

ORB = r"""
commands:
  say:
    parameters:
      text: {type: string, default: nothing}
      loud: {type: boolean, default: false}
      times: {type: integer, default: 1}
    steps:
      - run:
          name: Say << parameters.text >>
          environment:
            TEXT: << parameters.text >>
            LOUD: << parameters.loud >>
            TIMES: << parameters.times >>
            BOTH: a-<< parameters.loud >>-b
            ESCAPED: \<< parameters.text >>
          command: echo << parameters.loud >>
  twice:
    parameters: {text: {type: string}}
    steps:
      - say: {text: << parameters.text >>}
      - say: {text: << parameters.text >>, loud: true}
executors:
  box:
    parameters:
      size: {type: string, default: small}
      cached: {type: boolean, default: false}
    machine: {image: i, docker_layer_caching: << parameters.cached >>}
    resource_class: << parameters.size >>
    environment: {FROM: executor, PLACE: box}
jobs:
  work:
    parameters:
      executor: {type: executor, default: box}
      text: {type: string, default: hello}
      mode: {type: enum, enum: ["", fast, slow], default: ""}
      token: {type: env_var_name, default: TOKEN}
      before: {type: steps, default: []}
    executor: << parameters.executor >>
    environment: {FROM: job, TOKEN: << parameters.token >>}
    steps:
      - steps: << parameters.before >>
      - when: {condition: << parameters.before >>, steps: [{run: {name: had, command: "true"}}]}
      - when:
          condition: {equal: [fast, << parameters.mode >>]}
          steps: [{say: {text: fast}}]
      - unless:
          condition: << parameters.mode >>
          steps: [checkout]
      - twice: {text: << parameters.text >>}
"""


def config(arguments: str = "", rest: str = "") -> dict[str, Any]:
    text = f"""
version: 2.1
executors:
  own: {{docker: [{{image: mine}}]}}
commands:
  greet: {{steps: [{{run: {{name: greet, command: greet}}}}]}}
{rest}
workflows:
  w:
    jobs:
      - o/work: {{{arguments}}}
"""
    parsed: dict[str, Any] = yaml.safe_load(text)
    parsed["orbs"] = {"o": yaml.safe_load(ORB), "far": "other/far@1.0.0"}
    return parsed


def expanded(arguments: str = "") -> Expansion:
    return expand(config(arguments))


def steps(arguments: str = "") -> list[tuple[str, Any]]:
    return [(s.name, s.arguments) for s in expanded(arguments).job("o/work").steps]


def names(arguments: str = "") -> list[str]:
    return [name for name, _ in steps(arguments)]


def test_commands_are_expanded_in_their_own_scope() -> None:
    assert names() == ["checkout", "Say hello", "Say hello"]


def test_booleans_are_digits_in_environment_and_words_in_commands() -> None:
    quiet, loud = (arguments for name, arguments in steps() if name == "Say hello")
    assert quiet["environment"]["LOUD"] == "0"
    assert loud["environment"]["LOUD"] == "1"
    assert loud["environment"]["BOTH"] == "a-1-b"
    assert loud["command"] == "echo true"


def test_integers_are_texts_in_environment() -> None:
    assert steps()[1][1]["environment"]["TIMES"] == "1"


def test_an_escaped_reference_stays_text() -> None:
    assert steps()[1][1]["environment"]["ESCAPED"] == "<< parameters.text >>"


def test_what_an_argument_contains_is_not_searched_for_references() -> None:
    environment = steps(r'text: "\\<< parameters.loud >> $(x)"')[1][1]["environment"]
    assert environment["TEXT"] == "<< parameters.loud >> $(x)"


def test_a_reference_to_a_parameter_of_another_scope_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"parameters\.loud >> is not defined"):
        expanded('text: "a << parameters.loud >>"')


def test_pipeline_values_are_known_where_a_job_is_invoked() -> None:
    assert names('text: "<< pipeline.number >>b"')[1] == "Say 25b"


def test_conditions_choose_steps() -> None:
    assert names("mode: fast")[0] == "Say fast"
    assert "checkout" not in names("mode: slow")


def test_steps_of_the_user_mean_what_they_mean_to_the_user() -> None:
    assert names("before: [greet, far/notify: {a: b}]")[:3] == ["greet", "far/notify", "had"]
    notify = expanded("before: [far/notify: {a: b}]").job("o/work").steps[0]
    assert notify.foreign
    assert notify.arguments == {"a": "b"}


def test_pre_and_post_steps_surround_the_job() -> None:
    found = names("pre-steps: [greet], post-steps: [{run: last}]")
    assert (found[0], found[-1]) == ("greet", "run")


def test_an_executor_may_have_parameters_and_bring_an_environment() -> None:
    job = expanded("executor: {name: o/box, size: large, cached: true}").job("o/work")
    assert job.executor == {
        "machine": {"image": "i", "docker_layer_caching": True},
        "resource_class": "large",
    }
    assert job.environment == {"FROM": "job", "PLACE": "box", "TOKEN": "TOKEN"}


def test_an_executor_of_the_user_is_found_in_the_users_scope() -> None:
    assert expanded("executor: own").job("o/work").executor == {"docker": [{"image": "mine"}]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("text: 1", "expects string"),
        ("text: true", "expects string"),
        ("mode: quick", "expects one of"),
        ("token: not-a-name", "expects env_var_name"),
        ("before: checkout", "expects steps"),
        ("executor: [a]", "expects executor"),
        ("executor: nowhere", "executors has no 'nowhere'"),
        ("executor: {name: o/box, size: 3}", "expects string"),
        ("unknown: x", "unexpected arguments"),
        ("before: [nothing]", "commands has no 'nothing'"),
        ("before: [what/ever]", "no orb 'what'"),
        ("requires: [other]", "not in the workflow"),
    ],
)
def test_wrong_arguments_are_refused(arguments: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        expanded(arguments)


def broken(path: str, value: object) -> dict[str, Any]:
    wrong = config()
    node: Any = wrong["orbs"]["o"]
    *parents, last = path.split(".")
    for key in parents:
        node = node[key]
    node[last] = value
    return wrong


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("jobs.work.parameters.text.default", 1, "expects string"),
        ("jobs.work.parameters.mode.default", "quick", "expects one of"),
        ("jobs.work.parameters.context", {"type": "string", "default": ""}, "reserved names"),
        ("jobs.work.parameters.text.type", "text", "unknown type"),
        ("jobs.work.parameters.text", {"type": "string"}, "missing arguments"),
        ("commands.twice.steps", [{"twice": {"text": "x"}}], "without end"),
        ("commands.twice.steps", [{"run": {"name": "x"}}], "no command"),
        ("commands.twice.steps", [{"run": "a", "checkout": {}}], "one key"),
        ("commands.twice.steps", "checkout", "list of steps"),
        ("commands.say.parameters", {}, "unexpected arguments"),
        ("executors.box", {"docker": [], "machine": {}}, "expected one of"),
    ],
)
def test_wrong_components_are_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        expand(broken(path, value))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (True, True),
        ("", False),
        ("x", True),
        (0, False),
        (None, False),
        ([], False),
        (float("nan"), False),
        ({"and": [True, "x"]}, True),
        ({"and": [True, ""]}, False),
        ({"or": ["", {"not": False}]}, True),
        ({"equal": ["", ""]}, True),
        ({"equal": [1, "1"]}, False),
        ({"equal": [True, 1]}, False),
        ({"matches": {"pattern": "v.*", "value": "v1"}}, True),
        ({"matches": {"pattern": "v", "value": "v1"}}, False),
    ],
)
def test_conditions_have_circleci_s_truth(condition: object, expected: object) -> None:
    assert holds(condition) is expected


@pytest.mark.parametrize("wrong", [{"nor": []}, {"and": []}, {"and": [], "or": []}, {"matches": 1}])
def test_malformed_conditions_are_refused(wrong: object) -> None:
    with pytest.raises(ConfigError):
        holds(wrong)


def test_a_matrix_gives_a_job_for_every_combination() -> None:
    matrix = (
        "matrix: {parameters: {text: [a, b], mode: [fast, slow]}, exclude: [{text: b, mode: slow}]}"
    )
    wanted = config(matrix)
    wanted["workflows"]["w"]["jobs"].append({"o/work": {"name": "last", "requires": ["o/work"]}})
    expansion = expand(wanted)
    made = ["o/work-a-fast", "o/work-a-slow", "o/work-b-fast"]
    assert [job.name for job in expansion.workflows["w"]] == [*made, "last"]
    assert expansion.job("last").requires == tuple(made)


def test_a_matrix_value_may_be_part_of_the_name() -> None:
    named = "name: w-<< matrix.text >>, matrix: {parameters: {text: [a, b]}}"
    assert [job.name for job in expanded(named).workflows["w"]] == ["w-a", "w-b"]


def test_a_matrix_has_parameters() -> None:
    with pytest.raises(ConfigError):
        combinations({"values": {}})


def test_jobs_with_the_same_name_are_refused() -> None:
    twice = config()
    twice["workflows"]["w"]["jobs"] *= 2
    with pytest.raises(ConfigError, match="give one a name"):
        expand(copy.deepcopy(twice))


def test_workflows_run_when_their_condition_holds() -> None:
    conditional = config(rest="parameters: {go: {type: boolean, default: false}}")
    conditional["workflows"]["w"]["when"] = "<< pipeline.parameters.go >>"
    assert expand(conditional).workflows == {}
    assert "w" in expand(conditional, parameters={"go": True}).workflows


def test_jobs_of_foreign_orbs_and_approvals_are_kept_as_one_step() -> None:
    mixed = config()
    mixed["workflows"]["w"]["jobs"] = ["far/job", {"hold": {"type": "approval"}}]
    assert [job.steps[0].foreign for job in expand(mixed).workflows["w"]] == [True, True]
