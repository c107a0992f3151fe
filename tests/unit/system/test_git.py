from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from gitops_release.core.errors import UsageError
from gitops_release.system.git import SCRUBBED, Git
from gitops_release.system.processes import Completed
from tests.unit.system.scripted import FakeProcesses

DIRECTORY = Path("/srv/manifests")


def git(processes: FakeProcesses) -> Git:
    return Git(processes, DIRECTORY)  # type: ignore[arg-type]


def test_git_runs_nothing_of_the_repository_s() -> None:
    processes = FakeProcesses()
    git(processes).ask("status")
    (call,) = processes.calls
    settings = {value for option, value in pairwise(call.argv) if option == "-c"}
    assert call.argv[:3] == ("git", "-C", str(DIRECTORY))
    assert settings >= {
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "protocol.allow=never",
        "submodule.recurse=false",
    }
    assert call.argv[-1] == "status"


@pytest.mark.parametrize("value", ["$(id)", "a b", "; id", "--upload-pack=id", "\n", "é"])
def test_an_argument_stays_one_argument(value: str) -> None:
    processes = FakeProcesses()
    git(processes).run("rev-parse", "--end-of-options", value)
    assert processes.calls[0].argv[-3:] == ("rev-parse", "--end-of-options", value)


def test_input_and_variables_are_handed_on() -> None:
    processes = FakeProcesses()
    git(processes).run("hash-object", stdin=b"\0", extra={"GIT_INDEX_FILE": "x"})
    assert processes.calls[0].stdin == b"\0"
    assert processes.calls[0].environ == {"GIT_INDEX_FILE": "x"}


def test_a_failure_is_told_in_git_s_words() -> None:
    processes = FakeProcesses({"read-tree": Completed(128, b"", b"fatal: bad tree\n")})
    with pytest.raises(UsageError, match=r"^git read-tree in /srv/manifests: fatal: bad tree$"):
        git(processes).run("read-tree", "x")


def test_a_failure_may_be_an_answer() -> None:
    processes = FakeProcesses({"rev-parse": Completed(1, b"", b"")})
    assert git(processes).ask("rev-parse").returncode == 1


def test_a_word_has_no_newline() -> None:
    processes = FakeProcesses({"write-tree": Completed(0, b"abc\n", b"")})
    assert git(processes).word("write-tree") == "abc"


@pytest.mark.parametrize("variable", sorted(SCRUBBED))
def test_no_variable_leads_git_to_another_repository(variable: str) -> None:
    processes = FakeProcesses(environ={variable: "/elsewhere", "PATH": "/bin"})
    git(processes).ask("status")
    (call,) = processes.calls
    assert call.environ == {"PATH": "/bin"}
