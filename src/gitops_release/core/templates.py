"""Templates of branch names, titles, bodies and commit messages: ``{name}`` and nothing more."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{(?P<name>[a-z_]*)\}|[{}]")


def fill(template: str, fields: Mapping[str, str], *, option: str) -> str:
    """Return the template with each ``{name}`` replaced, and ``{{`` and ``}}`` as braces.

    Values are never looked at again. Raises ``UsageError`` for an unknown name or a lone brace.
    """

    def value(match: re.Match[str]) -> str:
        text = match[0]
        if text in ("{{", "}}"):
            return text[0]
        name = match["name"]
        if name is None:
            raise UsageError(
                f"expected {{name}} in {option}, found a lone {text!r} at "
                f"character {match.start()}",
                hint=f"write {text}{text} for the character itself",
            )
        if name not in fields:
            raise _unknown(name, fields, option)
        return fields[name]

    return _TOKEN.sub(value, template)


def _unknown(name: str, fields: Mapping[str, str], option: str) -> UsageError:
    near = difflib.get_close_matches(name, fields, n=1)
    meant = f"did you mean {{{near[0]}}}? " if near else ""
    known = ", ".join(f"{{{field}}}" for field in sorted(fields))
    return UsageError(
        f"expected a known field in {option}, found {{{name}}}",
        hint=f"{meant}known fields: {known}",
    )
