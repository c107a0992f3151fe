"""The page on exit codes has every code, and no other."""

from __future__ import annotations

from gitops_release.cli.main import INTERRUPTED, TERMINATED, cli
from gitops_release.core.errors import GitopsReleaseError
from tests.docs.pages import REFERENCE, code, rows

TABLE = rows((REFERENCE / "exit-codes.md").read_text("utf-8"))


def test_codes_are_those_of_the_errors() -> None:
    errors = [GitopsReleaseError, *GitopsReleaseError.__subclasses__()]
    documented = {int(row[0]): code(row[1]) for row in TABLE if row[1]}
    assert documented == {error.exit_code: error.__name__ for error in errors}


def test_other_codes_are_those_of_the_entry_point() -> None:
    assert {int(row[0]) for row in TABLE if not row[1]} == {0, INTERRUPTED, TERMINATED}


def test_codes_are_in_order_and_in_the_help() -> None:
    codes = [int(row[0]) for row in TABLE]
    assert codes == sorted(codes)
    for number in codes:
        assert f"{number} " in (cli.help or "") or f"{number}, " in (cli.help or "")
