r"""Variables in the values of options, expanded as bash would, without a shell.

The language is bash's inside double quotes, less what runs something or changes a variable::

    $VAR  ${VAR}         the value; the variable must be set
    ${VAR:-x}  ${VAR-x}  x if the variable is unset or empty, x if it is unset
    ${VAR:+x}            x if the variable is set and not empty, else nothing
    ${VAR:?m}            an error that says m if the variable is unset or empty
    ${VAR:0:7}           a part, by offset and optional length; ${VAR: -7} and ${VAR:(-7)} count
                         from the end, as a negative length does
    ${VAR#p}  ${VAR##p}  without the shortest, the longest prefix that matches p
    ${VAR%p}  ${VAR%%p}  without the shortest, the longest suffix that matches p
    ${VAR/a/b}           the first match of the pattern a replaced by b; ${VAR//a/b} every match,
                         ${VAR/#a/b} a match at the start, ${VAR/%a/b} one at the end
    ${VAR,,}  ${VAR^^}   in lower case, in upper case
    $$                   one dollar

Patterns know ``*``, ``?`` and ``[...]``. Where this differs from bash, it does so on purpose:

* A value is data: it is never expanded again, and has no wildcards where it is part of a pattern.
* A backslash outside ``${...}`` is a backslash: ``\$`` is no escape, write ``$$``. In a word (after
  ``:-``, ``-``, ``:+`` and ``:?``) it escapes ``$``, a backtick, a double quote, a backslash and
  braces; in a pattern or a replacement it escapes any character, so that
  ``${CIRCLE_BRANCH//\//-}`` replaces slashes.
* Braces inside ``${...}`` come in pairs or with a backslash, so ``${TITLE:-Release {tag}}`` works.
* What bash would remove or read in silence is an error: quotes inside ``${...}`` (an apostrophe in
  a word excepted), a ``[`` without its ``]``, a lone ``$``, an unset variable, an empty pattern.
* ``&`` in a replacement is an ampersand, as in every bash before 5.2.

https://www.gnu.org/software/bash/manual/html_node/Shell-Parameter-Expansion.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from gitops_release.cli.secret_names import secret_names
from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MAX_DEPTH: Final = 16
"""How deep ``${...}`` may stand inside ``${...}``."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER: Final = r"(?:0|[1-9][0-9]{0,8})"
_SLICE: Final = re.compile(
    rf"""(?P<offset>  {_NUMBER} | [ ]+-?{_NUMBER} | \([ ]*-?{_NUMBER}[ ]*\) | (?=:) )
         (?: : (?P<length> [ ]*-?{_NUMBER} | \([ ]*-?{_NUMBER}[ ]*\) ) )?
         (?=\}})""",
    re.VERBOSE,
)
_OPERATORS: Final = ":- - :+ :? :OFFSET:LENGTH # ## % %% / // ,, ^^"
_SHOWN: Final = 40


def expand(
    text: str, variables: Mapping[str, str], *, secrets: Collection[str] | None = None
) -> str:
    """Return ``text`` with its variables replaced once; raise ``UsageError`` where that cannot be.

    A variable named in ``secrets`` is refused wherever it stands. Without ``secrets`` those are
    the variables that ``secret_names`` finds; with an empty collection nothing is refused.
    """
    reader = _Reader(text)
    parts = _read_text(reader)
    refused = secret_names(variables, ()) if secrets is None else secrets
    for name in reader.names:
        if name in refused:
            raise UsageError(
                f"expected no secret in an option's value, found the variable {name}",
                hint="secrets are passed by options ending in -env, which name a variable",
            )
    return _joined(parts, variables)


def split(text: str, separators: str) -> list[str]:
    """Return ``text`` cut at each separator that does not stand inside ``${...}``."""
    reader = _Reader(text)
    _read_text(reader)
    pieces, start, position = [], 0, 0
    while position < len(text):
        if position in reader.spans:
            position = reader.spans[position]
            continue
        if text[position] in separators:
            pieces.append(text[start:position])
            start = position + 1
        position += 1
    return [*pieces, text[start:]]


# What a text consists of.


@dataclass(frozen=True, slots=True)
class _Literal:
    text: str


@dataclass(frozen=True, slots=True)
class _OneOf:
    """Matches one character: one in the ranges or, negated, one outside them."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def matches(self, character: str) -> bool:
        return self.negated != any(first <= character <= last for first, last in self.ranges)


@dataclass(frozen=True, slots=True)
class _AnyText:
    """Matches any text, also none."""


@dataclass(frozen=True, slots=True)
class _Fallback:
    """``${VAR:-x}``, or without ``or_empty`` ``${VAR-x}``."""

    word: tuple[_Part, ...]
    or_empty: bool


@dataclass(frozen=True, slots=True)
class _Alternative:
    """``${VAR:+x}``."""

    word: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class _Required:
    """``${VAR:?m}``."""

    word: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class _Slice:
    """``${VAR:0:7}``."""

    offset: int
    length: int | None


@dataclass(frozen=True, slots=True)
class _Strip:
    """``${VAR#p}`` and its three sisters."""

    pattern: tuple[_PatternPart, ...]
    from_end: bool
    longest: bool


@dataclass(frozen=True, slots=True)
class _Replace:
    """``${VAR/a/b}``; ``which`` is ``/`` for every match, ``#`` and ``%`` for one at an end."""

    pattern: tuple[_PatternPart, ...]
    replacement: tuple[_Part, ...]
    which: str


@dataclass(frozen=True, slots=True)
class _Case:
    """``${VAR,,}`` and ``${VAR^^}``."""

    upper: bool


@dataclass(frozen=True, slots=True)
class _Parameter:
    """``$VAR`` or ``${VAR...}``, with its text as it was written."""

    source: str
    name: str
    operation: _Operation | None = None


_Operation = _Fallback | _Alternative | _Required | _Slice | _Strip | _Replace | _Case
_Part = _Literal | _Parameter
_PatternPart = _Literal | _Parameter | _OneOf | _AnyText
_Pattern = tuple[_OneOf | _AnyText, ...]

_WITH_A_WORD: Final[Mapping[str, Callable[[tuple[_Part, ...]], _Operation]]] = {
    ":-": lambda word: _Fallback(word, or_empty=True),
    "-": lambda word: _Fallback(word, or_empty=False),
    ":+": _Alternative,
    ":?": _Required,
}


# Reading: from text to parts.


class _Reader:
    """A text and how far it has been read, with the variables seen and where they stand."""

    __slots__ = ("depth", "names", "position", "spans", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0
        self.names: list[str] = []
        self.spans: dict[int, int] = {}

    def peek(self, length: int = 1) -> str:
        return self.text[self.position : self.position + length]

    def take(self, expected: str) -> bool:
        if not self.text.startswith(expected, self.position):
            return False
        self.position += len(expected)
        return True

    def next(self) -> str:
        character = self.peek()
        self.position += 1
        return character

    def name(self) -> str:
        """Read a variable's name; empty if there is none here."""
        match = _NAME.match(self.text, self.position)
        if match is None:
            return ""
        self.position = match.end()
        self.names.append(match[0])
        return match[0]

    def since(self, start: int) -> str:
        return self.text[start : self.position]

    def shown(self, start: int) -> str:
        """Return what stands at ``start``, short enough for a message."""
        rest = self.text[start:]
        return repr(rest if len(rest) <= _SHOWN else f"{rest[:_SHOWN]}…")


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How text inside ``${...}`` is read."""

    escaped: str | None
    """What a backslash escapes; ``None`` for every character."""

    refused: str
    """The quotes that need a backslash."""

    stop: str = "}"
    wildcards: bool = False


_WORD: Final = _Dialect(escaped='$`"\\{}', refused='"')
_REPLACEMENT: Final = _Dialect(escaped=None, refused="\"'")
_STRIP_PATTERN: Final = _Dialect(escaped=None, refused="\"'", wildcards=True)
_REPLACE_PATTERN: Final = _Dialect(escaped=None, refused="\"'", stop="}/", wildcards=True)


def _read_text(reader: _Reader) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    while character := reader.peek():
        if character in "$`":
            start = reader.position
            parts.append(_read_dollar(reader))
            reader.spans[start] = reader.position
        else:
            parts.append(_Literal(reader.next()))
    return tuple(parts)


def _read_dollar(reader: _Reader) -> _Part:
    start = reader.position
    if reader.peek() == "`" or reader.peek(2) == "$(":
        _refuse_shell(reader)
    if reader.take("$$"):
        return _Literal("$")
    if reader.take("${"):
        return _read_braces(reader, start)
    reader.position += 1
    name = reader.name()
    if not name:
        raise UsageError(
            f"expected the name of a variable after a dollar, found {reader.shown(start)}",
            hint="write $$ for one dollar",
        )
    return _Parameter(reader.since(start), name)


def _refuse_shell(reader: _Reader) -> NoReturn:
    found = reader.shown(reader.position)
    if reader.peek(3) == "$((":
        raise UsageError(
            f"expected no arithmetic in a value, found {found}",
            hint="compute it in an earlier step and export it through $BASH_ENV; "
            "write $$ for one dollar",
        )
    raise UsageError(
        f"expected no command substitution in a value, found {found}",
        hint="no shell runs here: compute it in an earlier step, for example "
        """echo "export VERSION=$(cat VERSION)" >> "$BASH_ENV", and write ${VERSION}""",
    )


def _read_braces(reader: _Reader, start: int) -> _Parameter:
    reader.depth += 1
    if reader.depth > MAX_DEPTH:
        raise UsageError(
            f"expected at most {MAX_DEPTH} ${{ inside one another, found more",
            hint="compute the value in an earlier step and export it through $BASH_ENV",
        )
    name = reader.name()
    if not name:
        raise UsageError(
            f"expected the name of a variable after ${{, found {reader.shown(start)}",
            hint="write $$ for one dollar",
        )
    operation = None if reader.peek() == "}" else _read_operation(reader, name, start)
    if not reader.take("}"):
        _refuse_operator(reader, name, start)
    reader.depth -= 1
    return _Parameter(reader.since(start), name, operation)


def _read_operation(reader: _Reader, name: str, start: int) -> _Operation:
    for operator, operation in _WITH_A_WORD.items():
        if reader.take(operator):
            return operation(_word(_read_inside(reader, _WORD, start)))
    for operator in ("##", "#", "%%", "%"):
        if reader.take(operator):
            pattern = _read_inside(reader, _STRIP_PATTERN, start)
            return _Strip(pattern, from_end=operator[0] == "%", longest=len(operator) > 1)
    for operator in (",,", "^^"):
        if reader.take(operator):
            return _Case(upper=operator == "^^")
    if reader.take("/"):
        return _read_replace(reader, start)
    if reader.peek() != ":" or reader.peek(2) == ":=":
        _refuse_operator(reader, name, start)
    return _read_slice(reader, start)


def _refuse_operator(reader: _Reader, name: str, start: int) -> NoReturn:
    if not reader.peek():
        _refuse_unclosed(reader, start)
    raise UsageError(
        f"expected one of {_OPERATORS} or a closing brace after {name}, "
        f"found {reader.shown(reader.position)}",
        hint="docs/reference/settings.md lists what may stand in ${…}",
    )


def _refuse_unclosed(reader: _Reader, start: int) -> NoReturn:
    raise UsageError(
        f"expected a closing brace for {reader.shown(start)}, found the end of the value",
        hint="a brace inside ${…} has a partner or a backslash before it",
    )


def _read_slice(reader: _Reader, start: int) -> _Slice:
    match = _SLICE.match(reader.text, reader.position + 1)
    if match is None:
        raise UsageError(
            f"expected whole numbers like ${{VAR:0:7}} after the colon, "
            f"found {reader.shown(start)}",
            hint="write ${VAR: -7} or ${VAR:(-7)} to count from the end",
        )
    reader.position = match.end()
    offset, length = match["offset"].strip(" ()"), match["length"]
    return _Slice(int(offset or 0), None if length is None else int(length.strip(" ()")))


def _read_replace(reader: _Reader, start: int) -> _Replace:
    which = next((mark for mark in "/#%" if reader.take(mark)), "")
    # As in bash, a slash right after // belongs to the pattern: ${VAR////-} replaces slashes.
    leading: tuple[_PatternPart, ...] = ()
    if which == "/" and reader.take("/"):
        leading = (_Literal("/"),)
    pattern = (*leading, *_read_inside(reader, _REPLACE_PATTERN, start))
    replaced = reader.take("/")
    if not pattern or (leading and not replaced):
        raise UsageError(
            f"expected a pattern and a replacement like ${{VAR//a/b}}, found {reader.shown(start)}",
            hint="write a slash in a pattern as \\/",
        )
    replacement = _word(_read_inside(reader, _REPLACEMENT, start)) if replaced else ()
    return _Replace(pattern, replacement, which)


def _word(parts: tuple[_PatternPart, ...]) -> tuple[_Part, ...]:
    return tuple(part for part in parts if isinstance(part, (_Literal, _Parameter)))


def _read_inside(reader: _Reader, dialect: _Dialect, start: int) -> tuple[_PatternPart, ...]:
    """Read up to the brace that closes, or to another stop of the dialect, and leave it there."""
    parts: list[_PatternPart] = []
    open_braces = 0
    while True:
        character = reader.peek()
        if not character:
            _refuse_unclosed(reader, start)
        if character in dialect.stop and not open_braces:
            return tuple(parts)
        open_braces += {"{": 1, "}": -1}.get(character, 0)
        parts.append(_read_one(reader, dialect, start))


def _read_one(reader: _Reader, dialect: _Dialect, start: int) -> _PatternPart:
    character = reader.peek()
    if character in "$`":
        return _read_dollar(reader)
    if character in dialect.refused:
        raise UsageError(
            f"expected no quotes inside ${{…}}, found {reader.shown(start)}",
            hint="white space needs no quotes here; to keep a quote put a backslash before it",
        )
    reader.position += 1
    if character == "\\" and reader.peek():
        if dialect.escaped is None or reader.peek() in dialect.escaped:
            return _Literal(reader.next())
    elif dialect.wildcards and character == "*":
        return _AnyText()
    elif dialect.wildcards and character == "?":
        return _OneOf((), negated=True)
    elif dialect.wildcards and character == "[":
        return _read_brackets(reader, start)
    return _Literal(character)


def _read_brackets(reader: _Reader, start: int) -> _OneOf:
    negated = reader.take("!") or reader.take("^")
    ranges: list[tuple[str, str]] = []
    while not (ranges and reader.take("]")):
        first = _read_member(reader, start)
        if reader.peek() == "-" and reader.peek(2) != "-]":
            reader.position += 1
            ranges.append((first, _read_member(reader, start)))
        else:
            ranges.append((first, first))
    return _OneOf(tuple(ranges), negated)


def _read_member(reader: _Reader, start: int) -> str:
    if reader.peek(2) in {"[:", "[.", "[="}:
        raise UsageError(
            f"expected characters and ranges like [a-z] in brackets, found {reader.shown(start)}",
            hint="write [a-zA-Z] for [[:alpha:]], or \\[ for a bracket",
        )
    character = reader.next()
    if character == "\\":
        character = reader.next()
    elif not character or character in "$`/{}\"'":
        raise UsageError(
            f"expected a closing ] in a pattern, found {reader.shown(start)}",
            hint="write \\[ for a bracket; inside brackets put a backslash before "
            "a dollar, slash, brace or quote",
        )
    if not character:
        _refuse_unclosed(reader, start)
    return character


# Evaluating: from parts to text.


def _joined(parts: tuple[_Part, ...], variables: Mapping[str, str]) -> str:
    return "".join(
        part.text if isinstance(part, _Literal) else _value(part, variables) for part in parts
    )


def _value(parameter: _Parameter, variables: Mapping[str, str]) -> str:
    value, operation = variables.get(parameter.name), parameter.operation
    if isinstance(operation, _Fallback):
        absent = not value if operation.or_empty else value is None
        return _joined(operation.word, variables) if absent else value or ""
    if isinstance(operation, _Alternative):
        return _joined(operation.word, variables) if value else ""
    if isinstance(operation, _Required) and not value:
        message = _joined(operation.word, variables) or "expected a value, found none"
        raise UsageError(f"{parameter.name}: {message}", hint=f"set the variable {parameter.name}")
    if value is None:
        raise UsageError(
            f"expected the variable {parameter.name} to be set for {parameter.source!r}, "
            f"found that it is not",
            hint=f"set it, or give a default: ${{{parameter.name}:-value}}",
        )
    if operation is None or isinstance(operation, _Required):
        return value
    return _changed(parameter, operation, value, variables)


def _changed(
    parameter: _Parameter,
    operation: _Slice | _Strip | _Replace | _Case,
    value: str,
    variables: Mapping[str, str],
) -> str:
    if isinstance(operation, _Case):
        return _in_case(value, str.upper if operation.upper else str.lower)
    if isinstance(operation, _Slice):
        return _sliced(parameter, operation, value)
    pattern = _compiled(operation.pattern, variables)
    if isinstance(operation, _Replace):
        return _replaced(value, pattern, _joined(operation.replacement, variables), operation.which)
    if operation.from_end:
        return _without_prefix(value[::-1], pattern[::-1], longest=operation.longest)[::-1]
    return _without_prefix(value, pattern, longest=operation.longest)


def _in_case(value: str, change: Callable[[str], str]) -> str:
    # One character for one, as towupper(3) does it: bash leaves ß as it is.
    return "".join(new if len(new := change(old)) == 1 else old for old in value)


def _sliced(parameter: _Parameter, operation: _Slice, value: str) -> str:
    size = len(value)
    start = operation.offset if operation.offset >= 0 else size + operation.offset
    if not 0 <= start <= size:
        return ""
    if operation.length is None:
        return value[start:]
    end = start + operation.length if operation.length >= 0 else size + operation.length
    if end < start:
        raise UsageError(
            f"expected an end after the start in {parameter.source!r}, "
            f"found a value of only {size} characters",
            hint="give a length that is not negative",
        )
    return value[start:end]


def _compiled(parts: tuple[_PatternPart, ...], variables: Mapping[str, str]) -> _Pattern:
    pattern: list[_OneOf | _AnyText] = []
    for part in parts:
        if isinstance(part, (_OneOf, _AnyText)):
            pattern.append(part)
        else:
            text = _joined((part,), variables)
            pattern.extend(_OneOf(((character, character),)) for character in text)
    return tuple(pattern)


def _without_prefix(value: str, pattern: _Pattern, *, longest: bool) -> str:
    ends = _ends(value, pattern)
    return value[ends[-1 if longest else 0] :] if ends else value


def _replaced(value: str, pattern: _Pattern, replacement: str, which: str) -> str:
    if not pattern and which in {"", "/"}:
        return value  # as in bash, where an empty value at an anchor matches and elsewhere does not
    if which == "%":
        ends = _ends(value[::-1], pattern[::-1])
        return value[: len(value) - ends[-1]] + replacement if ends else value
    pieces: list[str] = []
    kept = position = 0
    while position < max(len(value), 1):
        ends = _ends(value, pattern, position)
        if ends:
            pieces += [value[kept:position], replacement]
            kept = position = ends[-1]
            if which != "/" or not value:
                break
        # What starts with any text and does not match here matches nowhere further on.
        elif which == "#" or isinstance(pattern[0], _AnyText):
            break
        else:
            position += 1
    return "".join(pieces) + value[kept:]


def _ends(value: str, pattern: _Pattern, start: int = 0) -> list[int]:
    """Return where a match that begins at ``start`` can end, in ascending order.

    All ways to match are followed at once, so that no pattern takes exponential time.
    """
    states, ends = _with_skips({0}, pattern), []
    for position in range(start, len(value) + 1):
        if len(pattern) in states:
            ends.append(position)
        if position == len(value) or not states:
            break
        following: set[int] = set()
        for state in states - {len(pattern)}:
            part = pattern[state]
            if isinstance(part, _AnyText):
                following.add(state)
            elif part.matches(value[position]):
                following.add(state + 1)
        states = _with_skips(following, pattern)
    return ends


def _with_skips(states: set[int], pattern: _Pattern) -> set[int]:
    """Add the states that are reached where any text is no text."""
    reached: set[int] = set()
    for first in states:
        state = first
        reached.add(state)
        while state < len(pattern) and isinstance(pattern[state], _AnyText):
            state += 1
            reached.add(state)
    return reached
