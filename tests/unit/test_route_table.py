"""A route table: what each kind of row matches, what wins, what is dialled, what is refused."""

from dataclasses import replace

import pytest

from engine.numbers.route_table import RouteRow, RouteTable, RouteTableBuilder, RouteTableError
from engine.numbers.text import NumberError

ACME = RouteRow("prefix", "1415", "resource", "acme", priority=1)
BULK = RouteRow("prefix", "+1415", "resource", "bulk", weight=5, strip=1, prepend="00")
WORLD = RouteRow("prefix", "1", "resource", "world", description="North America")


def winner(rows: list[RouteRow], number: str) -> int | None:
    """Return the line of the row that takes a number."""
    match = RouteTable.compile(rows).match(number)
    return match.line if match else None


def test_kinds_are_asked_in_one_order() -> None:
    rows = [
        RouteRow("regex", "^1", "resource", "r"),
        RouteRow("prefix", "141", "resource", "r"),
        RouteRow("pattern", "_1XXX", "resource", "r"),
        RouteRow("extension", "1415", "device", "d"),
    ]
    assert [winner(rows[:n], "1415") for n in (1, 2, 3, 4)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("rows", "number", "line"),
    [
        (["_X.", "_1X.", "_12"], "12", 3),
        (["_X.", "_1X.", "_12"], "123", 2),
        (["_X.", "_1X.", "_12"], "23", 1),
        (["_[3-9]X", "_NX", "_ZX", "_XX"], "45", 1),
        (["_XX", "_ZX", "_NX"], "25", 3),
        # As many members: the set with the lower characters.
        (["_[2-5]1", "_[1-4]1"], "31", 2),
        (["_[135]1", "_[123]1"], "31", 2),
        # '.' before '!' before the end, wherever they stand.
        (["_X!", "_X."], "12", 2),
        (["_X", "_X!"], "1", 2),
        (["_X!"], "1", 1),
        (["_X."], "1", None),
        # A longer beginning counts more than all that follows a shorter one.
        (["_1[2-3]4", "_12!"], "124", 2),
        (["_1-415-NXX-XXXX"], "14155550100", 1),
        (["_1[]2"], "12", 1),
        (["_[1]2X"], "123", 1),
        (["_nzx"], "210", 1),
        (["_[n]"], "n", 1),
        (["_[a-c-]1"], "-1", 1),
        (["_*9#."], "*9#1", 1),
        (["_é."], "é1", 1),
        (["_X"], "+", None),
    ],
)
def test_patterns_are_in_asterisks_order(rows: list[str], number: str, line: int | None) -> None:
    made = [RouteRow("pattern", text, "resource", "r") for text in rows]
    assert winner(made, number) == line


def test_the_longest_prefix_is_hunted_first() -> None:
    match = RouteTable.compile([WORLD, ACME, BULK]).match("+14155550100")
    assert match is not None
    hunted = [(hop.id, hop.number, hop.length) for hop in match.hunt]
    assert hunted == [
        ("bulk", "004155550100", 4),
        ("acme", "+14155550100", 4),
        ("world", "+14155550100", 1),
    ]
    assert (match.kind, match.number, match.line) == ("prefix", "004155550100", 3)


def test_equal_priority_puts_the_greater_weight_first() -> None:
    rows = [replace(WORLD, id=name, weight=weight) for name, weight in (("a", 1), ("b", 9))]
    match = RouteTable.compile(rows).match("12")
    assert match is not None
    assert [hop.id for hop in match.hunt] == ["b", "a"]


@pytest.mark.parametrize(
    ("row", "number", "dialled"),
    [
        (RouteRow("pattern", "_9NXXXXXX", "resource", "r", strip=1), "95550100", "5550100"),
        (RouteRow("prefix", "44", "resource", "r", prepend="00"), "+442079460", "00442079460"),
        (RouteRow("prefix", "44", "resource", "r"), "+442079460", "+442079460"),
        (RouteRow("regex", r"^9(\d+)$|^8(\d+)$", "resource", "r"), "8123", "123"),
        (RouteRow("regex", r"^9(\d+)$", "resource", "r", strip=1, prepend="+"), "9123", "+23"),
        (RouteRow("extension", "über", "device", "d", strip=2), "über", "er"),
        (RouteRow("extension", "12", "device", "d", strip=128), "12", ""),
    ],
)
def test_what_is_dialled(row: RouteRow, number: str, dialled: str) -> None:
    match = RouteTable.compile([row]).match(number)
    assert match is not None
    assert match.number == dialled


def test_a_regex_group_is_hunted_and_asked_in_order() -> None:
    rows = [
        RouteRow("regex", "^1", "resource", "later", priority=2),
        RouteRow("regex", "^12", "resource", "never"),
        RouteRow("regex", "^1", "resource", "first", priority=1),
    ]
    match = RouteTable.compile(rows).match("12")
    assert match is not None
    assert [hop.id for hop in match.hunt] == ["first", "later"]
    assert [hop.number for hop in match.hunt] == ["12", "12"]


def test_many_regexes_are_asked_in_order() -> None:
    rows = [RouteRow("regex", f"^{number}|^9{number}$", "resource", "r") for number in range(1000)]
    assert [winner(rows, number) for number in ("7", "9123", "9", "999", "x")] == [
        8,
        10,
        10,
        10,
        None,
    ]
    told = RouteTable.compile(rows).explain("912")
    assert [rows[row].match for _, row, _, _ in told] == [
        "^9|^99$",
        "^12|^912$",
        "^91|^991$",
        "^912|^9912$",
    ]


def test_a_table_has_a_thousand_regexes_at_most() -> None:
    rows = [RouteRow("regex", "^1", "resource", "r")] * 1001
    with pytest.raises(RouteTableError, match="line 1001: kind 'regex': a table may have at most"):
        RouteTable.compile(rows)


def test_rows_come_back_in_their_plainest_form() -> None:
    rows = [
        WORLD,
        RouteRow("pattern", "_1-[2-9]X[1-35].", "resource", "r"),
        RouteRow("pattern", "_N!", "resource", "r"),
        RouteRow("extension", "al ice+é", "user", "u"),
        RouteRow("regex", "a|b", "resource", "r"),
        ACME,
        BULK,
    ]
    table = RouteTable.compile(rows)
    back = sorted(
        (table.line(index), table.row(index).match, table.row(index).id)
        for index in range(len(table))
    )
    assert back == [
        (1, "1", "world"),
        (2, "_1NX[1-35].", "r"),
        (3, "_N!", "r"),
        (4, "al ice+é", "u"),
        (5, "a|b", "r"),
        (6, "1415", "acme"),
        (7, "1415", "bulk"),
    ]
    assert table.row(table.match("1").index).description == "North America"  # type: ignore[union-attr]


def test_explain_tells_who_lost() -> None:
    rows = [
        WORLD,
        ACME,
        RouteRow("pattern", "_NXX", "user", "u"),
        RouteRow("regex", "4", "user", "u"),
    ]
    table = RouteTable.compile(rows)
    told = [(kind, table.line(row), won) for kind, row, won, _ in table.explain("14155")]
    assert told == [("prefix", 2, True), ("prefix", 1, False), ("regex", 4, False)]


def test_many_numbers_at_once() -> None:
    table = RouteTable.compile([WORLD, ACME])
    found = table.match_many(["14155", "12", "2", ""])
    assert [table.line(row) if row >= 0 else None for row in found] == [2, 1, None, None]


def test_many_numbers_at_once_of_a_table_beyond_the_caches() -> None:
    rows = [RouteRow("prefix", f"1{number:06}", "resource", "r") for number in range(200_000)]
    rows += [RouteRow("extension", f"{number * 7919:011}", "user", "u") for number in range(50_000)]
    rows += [RouteRow("pattern", f"_9{number:05}N.", "resource", "r") for number in range(20_000)]
    rows += [RouteRow("pattern", "_X[1-3].", "resource", "r"), RouteRow("regex", "é", "user", "u")]
    table = RouteTable.compile(rows)
    assert table.index_bytes > 512 * 1024
    numbers = [
        form
        for number in range(0, 200_000, 331)
        for form in (
            f"1{number:06}55",
            f"+1{number:06}55",
            f"1{number:06}"[:6],
            f"{number * 7919:011}",
            f"9{number % 30_000:05}21",
            f"8{number}é",
            "",
        )
    ]
    matches = [table.match(number) for number in numbers]
    assert list(table.match_many(numbers)) == [match.index if match else -1 for match in matches]
    assert {match.kind for match in matches if match} == {"extension", "pattern", "prefix", "regex"}


def test_targets_name_their_first_line() -> None:
    table = RouteTable.compile([WORLD, ACME, replace(WORLD, match="2")])
    assert table.targets() == [("resource", "world", 1), ("resource", "acme", 2)]


@pytest.mark.parametrize(
    ("row", "field", "position"),
    [
        (replace(WORLD, kind="suffix"), "kind", None),  # type: ignore[arg-type]
        (replace(WORLD, to="trunk"), "to", None),  # type: ignore[arg-type]
        (replace(WORLD, id="a b"), "id", None),
        (replace(WORLD, priority=65536), "priority", None),
        (replace(WORLD, priority=-1), "priority", None),
        (replace(WORLD, weight=0), "weight", None),
        (replace(WORLD, strip=129), "strip", None),
        (replace(WORLD, prepend="1" * 65), "prepend", 64),
        (replace(WORLD, prepend="1\r\n"), "prepend", 1),
        (replace(WORLD, description="a\ud800"), "description", 1),
        (replace(WORLD, match=""), "match", None),
        (replace(WORLD, match="+"), "match", None),
        (replace(WORLD, match="++1"), "match", 1),
        (replace(WORLD, match="1" * 129), "match", 128),
        (replace(WORLD, kind="regex", match="(a"), "match", 0),
        (replace(WORLD, kind="regex", match=""), "match", None),
        (replace(WORLD, kind="pattern", match="12"), "match", 0),
        (replace(WORLD, kind="pattern", match="_"), "match", 0),
        (replace(WORLD, kind="pattern", match="_-[]"), "match", 0),
        (replace(WORLD, kind="pattern", match="_é[12"), "match", 2),
        (replace(WORLD, kind="pattern", match="_12]"), "match", 3),
        (replace(WORLD, kind="pattern", match="_1[5-2]"), "match", 3),
        (replace(WORLD, kind="pattern", match="_1[é]"), "match", 3),
        (replace(WORLD, kind="pattern", match="_1.2"), "match", 3),
        (replace(WORLD, kind="pattern", match="_1/2"), "match", 2),
    ],
)
def test_a_bad_row_is_named(row: RouteRow, field: str, position: int | None) -> None:
    with pytest.raises(RouteTableError) as caught:
        RouteTable.compile([WORLD, row])
    error = caught.value
    assert (error.line, error.field, error.position) == (2, field, position)
    assert f"line 2: {field}" in str(error)


def test_a_group_is_one_device_or_carriers() -> None:
    rows = [replace(WORLD, match="+1"), replace(ACME, match="1", to="device")]
    with pytest.raises(RouteTableError, match="line 2: match '1': stands in line 1 too, and only"):
        RouteTable.compile(rows)


def test_patterns_that_would_explode_are_refused() -> None:
    # One literal at each of 24 places: 2^24 sets of patterns can be alive at once.
    rows = [
        RouteRow("pattern", "_X" + "X" * at + "1" + "X" * (23 - at), "resource", "r")
        for at in range(24)
    ]
    rows += [RouteRow("pattern", f"_X{digit}", "resource", "r") for digit in range(10)]
    with pytest.raises(RouteTableError, match="overlaps with too many others"):
        RouteTable.compile(rows)


def test_a_builder_builds_once() -> None:
    builder = RouteTableBuilder()
    builder.add(7, "prefix", "1", "resource", "r")
    assert builder.build().match("12").line == 7  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="make a new one"):
        builder.build()
    with pytest.raises(RuntimeError, match="make a new one"):
        builder.add(8, "prefix", "1", "resource", "r")


def test_an_empty_table_takes_nothing() -> None:
    table = RouteTable.compile([])
    assert (len(table), table.match("1"), table.match("")) == (0, None, None)
    with pytest.raises(IndexError):
        table.row(0)


def test_long_and_broken_numbers_are_refused() -> None:
    table = RouteTable.compile([WORLD])
    for number in ("1" * 129, "1\ud800"):
        with pytest.raises(NumberError):
            table.match(number)
        with pytest.raises(NumberError):
            table.match_many(["1", number])
