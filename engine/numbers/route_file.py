"""The rows of a route table as text, CSV and JSON, one row at a time (docs/routes.md). No I/O.

A line is a line of the CSV form, counted from 1; the header is the first. A row that spans several
lines, because its description does, is known by its first. Line ends may be LF, CRLF or CR and are
LF from then on, inside cells too, so a file and what is made of it agree about every line.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

import msgspec

COLUMNS = ("kind", "match", "to", "id", "priority", "weight", "strip", "prepend", "description")
"""Names of the columns in the order of the canonical form."""

REQUIRED = COLUMNS[:4]
"""Columns that must be there; the others have defaults."""

MAX_LINE = 64 * 1024
"""Longest line, characters."""

BLOCK = 4 * 1024
"""Characters of text that writers gather before they hand it out."""

RouteFields = tuple[str, str, str, str, int, int, int, str, str]
"""The values of a row in the order of `COLUMNS`."""

NumberedRow = tuple[int, RouteFields | None]
"""A line and its row; None for an empty line, which counts but says nothing."""

_SHOWN = 64
_DIGITS = 9


class RouteFileError(ValueError):
    """A text is no route table, because of one row.

    Attributes: `line`; `field`, the column, or "line" for the line as a whole; `value`, what stands
    there, cut to 64 characters; `reason`, what is wrong and what is allowed.
    """

    def __init__(self, line: int, field: str, value: str, reason: str) -> None:
        shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "..."
        super().__init__(f"line {line}: {field} {shown!r}: {reason}")
        self.line = line
        self.field = field
        self.value = shown
        self.reason = reason


class JsonRow(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A row as a JSON object; the fields are the columns."""

    kind: str
    match: str
    to: str
    id: str
    priority: int = 0
    weight: int = 1
    strip: int = 0
    prepend: str = ""
    description: str = ""


def read_csv(chunks: Iterable[bytes]) -> Iterator[NumberedRow]:
    """Yield the rows of a CSV text (RFC 4180, UTF-8 with or without a byte order mark).

    The first line names the columns, in any order; an empty cell means the column's default. Only
    the form is checked here, what a row may say is checked by `RouteTableBuilder`. Raises
    `RouteFileError`.
    """
    reader = csv.reader(_lines(chunks), strict=True)
    last = 0
    try:
        header = next(reader, [])
        pick, width = _picker(header), len(header)
        last = reader.line_num
        for cells in reader:
            line, last = last + 1, reader.line_num
            if len(cells) == width:
                yield line, _fields(line, pick(cells))
            elif cells:
                reason = f"the header has {width} columns, so has every line"
                raise RouteFileError(line, "line", f"{len(cells)} cells", reason)
            else:
                yield line, None
    except csv.Error as error:
        raise RouteFileError(last + 1, "line", "", f"not CSV: {error}") from None


def write_csv(rows: Iterable[RouteFields | None]) -> Iterator[bytes]:
    """Yield the canonical CSV of rows, in blocks of about `BLOCK` bytes; None is an empty line."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(COLUMNS)
    for row in rows:
        write(row or ())
        if text.tell() >= BLOCK:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def read_json(text: bytes) -> Iterator[NumberedRow]:
    """Yield the rows of a JSON array of objects, with the lines they have as CSV.

    Raises `RouteFileError`; `item_of` finds the item of its line.
    """
    line = 2
    try:
        items = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RouteFileError(line, "line", "", f"not a JSON array: {error}") from None
    for item in items:
        fields = _of_item(line, item)
        yield line, fields
        line += 1 + sum(value.count("\n") for value in fields if isinstance(value, str))


def write_json(rows: Iterable[RouteFields | None]) -> Iterator[bytes]:
    """Yield a JSON array of the rows, one on each line, in blocks of about `BLOCK` bytes.

    Fields that have their default value are left out, and so are empty lines.
    """
    block = bytearray(b"[")
    separator = b"\n"
    for row in rows:
        if row is not None:
            block += separator + msgspec.json.encode(JsonRow(*row))
            separator = b",\n"
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block) + b"\n]\n"


def item_of(text: bytes, line: int) -> int:
    """Return which item of a JSON array, counted from 1, is at a line of its CSV form."""
    item = 1
    try:
        for at, _ in read_json(text):
            if at >= line:
                break
            item += 1
    except RouteFileError:
        # The item that cannot be read is the next one; nobody knows of a line after it.
        pass
    return item


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield text lines with their ends, LF; the last one may have none."""
    utf8 = codecs.getincrementaldecoder("utf-8-sig")()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    done, rest = 0, ""
    for chunk, final in _with_end(chunks):
        try:
            text = rest + newlines.decode(utf8.decode(chunk, final), final)
        except UnicodeDecodeError as error:
            before = rest + newlines.decode(error.object[: error.start].decode("utf-8-sig"))
            line, bad = done + before.count("\n") + 1, error.object[error.start : error.end]
            raise RouteFileError(line, "line", f"bytes {bad.hex(' ')}", "not UTF-8") from None
        lines = text.split("\n")
        rest = lines.pop()
        if len(max(lines, key=len, default="")) > MAX_LINE or len(rest) > MAX_LINE:
            _refuse_long(done + 1, [*lines, rest])
        done += len(lines)
        yield from (complete + "\n" for complete in lines)
    if rest:
        yield rest


def _with_end(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    for chunk in chunks:
        yield chunk, False
    yield b"", True


def _refuse_long(line: int, lines: list[str]) -> None:
    for at, text in enumerate(lines, line):
        if len(text) > MAX_LINE:
            raise RouteFileError(at, "line", text, f"longer than {MAX_LINE} characters")


def _picker(header: list[str]) -> Callable[[list[str]], tuple[str, ...]]:
    """Return what puts the cells of a line into the order of `COLUMNS`."""
    names = [name.strip().lower() for name in header]
    for name in names:
        if name not in COLUMNS:
            allowed = f"the first line names columns, these: {', '.join(COLUMNS)}"
            raise RouteFileError(1, "line", name, allowed)
        if names.count(name) > 1:
            raise RouteFileError(1, "line", name, "this column is there more than once")
    for name in REQUIRED:
        if name not in names:
            reason = f"the first line must name the column {name!r}"
            raise RouteFileError(1, "line", ",".join(header), reason)
    places = itemgetter(*(names.index(name) if name in names else len(names) for name in COLUMNS))
    if len(names) == len(COLUMNS):
        return places
    return lambda cells: places([*cells, ""])


_INTEGERS = {str(value): value for value in range(4096)} | {"": 0}
"""Numbers as they are mostly written: looking one up is faster than checking and converting it."""


def _fields(line: int, cells: tuple[str, ...]) -> RouteFields:
    kind, match, to, target, priority, weight, strip, prepend, description = cells
    weight = weight or "1"
    try:
        numbers = _INTEGERS[priority], _INTEGERS[weight], _INTEGERS[strip]
    except KeyError:
        numbers = (
            _integer(line, "priority", priority),
            _integer(line, "weight", weight),
            _integer(line, "strip", strip),
        )
    return (kind, match, to, target, *numbers, prepend, description)


def _integer(line: int, field: str, text: str) -> int:
    known = _INTEGERS.get(text)
    if known is not None:
        return known
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise RouteFileError(line, field, text, f"a whole number of at most {_DIGITS} digits")
    return int(text)


_decode_item = msgspec.json.Decoder(JsonRow).decode


def _of_item(line: int, item: msgspec.Raw) -> RouteFields:
    try:
        row = _decode_item(item)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        field = path.rstrip("`")
        if field in COLUMNS:
            given = msgspec.json.decode(item)[field]
            raise RouteFileError(line, field, str(given), reason) from None
        raise RouteFileError(line, "line", _text_of(item), reason) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RouteFileError(line, "line", _text_of(item), f"not JSON: {error}") from None
    for name in ("priority", "weight", "strip"):
        value = getattr(row, name)
        if not 0 <= value < 10**_DIGITS:
            allowed = f"a whole number of at most {_DIGITS} digits"
            raise RouteFileError(line, name, str(value), allowed)
    return (
        _with_lf(row.kind),
        _with_lf(row.match),
        _with_lf(row.to),
        _with_lf(row.id),
        row.priority,
        row.weight,
        row.strip,
        _with_lf(row.prepend),
        _with_lf(row.description),
    )


def _with_lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _text_of(item: msgspec.Raw) -> str:
    return bytes(item).decode("utf-8", "replace")
