"""The number filter: its four ways, its notes, and why it refuses what it refuses."""

import unicodedata

import pytest

from engine.numbers.number_filter import (
    REGEX_CACHE_SIZE,
    NumberFilter,
    NumberFilterError,
    _compiled,
)
from engine.numbers.text import NumberError


def filtered(spec: bool | str | None, number: str) -> tuple[str, str, str | None]:
    result = NumberFilter.compile(spec).apply(number)
    return result.number, result.applied, result.note


def refused(pattern: str) -> NumberFilterError:
    with pytest.raises(NumberFilterError) as caught:
        NumberFilter.compile(pattern)
    assert caught.value.pattern == pattern
    assert caught.value.reason in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+1 (415) 484-6048", "+14154846048"),
        ("1.415.484,6048", "14154846048"),
        ("*97#", "*97#"),
        ("1-800-FLOWERS", "1800FLOWERS"),
        ("josé", "josé"),
        ("a_b/c[d]:e", "a_b/c[d]:e"),
        ("+49\u00a0(0)\u202f30\u20131234\u20115", "+490301234" + "5"),
        ("\u202d+1 415 484 6048\u202c", "+14154846048"),
        ("＋８１（３）１２３４－５６７８", "+81312345678"),
        ("＊６７＃", "*67#"),
        ("", ""),
        (" -.,() ", ""),
    ],
)
def test_default_removes_separators(number: str, expected: str) -> None:
    assert filtered(None, number) == (expected, "default", None)


@pytest.mark.parametrize(
    "name",
    [
        "SPACE",
        "NO-BREAK SPACE",
        "NARROW NO-BREAK SPACE",
        "THIN SPACE",
        "FIGURE SPACE",
        "IDEOGRAPHIC SPACE",
        "ZERO WIDTH SPACE",
        "WORD JOINER",
        "LEFT-TO-RIGHT MARK",
        "POP DIRECTIONAL ISOLATE",
        "SOFT HYPHEN",
        "HYPHEN",
        "NON-BREAKING HYPHEN",
        "FIGURE DASH",
        "EN DASH",
        "EM DASH",
        "HORIZONTAL BAR",
        "MINUS SIGN",
        "SMALL HYPHEN-MINUS",
        "FULLWIDTH HYPHEN-MINUS",
        "FULLWIDTH LEFT PARENTHESIS",
        "SMALL RIGHT PARENTHESIS",
        "FULLWIDTH COMMA",
        "SMALL COMMA",
        "FULLWIDTH FULL STOP",
        "ONE DOT LEADER",
    ],
)
def test_default_removes_look_alikes(name: str) -> None:
    assert filtered(None, f"1{unicodedata.lookup(name)}2")[0] == "12"


def test_unchanged_number_is_the_same_object() -> None:
    number = "+14154846048"
    assert NumberFilter.compile(None).apply(number).number is number


@pytest.mark.parametrize("spec", [True, "true"])
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+1 (415) 484-6048", "14154846048"),
        ("*97#", "97"),
        ("1-800-FLOWERS", "1800FLOWERS"),
        ("josé_9", "josé9"),
        ("４１５－4", "4154"),
        ("+", ""),
    ],
)
def test_true_keeps_letters_and_digits(spec: bool | str, number: str, expected: str) -> None:
    assert filtered(spec, number) == (expected, "alphanumeric", None)


@pytest.mark.parametrize("spec", [False, "false"])
def test_false_changes_nothing(spec: bool | str) -> None:
    number = " +1 (415)\u00a0484-6048 "
    assert filtered(spec, number) == (number, "none", None)


@pytest.mark.parametrize(
    ("pattern", "number", "expected", "note"),
    [
        (r"^\+?1?(\d{10})$", "+14154846048", "4154846048", None),
        (r"9(.*)", "99411", "9411", None),
        (r"(\d+)-(\d+)", "x12-34", "12", None),
        (r"^(\d*)", "abc", "", None),
        (r"(é+)", "caféé", "éé", None),
        (r"^(?:1(\d+)|2)$", "2", "2", "capture group took no part in the match"),
        (r"^(\d+)$", "+1415", "+1415", "no match"),
        (r"^\d+$", "1415", "1415", "no capture group"),
        ("", "1415", "1415", "no capture group"),
        ("True", "1415", "1415", "no capture group"),
    ],
)
def test_regex_takes_the_first_group(
    pattern: str, number: str, expected: str, note: str | None
) -> None:
    assert filtered(pattern, number) == (expected, "regex", note)


@pytest.mark.parametrize(
    ("pattern", "position", "words"),
    [
        (r"1(?=2)", 1, "look-ahead"),
        (r"\(?=1(?!2)", 5, "negative look-ahead"),
        (r"(?<=1)2", 0, "look-behind"),
        (r"(?<!1)2", 0, "negative look-behind"),
        (r"(?<n>1)", 0, "(?P<name>...)"),
        (r"(1)\\1\1", 6, r"back-reference \1"),
        (r"(?P<a>1)(?P=a)", 8, "back-reference (?P=name)"),
        (r"(?>1)", 0, "atomic group"),
        (r"(1)(?(1)2)", 3, "conditional group"),
        (r"1\C", 1, "single byte"),
        (r"1++", 1, "possessive"),
        (r"1{2}{3}", 1, "repetition of a repetition"),
        (r"a*(*)", 3, "nothing to repeat"),
        (r"1{1001}", 1, "too large"),
        (r"1(2(3)4", 1, "not closed with )"),
        (r"\Q(\E[(]((2)", 8, "not closed with )"),
        (r"(1))2)", 3, "closes no group"),
        (r"1[23", 1, "not closed with ]"),
        (r"[9-0]", 1, "range"),
        (r"1[[:bogus:]]", 2, "class"),
        ("1\\", 1, "backslash"),
        (r"é\é", 1, "escape"),
        (r"(?i)1(?i", 5, "group operator"),
        (r"1(?P<n", 1, "group name"),
        ("1\ud800", 1, "surrogate"),
    ],
)
def test_refusal_names_place_and_reason(pattern: str, position: int, words: str) -> None:
    error = refused(pattern)
    assert error.position == position
    assert words in error.reason


def test_refusal_of_a_pattern_too_large_has_no_position() -> None:
    error = refused(r"\pL{900}" * 100)
    assert error.position is None
    assert "too large" in error.reason


@pytest.mark.parametrize("pattern", [r"\Q\C\E", r"\\C(1)", r"\\\\C"])
def test_text_that_only_looks_like_a_single_byte_is_taken(pattern: str) -> None:
    assert filtered(pattern, "1")[1] == "regex"


def test_pattern_limit() -> None:
    assert filtered("(1)" + "2?" * 510 + "3", "13")[0] == "1"
    error = refused("1" * 1025)
    assert error.position == 1024
    assert "1025" in error.reason
    assert "1024" in error.reason


@pytest.mark.parametrize("spec", [None, True, False, "(1)", "1"])
def test_number_limit(spec: bool | str | None) -> None:
    number_filter = NumberFilter.compile(spec)
    assert number_filter.apply("1" * 128).number
    with pytest.raises(NumberError, match=r"129 characters long, at most 128") as caught:
        number_filter.apply("1" * 129)
    assert caught.value.number == "1" * 129


@pytest.mark.parametrize("spec", [None, True, False, "(1)", "1"])
def test_half_a_surrogate_pair_is_refused(spec: bool | str | None) -> None:
    with pytest.raises(NumberError, match="surrogate"):
        NumberFilter.compile(spec).apply("1\udc00")


@pytest.mark.parametrize("spec", [None, True, "(.*)"])
def test_any_character_survives_at_full_length(spec: bool | str | None) -> None:
    number = "\U00020000" * 128
    assert filtered(spec, number)[0] == number


def test_compiled_patterns_are_shared_and_bounded() -> None:
    _compiled.cache_clear()
    for index in range(REGEX_CACHE_SIZE + 10):
        NumberFilter.compile(f"({index})")
        NumberFilter.compile(f"({index})")
    info = _compiled.cache_info()
    assert info.currsize == REGEX_CACHE_SIZE
    assert info.hits == info.misses == REGEX_CACHE_SIZE + 10


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|aa)+b", "((a*)*)*b", "(.*)(.*)(.*)(.*)(.*)b"])
def test_catastrophic_patterns_end(pattern: str) -> None:
    # A backtracking matcher would take some 2**127 steps for the nested ones. No end anchor here:
    # it would let RE2 look at the last character first.
    assert filtered(pattern, "a" * 127 + "!")[2] == "no match"
