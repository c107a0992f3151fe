from __future__ import annotations

import json

from gitops_release.core.image import ImageReference
from gitops_release.core.manifest import Location, Slot
from gitops_release.core.released import to_json
from gitops_release.core.releasing import (
    Operation,
    PullRequest,
    PullRequestState,
    ReleaseResult,
)

IMAGE = ImageReference.parse("r.example.com/web:2")


def slot(path: str, line: int) -> Slot:
    return Slot(Location(path, line, ("image",)), IMAGE, "web:1", "web:2")


def test_the_file_has_the_members_that_later_steps_rely_on() -> None:
    pull = PullRequest(5, "https://g/5", PullRequestState.OPEN, "t", "b", "c" * 40)
    result = ReleaseResult(
        operation=Operation.CREATED,
        changed=True,
        branch="release-web-2",
        pull_request=pull,
        commit="c" * 40,
        slots=(slot("a.yaml", 1), slot("a.yaml", 9), slot("b.yaml", 2)),
        superseded=(3, 4),
    )
    assert json.loads(to_json(result)) == {
        "schema_version": 1,
        "operation": "created",
        "changed": True,
        "pull_request": {"number": 5, "url": "https://g/5"},
        "branch": "release-web-2",
        "commit": "c" * 40,
        "files": [
            {
                "path": "a.yaml",
                "edits": [
                    {"line": 1, "old": "web:1", "new": "web:2"},
                    {"line": 9, "old": "web:1", "new": "web:2"},
                ],
            },
            {"path": "b.yaml", "edits": [{"line": 2, "old": "web:1", "new": "web:2"}]},
        ],
        "superseded": [3, 4],
    }


def test_what_is_not_there_is_null_or_empty() -> None:
    result = ReleaseResult(operation=Operation.UNCHANGED, changed=False, branch="release-web-2")
    assert json.loads(to_json(result)) == {
        "schema_version": 1,
        "operation": "unchanged",
        "changed": False,
        "pull_request": None,
        "branch": "release-web-2",
        "commit": None,
        "files": [],
        "superseded": [],
    }
