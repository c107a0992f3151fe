from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitops_release.registries.challenge import Basic, Bearer, parse_challenge

REALM = "https://auth.example.com/token"


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        ('Basic realm="Registry"', Basic()),
        ("basic", Basic()),
        ("BASIC realm=x", Basic()),
        (
            f'Bearer realm="{REALM}",service="r.example.com",scope="repository:web:pull"',
            Bearer(REALM, "r.example.com"),
        ),
        (f'Bearer service="r.example.com", realm="{REALM}"', Bearer(REALM, "r.example.com")),
        (f'  bearer   Realm = "{REALM}" ', Bearer(REALM, None)),
        (f"Bearer realm={REALM}", Bearer(REALM, None)),
        (f'Bearer realm="{REALM}",error="invalid_token"', Bearer(REALM, None)),
        (f'Bearer realm="{REALM}",service=""', Bearer(REALM, "")),
        (f'Bearer realm="{REALM}",service="a,b=c"', Bearer(REALM, "a,b=c")),
        (r'Bearer realm="https://a/\"b\\"', Bearer('https://a/"b\\', None)),
        ('Bearer realm="",service="x"', Bearer("", "x")),
        (f'Bearer realm="{REALM}", Basic realm="x"', Bearer(REALM, None)),
        ("Bearer", None),
        ('Bearer service="x"', None),
        (f'Bearer realm="{REALM}', None),
        ("Bearer realm", None),
        ("", None),
        ("Negotiate", None),
        (f'Bearerrealm="{REALM}"', None),
    ],
)
def test_a_challenge_says_how_to_log_in(header: str, challenge: Basic | Bearer | None) -> None:
    assert parse_challenge(header) == challenge


words = st.sampled_from(
    ["Bearer", "Basic", " ", "realm", "=", '"', "\\", ",", "\n", "service", "x"]
)


@given(st.text() | st.lists(words, max_size=30).map("".join))
@example("Bearer " + 'realm="\\' * 2000)
@example("Bearer " + "a" * 20_000)
def test_no_header_is_a_bug(header: str) -> None:
    found = parse_challenge(header)
    assert found is None or isinstance(found, Basic | Bearer)
