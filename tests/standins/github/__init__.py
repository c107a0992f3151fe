"""GitHub's REST API over bare git repositories, checked against GitHub's own description of it."""

from __future__ import annotations

from tests.standins.github.faults import Fault, Reply, Reset
from tests.standins.github.server import GitHubStandIn, RecordedRequest
from tests.standins.github.validation import Violation

__all__ = ["Fault", "GitHubStandIn", "RecordedRequest", "Reply", "Reset", "Violation"]
