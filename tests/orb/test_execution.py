"""The orb, packed, expanded and run, with a stub in the place of the helper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.orb.components import config_with_orb, packed
from tests.orb.runner import WORK_DIR, JobResult, Machine
from tests.orb.stub import RECORDS, build_stub, calls
from tests.orb.workflows import expand

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY: Final = "localhost:5000/test"
MANIFESTS: Final = "my-org/my-app-manifests"
OWN: Final = {
    "executor",
    "helper_version",
    "helper_source",
    "helper_extras",
    "no_output_timeout",
    "work_dir",
}
OWN_OF_JOBS: Final = OWN | {"workspace_root", "remote_docker_version"}
STAND_INS: Final = (
    "gitops_release/__init__.py",
    "gitops_release/__main__.py",
    "sitecustomize.py",
    "usercustomize.py",
    "venv.py",
    "pip.py",
    "ensurepip.py",
    "json.py",
)
HOSTILE: Final = (
    "two  words",
    'it\'s "quoted"',
    "several\nlines\n",
    "$(touch executed_by_mistake)",
    "`touch executed_by_mistake`",
    "; touch executed_by_mistake #",
    "&& touch executed_by_mistake",
    "'; touch executed_by_mistake; '",
    '"; touch executed_by_mistake; "',
    "$HOME ${PATH} *",
    r"\<< parameters.registry >>",
    r"\<<include(scripts/run.sh)>>",
    "--privileged",
    "-c",
    "back\\slash",
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine that checks out a project which tries to be imported."""
    source = tmp_path / "source"
    for name in STAND_INS:
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(tmp_path / 'executed_by_mistake')!r}, 'a').write(__file__)\n")
    (source / ".python-version").write_text("2.7.18\n")
    (tmp_path / "records").mkdir()
    environment = {RECORDS: str(tmp_path / "records"), "PYTHONPATH": ".", "PYTHONSAFEPATH": ""}
    return Machine(root=tmp_path / "machines", source=source, environment=environment)


@pytest.fixture
def helper(tmp_path: Path) -> dict[str, object]:
    version = packed()["jobs"]["create_release_pr"]["parameters"]["helper_version"]["default"]
    return {"helper_source": str(build_stub(tmp_path / "wheels", version).parent)}


def run(machine: Machine, config: dict[str, Any]) -> dict[str, JobResult]:
    jobs = expand(config).workflows["release"]
    results = machine.run_all(jobs)
    for name, result in results.items():
        assert result.exit_code == 0, f"{name}\n{result.report()}"
    assert list(results) == [job.name for job in jobs]
    return results


def test_images_of_a_matrix_reach_the_pull_request(
    tmp_path: Path, machine: Machine, helper: dict[str, object]
) -> None:
    build = "gitops-release/build_and_push_image"
    matrix = {"parameters": {"image": ["web", "worker"]}}
    config = config_with_orb(
        build_and_push_image={"registry": REGISTRY, "matrix": matrix, **helper},
        create_release_pr={"manifest_repository": MANIFESTS, "requires": [build], **helper},
    )
    results = run(machine, config)
    (release,) = calls(tmp_path / "records")["create-release-pr"]
    assert release.argv == ["create-release-pr"]
    assert release.images == ["web", "worker"]
    assert release.option("image") == ""
    assert release.option("manifest_repository") == MANIFESTS
    assert release.option("github_token_env") == "GITHUB_TOKEN"
    assert release.option("all_files") == "0"
    kept = [p.read_text() for p in results[f"{build}-web"].artifacts.rglob("*.json")]
    assert kept == ["web"]
    last = results["gitops-release/create_release_pr"]
    assert (last.artifacts / "gitops-release/release.json").is_file()
    assert_nothing_was_imported_or_executed(tmp_path)


def test_parameters_arrive_as_data(
    tmp_path: Path, machine: Machine, helper: dict[str, object]
) -> None:
    rest = {**helper, "work_dir": f"{WORK_DIR}/a b $(touch executed_by_mistake)'\""}
    build, release = (
        hostile_arguments("build_and_push_image"),
        hostile_arguments("create_release_pr"),
    )
    run(
        machine,
        config_with_orb(
            build_and_push_image={**build, **rest}, create_release_pr={**release, **rest}
        ),
    )
    for command, given in (("build-and-push-image", build), ("create-release-pr", release)):
        (call,) = calls(tmp_path / "records")[command]
        assert call.argv == [command]
        assert {k: call.option(k) for k in given} == {k: meant(v) for k, v in given.items()}
    assert_nothing_was_imported_or_executed(tmp_path)


def test_a_dry_run_hands_nothing_on() -> None:
    arguments = {"registry": REGISTRY, "image": "web", "dry_run": True}
    name = "gitops-release/build_and_push_image"
    job = expand(config_with_orb(build_and_push_image=arguments)).job(name)
    assert job.steps[-1].name == "Build and push the image"
    environment = job.steps[-1].arguments["environment"]
    assert isinstance(environment, dict)
    assert environment["GITOPS_RELEASE_ORB_DRY_RUN"] == "1"


def test_images_that_are_given_come_in_place_of_the_workspace() -> None:
    given = {"manifest_repository": MANIFESTS, "image": "localhost:5000/web:1"}
    job = expand(config_with_orb(create_release_pr=given)).job("gitops-release/create_release_pr")
    (step,) = (step for step in job.steps if step.name == "Create the release pull request")
    environment = step.arguments["environment"]
    assert isinstance(environment, dict)
    assert environment["GITOPS_RELEASE_ORB_IMAGE"] == "localhost:5000/web:1"
    assert environment["GITOPS_RELEASE_ORB_IMAGES_FROM"] == ""


def hostile_arguments(job: str) -> dict[str, str]:
    """Return a value with everything in it for every parameter that takes any text."""
    parameters = packed()["jobs"][job]["parameters"]
    names = [n for n, p in parameters.items() if p["type"] == "string" and n not in OWN_OF_JOBS]
    return {name: "\n".join((*HOSTILE, name)) for name in names}


def meant(value: str) -> str:
    return value.replace(r"\<<", "<<")


def assert_nothing_was_imported_or_executed(tmp_path: Path) -> None:
    assert not list(tmp_path.rglob("executed_by_mistake*"))
    for made in calls(tmp_path / "records").values():
        for call in made:
            assert not [p for p in call.path if p in ("", ".") or p.startswith(call.directory)]
