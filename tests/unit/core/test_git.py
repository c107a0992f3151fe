from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitops_release.core.errors import UsageError
from gitops_release.core.git import (
    MAX_BRANCH_LENGTH,
    Author,
    legal_branch,
    trailers,
    with_trailers,
)

# git check-ref-format(1), rule by rule, and --branch's rule against a leading hyphen.
_REFUSED = re.compile(
    r"(?:^|/)\."  # 1: a component begins with a dot
    r"|\.lock(?:/|$)"  # 1: or ends with .lock
    r"|\.\."  # 3
    r"|[\x00-\x20\x7f~^:]"  # 4
    r"|[?*\[]"  # 5
    r"|^/|/$|//"  # 6
    r"|\.$"  # 7
    r"|@\{"  # 8
    r"|^@$"  # 9
    r"|\\"  # 10
    r"|^-"
)


@pytest.mark.parametrize(
    ("text", "branch"),
    [
        ("release-web-1.0", "release-web-1.0"),
        ("release/web/1.0", "release/web/1.0"),
        ("a/-b", "a/-b"),
        ("a@b", "a@b"),
        ("HEAD/x", "HEAD/x"),
        ("é-ü", "é-ü"),
        ("a b", "a-b"),
        ("a\tb\nc", "a-b-c"),
        ("a~^:?*[\\b", "a-b"),
        ("a..b", "a-b"),
        ("a@{1}", "a-1}"),
        (".hidden", "hidden"),
        ("a/.b", "a/b"),
        ("a.", "a"),
        ("a./b", "a/b"),
        ("a.lock", "a-lock"),
        ("a.lock/b", "a-lock/b"),
        ("a.lock.", "a-lock"),
        ("/a//b/", "a/b"),
        ("--force", "force"),
        ("-", None),
        ("", None),
        ("@", None),
        ("HEAD", None),
        ("...", None),
        ("///", None),
        (" \n", None),
    ],
)
def test_a_branch_differs_from_the_text_only_where_git_demands_it(
    text: str, branch: str | None
) -> None:
    if branch is None:
        with pytest.raises(UsageError, match="a branch name"):
            legal_branch(text)
    else:
        assert legal_branch(text) == branch


awkward = st.lists(
    st.sampled_from(["a", "/", ".", "-", ".lock", "@", "{", "..", " ", "~", "\\", "\x7f", "HEAD"])
).map("".join)


@given(st.text() | awkward)
@example("a.lock-")
@example("-.a")
@example("-/a")
@example("a.lock/-")
@example("a" * (MAX_BRANCH_LENGTH - 5) + ".lockstep")
@example("a" * (MAX_BRANCH_LENGTH - 1) + "/b")
@example("é" * 300)
def test_every_branch_is_one_that_git_accepts(text: str) -> None:
    try:
        branch = legal_branch(text)
    except UsageError:
        return
    assert not _REFUSED.search(branch)
    assert branch not in {"", "HEAD"}
    assert len(branch.encode(errors="surrogatepass")) <= MAX_BRANCH_LENGTH
    assert legal_branch(branch) == branch


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("subject\n\nKey: value\n", {"Key": "value"}),
        ("subject\n\nbody\n\nA: 1\nB-c: 2", {"A": "1", "B-c": "2"}),
        ("subject\n\nA: 1\nA: 2\n", {"A": "2"}),
        ("subject\n \nKey: a: b\n\n\n", {"Key": "a: b"}),
        ("", {}),
        ("Key: value", {}),
        ("Key: value\nOther: 1", {}),
        ("subject\n\nbody with Key: value\nand more", {}),
        ("subject\n\nKey: value\nnot a trailer", {}),
        ("subject\n\nKey: value\n\nlast words", {}),
        ("subject\n\nKey:value", {}),
        ("subject\n\n Key: value", {}),
    ],
)
def test_trailers_are_the_last_paragraph_if_it_holds_nothing_else(
    message: str, found: dict[str, str]
) -> None:
    assert trailers(message) == found


@pytest.mark.parametrize(
    "message",
    [
        "Release web 1.0",
        "Release\n\nbody\n",
        "Release\n\nGitops-Release: forged",
        "a\n\nK: v\n\n\n",
    ],
)
def test_trailers_that_are_written_are_the_ones_that_are_read(message: str) -> None:
    written = with_trailers(message, [("Gitops-Release", "web 1"), ("X", "2")])
    assert trailers(written) == {"Gitops-Release": "web 1", "X": "2"}
    assert written.startswith(message.rstrip())
    assert written.endswith("\n")


@pytest.mark.parametrize(
    ("text", "name", "email"),
    [
        ("Release Bot <bot@example.com>", "Release Bot", "bot@example.com"),
        ("  Bot<b@e>  ", "Bot", "b@e"),
        ("Zoë O'Neil (ops) <zoe+ops@example.com>", "Zoë O'Neil (ops)", "zoe+ops@example.com"),
    ],
)
def test_an_author_is_a_name_and_a_mail_address(text: str, name: str, email: str) -> None:
    author = Author.parse(text)
    assert author == Author(name, email)
    assert Author.parse(str(author)) == author


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bot",
        "bot@example.com",
        "<bot@example.com>",
        "Bot <>",
        "Bot <bot>",
        "Bot <bot@example.com> more",
        "Bot <bot@example.com",
        "Bot <<bot@example.com>>",
        "Bot\ncommitter Evil <bot@example.com>",
        "Bot <bot@exam\nple.com>",
        "Bot\0 <bot@example.com>",
        "Bot <bot\0@example.com>",
    ],
)
def test_anything_else_is_no_author(text: str) -> None:
    with pytest.raises(UsageError, match="an author like"):
        Author.parse(text)
