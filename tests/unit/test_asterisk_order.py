"""Asterisk's patterns: what each takes, and which of several that take a number is asked first.

The vectors were held against the functions of Asterisk 22's main/pbx.c. They agree but for hyphens
in the number, which Asterisk skips: filters take them out before, and here they are characters.
"""

from itertools import combinations

import pytest

from engine.numbers.route_table import RouteRow, RouteTable, RouteTableError
from tests.kit import asterisk_oracle


def table(*patterns: str) -> RouteTable:
    """Compile patterns, one row each."""
    return RouteTable.compile(RouteRow("pattern", text, "resource", "acme") for text in patterns)


def winner(patterns: tuple[str, ...], number: str) -> str | None:
    """Return the pattern that is asked first for a number."""
    match = table(*patterns).match(number)
    return patterns[match.line - 1] if match else None


# A number, and patterns that all take it, most specific first.
ORDERS = [
    (
        "25",
        ["_25", "_2[45]", "_2[56]", "_2[4-6]", "_2[5-7]", "_2N", "_2[0-8]", "_2Z", "_2X", "_2.",
         "_2!", "_[12]5", "_[23]5", "_[23].", "_N5", "_Z5", "_Z!", "_X5", "_X.", "_.", "_!"],
    ),
    # '!' is asked before the end of a pattern, so before what takes nothing more.
    ("2", ["_2!", "_2", "_[12]!", "_[12]", "_N", "_[2-9!]", "_.", "_!"]),
    (
        "14155551234",
        ["_1415555XXXX", "_1415NXXXXXX", "_1NXXNXXXXXX", "_1NXXXXXXXXX", "_1NXX.", "_1ZXXXXXXXXX",
         "_1XXXXXXXXXX", "_1X.", "_1X!", "_1.", "_X.", "_."],
    ),
    ("*72", ["_*72", "_*7X", "_*XX", "_*.", "_[*#]7X", "_[*0-9]72", "_."]),
    # The first place that differs decides, whatever follows.
    ("911", ["_9!", "_[89]11", "_N11", "_X11"]),
    ("0123", ["_[02]123", "_[0-2]!", "_X123"]),
    # Sets of one size: the lowest character that only one of them has.
    ("5", ["_[05]", "_[15]", "_[45]", "_[56]"]),
    ("5", ["_[*05]", "_[058]", "_[159]", "_[258]"]),
    ("+1", ["_+1", "_+X", "_+.", "_[+1]1", "_[+0-9]1"]),
]  # fmt: skip


@pytest.mark.parametrize(("number", "order"), ORDERS)
def test_the_more_specific_pattern_is_asked_first(number: str, order: list[str]) -> None:
    for first, second in combinations(order, 2):
        assert winner((first, second), number) == first
        assert winner((second, first), number) == first
    backwards = tuple(reversed(order))
    whole = table(*backwards)
    told = [backwards[whole.line(index) - 1] for _, index, _, _ in whole.explain(number)]
    assert told == order


@pytest.mark.parametrize(("number", "order"), ORDERS)
def test_the_oracle_has_the_same_order(number: str, order: list[str]) -> None:
    read = [asterisk_oracle.parse(text) for text in order]
    assert all(pattern.matches(number) for pattern in read)
    assert [pattern.rank() for pattern in read] == sorted(pattern.rank() for pattern in read)


@pytest.mark.parametrize(
    ("pattern", "taken", "not_taken"),
    [
        ("_NXX", ["200", "999"], ["199", "20", "2000", "2a0", ""]),
        ("_nxz", ["201", "919"], ["200", "101"]),
        ("_Z", ["1", "9"], ["0", "Z", "z"]),
        ("_X", ["0", "9"], ["*", "X", "٣", "１"]),
        ("_5.", ["51", "5*", "555é"], ["5", "6", ""]),
        ("_5!", ["5", "51", "555"], ["6", ""]),
        ("_.", ["1", "+", "é"], [""]),
        ("_!", ["", "1"], []),
        ("_[13-5a]", ["1", "3", "4", "5", "a"], ["2", "6", "-", "b", "A"]),
        ("_[a-]", ["a", "-"], ["b", ","]),
        ("_[-a]", ["a", "-"], ["b"]),
        ("_[0-9-]", ["0", "9", "-"], ["a", "/"]),
        ("_[X.!_]", ["X", ".", "!", "_"], ["1", "x"]),
        ("_[ ]1", [" 1"], ["1"]),
        ("_[[]1", ["[1"], ["1"]),
        ("_1-800-NXX XXXX", ["18005551234"], ["1-8005551234", "1-800-555 1234"]),
        ("_1[]2", ["12"], ["1", "1[]2"]),
        ("_[5]X", ["50"], ["X0", "5"]),
        ("_*8X", ["*80"], ["80", "**80"]),
        ("_+1NXX", ["+1200"], ["1200"]),
        ("_a_x", ["a_1"], ["a_x", "A_1"]),
        ("_sip.", ["sip:", "sipx1"], ["sip", "SIPx"]),
    ],
)
def test_what_a_pattern_takes(pattern: str, taken: list[str], not_taken: list[str]) -> None:
    one = table(pattern)
    assert [number for number in taken + not_taken if one.match(number)] == taken
    read = asterisk_oracle.parse(pattern)
    assert [number for number in taken + not_taken if read.matches(number)] == taken


@pytest.mark.parametrize(
    ("one", "other", "number"),
    [
        ("_N", "_[2-9]", "5"),
        ("_N", "_n", "5"),
        ("_25", "_[2]5", "25"),
        ("_25", "_2-5", "25"),
        ("_25", "_2 [] 5", "25"),
        ("_[123]", "_[1-3]", "2"),
        ("_[5a]", "_[a5]", "a"),
        ("_[a-]", "_[-a]", "a"),
        ("_[115]", "_[15]", "5"),
    ],
)
def test_two_ways_to_write_a_pattern_are_one_group(one: str, other: str, number: str) -> None:
    match = table(one, other).match(number)
    assert match is not None
    assert len(match.hunt) == 2


@pytest.mark.parametrize(
    ("pattern", "position"),
    [("_1.2", 3), ("_1!2", 3), ("_X..", 3), ("_X.!", 3), ("_X!-", 3), ("_. ", 2)],
)
def test_nothing_may_follow_the_tail(pattern: str, position: int) -> None:
    """Asterisk never looks at what follows, so a pattern that has it means something else."""
    with pytest.raises(RouteTableError, match="nothing may follow") as caught:
        table("_X", pattern)
    assert (caught.value.line, caught.value.position) == (2, position)
    with pytest.raises(ValueError, match="nothing may follow"):
        asterisk_oracle.parse(pattern)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("_1-[2-9]X[1-35].", "_1NX[1-35]."),
        ("_nXz!", "_NXZ!"),
        ("_[X]5", "_[X]5"),
        ("_[.][-][5]", "_[.][-]5"),
        ("_X[5][n]", "_X5[n]"),
        ("_Xé", "_Xé"),
        ("_[0-9*#-]", "_[#*0-9-]"),
        ("_[#-/]", "_[#-,./-]"),
        ("_[Z-a]", "_[Z-a]"),
    ],
)
def test_a_pattern_is_told_in_its_plainest_form(given: str, told: str) -> None:
    assert table(given).row(0).match == told
    assert table(told).row(0).match == told
    assert asterisk_oracle.parse(told) == asterisk_oracle.parse(given)
