from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitops_release.cli.expansion import MAX_DEPTH, expand, split
from gitops_release.cli.secret_names import is_secret_name, secret_names
from gitops_release.core.errors import UsageError

VARIABLES = {
    "X": "a/b/c",
    "E": "",
    "T": "v1.2.3",
    "B": "feature/Ab-1",
    "Q": "a*b",
    "S": "0123456789",
    "D": "a$(id)b`id`$X",
    "W": "x}y",
}

# What bash 5.2.15 printed for `printf %s "TEXT"` with VARIABLES in its environment and
# LC_ALL=C.UTF-8, run once by hand: unit tests start no process.
BASH = [
    (r"$X", "a/b/c"),
    (r"$X$T", "a/b/cv1.2.3"),
    (r"$X-$T.", "a/b/c-v1.2.3."),
    (r"x${E}y", "xy"),
    (r"$D", "a$(id)b`id`$X"),
    (r"${D}", "a$(id)b`id`$X"),
    (r"${U:-$D}", "a$(id)b`id`$X"),
    (r"${U:-a\}b}", "a}b"),
    (r"${U:-\$X}", "$X"),
    (r"${U:-\x}", r"\x"),
    (r"${U:-a\\b}", r"a\b"),
    (r"${U:-\`}", "`"),
    (r"${U:-\"}", '"'),
    (r"${U:-'a'}", "'a'"),
    (r"${U:-a b}", "a b"),
    (r"${U:-{a}}", "{a}"),
    (r"${U:-${V:-deep}}", "deep"),
    (r"${U:-$X-$T}", "a/b/c-v1.2.3"),
    (r"${U-${V-${Y-x}}}", "x"),
    (r"${X:-$U}", "a/b/c"),
    (r"${E-d}", ""),
    (r"${E:-d}", "d"),
    (r"${U-d}", "d"),
    (r"${U-}", ""),
    (r"x${U:-}y", "xy"),
    (r"${E:+d}", ""),
    (r"${U:+d}", ""),
    (r"${X:+d$T}", "dv1.2.3"),
    (r"${X:?m}", "a/b/c"),
    (r"${S:0:7}", "0123456"),
    (r"${S: -3}", "789"),
    (r"${S:(-3)}", "789"),
    (r"${S:(-3):2}", "78"),
    (r"${S:-3}", "0123456789"),
    (r"${S:8}", "89"),
    (r"${S:20}", ""),
    (r"${S:20:-3}", ""),
    (r"${S: -20}", ""),
    (r"${S: -20:3}", ""),
    (r"${S::3}", "012"),
    (r"${S:2:-3}", "23456"),
    (r"${S:1:0}", ""),
    (r"${S: -5:2}", "56"),
    (r"${S:7: -1}", "78"),
    (r"${S: 3}", "3456789"),
    (r"${S:0: 2}", "01"),
    (r"${E:0:7}", ""),
    (r"${T#v}", "1.2.3"),
    (r"${T#x}", "v1.2.3"),
    (r"${X#}", "a/b/c"),
    (r"${X#*/}", "b/c"),
    (r"${X##*/}", "c"),
    (r"${X%/*}", "a/b"),
    (r"${X%%/*}", "a"),
    (r"${X#*}", "a/b/c"),
    (r"${X##*}", ""),
    (r"${X%*}", "a/b/c"),
    (r"${X%%*}", ""),
    (r"${X%/}", "a/b/c"),
    (r"${X#a/b/c}", ""),
    (r"${X#$E}", "a/b/c"),
    (r"${X#\a}", "/b/c"),
    (r"${T%.*}", "v1.2"),
    (r"${T%%.*}", "v1"),
    (r"${B%%\/*}", "feature"),
    (r"${W#x\}}", "y"),
    (r"${Q#a*}", "*b"),
    (r"${Q#a\*}", "b"),
    (r"${Q##a*}", ""),
    (r"${Q#[a-]}", "*b"),
    (r"${Q#[]a]}", "*b"),
    (r"${X//\//-}", "a-b-c"),
    (r"${X////-}", "a-b-c"),
    (r"${X/\//-}", "a-b/c"),
    (r"${X//[\/]/-}", "a-b-c"),
    (r"${X//\//\/\/}", "a//b//c"),
    (r"${X//\//\\}", r"a\b\c"),
    (r"${X//\//\&}", "a&b&c"),
    (r"${X//\//\}}", "a}b}c"),
    (r"${X//\//$X}", "aa/b/cba/b/cc"),
    (r"${X/a/\$}", "$/b/c"),
    (r"${X/a/\x}", "x/b/c"),
    (r"${X/a\/b/}", "/c"),
    (r"${X/b}", "a//c"),
    (r"${X//\/}", "abc"),
    (r"${X///b/-}", "a-/c"),
    (r"${X//b/$T}", "a/v1.2.3/c"),
    (r"${X//b*/}", "a/"),
    (r"${X/#a/z}", "z/b/c"),
    (r"${X/#b/z}", "a/b/c"),
    (r"${X/#*\//}", "c"),
    (r"${X/%c/z}", "a/b/z"),
    (r"${X/%a/z}", "a/b/c"),
    (r"${X/%\/*/}", "a"),
    (r"${X//#a/z}", "a/b/c"),
    (r"${X/$E/b}", "a/b/c"),
    (r"${X//$E/b}", "a/b/c"),
    (r"${X/#$E/b}", "ba/b/c"),
    (r"${X/%$E/b}", "a/b/cb"),
    (r"${X/*/b}", "b"),
    (r"${E/*/b}", "b"),
    (r"${E//*/b}", "b"),
    (r"${X/?\/*/z}", "z"),
    (r"${X/*\//z}", "zc"),
    (r"${X//[^\/]/x}", "x/x/x"),
    (r"${B//[A-Z]/_}", "feature/_b-1"),
    (r"${B//[!a-zA-Z]/_}", "feature_Ab__"),
    (r"${B//[^a-zA-Z]/_}", "feature_Ab__"),
    (r"${B//[]\/]/_}", "feature_Ab-1"),
    (r"${B/?/_}", "_eature/Ab-1"),
    (r"${B//-/}", "feature/Ab1"),
    (r"${T//./}", "v123"),
    (r"${T//\./-}", "v1-2-3"),
    (r"${T//[0-9]/N}", "vN.N.N"),
    (r"${T/[3-1]/N}", "v1.2.3"),
    (r"${T//[!0-9.]}", "1.2.3"),
    (r"${S/3*6/-}", "012-789"),
    (r"${S//??/x}", "xxxxx"),
    (r"${Q//\*/_}", "a_b"),
    (r"${Q//[*]/_}", "a_b"),
    (r"${Q//[[]/}", "a*b"),
    (r"${B,,}", "feature/ab-1"),
    (r"${B^^}", "FEATURE/AB-1"),
]


@pytest.mark.parametrize(("text", "expected"), BASH)
def test_expands_as_bash_does(text: str, expected: str) -> None:
    assert expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("$$", "$", id="two dollars are one"),
        pytest.param("a$$b$$", "a$b$", id="two dollars are one anywhere"),
        pytest.param("$$(date) $$X", "$(date) $X", id="what follows two dollars is text"),
        pytest.param("${U:-$$}", "$", id="two dollars are one in a word"),
        pytest.param("${X/a/$$}", "$/b/c", id="two dollars are one in a replacement"),
        pytest.param(r"a\b \\ \n", r"a\b \\ \n", id="a backslash is a backslash"),
        pytest.param(r"\${X}", r"\a/b/c", id="a backslash escapes no dollar"),
        pytest.param("{tag} }{", "{tag} }{", id="braces of templates are untouched"),
        pytest.param("${X:+Release {tag}}", "Release {tag}", id="braces in a word are paired"),
        pytest.param(r"${U:-\{}", "{", id="a brace in a word may have a backslash"),
        pytest.param(r"${X//\//&}", "a&b&c", id="an ampersand is an ampersand"),
        pytest.param("${U:-it's}", "it's", id="an apostrophe in a word is text"),
        pytest.param("${Q#$Q}", "", id="a value in a pattern matches itself"),
        pytest.param("${X#${U:-*}}", "a/b/c", id="a value in a pattern has no wildcards"),
        pytest.param("$X_", None, id="a name is as long as it can be"),
        pytest.param("${D:0:6}", "a$(id)", id="a part of a value is data"),
    ],
)
def test_differs_from_bash_where_it_says_so(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="X_ to be set"):
            expand(text, VARIABLES)
    else:
        assert expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("$(cat VERSION)", r"no command substitution.*'\$\(cat VERSION\)'", "BASH_ENV"),
        ("${U:-$(id)}", "no command substitution", "BASH_ENV"),
        ("${X:-$(id)}", "no command substitution", "BASH_ENV"),
        ("`id`", "no command substitution", "BASH_ENV"),
        ("${X#`id`}", "no command substitution", "BASH_ENV"),
        ("$((1 + 1))", "no arithmetic", "BASH_ENV"),
        ("$U", "variable U to be set", r"\$\{U:-value\}"),
        ("${U}", "variable U to be set", r"\$\{U:-value\}"),
        ("${U:0:7}", r"variable U to be set for '\$\{U:0:7\}'", "default"),
        ("${U#p}", "variable U to be set", "default"),
        ("${U:-$V}", "variable V to be set", "default"),
        ("$", "name of a variable after a dollar", r"\$\$"),
        ("5 $ or 6", "name of a variable after a dollar", r"\$\$"),
        ("$1", "name of a variable after a dollar", r"\$\$"),
        ("$?", "name of a variable after a dollar", r"\$\$"),
        ("${S/3*/$}", "name of a variable after a dollar", r"\$\$"),
        ("${}", r"name of a variable after \$\{", r"\$\$"),
        ("${#X}", r"name of a variable after \$\{", r"\$\$"),
        ("${!X}", r"name of a variable after \$\{", r"\$\$"),
        ("${", r"name of a variable after \$\{", r"\$\$"),
        ("${X", "closing brace.*end of the value", "partner"),
        ("${X:-a", "closing brace.*end of the value", "partner"),
        ("${X:-{}", "closing brace.*end of the value", "partner"),
        ("${X:-a\\}", "closing brace.*end of the value", "partner"),
        ("${X/a", "closing brace.*end of the value", "partner"),
        ("${X#[\\", "closing brace.*end of the value", "partner"),
        ("${X:=a}", "expected one of", "reference"),
        ("${X=a}", "expected one of", "reference"),
        ("${X+a}", "expected one of", "reference"),
        ("${X?a}", "expected one of", "reference"),
        ("${X@Q}", "expected one of", "reference"),
        ("${X[0]}", "expected one of", "reference"),
        ("${X,}", "expected one of", "reference"),
        ("${X^^a}", "expected one of", "reference"),
        ("${X }", "expected one of", "reference"),
        ("${S:a}", "whole numbers", "from the end"),
        ("${S:}", "whole numbers", "from the end"),
        ("${S:08}", "whole numbers", "from the end"),
        ("${S:1:}", "whole numbers", "from the end"),
        ("${S:$X:7}", "whole numbers", "from the end"),
        ("${S:99999999999999999999}", "whole numbers", "from the end"),
        ("${S:8:-3}", "an end after the start", "not negative"),
        ("${X/}", "a pattern and a replacement", r"\\/"),
        ("${X//}", "a pattern and a replacement", r"\\/"),
        ("${X///-}", "a pattern and a replacement", r"\\/"),
        ("${X/[/]/-}", "a closing ]", r"\\\["),
        ("${X#[}", "a closing ]", r"\\\["),
        ("${X#[$X]}", "a closing ]", "backslash"),
        ("${X//[[:alpha:]]/-}", "ranges like", "a-zA-Z"),
        ('${U:-a"b"c}', "no quotes inside", "backslash"),
        ("${X/'a'/b}", "no quotes inside", "backslash"),
        ('${X/a/"b"}', "no quotes inside", "backslash"),
        ("${U:?where is $T}", "^U: where is v1.2.3$", "set the variable U"),
        ("${E:?}", "^E: expected a value", "set the variable E"),
        ("${X:-" * 40, f"at most {MAX_DEPTH}", "earlier step"),
    ],
)
def test_refuses_with_a_reason_and_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        expand(text, VARIABLES)
    assert pytest.raises(UsageError, match=hint).matches(UsageError(caught.value.hint or ""))


@pytest.mark.parametrize(
    "text",
    [
        "$GITHUB_TOKEN",
        "${GITHUB_TOKEN:0:4}",
        "${GITHUB_TOKEN:+set}",
        "${X:-$GITHUB_TOKEN}",
        "${X/a/$GITHUB_TOKEN}",
        "${X#${U:-$GITHUB_TOKEN}}",
    ],
)
def test_refuses_a_secret_wherever_it_stands(text: str) -> None:
    variables = {**VARIABLES, "GITHUB_TOKEN": "hunter2"}
    with pytest.raises(UsageError, match=r"no secret.*GITHUB_TOKEN") as caught:
        expand(text, variables)
    assert "-env" in (caught.value.hint or "")
    assert "hunter2" not in str(caught.value)


def test_refuses_the_secrets_it_is_told_of_and_no_others() -> None:
    variables = {"LOGIN": "me", "MY_TOKEN": "t"}
    assert expand("$LOGIN", variables) == "me"
    with pytest.raises(UsageError, match="LOGIN"):
        expand("$LOGIN", variables, secrets={"LOGIN"})
    assert expand("$MY_TOKEN", variables, secrets=()) == "t"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("GCLOUD_SERVICE_KEY", True),
        ("CIRCLE_OIDC_TOKEN_V2", True),
        ("MY_API_KEY", True),
        ("npm_token", True),
        ("PASSWORD", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", True),
        ("AWS_ACCESS_KEY_ID", False),
        ("TOKENIZER", False),
        ("MY_TOKEN_COUNT", False),
        ("NOTATOKEN", False),
        ("CIRCLE_SHA1", False),
        ("AZURE_SP", False),
    ],
)
def test_knows_a_secret_by_its_name(name: str, secret: bool) -> None:  # noqa: FBT001 - a case
    assert is_secret_name(name) is secret


def test_secret_names_are_known_ones_present_ones_and_named_ones() -> None:
    names = secret_names({"MY_PASSWD": "", "HOME": ""}, ["HARBOR_LOGIN"])
    assert {"GITHUB_TOKEN", "MY_PASSWD", "HARBOR_LOGIN"} <= names
    assert "HOME" not in names


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a,b", ["a", "b"]),
        ("", [""]),
        ("${X//,/-},b", ["${X//,/-}", "b"]),
        ("$X,${U:-a,${V:-b,c}},$$,d", ["$X", "${U:-a,${V:-b,c}}", "$$", "d"]),
        ("a\n${U:-b\nc}\nd", ["a", "${U:-b\nc}", "d"]),
    ],
)
def test_splits_outside_of_expansions_only(text: str, pieces: list[str]) -> None:
    assert split(text, "\n,") == pieces


def test_a_pattern_of_many_stars_takes_no_exponential_time() -> None:
    assert expand("${L##" + "*a" * 30 + "b}", {"L": "a" * 300}) == "a" * 300


def test_a_character_without_a_single_other_case_stays() -> None:
    assert expand("${L^^} ${K,,}", {"L": "straße é", "K": "İÉ"}) == "STRAßE É İé"


NAMES = st.sampled_from(["X", "E", "U", "T", "D"])
FRAGMENTS = st.one_of(
    st.sampled_from(list("${}:-+?#%/,^*[]!\\`'\"() 07aX")),
    st.sampled_from(["${X", "${U:-", "${T/", "$$", "$(", "[a-", "//", "##", "%%", ",,}", ":0:7}"]),
    st.text(max_size=3),
)


@given(st.lists(FRAGMENTS, max_size=12).map("".join))
@example("${X" * 2000)
def test_raises_nothing_but_usage_errors(text: str) -> None:
    try:
        result = expand(text, VARIABLES)
    except UsageError as error:
        assert error.hint  # noqa: PT017 - every refusal says what to do
    else:
        assert isinstance(result, str)


@given(st.text().filter(lambda text: not set(text) & set("$`")))
def test_text_without_a_dollar_or_backtick_is_returned_as_it_is(text: str) -> None:
    assert expand(text, {}) == text


@given(st.text())
def test_values_are_data(value: str) -> None:
    variables = {"V": value, "E": ""}
    assert expand("$V|${V}|${E:-$V}|${V#}", variables) == "|".join([value] * 4)
    assert expand("${V#$V}${V/$V/}${V%%$V}", variables) == ""
    assert expand("${V:0:3}", variables) == value[:3]
