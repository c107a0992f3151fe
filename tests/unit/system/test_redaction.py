from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_release.core.credentials import Secret
from gitops_release.system.redaction import MASK, Redactor

SECRET = 'p@ss w/rd+"é"\\%'


def redactor(*secrets: str) -> Redactor:
    made = Redactor()
    for secret in secrets:
        made.hide(Secret(secret))
    return made


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
    ids=["raw", "url", "form", "json", "json, utf-8", "base64", "base64url", "unpadded"],
)
def test_a_secret_is_masked_in_every_form_that_tools_print(form: str) -> None:
    shown = redactor(SECRET).redact(f"before {form} after {form}")
    assert shown.replace("=", "") == f"before {MASK} after {MASK}"


def test_lines_of_a_key_are_masked_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n"
    shown = redactor(key).redact("a: AQEFAASCBKcwggSjAgEAAoIB\nb: MIIEvQIBADANBgkqhkiG9w0B\n")
    assert shown == f"a: {MASK}\nb: {MASK}\n"


@pytest.mark.parametrize("short", ["", "a", "123"])
def test_a_value_that_is_too_short_to_be_a_secret_masks_nothing(short: str) -> None:
    assert redactor(short).redact("a 123 b") == "a 123 b"


def test_the_longest_secret_is_masked_first() -> None:
    assert redactor("hunter", "hunter22-long").redact("hunter22-long hunter") == f"{MASK} {MASK}"


@pytest.mark.parametrize(
    "token",
    [
        "ghp_" + "A1b2" * 9,
        "gho_" + "A1b2" * 9,
        "ghs_" + "A1b2" * 9,
        "github_pat_" + "A1b2_" * 10,
        "AKIA" + "Q2W3" * 4,
        "ASIA" + "Q2W3" * 4,
        "ya29." + "a0Af_-." * 5,
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwcm9qZWN0In0.c2lnbmF0dXJl",
    ],
)
def test_a_token_that_nobody_told_us_of_is_masked_by_its_form(token: str) -> None:
    assert redactor().redact(f"token={token}, next") == f"token={MASK}, next"


@pytest.mark.parametrize(
    "text", ["sha256:" + "ab" * 32, "ghp_short", "AKIA", "eyJ", "r.example.com/acme/web:1"]
)
def test_other_text_is_left_alone(text: str) -> None:
    assert redactor().redact(text) == text


def test_a_redactor_does_not_show_what_it_hides() -> None:
    assert "hunter22" not in repr(redactor("hunter22"))


@given(st.text(min_size=4), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    if secret not in MASK * 3:
        assert secret not in redactor(secret).redact(before + secret + after).replace(MASK, "")


def test_a_secret_need_not_be_utf_8() -> None:
    secret = b"caf\xe9-secret".decode(errors="surrogateescape")
    assert redactor(secret).redact(f"<{secret}>") == f"<{MASK}>"
