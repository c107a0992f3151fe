"""Text and tables as the generated pages write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def escaped(text: str) -> str:
    """Return the text so that Markdown shows it as it is, on one line."""
    return re.sub(r"([\\`*|<\[\]])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Return the text as a code span that may stand in a table."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    columns = list(header)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "|" + "".join(f" {cell} |" if cell else " |" for cell in line) for line in lines
    )
