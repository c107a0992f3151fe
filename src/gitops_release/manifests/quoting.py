"""Which text every reader of YAML takes for a string when it stands without quotes.

A tag such as ``1234567``, ``1e5`` or ``0o17`` is a number for some readers and a string for
others, so the rule is their union: what any of them reads as something else is quoted.

Sources: https://yaml.org/type/ (YAML 1.1: null, bool, int, float, timestamp, merge, value);
https://yaml.org/spec/1.2.2/ section 10.3.2 (core schema); go-yaml v2 and v3, resolve.go, which
drops every ``_`` before it tries a number, reads ``0o-6`` and takes y and n (v2) for booleans;
RFC 8259 section 6 (JSON numbers). ruamel.yaml, a YAML 1.2 reader, is asked as well.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# What can stand without quotes in block and flow collections: no indicator at the start, no
# blank, comma or bracket anywhere, no colon at the end.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./:@+-]*[A-Za-z0-9_./@+-])?")

_WORDS: Final = frozenset({"", "y", "n", "yes", "no", "on", "off", "true", "false", "null"})

# Without underscores. Incomplete numbers (`0x`, `1e`) are included: readers disagree on them.
_NUMBER: Final = re.compile(
    r"""[-+]? (?: 0x [0-9a-f]*
                | 0o [-+]? [0-7]*
                | 0b [-+]? [01]*
                | [0-9]+ (?: : [0-5]?[0-9] )+ (?: \. [0-9]* )?      # base 60
                | (?: \. [0-9]+ | [0-9]+ (?: \. [0-9]* )? ) (?: e [-+]? [0-9]* )?
                | \. (?: inf | nan ) )""",
    re.VERBOSE,
)
_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t \t].*)?", re.DOTALL)


def is_plain_string(text: str) -> bool:
    """Tell whether the text, written without quotes, is that string for every reader."""
    folded = text.lower()
    if not _PLAIN.fullmatch(text) or folded in _WORDS or _TIMESTAMP.fullmatch(folded):
        return False
    return not _NUMBER.fullmatch(folded.replace("_", "")) and yaml_1_2_value(text) == text


def scalar_text(value: str) -> str:
    """Return the value as it is written into a manifest: plain if that is safe, else quoted."""
    if is_plain_string(value):
        return value
    if '"' in value or "\\" in value:
        return "'" + value.replace("'", "''") + "'"
    return f'"{value}"'


@lru_cache(maxsize=256)
def yaml_1_2_value(text: str) -> object:
    """Return what ruamel.yaml, a YAML 1.2 reader, makes of a scalar as it is written."""
    # Imported here: it takes longer than most edits, and a run that changes nothing needs it not.
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        value: object = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError):
        return None
    return value
