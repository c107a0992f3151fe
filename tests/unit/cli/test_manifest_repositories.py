from __future__ import annotations

from pathlib import Path

import pytest

from gitops_release.cli.manifest_repositories import (
    GitHubName,
    LocalDirectory,
    parse_manifest_repository,
)
from gitops_release.core.errors import UsageError


@pytest.mark.parametrize(
    "text", ["acme/manifests", "a/b", "Acme-1/my.repo_x-y", "acme/.github", "a/..b"]
)
def test_owner_and_name_are_always_github(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / text).mkdir(parents=True, exist_ok=True)
    assert parse_manifest_repository(text) == GitHubName(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (".", "."),
        ("..", ".."),
        ("./manifests", "manifests"),
        ("../manifests", "../manifests"),
        ("/srv/manifests.git", "/srv/manifests.git"),
        ("~/manifests", "/nonexistent/home/manifests"),
        ("file:///srv/manifests", "/srv/manifests"),
        ("file:///srv/a%20b", "/srv/a b"),
    ],
)
def test_a_directory_is_written_as_one(text: str, path: str) -> None:
    assert parse_manifest_repository(text) == LocalDirectory(Path(path))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "manifests",
        "a/b/c",
        "acme/",
        "acme/..",
        "acme/.",
        "-acme/x",
        "acme-/x",
        "acme/x y",
        "acme/x\n",
        "ac.me/x",
        "https://github.com/acme/manifests",
        "git@github.com:acme/manifests.git",
        "ftp://example.com/x",
        "ext::sh -c id",
        "--upload-pack=id",
        "file://[bad",
        "~nobody-of-that-name/manifests",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_manifest_repository(text)
    assert "expected" in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "https://hunter22@github.com/acme/x",
        "https://user:hunter22@github.com/acme/x",
        "https://user:hunter@hunter22@github.com/acme/x",
    ],
)
def test_a_token_in_a_url_is_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_manifest_repository(url)
    assert "hunter22" not in f"{caught.value.message} {caught.value.hint}"
