"""``release.json``: what ``create-release-pr`` leaves for later steps."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gitops_release.core.manifest import Slot
    from gitops_release.core.releasing import ReleaseResult

SCHEMA_VERSION: Final = 1


def to_json(result: ReleaseResult) -> str:
    """Return the text of ``release.json`` (docs/reference/release.schema.json)."""
    found = result.pull_request
    document = {
        "schema_version": SCHEMA_VERSION,
        "operation": result.operation.value,
        "changed": result.changed,
        "pull_request": None if found is None else {"number": found.number, "url": found.url},
        "branch": result.branch,
        "commit": result.commit,
        "files": [
            {"path": path, "edits": [_edit(slot) for slot in slots]}
            for path, slots in groupby(result.slots, key=lambda slot: slot.location.path)
        ],
        "superseded": list(result.superseded),
    }
    return json.dumps(document, indent=2) + "\n"


def _edit(slot: Slot) -> dict[str, object]:
    return {"line": slot.location.line, "old": slot.old, "new": slot.new}
