"""Number filters against slow, obvious Python, and against whatever a user may type."""

import re
import unicodedata
from collections.abc import Callable
from itertools import dropwhile
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.numbers.number_filter import NumberFilter, NumberFilterError
from engine.numbers.pattern import find_fault
from engine.numbers.text import NumberError

# Dense in what the rules are about, so that clashes and matches are common.
TYPED = st.text(alphabet="0123 ,.-()+*#aZé\u00a0\u2013\u2011１＋（。²_/\u200e", max_size=16)
ANY_TEXT = st.text(max_size=128)
NUMBERS = TYPED | ANY_TEXT
DIGITS = st.text(alphabet="0123", max_size=6)
# A busy machine must not fail a test; costs are measured in benchmarks/.


# What the documentation lists, by Unicode name, beyond the general categories below.
NAMED_SEPARATORS = {
    unicodedata.lookup(name)
    for name in (
        "MINUS SIGN",
        "ONE DOT LEADER",
        "SOFT HYPHEN",
        "ARABIC LETTER MARK",
        "WORD JOINER",
        "ZERO WIDTH NO-BREAK SPACE",
        "SMALL COMMA",
        "SMALL FULL STOP",
        "SMALL EM DASH",
        "SMALL HYPHEN-MINUS",
        "SMALL LEFT PARENTHESIS",
        "SMALL RIGHT PARENTHESIS",
        "FULLWIDTH COMMA",
        "FULLWIDTH FULL STOP",
        "FULLWIDTH HYPHEN-MINUS",
        "FULLWIDTH LEFT PARENTHESIS",
        "FULLWIDTH RIGHT PARENTHESIS",
        "SUPERSCRIPT LEFT PARENTHESIS",
        "SUPERSCRIPT RIGHT PARENTHESIS",
        "SUBSCRIPT LEFT PARENTHESIS",
        "SUBSCRIPT RIGHT PARENTHESIS",
    )
}
FULL_WIDTH = {chr(ord(key) + 0xFEE0): key for key in "0123456789+*#"}


def obvious_separator(character: str) -> bool:
    general_punctuation = "\u2000" <= character <= "\u206f"
    return (
        character in " ,.-()"
        or character in NAMED_SEPARATORS
        or unicodedata.category(character) == "Zs"
        or (general_punctuation and unicodedata.category(character) == "Pd")
        or unicodedata.bidirectional(character) in {"LRE", "RLE", "PDF", "LRO", "RLO"}
        or unicodedata.bidirectional(character) in {"LRI", "RLI", "FSI", "PDI"}
        or "\u200b" <= character <= "\u200f"
    )


def obvious_default(number: str) -> str:
    text = obvious_number(number)
    return "".join(FULL_WIDTH.get(c, c) for c in text if not obvious_separator(c))


def obvious_alphanumeric(number: str) -> str:
    return "".join(c for c in (FULL_WIDTH.get(c, c) for c in obvious_number(number)) if c.isalnum())


class Malformed(Exception):
    """The obvious implementation's refusal of a URI."""


def demand(condition: bool) -> None:
    if not condition:
        raise Malformed


def obvious_number(text: str) -> str:
    """Return the number inside a URI, undone of percent-encoding; other text as it is."""
    bare = "".join(dropwhile(obvious_separator, text))
    scheme, colon, rest = bare.partition(":")
    if not colon or scheme.lower() not in ("tel", "sip", "sips"):
        return text
    demand(not has_control(text))
    if scheme.lower() == "tel":
        return obvious_tel(rest.partition(";")[0])
    demand(rest.count("@") == 1)
    userinfo, _, after = rest.partition("@")
    host = re.split("[;?]", after)[0]
    demand(re.fullmatch(r"[A-Za-z0-9.\-_:\[\]\x80-\U0010ffff]+", host) is not None)
    user = re.split("[:;]", userinfo)[0]
    allowed = r"[A-Za-z0-9\-_.!~*'()&=+$,?/#% \x80-\U0010ffff]+"
    demand(re.fullmatch(allowed, user) is not None)
    return decoded(user)


def obvious_tel(digits: str) -> str:
    number = decoded(digits)
    demand(re.fullmatch(r"[A-Za-z0-9+*#,.\-() \x80-\U0010ffff]+", number) is not None)
    kept = "".join(c for c in number if not obvious_separator(c))
    demand("+" not in kept[1:])
    return number


def has_control(text: str) -> bool:
    return any(unicodedata.category(character) == "Cc" for character in text)


def decoded(text: str) -> str:
    demand(re.fullmatch(r"(?:[^%]|%[0-9A-Fa-f]{2})*", text) is not None)
    try:
        number = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise Malformed from None
    demand(not has_control(number))
    demand(not all(map(obvious_separator, number)))
    return number


def outcome(run: Callable[[str], str], number: str) -> str | None:
    """Return the filtered number, or None for a refused URI."""
    try:
        return run(number)
    except (Malformed, NumberError):
        return None


def test_default_filter_equals_obvious_python_on_every_character() -> None:
    default = NumberFilter.compile(None)
    every = (chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)
    wrong = [hex(ord(c)) for c in every if default.apply(c).number != obvious_default(c)]
    assert wrong == []


URI_TOKENS = (
    "+ 1 23 % %2 %31 %2B %0A %C3%A9 %C3 %40 @ h h.example ; a=b : ? / - ( é １ \u2013 * # [::1]"
)
URI_PARTS = st.sampled_from([*URI_TOKENS.split(), " ", "\n", "\x85"])
URIS = st.builds(
    lambda before, scheme, parts, host: before + scheme + "".join(parts) + host,
    st.sampled_from(["", "", " ", "\u200e", "x"]),
    st.sampled_from(["tel:", "sip:", "sips:", "Tel:", "SIP:", "mailto:"]),
    st.lists(URI_PARTS, max_size=10),
    st.sampled_from(["", "@h", "@example.com:5060;a=b"]),
)


@given(
    NUMBERS | URIS,
    st.sampled_from([(None, obvious_default), (True, obvious_alphanumeric), (False, str)]),
)
def test_boolean_filters_equal_obvious_python(
    number: str, way: tuple[bool | None, Callable[[str], str]]
) -> None:
    spec, obvious = way
    chosen = NumberFilter.compile(spec)
    expected = outcome(obvious, number)
    assert outcome(lambda text: chosen.apply(text).number, number) == expected
    assert outcome(lambda text: chosen.apply_many([text])[0], number) == expected


@given(URIS)
def test_no_control_character_comes_out_of_a_uri(number: str) -> None:
    number = outcome(lambda text: NumberFilter().apply(text).number, number) or ""
    if re.match(r"\W*(tel|sips?):", number, re.IGNORECASE):
        assert not has_control(number)


@given(NUMBERS, st.sampled_from([None, True, False]))
def test_filtering_twice_changes_nothing_more(number: str, spec: bool | None) -> None:
    once = NumberFilter.compile(spec).apply(number).number
    assert NumberFilter.compile(spec).apply(once).number == once


# Pieces on which Python's `re` and RE2 agree about every text without a newline.
PIECES = st.sampled_from(["0", "1", "2", "[0-2]", "[^1]", "3?", "2*", "0+", ".", r"\+?", "1{2}"])


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Return sequences, groups and alternatives of PIECES, anchored or not."""
    branches = []
    for _ in range(draw(st.integers(1, 2))):
        parts = [
            f"({piece})" if draw(st.booleans()) else piece
            for piece in draw(st.lists(PIECES, min_size=1, max_size=4))
        ]
        branches.append(draw(st.sampled_from(["", "^"])) + "".join(parts))
    return "|".join(branches) + draw(st.sampled_from(["", "$"]))


@given(patterns(), DIGITS)
def test_regex_filter_equals_obvious_python(pattern: str, number: str) -> None:
    result = NumberFilter.compile(pattern).apply(number)
    found = re.search(pattern, number)
    if found is None or re.compile(pattern).groups == 0 or found[1] is None:
        assert result.number == number
        assert result.note is not None
    else:
        assert (result.number, result.note) == (found[1], None)


@given(st.text(alphabet=r"()[]{}*+?|\^$.-,:=!<>#PQECpdnik019é", max_size=24), NUMBERS)
def test_any_pattern_is_either_applied_or_refused_with_its_place(pattern: str, number: str) -> None:
    fault = find_fault(pattern)
    if fault is None:
        assert NumberFilter.compile(pattern).apply(number).number in number
        return
    with pytest.raises(NumberFilterError) as refused:
        NumberFilter.compile(pattern)
    assert (refused.value.position, refused.value.reason) == (fault.position, fault.reason)
    assert fault.position is not None
    assert 0 <= fault.position < len(pattern)
    # What comes before the place is sound, but for groups and classes still open, and for the
    # single byte, which RE2 itself would take.
    before = find_fault(pattern[: fault.position])
    assert before is None or re.search("is not closed|single byte", before.reason)
