from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops_release.core.errors import UsageError
from gitops_release.core.image import ImageReference
from gitops_release.core.manifest import Location, ManifestEdits, Pin, Selection, Slot
from gitops_release.core.published import Source
from gitops_release.core.release_request import ReleaseImage, ReleaseRequest, Wording
from gitops_release.core.release_text import (
    MAX_BODY_LENGTH,
    MAX_TITLE_LENGTH,
    ReleaseText,
    name_release,
    word_release,
)

HEX = "0123456789abcdef" * 4
WEB = ReleaseImage(ImageReference.parse("r.example.com/acme/web:1.0"))
API = ReleaseImage(ImageReference.parse("r.example.com/acme/api:2.0"))
BY_DIGEST = ReleaseImage(ImageReference.parse(f"r.example.com/acme/web@sha256:{HEX}"))
REQUEST = ReleaseRequest(images=(WEB,))


def slot(
    path: str = "web.yaml", keys: tuple[str | int, ...] = ("image",), old: str = "0.9"
) -> Slot:
    return Slot(Location(path, 3, keys), WEB.reference, old, "1.0")


EDITS = ManifestEdits((slot(),))


def words(request: ReleaseRequest, edits: ManifestEdits = EDITS) -> ReleaseText:
    return word_release(request, name_release(request), edits)


def wording(**texts: str) -> ReleaseRequest:
    return replace(REQUEST, environment="prod", wording=Wording(**texts))


@pytest.mark.parametrize(
    ("request_", "pattern"),
    [
        (REQUEST, "release-web-1.0"),
        (replace(REQUEST, environment="prod"), "release-web-1.0-prod"),
        (replace(REQUEST, environment="eu west/prod"), "release-web-1.0-eu-west/prod"),
        (replace(REQUEST, images=(BY_DIGEST,)), f"release-web-{HEX[:12]}"),
        (replace(REQUEST, images=(WEB, API)), "release-web-1.0-[0-9a-f]{8}"),
        (replace(REQUEST, selection=Selection(("a/**",))), "release-web-1.0-[0-9a-f]{8}"),
        (replace(REQUEST, images=(WEB, API), environment="prod"), "release-web-1.0-prod"),
        (wording(branch="r/{repository}@{environment}"), "r/r.example.com/acme/web@prod"),
        (wording(branch="x{revision}{digest}y"), "xy"),
    ],
)
def test_a_branch_is_named_after_its_release(request_: ReleaseRequest, pattern: str) -> None:
    assert re.fullmatch(pattern, name_release(request_).branch)


SAME_RELEASE = [
    replace(REQUEST, base="develop"),
    replace(REQUEST, selection=Selection(pin=Pin.DIGEST)),
    replace(REQUEST, wording=Wording(title="x")),
    replace(REQUEST, images=(replace(WEB, source=Source(revision="a" * 40)),)),
    replace(
        REQUEST,
        images=(ReleaseImage(ImageReference.parse(f"r.example.com/acme/web:1.0@sha256:{HEX}")),),
    ),
]
OTHER_RELEASES = [
    replace(REQUEST, images=(API,)),
    replace(REQUEST, images=(BY_DIGEST,)),
    replace(REQUEST, images=(WEB, API)),
    replace(REQUEST, images=(API, WEB)),
    replace(REQUEST, images=(ReleaseImage(ImageReference.parse("r.example.com/acme/web:1.1")),)),
    replace(REQUEST, images=(ReleaseImage(ImageReference.parse("r.example.net/acme/web:1.0")),)),
    replace(REQUEST, environment="prod"),
    replace(REQUEST, selection=Selection(("a",))),
    replace(REQUEST, selection=Selection(("a", "b"))),
    replace(REQUEST, selection=Selection(all_files=True)),
]


@pytest.mark.parametrize("request_", SAME_RELEASE)
def test_what_does_not_change_the_release_does_not_change_its_name(
    request_: ReleaseRequest,
) -> None:
    assert name_release(request_) == name_release(REQUEST)


def test_different_releases_have_different_keys() -> None:
    keys = {name_release(request_).key for request_ in [REQUEST, *OTHER_RELEASES]}
    assert len(keys) == 1 + len(OTHER_RELEASES)


def test_a_key_is_the_same_in_every_version() -> None:
    assert name_release(REQUEST).key == "web:1.0 e0337553588a458e"


@pytest.mark.parametrize(
    ("request_", "title"),
    [
        (REQUEST, "Release web 1.0"),
        (replace(REQUEST, environment="prod"), "Release web 1.0 to prod"),
        (replace(REQUEST, environment="{tag}"), "Release web 1.0 to {tag}"),
        (replace(REQUEST, images=(WEB, API)), "Release web 1.0, api 2.0"),
        (replace(REQUEST, images=(BY_DIGEST,)), f"Release web {HEX[:12]}"),
        (wording(title="{image}: {tag} ({branch})"), "web: 1.0 (release-web-1.0-prod)"),
        (wording(title="  two\n lines\t "), "two lines"),
        (wording(title="x" * 300), "x" * MAX_TITLE_LENGTH),
    ],
)
def test_a_title_is_one_line(request_: ReleaseRequest, title: str) -> None:
    assert words(request_).title == title


@pytest.mark.parametrize("template", [" ", "\n", "{digest}"])
def test_a_title_that_comes_out_empty_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="--title"):
        words(wording(title=template))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (REQUEST, "Release web 1.0"),
        (wording(title="A title"), "A title"),
        (wording(commit_message="{image}\n\nbody for {environment}\n"), "web\n\nbody for prod"),
        (wording(commit_message="\n {digest}\n"), "Release web 1.0 to prod"),
    ],
)
def test_a_commit_message_is_the_title_unless_it_is_given(
    request_: ReleaseRequest, message: str
) -> None:
    assert words(request_).commit_message == message


@pytest.mark.parametrize(
    ("option", "texts"),
    [
        ("--branch", {"branch": "{changes}"}),
        ("--title", {"title": "{changes}"}),
        ("--body-file", {"body": "{imag}"}),
        ("--commit-message", {"commit_message": "{changes}"}),
        ("--body-file", {"body": "{"}),
    ],
)
def test_a_wrong_template_is_refused_with_its_option(option: str, texts: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=f"in {option}"):
        words(wording(**texts))


def test_the_body_shows_what_changes_and_where_it_comes_from() -> None:
    source = Source(
        repository="https://github.com/acme/web",
        revision="a" * 40,
        pipeline_url="https://app.circleci.com/7",
    )
    request_ = replace(REQUEST, images=(replace(WEB, source=source), API))
    assert words(request_, ManifestEdits((slot(keys=("spec", 0, "image")), slot("b.yaml", old=""))))
    assert words(request_).body == (
        "| File | Place | From | To |\n"
        "| --- | --- | --- | --- |\n"
        "| `web.yaml:3` | `.image` | `0.9` | `1.0` |\n"
        "\n"
        f"`r.example.com/acme/web:1.0` was built from commit `{'a' * 40}` of "
        "`https://github.com/acme/web` by pipeline `https://app.circleci.com/7`.\n"
    )


def test_the_body_leaves_out_what_stays() -> None:
    stays = replace(slot("other.yaml"), old="1.0")
    assert "other.yaml" not in words(REQUEST, ManifestEdits((slot(), stays))).body


def test_a_body_of_the_user_may_hold_the_table() -> None:
    body = words(wording(body="Ship {image}!\n\n{changes}\n")).body
    assert body.startswith("Ship web!\n\n| File |")
    assert "`web.yaml:3`" in body


HOSTILE = [
    "@everyone.yaml",
    "a|b|c.yaml",
    "`@team`.yaml",
    "``x` @team `y``.yaml",
    "[click](https://evil.example).yaml",
    "<img src=x onerror=alert(1)>.yaml",
    "a\n\n# heading @team.yaml",
    "a\r\n| x | y |.yaml",
    "fixes #1.yaml",
    "\u202elmay.exe",
]


def without_code(body: str) -> str:
    """Return what GitHub interprets: all that is in no code span."""
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", body)


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_is_never_interpreted(path: str) -> None:
    body = words(REQUEST, ManifestEdits((slot(path), slot()))).body
    assert without_code(body) == (
        "| File | Place | From | To |\n| --- | --- | --- | --- |\n" + "|  |  |  |  |\n" * 2
    )


@pytest.mark.parametrize("field", ["keys", "old"])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_manifest_is_never_interpreted(field: str, text: str) -> None:
    hostile = slot(keys=(text,)) if field == "keys" else slot(old=text)
    assert without_code(words(REQUEST, ManifestEdits((hostile,))).body).endswith(
        "\n|  |  |  |  |\n"
    )


@settings(max_examples=20)
@given(st.integers(0, 400), st.sampled_from(HOSTILE))
def test_a_body_that_is_too_long_is_cut_where_nothing_is_torn(length: int, path: str) -> None:
    long = slot("x" * length + path)
    body = words(REQUEST, ManifestEdits((long,) * 2000)).body
    assert MAX_BODY_LENGTH - 2000 < len(body) <= MAX_BODY_LENGTH
    assert "`" not in without_code(body)
    assert "@" not in without_code(body)
