from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitops_release.cli.source import BuildSource, default_tags, find_source
from gitops_release.core.errors import UsageError
from gitops_release.core.published import Source
from gitops_release.system.processes import Completed
from tests.unit.system.scripted import OK, FakeProcesses

if TYPE_CHECKING:
    from collections.abc import Mapping

REVISION = "0123456789" * 4
OTHER = "9876543210" * 4
TIME = "2026-01-02T03:04:05Z"
SHOWN = Completed(0, f"{REVISION} {TIME}\n".encode(), b"")
ORIGIN = Completed(0, b"https://ghs_1@github.com/acme/web.git\n", b"")
WEB = "https://github.com/acme/web"
CLEAN = {"show": SHOWN, "remote": ORIGIN}
DIRTY = {**CLEAN, "status": Completed(0, b"?? new.py\n", b"")}
NO_GIT = {"show": Completed(128, b"", b"fatal: not a git repository")}


def find(ends: Mapping[str, Completed], environ: Mapping[str, str] | None = None) -> BuildSource:
    return find_source(environ or {}, FakeProcesses(ends), [])  # type: ignore[arg-type]


def test_a_clean_checkout_is_its_commit() -> None:
    assert find(CLEAN) == BuildSource(Source(repository=WEB, revision=REVISION), TIME, REVISION[:7])


def test_a_dirty_checkout_has_no_revision_and_says_so_in_its_tag() -> None:
    assert find(DIRTY) == BuildSource(Source(repository=WEB), None, f"{REVISION[:7]}-dirty")


def test_there_may_be_no_commit() -> None:
    assert find(NO_GIT) == BuildSource(Source(), None, None)


JOB = {
    "CIRCLE_SHA1": REVISION,
    "CIRCLE_REPOSITORY_URL": "git@github.com:acme/web.git",
    "CIRCLE_BRANCH": "main",
    "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/web/7",
}


@pytest.mark.parametrize("ends", [CLEAN, DIRTY], ids=["clean", "dirty"])
def test_a_job_s_commit_is_the_job_s_whatever_was_written_meanwhile(
    ends: Mapping[str, Completed],
) -> None:
    assert find(ends, JOB) == BuildSource(
        Source(
            repository=WEB,
            revision=REVISION,
            branch="main",
            pipeline_url="https://circleci.com/gh/acme/web/7",
        ),
        TIME,
        REVISION[:7],
    )


def test_a_job_needs_no_checkout() -> None:
    found = find(NO_GIT, JOB)
    assert found.source.revision == REVISION
    assert found.committed_at is None
    assert found.default_tag == REVISION[:7]


def test_a_job_s_commit_has_its_own_time_or_none() -> None:
    assert find(CLEAN, {**JOB, "CIRCLE_SHA1": OTHER}).committed_at is None


def test_the_remote_stands_in_for_a_repository_that_the_job_does_not_name() -> None:
    without = {name: value for name, value in JOB.items() if name != "CIRCLE_REPOSITORY_URL"}
    assert find(CLEAN, without).source.repository == WEB


def test_a_job_of_a_git_tag_has_no_branch() -> None:
    environ = {**JOB, "CIRCLE_BRANCH": "", "CIRCLE_TAG": "v1.0"}
    assert find(CLEAN, environ).source.tag == "v1.0"
    assert find(CLEAN, environ).source.branch is None


def test_an_empty_variable_is_no_job() -> None:
    assert find(CLEAN, {"CIRCLE_SHA1": ""}) == find(CLEAN)


def test_a_build_is_named_after_its_commit() -> None:
    assert default_tags(find({**CLEAN, "status": OK})) == (REVISION[:7],)


def test_a_build_without_a_commit_needs_a_tag() -> None:
    with pytest.raises(UsageError, match="a git commit") as caught:
        default_tags(find(NO_GIT))
    assert "--tag" in (caught.value.hint or "")
