"""Both modules against slow, obvious Python, and against whatever a user may type."""

import re
import unicodedata
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.numbers.dialplan import (
    CarrierRule,
    DialPlan,
    ExtensionRule,
    RewriteRule,
)
from engine.numbers.number_filter import NumberFilter, NumberFilterError
from engine.numbers.pattern import find_fault

# Dense in what the rules are about, so that clashes and matches are common.
TYPED = st.text(alphabet="0123 ,.-()+*#aZé\u00a0\u2013\u2011１＋（。²_/\u200e", max_size=16)
ANY_TEXT = st.text(max_size=128)
NUMBERS = TYPED | ANY_TEXT
DIGITS = st.text(alphabet="0123", max_size=6)
# A busy machine must not fail a test; costs are measured in benchmarks/.
UNTIMED = settings(deadline=None)


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
    return "".join(FULL_WIDTH.get(c, c) for c in number if not obvious_separator(c))


def obvious_alphanumeric(number: str) -> str:
    return "".join(c for c in (FULL_WIDTH.get(c, c) for c in number) if c.isalnum())


def test_default_filter_equals_obvious_python_on_every_character() -> None:
    default = NumberFilter.compile(None)
    every = (chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)
    wrong = [hex(ord(c)) for c in every if default.apply(c).number != obvious_default(c)]
    assert wrong == []


@UNTIMED
@given(NUMBERS)
def test_boolean_filters_equal_obvious_python(number: str) -> None:
    assert NumberFilter.compile(None).apply(number).number == obvious_default(number)
    assert NumberFilter.compile(True).apply(number).number == obvious_alphanumeric(number)
    assert NumberFilter.compile(False).apply(number).number == number


@UNTIMED
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


@UNTIMED
@given(patterns(), DIGITS)
def test_regex_filter_equals_obvious_python(pattern: str, number: str) -> None:
    result = NumberFilter.compile(pattern).apply(number)
    found = re.search(pattern, number)
    if found is None or re.compile(pattern).groups == 0 or found[1] is None:
        assert result.number == number
        assert result.note is not None
    else:
        assert (result.number, result.note) == (found[1], None)


@UNTIMED
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


@dataclass
class ObviousPlan:
    """The documented precedence, read out loud."""

    extensions: list[ExtensionRule]
    rewrites: list[RewriteRule]
    carriers: list[CarrierRule]

    def match(self, number: str) -> tuple[str, list[tuple[str, str]]] | None:
        if not number:
            return None
        rewritten = number
        found = self.extension(number)
        if found is None:
            rewritten = self.rewrite(number)
            found = self.extension(rewritten)
        if found is not None:
            return rewritten, [(found.endpoint_id, rewritten)]
        hops = [
            (carrier.resource_id, offer)
            for carrier in sorted(self.carriers, key=lambda each: each.weight_cost)
            if (offer := self.offer(carrier, rewritten))
        ]
        return (hops[0][1], hops) if hops else None

    def extension(self, number: str) -> ExtensionRule | None:
        return next((rule for rule in self.extensions if rule.number == number), None)

    def rewrite(self, number: str) -> str:
        for rule in self.rewrites:
            if found := re.search(rule.regex, number):
                taking_part = [group for group in found.groups() if group is not None]
                root = taking_part[-1] if taking_part else found[0]
                if joined := rule.prefix + root + rule.suffix:
                    return joined
        return number

    def offer(self, carrier: CarrierRule, number: str) -> str:
        for regex in carrier.rules:
            if found := re.search(regex, number):
                taking_part = [group for group in found.groups() if group is not None]
                root = taking_part[0] if taking_part else number
                if joined := carrier.prefix + root + carrier.suffix:
                    return joined
        return ""


AFFIXES = st.sampled_from(["", "0", "+1", "é"])
EXTENSIONS = st.lists(
    st.builds(
        ExtensionRule,
        DIGITS.filter(bool),
        st.sampled_from(["device", "user"]),
        st.sampled_from(["d1", "d2", "u1"]),
    ),
    max_size=8,
    unique_by=lambda rule: rule.number,
)
REWRITES = st.lists(st.builds(RewriteRule, patterns(), AFFIXES, AFFIXES), max_size=3)
CARRIERS = st.lists(
    st.builds(
        CarrierRule,
        st.sampled_from(["r1", "r2", "r3"]),
        st.just("carrier"),
        st.lists(patterns(), max_size=3).map(tuple),
        st.integers(1, 3),
        AFFIXES,
        AFFIXES,
    ),
    max_size=3,
)


@UNTIMED
@given(EXTENSIONS, REWRITES, CARRIERS, st.lists(DIGITS, min_size=1, max_size=8))
def test_dial_plan_equals_obvious_python(
    extensions: list[ExtensionRule],
    rewrites: list[RewriteRule],
    carriers: list[CarrierRule],
    numbers: list[str],
) -> None:
    plan = DialPlan.compile(extensions, rewrites, carriers)
    obvious = ObviousPlan(extensions, rewrites, carriers)
    for number in [*numbers, *(rule.number for rule in extensions)]:
        route, expected = plan.match(number), obvious.match(number)
        if route is None or expected is None:
            assert route is None
            assert expected is None
            continue
        hops = list(zip(route.carriers, route.carrier_numbers, strict=True))
        assert (route.number, hops or [(route.id, route.number)]) == expected
        assert route.id == expected[1][0][0]


@UNTIMED
@given(NUMBERS, REWRITES, CARRIERS)
def test_any_text_is_routed_and_explained(
    number: str, rewrites: list[RewriteRule], carriers: list[CarrierRule]
) -> None:
    plan = DialPlan.compile([], rewrites, carriers)
    route, steps = plan.match(number), plan.explain(number)
    if route is None:
        assert steps[-1].endswith("no route")
    else:
        assert steps[-len(route.carriers)].startswith("hunt 1: ")
        assert steps[-len(route.carriers)].endswith(f"dials {route.number!r}")
