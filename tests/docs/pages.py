"""The documentation as data: its pages, their fenced code, tables, links and headings."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent.parent
REFERENCE: Final = ROOT / "docs" / "reference"
PAGES: Final = (
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
SHELLS: Final = frozenset({"bash", "console", "sh"})

_FENCE: Final = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w-]*)[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_CODE_SPAN: Final = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CELL: Final = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Fence:
    """A fenced block of code."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fences(page: Path, *languages: str) -> list[Fence]:
    """Return the blocks of a page in one of the languages, or all of them."""
    text = page.read_text("utf-8")
    return [
        Fence(
            page,
            text.count("\n", 0, match.start()) + 1,
            match["language"],
            re.sub(rf"(?m)^{match['indent']}", "", match["text"]),
        )
        for match in _FENCE.finditer(text)
        if not languages or match["language"] in languages
    ]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def code_spans(page: Path) -> list[str]:
    """Return what stands in code spans of the prose."""
    return [match[2].strip() for match in _CODE_SPAN.finditer(prose(page))]


def links(page: Path) -> list[str]:
    """Return the targets of a page's links."""
    return _LINK.findall(_CODE_SPAN.sub("", prose(page)))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next heading of its level or above."""
    marks, _, _ = heading.partition(" ")
    text = page.read_text("utf-8")
    start = text.index(f"\n{heading}\n") + len(heading) + 2
    end = re.compile(rf"^#{{1,{len(marks)}}} ", re.MULTILINE).search(text, start)
    return text[start : end.start() if end else len(text)]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the first table in the text, without its header."""
    table = re.search(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    lines = table[0].splitlines() if table else []
    return [[cell.strip() for cell in _CELL.split(line)[1:-1]] for line in lines[2:]]


def code(cell: str) -> str:
    """Return the text of a cell that is one code span; a table needs its pipes escaped."""
    match = _CODE_SPAN.fullmatch(cell)
    if match is None:
        raise ValueError(f"expected a code span, found {cell!r}")
    return match[2].replace("\\|", "|")


def command_lines(fence: Fence) -> Iterator[list[str]]:
    """Yield the arguments of each ``gitops-release`` command in a block of shell.

    In a ``console`` block, commands are the lines after a prompt.
    """
    text = fence.text.replace("\\\n", " ")
    for line in text.splitlines():
        if fence.language == "console":
            if not line.startswith("$ "):
                continue
            line = line[2:]  # noqa: PLW2901 - the line without its prompt
        for words in _commands(line):
            if words[:1] == ["gitops-release"]:
                yield words[1:]
            elif words[:2] == ["python", "-m"] and words[2] in {"gitops_release", "helper"}:
                yield words[3:]


def _commands(line: str) -> Iterator[list[str]]:
    """Split a line at the shell's operators; assignments before a command are left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= set(";&|()"):
            if words or not re.match(r"[A-Za-z_]\w*=", word):
                words.append(word)
            continue
        yield _without_redirections(words)
        words = []


def _without_redirections(words: list[str]) -> list[str]:
    at = next((i for i, word in enumerate(words) if word and set(word) <= set("<>&")), len(words))
    return words[:at]
