from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitops_release.core.errors import UsageError
from gitops_release.core.image import Digest, ImageReference, Repository, check_tag

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "host", "path", "tag", "digest"),
    [
        ("asia.gcr.io/acme/web:1", "asia.gcr.io", "acme/web", "1", None),
        ("docker.io/library/nginx:1.27", "docker.io", "library/nginx", "1.27", None),
        ("localhost/web:1", "localhost", "web", "1", None),
        ("localhost:5000/web:1", "localhost:5000", "web", "1", None),
        ("127.0.0.1:5000/a/b:x", "127.0.0.1:5000", "a/b", "x", None),
        ("[::1]:5000/web:1", "[::1]:5000", "web", "1", None),
        ("[fe80::1]/web:1", "[fe80::1]", "web", "1", None),
        ("registry:65535/web:1", "registry:65535", "web", "1", None),
        (f"r.example.com/web@{DIGEST}", "r.example.com", "web", None, DIGEST),
        (f"r.example.com/web:1@{DIGEST}", "r.example.com", "web", "1", DIGEST),
        (f"r.example.com:443/web@{DIGEST}", "r.example.com:443", "web", None, DIGEST),
        ("r.io/a.b_c__d-e--f/g:x", "r.io", "a.b_c__d-e--f/g", "x", None),
        ("r.io/web:Under_Score.and-Dash", "r.io", "web", "Under_Score.and-Dash", None),
        ("r.io/web:_x", "r.io", "web", "_x", None),
        ("r.io/web:latest", "r.io", "web", "latest", None),
        (f"r.io/web:{'t' * 128}", "r.io", "web", "t" * 128, None),
        (f"r.io/{'p' * 255}:1", "r.io", "p" * 255, "1", None),
    ],
)
def test_a_whole_reference_is_taken_apart(
    text: str, host: str, path: str, tag: str | None, digest: str | None
) -> None:
    reference = ImageReference.parse(text)
    assert reference.repository == Repository(host, path)
    assert reference.tag == tag
    assert reference.digest == (None if digest is None else Digest(digest))
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty value"),
        (" ", "HOST/PATH"),
        ("evil", "HOST/PATH"),
        ("nginx:1.27", "HOST/PATH"),
        ("library/nginx:1.27", "HOST/PATH"),
        ("/web:1", "HOST/PATH"),
        ("registry.example.com:5000", "HOST/PATH"),
        ("r.io/web", "a tag or a digest"),
        ("r.io:5000/web", "a tag or a digest"),
        ("asia.gcr.io//web:1", "no empty component"),
        ("r.io/web/:1", "no empty component"),
        ("r.io/:1", "no empty component"),
        ("r.io/Web:1", "lower-case"),
        ("R.io/web:1", "registry host"),
        ("https://r.io/web:1", "registry host"),
        ("user@r.io/web:1", "HOST/PATH"),
        ("user:password@r.io/web:1", "HOST/PATH"),
        ("-r.io/web:1", "registry host"),
        ("r-.io/web:1", "registry host"),
        ("r..io/web:1", "registry host"),
        ("r.io:/web:1", "registry host"),
        ("r.io:port/web:1", "registry host"),
        ("r.io:0/web:1", "a port"),
        ("r.io:65536/web:1", "a port"),
        ("[::1/web:1", "registry host"),
        ("::1/web:1", "registry host"),
        (f"{'a' * 254}.b/web:1", "registry host"),
        ("r.io/-web:1", "lower-case"),
        ("r.io/web-:1", "lower-case"),
        ("r.io/a___b:1", "lower-case"),
        ("r.io/a..b:1", "lower-case"),
        ("r.io/we b:1", "lower-case"),
        ("r.io/we\nb:1", "lower-case"),
        ("r.io/../web:1", "lower-case"),
        ("r.io/wéb:1", "lower-case"),
        ("r.io/web:", "a tag"),
        ("r.io/web:1 ", "a tag"),
        ("r.io/web:1\n", "a tag"),
        (" r.io/web:1", "registry host"),
        ("r.io/web:-rm", "a tag"),
        ("r.io/web:.1", "a tag"),
        ("r.io/web:a/b", "lower-case"),
        ("r.io/web:$(id)", "a tag"),
        (f"r.io/web:{'t' * 129}", "a tag"),
        (f"r.io/{'p' * 256}:1", "at most 255"),
        ("r.io/web@", "a digest"),
        ("r.io/web@sha256:abc", "a digest"),
        (f"r.io/web@sha256:{HEX.upper()}", "a digest"),
        (f"r.io/web@sha512:{HEX}{HEX}", "a digest"),
        (f"r.io/web@{DIGEST}\n", "a digest"),
        (f"r.io/web@{DIGEST}:1", "a digest"),
        (f"r.io/web@{DIGEST}@{DIGEST}", "a digest"),
    ],
)
def test_anything_less_or_more_is_refused(text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=f"^expected .*{expected}"):
        ImageReference.parse(text)


@pytest.mark.parametrize("text", ["r.io/web:1", f"r.io/web@{DIGEST}", "web", "r.io", "", "r.io/"])
def test_a_repository_has_neither_tag_nor_digest(text: str) -> None:
    with pytest.raises(UsageError):
        Repository.parse(text)


def test_people_call_an_image_by_the_last_part_of_its_path() -> None:
    assert Repository.parse("r.io/acme/team/web").name == "web"


def test_a_digest_is_shortened_for_people() -> None:
    assert Digest(DIGEST).short == HEX[:12]


def test_a_reference_without_tag_and_digest_cannot_be_made() -> None:
    with pytest.raises(UsageError, match="a tag or a digest"):
        ImageReference(Repository("r.io", "web"))


def test_a_tag_that_is_made_of_a_branch_gets_the_right_hint() -> None:
    with pytest.raises(UsageError) as caught:
        check_tag("feature/login")
    assert "CIRCLE_BRANCH" in (caught.value.hint or "")


names = st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", fullmatch=True).filter(
    lambda name: len(name) < 60
)
hosts = st.one_of(
    st.just("localhost"),
    st.from_regex(r"[a-z0-9]{1,9}\.[a-z]{2,5}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,9}:[1-9][0-9]{0,3}", fullmatch=True),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
digests = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True).map(Digest)
repositories = st.builds(Repository, hosts, st.lists(names, min_size=1, max_size=3).map("/".join))
references = st.builds(ImageReference, repositories, tags, st.none() | digests) | st.builds(
    ImageReference, repositories, st.none(), digests
)


@given(references)
def test_what_is_written_is_read_again(reference: ImageReference) -> None:
    assert ImageReference.parse(str(reference)) == reference


fragments = st.lists(
    st.sampled_from(["r.io", "/", ":", "@", "web", "1", DIGEST, "[::1]", "-", ".", "\n", "\0", " "])
)


@given(st.text() | fragments.map("".join))
@example("[")
@example("a.b:99999999999999999999/x:1")
def test_any_text_is_a_reference_or_a_usage_error(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except UsageError:
        return
    assert str(reference) == text
