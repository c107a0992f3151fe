"""Links between pages lead somewhere, and what the pages name is there."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, code_spans, links, prose

if TYPE_CHECKING:
    from pathlib import Path

IDS = [str(page.relative_to(ROOT)) for page in PAGES]
RELATIVE = re.compile(r"(?![a-z]+:)[^\s]+")
OURS = re.compile(r"(?:docs|orb|src|tests|demo|tools|app|core|cli|registries|forges|manifests)/\S+")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in links(page):
        if not RELATIVE.fullmatch(target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_relative_to(ROOT), target
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_named_files_of_the_project_are_there(page: Path) -> None:
    for span in code_spans(page):
        if OURS.fullmatch(span) and not set(span) & set("*…{<"):
            places = (ROOT, ROOT / "src" / "gitops_release")
            assert any((place / span).exists() for place in places), span


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_has_one_title_and_no_link_over_two_lines(page: Path) -> None:
    text = prose(page)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert not re.search(r"\[[^\]]*\]\s+\(", text)


def test_every_page_is_reached_from_the_readme() -> None:
    seen, queue = set(), [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen:
            continue
        seen.add(page)
        if page.suffix == ".md":
            targets = [target.partition("#")[0] for target in links(page)]
            files = [(page.parent / target).resolve() for target in targets if ":" not in target]
            queue += [file for file in files if file.is_file()]
    docs = {file for file in (ROOT / "docs").rglob("*") if file.is_file()}
    assert docs <= seen, sorted(docs - seen)


def test_make_targets_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for page in PAGES:
        for target in re.findall(r"(?:`|^ *)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: {target}"


def test_named_classes_are_there() -> None:
    named = re.findall(r"`([a-z_.]+)\.([A-Z]\w+)`", prose(ROOT / "docs" / "architecture.md"))
    assert named
    for module, name in named:
        assert hasattr(import_module(f"gitops_release.{module}"), name), f"{module}.{name}"
