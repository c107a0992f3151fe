"""Untrusted text in pull requests: shown, never interpreted.

Inside a code span GitHub renders no mention, link, issue reference or HTML (GitHub Flavored
Markdown, "Code spans"); a table cell ends at a pipe even there, unless it is escaped ("Tables").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_BACKTICKS: Final = re.compile(r"`+")
_CONTROL: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+"  # C0, C1, bidi
)


def code(text: str) -> str:
    """Return the text as a code span that fits into a table cell, without control characters."""
    text = _CONTROL.sub(" ", text).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))
    padding = " " if not text or text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; cells are markup already."""
    columns = list(header)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
