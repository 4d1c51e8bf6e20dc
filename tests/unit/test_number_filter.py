"""The number filter: its four ways, its notes, and why it refuses what it refuses."""

import unicodedata

import pytest

from engine.numbers import pattern as diagnosis
from engine.numbers._number_filter import probe_pattern
from engine.numbers.number_filter import (
    REGEX_CACHE_SIZE,
    FilterResult,
    NumberFilter,
    NumberFilterError,
)
from engine.numbers.pattern import find_fault
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
        (r"\12\1", 3, r"back-reference \1"),
        (r"\b[0\b]", 4, "escape"),
        (r"[\12\1", 4, "back-reference"),
        (r"[P-\d]", 3, "escape"),
        (r"(?P<a>1)(?P<", 8, "group operator"),
        (r"[[:alpha:]\pL]*1**", 16, "repetition of a repetition"),
        (r"1\x{12", 1, "escape"),
        (r"1\x{", 1, r"\x{...}"),
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
    error = refused(r"\d{900}" * 100)
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
    assert caught.value.number == "1" * 128


def test_a_megabyte_is_refused_by_its_length_alone() -> None:
    with pytest.raises(NumberError, match="is 1048576 characters long") as caught:
        NumberFilter.compile("(a*)*b").apply("a" * 2**20)
    assert len(caught.value.number) == 128
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("part", [r"\p{Greek}", r"[1\P{Greek}]"])
def test_unicode_class_limit(part: str) -> None:
    assert find_fault(part * 32) is None
    assert find_fault(part * 32 + r"\\p\Q\p\E") is None
    error = refused(part * 32 + r"\\p\Q\p\E" + part)
    assert error.position is not None
    assert error.pattern[error.position :].lower().startswith(r"\p")
    assert error.position > len(part * 32) + 5
    assert "32 Unicode classes" in error.reason


@pytest.mark.parametrize("spec", [None, True, False, "(1)", "1"])
def test_half_a_surrogate_pair_is_refused(spec: bool | str | None) -> None:
    with pytest.raises(NumberError, match="surrogate"):
        NumberFilter.compile(spec).apply("1\udc00")


@pytest.mark.parametrize("spec", [None, True, "(.*)"])
def test_any_character_survives_at_full_length(spec: bool | str | None) -> None:
    number = "\U00020000" * 128
    assert filtered(spec, number)[0] == number


def test_compiled_patterns_are_shared_and_bounded() -> None:
    first = NumberFilter.compile("(first)")
    for index in range(REGEX_CACHE_SIZE - 1):
        NumberFilter.compile(f"({index})")
    assert NumberFilter.compile("(first)") is first
    for index in range(REGEX_CACHE_SIZE):
        NumberFilter.compile(f"({index})")
    assert NumberFilter.compile("(first)") is not first


@pytest.mark.parametrize(
    ("spec", "equal", "other"),
    [(None, None, False), (True, "true", None), (False, "false", True), ("(1)", "(1)", "(2)")],
)
def test_filters_are_values(
    spec: bool | str | None, equal: bool | str | None, other: bool | str | None
) -> None:
    one, same = NumberFilter.compile(spec), NumberFilter.compile(equal)
    assert one == same
    assert hash(one) == hash(same)
    assert one != NumberFilter.compile(other)
    assert one != spec
    assert repr(one) == f"NumberFilter.compile({one.spec!r})"
    with pytest.raises(AttributeError):
        one.spec = other  # type: ignore[misc]


def test_a_filter_made_without_a_value_is_the_default() -> None:
    assert NumberFilter() == NumberFilter.compile(None)
    assert NumberFilter().apply("1-2") == FilterResult("12", "default", None)


def test_results_are_values() -> None:
    result = NumberFilter.compile("^9(.*)").apply("9411")
    same = FilterResult(number="411", applied="regex", note=None)
    assert result == same
    assert hash(result) == hash(same)
    assert result != FilterResult("411", "regex", "no match")
    assert result != ("411", "regex", None)
    assert repr(result) == "FilterResult(number='411', applied='regex', note=None)"
    with pytest.raises(AttributeError):
        result.number = "1"  # type: ignore[misc]
    match result:
        case FilterResult(number, applied, note):
            assert (number, applied, note) == ("411", "regex", None)


@pytest.mark.parametrize("spec", [None, True, False, r"(\d+)", "1"])
def test_many_are_filtered_as_one_is(spec: bool | str | None) -> None:
    chosen = NumberFilter.compile(spec)
    numbers = ["+1 (415)", "", "\u20131", "tel:+1-2", "9é", "1" * 128]
    assert chosen.apply_many(numbers) == [chosen.apply(number).number for number in numbers]
    assert chosen.apply_many([]) == []
    with pytest.raises(NumberError, match="129 characters"):
        chosen.apply_many(["1", "1" * 129])


@pytest.mark.parametrize("wrong", [None, b"1", 1])
def test_only_text_is_filtered(wrong: object) -> None:
    with pytest.raises(TypeError):
        NumberFilter().apply(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        NumberFilter().apply_many(["1", wrong])  # type: ignore[list-item]


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|aa)+b", "((a*)*)*b", "(.*)(.*)(.*)(.*)(.*)b"])
def test_catastrophic_patterns_end(pattern: str) -> None:
    # A backtracking matcher would take some 2**127 steps for the nested ones. No end anchor here:
    # it would let RE2 look at the last character first.
    assert filtered(pattern, "a" * 127 + "!")[2] == "no match"


# Each is refused at its end, behind as much as fits of what RE2 reads slowest.
@pytest.mark.parametrize(
    ("part", "end"),
    [
        (r"\pL", r"\1"),
        (r"\pL", "(?=1)"),
        (r"\pL*", "(*)"),
        (r"[\pL]", "1**"),
        (r"[\\b\pL]", r"[\b]"),
        (r"\12", r"\1"),
        (r"(?P<a>1)", "(?P<a"),
        (r"1{1000}", "1{1001}"),
    ],
)
def test_diagnosis_asks_re2_about_little(
    part: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counting(text: str) -> tuple[str, str] | None:
        asked.append(text)
        return probe_pattern(text)

    monkeypatch.setattr(diagnosis, "probe_pattern", counting)
    most = 30 if "L" in part else 1000
    hostile = "(?i)" + part * min(most, (1000 - len(end)) // len(part)) + end
    assert find_fault(hostile) is not None
    slow = [text.count(r"\pL") for text in asked]
    assert sum(slow) <= 2 * hostile.count(r"\pL")
    assert sum(map(len, asked)) <= 12 * len(hostile)
