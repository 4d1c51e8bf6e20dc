"""Route tables as CSV and JSON text: what is read is what was written, and faults have a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.numbers.route_file import (
    COLUMNS,
    MAX_LINE,
    RouteFields,
    RouteFileError,
    item_of,
    read_csv,
    read_json,
    write_csv,
    write_json,
)
from engine.numbers.route_table import RouteTableBuilder

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "routes.csv"
HEADER = "kind,match,to,id\n"

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))
numbers = st.integers(0, 10**9 - 1)
rows = st.tuples(texts, texts, texts, texts, numbers, numbers, numbers, texts, texts)
files = st.lists(rows)


def in_pieces(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(text: str) -> list[RouteFields]:
    return [row for _, row in read_csv([text.encode()]) if row is not None]


def fault(text: str | bytes) -> RouteFileError:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(RouteFileError) as caught:
        list(read_csv([data]))
    return caught.value


def json_fault(text: bytes) -> RouteFileError:
    with pytest.raises(RouteFileError) as caught:
        list(read_json(text))
    return caught.value


@given(files, st.integers(1, 40))
def test_csv_reads_what_it_wrote(table: list[RouteFields], size: int) -> None:
    data = b"".join(write_csv(table))
    assert [row for _, row in read_csv(in_pieces(data, size))] == table


@given(files)
def test_json_reads_what_it_wrote(table: list[RouteFields]) -> None:
    assert [row for _, row in read_json(b"".join(write_json(table)))] == table


@given(files)
def test_json_has_the_lines_of_its_csv(table: list[RouteFields]) -> None:
    lines = [line for line, _ in read_csv(write_csv(table))]
    text = b"".join(write_json(table))
    assert [line for line, _ in read_json(text)] == lines
    assert [item_of(text, line) for line in lines] == list(range(1, len(table) + 1))


@given(st.lists(rows | st.none()), st.sampled_from(["\n", "\r\n", "\r"]))
def test_the_canonical_form_keeps_the_lines_of_a_file(
    table: list[RouteFields | None], end: str
) -> None:
    canonical = b"".join(write_csv(table))
    source = "\ufeff" + canonical.decode().replace("\n", end)
    numbered = list(read_csv([source.encode()]))
    assert b"".join(write_csv(row for _, row in numbered)) == canonical
    lines = canonical.decode().split("\n")
    for line, row in numbered:
        assert lines[line - 1] == "" or row is not None


def test_columns_may_be_in_any_order_and_optional_ones_left_out() -> None:
    assert read(
        "Weight, id ,to,match,kind\n3,r1,resource,1415,prefix\n,d1,device,100,extension"
    ) == [
        ("prefix", "1415", "resource", "r1", 0, 3, 0, "", ""),
        ("extension", "100", "device", "d1", 0, 1, 0, "", ""),
    ]


def test_a_row_is_known_by_its_first_line() -> None:
    text = 'kind,match,to,id,description\n\na,b,c,d,"two\nlines"\na,b,c,d,e\n'
    assert [line for line, _ in read_csv([text.encode()])] == [2, 3, 5]


def test_large_texts_come_in_blocks() -> None:
    row: RouteFields = ("prefix", "1415", "resource", "r1", 0, 1, 0, "", "x" * 50)
    assert max(len(block) for block in write_csv([row] * 5000)) < 20_000
    assert max(len(block) for block in write_json([row] * 5000)) < 20_000


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("", 1, "line", "must name the column 'kind'"),
        ("kind,match,to\n", 1, "line", "must name the column 'id'"),
        ("kind,match,to,id,cost\n", 1, "line", "names columns, these: kind, match"),
        ("kind;match;to;id\n", 1, "line", "names columns"),
        ("kind,match,to,id,id\n", 1, "line", "more than once"),
        (HEADER + "a,b,c\n", 2, "line", "the header has 4 columns"),
        (HEADER + "a,b,c,d\n\na,b,c,d,e\n", 4, "line", "the header has 4 columns"),
        (HEADER + 'a,b,c,d\na,b,"c"x,d\n', 3, "line", "not CSV"),
        (HEADER + 'a,b,c,d\na,"b,c,d\na,b\n', 3, "line", "not CSV"),
        (HEADER + "a,b,c,d\n" + "a,b,c," + "d" * MAX_LINE + "\n", 3, "line", "longer than"),
        (HEADER + 'a,b,c,"' + "d\n" * 100_000, 2, "line", "field larger"),
        ("kind,match,to,id,weight\na,b,c,d,many\n", 2, "weight", "a whole number"),
        ("kind,match,to,id,weight\na,b,c,d,-1\n", 2, "weight", "a whole number"),
        ("kind,match,to,id,strip\na,b,c,d,\u0661\n", 2, "strip", "a whole number"),
        ("kind,match,to,id,priority\na,b,c,d,9999999999\n", 2, "priority", "a whole number"),
    ],
)
def test_a_fault_has_its_line(text: str, line: int, field: str, words: str) -> None:
    found = fault(text)
    assert (found.line, found.field) == (line, field)
    assert words in found.reason
    assert f"line {line}: {field}" in str(found)


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("bad", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xc3"])
def test_what_is_not_utf8_is_found(before: bytes, bad: bytes) -> None:
    data = before + HEADER.encode() + b"a,b,c,d\r\na,b,c," + bad
    for size in (1, 7, 1000):
        with pytest.raises(RouteFileError) as caught:
            list(read_csv(in_pieces(data, size)))
        assert (caught.value.line, caught.value.reason) == (3, "not UTF-8")


def test_an_endless_line_is_refused_before_it_ends() -> None:
    def endless() -> Iterable[bytes]:
        while True:
            yield b"x" * 4096

    with pytest.raises(RouteFileError, match="longer than"):
        list(read_csv(endless()))


@pytest.mark.parametrize(
    ("text", "item", "field", "words"),
    [
        (b"{}", 1, "line", "not a JSON array"),
        (b"[", 1, "line", "not a JSON array"),
        (b"[1]", 1, "line", "Expected `object`"),
        (b'[{"kind":"a","match":"b","to":"c"}]', 1, "line", "missing required field `id`"),
        (b'[{"kind":"a","match":"b","to":"c","id":"d","cost":1}]', 1, "line", "unknown field"),
        (b'[{"kind":"a","match":2,"to":"c","id":"d"}]', 1, "match", "Expected `str`"),
        (
            b'[{"kind":"a","match":"b","to":"c","id":"d","description":"x\\ny"},'
            b'{"kind":"a","match":"b","to":"c","id":"d","weight":-1}]',
            2,
            "weight",
            "a whole number",
        ),
    ],
)
def test_a_fault_in_json_has_its_item(text: bytes, item: int, field: str, words: str) -> None:
    found = json_fault(text)
    assert found.field == field
    assert words in found.reason
    assert item_of(text, found.line) == item


def test_a_value_of_the_wrong_type_is_shown_alone() -> None:
    found = json_fault(b'[{"kind":"a","match":["b"],"to":"c","id":"d"}]')
    assert (found.field, found.value) == ("match", "['b']")


def test_line_ends_in_json_become_those_of_the_stored_form() -> None:
    text = b'[{"kind":"a","match":"b","to":"c","id":"d","description":"x\\r\\ny\\rz"}]'
    row = next(row for _, row in read_json(text) if row is not None)
    assert dict(zip(COLUMNS, row, strict=True))["description"] == "x\ny\nz"


def test_the_sample_can_be_imported() -> None:
    text = SAMPLE.read_bytes()
    builder = RouteTableBuilder()
    for line, row in read_csv([text]):
        assert row is not None
        builder.add(line, *row)
    found = builder.build().match("14155550101")
    assert found is not None
    assert [hop.number for hop in found.hunt] == ["+14155550101"] * 4
    assert b"".join(write_csv(row for _, row in read_csv([text]))) == text


def test_the_lines_shown_in_the_docs_are_those_of_the_sample() -> None:
    shown = (SAMPLE.parents[1] / "docs" / "routes.md").read_text().split("```\n")[1]
    assert set(shown.splitlines()) <= set(SAMPLE.read_text().splitlines())
