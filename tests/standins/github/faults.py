"""Faults that a test asks the stand-in to commit."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Reply:
    """An answer that replaces GitHub's; a text is sent as it is, anything else as JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reset:
    """No answer: the connection is reset."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, with which requests, and how often.

    The path is a regular expression for the whole path, decoded and without the prefix of the API
    or the query: `/repos/acme/app/pulls`. A fault "before" prevents the effect of the request; a
    fault "after" hides it.
    """

    method: str
    path: str
    what: Reply | Reset
    when: Literal["before", "after"] = "before"
    times: int = 1


class FaultPlan:
    """The faults still to come, the oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting += [fault] * fault.times

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that is due for this request, once."""
        with self._lock:
            for fault in self._waiting:
                if fault.method == method and re.fullmatch(fault.path, path):
                    self._waiting.remove(fault)
                    return fault
        return None
