"""The compiled route table against an oracle that tries every row for every number."""

import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.numbers.route_table import (
    RouteMatch,
    RouteRow,
    RouteTable,
    RouteTableError,
    RowKind,
)
from tests.kit import asterisk_oracle
from tests.kit.route_oracle import Answer, Hop, RouteOracle, consistent, forbidden, same_text

# A busy machine must not fail a test; costs are measured in benchmarks/.
MANY = settings(max_examples=400)

# Few characters, so that rows clash, nest and match.
DIGITS = st.text("012", min_size=1, max_size=5)
TYPED = st.text("012+", max_size=7) | st.text("012*#+aé１_X[ -", max_size=8)
NUMBERS = TYPED | st.text(max_size=128)
CHARACTERS = st.text("012*#+aé１ -", min_size=1, max_size=6)

SETS = st.text("0123-*#+aXN.![ ", max_size=5).map("[{}]".format)
RANGES = st.sampled_from(["[0-2]", "[1-2]", "[2-9]", "[0-9*#]", "[a-c1]", "[+]", "[-1]", "[1-]"])
PLACES = st.sampled_from(["0", "1", "2", "X", "x", "Z", "z", "N", "n", "-", " ", "*", "+", "é"])
PATTERNS = st.builds(
    "_{}{}".format,
    st.lists(PLACES | RANGES | SETS, max_size=6).map("".join),
    st.sampled_from(["", "", ".", "!"]),
)
REGEXES = st.sampled_from(
    ["^{}", "{}$", "^{}$", r"^\+?{}(\d*)$", "^0({})|^(1).", "({})?", "(a)|{}"]
)
PREFIXES = st.builds("{}{}".format, st.sampled_from(["", "", "+"]), DIGITS | CHARACTERS)


def is_pattern(text: str) -> bool:
    """Tell whether the oracle takes a text as a pattern."""
    try:
        asterisk_oracle.parse(text)
    except ValueError:
        return False
    return True


def rows_of(kind: RowKind, texts: st.SearchStrategy[str]) -> st.SearchStrategy[RouteRow]:
    """Make rows of a kind, mostly to carriers, with priorities and weights that are often equal."""
    return st.builds(
        RouteRow,
        kind=st.just(kind),
        match=texts,
        to=st.sampled_from(["resource", "resource", "resource", "device", "user"]),
        id=st.sampled_from(["acme", "bulk", "desk"]),
        priority=st.integers(0, 2) | st.integers(0, 65535),
        weight=st.integers(1, 3) | st.integers(1, 65535),
        strip=st.integers(0, 3) | st.integers(0, 128),
        prepend=st.sampled_from(["", "", "+", "00", "é1"]),
        description=st.sampled_from(["", 'North, "far" away']),
    )


EXTENSION_ROWS = rows_of("extension", DIGITS | CHARACTERS)
PATTERN_ROWS = rows_of("pattern", PATTERNS.filter(is_pattern))
PREFIX_ROWS = rows_of("prefix", PREFIXES.filter(lambda text: text.lstrip("+") and text[:2] != "++"))
REGEX_ROWS = rows_of("regex", st.builds(str.format, REGEXES, DIGITS))
ROWS = EXTENSION_ROWS | PATTERN_ROWS | PREFIX_ROWS | REGEX_ROWS


def tables(rows: st.SearchStrategy[RouteRow]) -> st.SearchStrategy[list[RouteRow]]:
    """Make tables that can be compiled."""
    return st.lists(rows, max_size=16).map(consistent)


TABLES = tables(ROWS)


def answered(table: RouteTable, match: RouteMatch | None) -> Answer | None:
    """Say an answer of the compiled table as the oracle says it."""
    if match is None:
        return None
    hunt = tuple(Hop(table.line(hop.row), hop.number, hop.length) for hop in match.hunt)
    return Answer(match.kind, match.line, match.number, hunt)


@MANY
@given(rows=TABLES, numbers=st.lists(NUMBERS, min_size=1, max_size=8))
def test_a_table_answers_like_the_oracle(rows: list[RouteRow], numbers: list[str]) -> None:
    table, oracle = RouteTable.compile(rows), RouteOracle(rows)
    expected = [oracle.match(number) for number in numbers]
    assert [answered(table, table.match(number)) for number in numbers] == expected
    bulk = [table.line(index) if index >= 0 else None for index in table.match_many(numbers)]
    assert bulk == [answer.line if answer else None for answer in expected]


@MANY
@given(rows=tables(PATTERN_ROWS), number=TYPED)
def test_the_most_specific_pattern_wins(rows: list[RouteRow], number: str) -> None:
    table = RouteTable.compile(rows)
    assert answered(table, table.match(number)) == RouteOracle(rows).match(number)


@MANY
@given(rows=tables(PREFIX_ROWS), number=TYPED)
def test_prefixes_are_hunted_longest_first(rows: list[RouteRow], number: str) -> None:
    table = RouteTable.compile(rows)
    assert answered(table, table.match(number)) == RouteOracle(rows).match(number)


@given(rows=TABLES, number=NUMBERS)
def test_every_row_that_takes_a_number_is_explained(rows: list[RouteRow], number: str) -> None:
    table, oracle = RouteTable.compile(rows), RouteOracle(rows)
    told = [(table.line(index), kind, won) for kind, index, won, _ in table.explain(number)]
    assert told == [
        (line, rows[line - 1].kind, place == 0) for place, line in enumerate(oracle.all(number))
    ]


@given(rows=TABLES)
def test_every_row_comes_back_as_it_was_given(rows: list[RouteRow]) -> None:
    table = RouteTable.compile(rows)
    back = {table.line(index): table.row(index) for index in range(len(table))}
    assert sorted(back) == list(range(1, len(rows) + 1))
    for line, row in enumerate(rows, start=1):
        assert same_text(back[line]) == same_text(row)
        assert replace(back[line], match=row.match) == row


@given(rows=TABLES, number=NUMBERS)
def test_a_hop_says_what_its_row_says(rows: list[RouteRow], number: str) -> None:
    table = RouteTable.compile(rows)
    match = table.match(number)
    for hop in match.hunt if match else ():
        row = table.row(hop.row)
        assert (hop.to, hop.id, hop.priority, hop.weight) == (
            row.to,
            row.id,
            row.priority,
            row.weight,
        )


@given(rows=TABLES)
def test_targets_are_told_with_their_first_line(rows: list[RouteRow]) -> None:
    first: dict[tuple[str, str], int] = {}
    for line, row in enumerate(rows, start=1):
        first.setdefault((row.to, row.id), line)
    told = RouteTable.compile(rows).targets()
    assert sorted(told) == sorted((to, name, line) for (to, name), line in first.items())


@MANY
@given(text=PATTERNS | st.text("_X[].!-/ 1é", max_size=8).map("_{}".format) | st.text(max_size=8))
def test_what_is_no_pattern_is_refused(text: str) -> None:
    assume(text.isprintable())
    row = RouteRow("pattern", text, "resource", "acme")
    if is_pattern(text):
        assert len(RouteTable.compile([row])) == 1
        return
    with pytest.raises(RouteTableError) as caught:
        RouteTable.compile([row])
    error = caught.value
    assert (error.line, error.field, error.value) == (1, "match", text)
    assert error.position is None or 0 <= error.position <= len(text)


def test_a_large_table_answers_like_dictionaries() -> None:
    """Tens of thousands of rows fill many blocks of each set; dictionaries find the same rows."""
    draw = random.Random(20)
    extensions = {f"{draw.randrange(10**7)}" for _ in range(20_000)}
    prefixes = {f"{draw.randrange(10 ** draw.randint(1, 8))}" for _ in range(20_000)}
    beginnings = {f"{draw.randrange(10**5, 10**6)}" for _ in range(10_000)}
    rows = [RouteRow("extension", text, "device", "desk") for text in sorted(extensions)]
    rows += [RouteRow("prefix", text, "resource", "acme") for text in sorted(prefixes)]
    rows += [RouteRow("pattern", f"_{text}NX", "resource", "acme") for text in sorted(beginnings)]
    draw.shuffle(rows)
    lines = {(row.kind, row.match): line for line, row in enumerate(rows, start=1)}

    def obvious(number: str) -> int | None:
        if ("extension", number) in lines:
            return lines["extension", number]
        if len(number) == 8 and number[6] in "23456789" and number[:6] in beginnings:
            return lines["pattern", f"_{number[:6]}NX"]
        for size in range(len(number), 0, -1):
            if ("prefix", number[:size]) in lines:
                return lines["prefix", number[:size]]
        return None

    numbers = [row.match.strip("_NX") + tail for row in rows for tail in ("", "21", "07")]
    numbers += [f"{draw.randrange(10 ** draw.randint(1, 9))}" for _ in range(20_000)]
    table = RouteTable.compile(rows)
    found = table.match_many(numbers)
    told = [table.line(index) if index >= 0 else None for index in found]
    assert told == [obvious(number) for number in numbers]
    assert len(set(told)) > 40_000


BROKEN = st.sampled_from(
    [
        ("kind", "suffix"),
        ("match", ""),
        ("match", "1\n"),
        ("match", "1" * 1025),
        ("to", "trunk"),
        ("id", ""),
        ("id", "é"),
        ("id", "a" * 65),
        ("priority", -1),
        ("priority", 65536),
        ("weight", 0),
        ("weight", 65536),
        ("strip", -1),
        ("strip", 129),
        ("prepend", "1" * 65),
        ("prepend", "\ud800"),
        ("description", "d" * 257),
        ("description", "\0"),
    ]
)


@given(rows=TABLES, row=ROWS, broken=BROKEN, place=st.integers(0, 16))
def test_a_broken_row_is_named(
    rows: list[RouteRow], row: RouteRow, broken: tuple[str, str | int], place: int
) -> None:
    field, value = broken
    place = min(place, len(rows))
    bad = replace(row, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(RouteTableError) as caught:
        RouteTable.compile([*rows[:place], bad, *rows[place:]])
    error = caught.value
    assert (error.line, error.field, error.value) == (place + 1, field, str(value)[:64])
    assert error.reason in str(error)


@given(rows=TABLES, row=ROWS, place=st.integers(0, 16))
def test_a_row_beside_an_endpoint_is_named(rows: list[RouteRow], row: RouteRow, place: int) -> None:
    place = min(place, len(rows))
    twice = [*rows[:place], row, *rows[place:], replace(row, to="device")]
    with pytest.raises(RouteTableError) as caught:
        RouteTable.compile(twice)
    error = caught.value
    assert error.field == "match"
    assert forbidden(twice[: error.line - 1], twice[error.line - 1])
