from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.orb.expander import ExpandedJob, Step
from tests.orb.runner import WORK_DIR, Machine
from tests.orb.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def run(command: str, name: str = "it", **arguments: Any) -> Step:  # noqa: ANN401 - a step's keys
    return Step("run", {"name": name, "command": command, **arguments})


def job(*steps: Step, name: str = "j", **rest: Any) -> ExpandedJob:  # noqa: ANN401 - a job's fields
    fields = {"executor": {}, "environment": {}, "options": {}, **rest}
    return ExpandedJob(name=name, steps=steps, **fields)


def machine(tmp_path: Path, **rest: Any) -> Machine:  # noqa: ANN401 - a machine's fields
    return Machine(root=tmp_path, workspace=Workspace(tmp_path / "workspace"), **rest)


def output(tmp_path: Path, *steps: Step, **rest: Any) -> str:  # noqa: ANN401 - a job's fields
    result = machine(tmp_path).run(job(*steps, **rest))
    assert result.exit_code == 0, result.report()
    return result.step("it").stdout.strip()


def test_steps_run_in_a_fresh_home_and_working_directory(tmp_path: Path) -> None:
    where = output(tmp_path, run('echo "${PWD#"${HOME}"}" "$(ls -A)"'))
    assert where == "/project"


def test_a_failing_pipe_fails_the_step_and_ends_the_job(tmp_path: Path) -> None:
    result = machine(tmp_path).run(job(run("false | true", "pipe"), run("echo on", "next")))
    assert result.exit_code == 1
    assert result.step("next").skipped


def test_steps_may_run_always_or_on_failure(tmp_path: Path) -> None:
    steps = (
        run("exit 7", "bad"),
        run("true", "a", when="always"),
        run("true", "f", when="on_fail"),
    )
    result = machine(tmp_path).run(job(*steps))
    assert result.exit_code == 7
    assert [r.skipped for r in result.steps] == [False, False, False]
    calm = machine(tmp_path).run(job(run("true", "f", when="on_fail")))
    assert calm.step("f").skipped


def test_the_nearest_environment_wins(tmp_path: Path) -> None:
    steps = [run('echo "$A $B $C"', environment={"A": "step"})]
    surroundings = {"A": "context", "B": "context", "C": "context"}
    result = machine(tmp_path, environment=surroundings).run(
        job(*steps, environment={"A": "job", "B": "job"})
    )
    assert result.step("it").stdout == "step job context\n"


def test_bash_env_carries_exports_to_later_steps_of_the_job(tmp_path: Path) -> None:
    exported = output(tmp_path, run('echo "export A=b" >>"${BASH_ENV}"', "x"), run('echo "$A"'))
    assert exported == "b"


def test_circleci_s_variables_are_there_and_this_process_s_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_TEST", "x")
    shown = output(tmp_path, run('echo "$CIRCLE_SHA1 $CIRCLE_JOB ${SECRET_OF_THE_TEST-unset}"'))
    assert shown.endswith(" j unset")


def test_checkout_copies_the_source(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    result = machine(tmp_path, source=source).run(job(Step("checkout"), run("cat Dockerfile")))
    assert result.step("it").stdout == "FROM scratch\n"


def test_a_checkout_without_source_fails(tmp_path: Path) -> None:
    assert machine(tmp_path).run(job(Step("checkout"))).exit_code == 1


def persisting(name: str, file: str) -> ExpandedJob:
    return job(
        run(f"mkdir -p out/images; echo {name} >out/images/{file}"),
        Step("persist_to_workspace", {"root": "out", "paths": ["images"]}),
        name=name,
    )


def attaching(*requires: str) -> ExpandedJob:
    attach = Step("attach_workspace", {"at": f"{WORK_DIR}/w"})
    listing = run("cat images/*", working_directory=f"{WORK_DIR}/w")
    return job(attach, listing, name="last", requires=requires)


def test_the_workspace_hands_files_to_the_jobs_that_wait_for_them(tmp_path: Path) -> None:
    jobs = (persisting("a", "a.json"), persisting("b", "b.json"), attaching("a", "b"))
    assert machine(tmp_path).run_all(jobs)["last"].step("it").stdout == "a\nb\n"


def test_a_job_sees_nothing_of_jobs_that_it_does_not_wait_for(tmp_path: Path) -> None:
    jobs = (persisting("a", "a.json"), persisting("b", "b.json"), attaching("a"))
    assert machine(tmp_path).run_all(jobs)["last"].step("it").stdout == "a\n"


def test_two_concurrent_jobs_must_not_persist_the_same_file(tmp_path: Path) -> None:
    jobs = (persisting("a", "x.json"), persisting("b", "x.json"), attaching("a", "b"))
    last = machine(tmp_path).run_all(jobs)["last"]
    assert last.exit_code == 1
    assert "a and b both persisted images/x.json" in last.report()


def test_persisting_what_is_not_there_fails(tmp_path: Path) -> None:
    step = Step("persist_to_workspace", {"root": ".", "paths": ["images"]})
    assert machine(tmp_path).run(job(step)).exit_code == 1


def test_jobs_that_need_a_failed_job_do_not_run(tmp_path: Path) -> None:
    jobs = (job(run("exit 3"), name="a"), job(run("true"), name="b", requires=("a",)))
    assert list(machine(tmp_path).run_all(jobs)) == ["a"]


def test_artifacts_are_kept_and_missing_ones_are_no_error(tmp_path: Path) -> None:
    result = machine(tmp_path).run(
        job(
            run("mkdir d; echo 1 >d/f; echo 2 >g"),
            Step("store_artifacts", {"path": "d", "destination": "kept/d"}),
            Step("store_artifacts", {"path": "g", "destination": "kept/g.txt"}),
            Step("store_artifacts", {"path": "absent"}),
        )
    )
    assert result.exit_code == 0
    assert (result.artifacts / "kept/d/f").read_text() == "1\n"
    assert (result.artifacts / "kept/g.txt").read_text() == "2\n"


def test_foreign_steps_are_recorded(tmp_path: Path) -> None:
    foreign = Step("slack/notify", {"event": "fail"}, foreign=True)
    remote = Step("setup_remote_docker", {"version": "default"})
    assert machine(tmp_path).run(job(foreign, remote)).recorded == (foreign, remote)


def test_a_step_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    marker = tmp_path / "late"
    started = time.monotonic()
    result = machine(tmp_path, timeout=0.5).run(job(run(f"(sleep 2; touch {marker}) & sleep 60")))
    assert result.steps[0].timed_out
    assert result.exit_code == 137
    time.sleep(max(0.0, 2.5 - (time.monotonic() - started)))
    assert not marker.exists()


def test_what_a_step_leaves_in_the_background_does_not_outlive_it(tmp_path: Path) -> None:
    marker = tmp_path / "late"
    output(tmp_path, run(f"(sleep 0.5; touch {marker}) &"))
    time.sleep(1)
    assert not marker.exists()


def test_a_step_may_choose_its_shell(tmp_path: Path) -> None:
    chosen = Step("run", {"name": "it", "command": "echo $0", "shell": "/bin/sh -e"})
    assert output(tmp_path, chosen) == "/bin/sh"
