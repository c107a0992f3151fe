from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_release.cli.config_file import (
    MAX_BYTES,
    CommandOptions,
    ConfigFile,
    discover,
    load_config_file,
    parse_config_file,
)
from gitops_release.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    "build-image": CommandOptions(
        frozenset({"tag", "engine", "no_cache", "registry_login_env"}),
        trusted=frozenset({"registry_login_env"}),
    ),
    "create-release-pr": CommandOptions(frozenset({"title", "engine"})),
}


def parse(text: str, *, explicit: bool = False) -> ConfigFile:
    return parse_config_file(text.encode(), COMMANDS, name=".gitops-release.yml", explicit=explicit)


def items(file: ConfigFile, command: str, option: str) -> tuple[str, ...] | None:
    value = file.find(command, option)
    return None if value is None else value.items


def test_the_section_of_the_command_is_stronger_than_the_defaults() -> None:
    file = parse("defaults:\n  engine: docker\nbuild-image:\n  engine: podman\n")
    assert items(file, "build-image", "engine") == ("podman",)
    assert items(file, "create-release-pr", "engine") == ("docker",)
    assert items(file, "build-image", "tag") is None


def test_names_are_written_with_hyphens_or_underscores() -> None:
    assert items(parse("build_image: {no-cache: true}"), "build-image", "no_cache") == ("true",)
    assert items(parse("build-image: {no_cache: true}"), "build-image", "no_cache") == ("true",)


@pytest.mark.parametrize("text", ["", "# nothing\n", "defaults:\n", "build-image:\n", "---\n..."])
def test_an_empty_file_says_nothing(text: str) -> None:
    assert items(parse(text), "build-image", "tag") is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("latest", ("latest",)),
        ("123", ("123",)),
        ("-1", ("-1",)),
        ("'1.10'", ("1.10",)),
        ('"0123456"', ("0123456",)),
        ("!!str 1.10", ("1.10",)),
        ("yes", ("yes",)),
        ("true", ("true",)),
        ("''", ("",)),
        ("[a, 2, '3.0']", ("a", "2", "3.0")),
        ("[]", ()),
        ("|\n    a\n    b\n", ("a\nb\n",)),
    ],
)
def test_values_stay_as_they_are_written(written: str, read: tuple[str, ...]) -> None:
    assert items(parse(f"build-image:\n  tag: {written}\n"), "build-image", "tag") == read


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("1.10", "decimal number 1.10", "quote it"),
        ("12e4567", "decimal number 12e4567", "quote it"),
        ("0123456", "plain number for tag, found 0123456", "quote it"),
        ("0x1f", "plain number for tag, found 0x1f", "quote it"),
        ("2024-01-01", "found timestamp 2024-01-01", "quote it"),
        ("[1.10]", "decimal number 1.10", "quote it"),
        ("", "found nothing", "leave the option out"),
        ("~", "found nothing", "leave the option out"),
        ("{a: b}", "found a mapping", "leave the option out"),
        ("[[a]]", "found a list", "leave the option out"),
        ("!secret x", "found !secret x", "leave the option out"),
        ("!!int x", "plain number for tag, found x", "quote it"),
        ("!!seq x", "found a list x", "leave the option out"),
    ],
)
def test_refuses_values_that_are_not_text(written: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse(f"build-image:\n  engine: docker\n  tag: {written}\n")
    assert caught.value.message.startswith(".gitops-release.yml line 3: ")
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("build-imag: {}", "line 1: .*'build-imag'", "did you mean 'build-image'"),
        ("wholly-other: {}", "found 'wholly-other'", "there are: build-image"),
        ("build-image:\n  tga: x", "line 2: .*'tga'", "did you mean 'tag'"),
        ("build-image:\n  title: x", "option of build-image, found 'title'", ""),
        ("defaults:\n  nocache: x", "'nocache'", "did you mean 'no-cache'"),
        ("build-image: [tag]", "options as KEY: VALUE, found a list", ""),
        ("- build-image", "sections as KEY: VALUE, found a list", ""),
        ("text", "sections as KEY: VALUE, found str text", ""),
        ("!!map text", "sections as KEY: VALUE, found a mapping text", ""),
        ("!!map [text]", "sections as KEY: VALUE, found a mapping", ""),
        ("1: {}", "names of sections as text", ""),
        ("{a: b}: {}", "names of sections as text, found a mapping", ""),
        ("defaults: &d {engine: x}\nbuild-image:\n  <<: *d", "names of options as text", ""),
        ("build-image: {tag: a, tag: b}", "each option once, found 'tag'", ""),
        ("build-image: {no-cache: a, no_cache: b}", "once, found 'no_cache'", ""),
        ("build-image: {}\nbuild_image: {}", "each section once", ""),
        ("a: b: c", "line 1: expected YAML", "quote"),
        ("build-image:\n  tag: 'x", "line 2: expected YAML", "quote"),
        ("build-image: *nowhere", "line 1: expected YAML", "quote"),
        ("a: 1\n---\nb: 2", "expected YAML", "quote"),
        ("a: \x01", "expected YAML.*not allowed", "quote"),
        ("[" * 5000, "too deep", "quote"),
    ],
)
def test_refuses_a_wrong_file_with_its_line(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse(text)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("section", ["build-image", "defaults"])
def test_only_an_explicit_file_sets_trusted_options(section: str) -> None:
    text = f"{section}:\n  registry-login-env: HARBOR_LOGIN\n"
    with pytest.raises(UsageError, match="line 2: expected no 'registry-login-env'") as caught:
        parse(text)
    assert "--config" in (caught.value.hint or "")
    file = parse(text, explicit=True)
    assert items(file, "build-image", "registry_login_env") == ("HARBOR_LOGIN",)


def test_refuses_bytes_that_are_not_utf8() -> None:
    with pytest.raises(UsageError, match="expected UTF-8"):
        parse_config_file(b"a: \xff", COMMANDS, name="c.yml", explicit=True)


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    content = b"\xef\xbb\xbfdefaults: {engine: docker}"
    file = parse_config_file(content, COMMANDS, name="c.yml", explicit=True)
    assert items(file, "build-image", "engine") == ("docker",)


def test_reads_a_mebibyte_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "c.yml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert load_config_file(path, COMMANDS, explicit=True).sections == {}
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(UsageError, match="at most 1048576 bytes"):
        load_config_file(path, COMMANDS, explicit=True)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yml", tmp_path):
        with pytest.raises(UsageError, match="expected a readable configuration file") as caught:
            load_config_file(path, COMMANDS, explicit=True)
        assert str(path) in caught.value.message


def test_discovers_a_file_and_no_directory(tmp_path: Path) -> None:
    assert discover(tmp_path) is None
    (tmp_path / ".gitops-release.yml").mkdir()
    assert discover(tmp_path) is None
    (tmp_path / ".gitops-release.yml").rmdir()
    (tmp_path / ".gitops-release.yml").touch()
    assert discover(tmp_path) == tmp_path / ".gitops-release.yml"


@given(st.text(alphabet=st.sampled_from(list("abt:-[]{}'\"!&*#|>%@ \n\t0123.~?,")), max_size=40))
def test_raises_nothing_but_usage_errors(text: str) -> None:
    try:
        file = parse(f"build-image:\n  tag: {text}")
    except UsageError:
        return
    assert isinstance(file, ConfigFile)
