from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitops_release.core.errors import ManifestError
from gitops_release.forges.paths import check_path, is_manifest


@pytest.mark.parametrize(
    ("path", "manifest"),
    [
        ("web.yaml", True),
        ("a/b/web.yml", True),
        ("a/web.json", True),
        ("a/Kustomization", True),
        ("Kustomization", True),
        ("a/MyKustomization", False),
        ("Kustomization/README.md", False),
        ("web.yaml.tmpl", False),
        ("web.YAML.txt", False),
        ("yaml", False),
    ],
)
def test_without_globs_a_manifest_is_known_by_its_name(path: str, *, manifest: bool) -> None:
    assert is_manifest(path, ()) is manifest


@pytest.mark.parametrize(
    ("glob", "matches", "others"),
    [
        ("web.yaml", ["web.yaml"], ["a/web.yaml", "web.yaml.bak", "xweb.yaml", "webxyaml"]),
        ("./web.yaml", ["web.yaml"], ["a/web.yaml"]),
        ("*.yaml", ["web.yaml", ".yaml", "\u00e9.yaml"], ["a/web.yaml", "web.yml"]),
        ("**/*.yaml", ["web.yaml", "a/web.yaml", "a/b/c.yaml"], ["web.yml"]),
        ("a/**", ["a/x", "a/b/c"], ["a", "ab/x", "b/a/x"]),
        ("a/**/x.yaml", ["a/x.yaml", "a/b/x.yaml", "a/b/c/x.yaml"], ["x.yaml", "a/bx.yaml"]),
        ("**", ["x", "a/b"], []),
        ("apps", ["apps/web.yaml", "apps/a/b.yaml", "apps"], ["apps2/web.yaml", "my/apps/x"]),
        ("apps/", ["apps/web.yaml"], ["apps2/web.yaml"]),
        ("*/web.yaml", ["a/web.yaml"], ["web.yaml", "a/b/web.yaml"]),
        ("we?.yaml", ["web.yaml"], ["we.yaml", "webb.yaml", "we/.yaml"]),
        ("[ab].yaml", ["a.yaml", "b.yaml"], ["c.yaml", "ab.yaml"]),
        ("[!ab].yaml", ["c.yaml"], ["a.yaml", "/.yaml"]),
        ("[a-c].yaml", ["b.yaml"], ["d.yaml", "-.yaml"]),
        ("[.yaml", ["[.yaml"], ["a.yaml"]),
        ("a+(b).yaml", ["a+(b).yaml"], ["aab.yaml"]),
        ("a.b$", ["a.b$"], ["a.b", "axb$"]),
        ("$(id)", ["$(id)"], ["id"]),
        ("a\nb", ["a\nb"], ["a", "b"]),
        ("[z-a].yaml", [], ["z.yaml", "a.yaml"]),
        ("[[a].yaml", ["[.yaml", "a.yaml"], ["b.yaml"]),
        ("[a&&b].yaml", ["a.yaml", "&.yaml"], ["c.yaml"]),
    ],
)
def test_a_glob_matches_files_and_what_is_below_directories(
    glob: str, matches: list[str], others: list[str]
) -> None:
    assert [path for path in matches if is_manifest(path, [glob])] == matches
    assert [path for path in others if is_manifest(path, [glob])] == []


def test_one_of_the_globs_is_enough() -> None:
    assert is_manifest("b/x.yaml", ["a/**", "b/**"])
    assert not is_manifest("c/x.yaml", ["a/**", "b/**"])


def test_with_globs_any_file_may_be_named() -> None:
    assert is_manifest("charts/web/values.tmpl", ["charts/**"])


@given(st.text(), st.text(min_size=1))
@example("[!]", "a")
@example("[^", "a")
@example("[a--b]", "a")
@example("[\\]", "a")
@example("[]]", "]")
def test_no_glob_is_a_bug(glob: str, path: str) -> None:
    assert is_manifest(path, [glob]) in {True, False}


@pytest.mark.parametrize(
    "path",
    [
        "web.yaml",
        "a/b/web.yaml",
        ".github/workflows/x.yaml",
        ".gitignore",
        "a/.gitattributes",
        "git",
        "x.git",
        "x.git/y",
        "git~",
        "a..b/c",
        "...",
        "-rf",
        "a b/\u00e9.yaml",
        "\udcff.yaml",
        "x" * 4096,
    ],
)
def test_a_plain_path_is_good(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "a//b",
        "a/",
        ".",
        "./a",
        "a/./b",
        "..",
        "../a",
        "a/../../b",
        "a/..",
        ".git",
        ".git/config",
        "a/.git/hooks/post-checkout",
        ".GIT/config",
        ".Git/config",
        "git~1/config",
        "GIT~1/config",
        "a/git~2",
        ".git./config",
        ".git /config",
        ".git. . /config",
        ".git::$INDEX_ALLOCATION/config",
        ".git:x/config",
        ".g\u200cit/config",
        "\u200d.git/config",
        ".git\ufeff/config",
        ".gi\u206at/config",
        "a\0b",
        "x" * 4097,
        "\u00e9" * 2049,
    ],
)
def test_a_path_that_no_repository_should_hold_is_refused(path: str) -> None:
    with pytest.raises(ManifestError, match="a plain relative path"):
        check_path(path)
