"""A route table as it is stored, canonical CSV under zlib, and as it is used, compiled.

Synchronous; for threads. While rows are compiled the interpreter is given up every few hundred of
them, because zlib does so for every block it packs.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from engine.numbers.route_file import (
    NumberedRow,
    RouteFields,
    RouteFileError,
    read_csv,
    write_csv,
)
from engine.numbers.route_table import RouteTable, RouteTableBuilder

MAX_ROWS = 5_000_000
"""Most rows of a route table."""

_LEVEL = 3
"""Of zlib: 6 makes a table a tenth smaller and takes twice the time."""

_BLOCK = 256 * 1024


class CompiledTable(msgspec.Struct, frozen=True):
    """A table, the length of its canonical CSV, and how long it took to read and compile."""

    table: RouteTable
    csv_bytes: int
    ms: int


def compile_and_pack(rows: Iterable[NumberedRow]) -> tuple[CompiledTable, bytes]:
    """Compile rows; return the table and their canonical CSV, compressed.

    Raises `RouteFileError`, `RouteTableError`.
    """
    began = time.perf_counter()
    builder = RouteTableBuilder()
    packer = zlib.compressobj(_LEVEL)
    packed, size = [], 0
    for block in write_csv(_added(builder, rows)):
        size += len(block)
        # Gives the interpreter up, so calls wait for the rows of one block at most.
        packed.append(packer.compress(block))
    packed.append(packer.flush())
    table = builder.build()
    return CompiledTable(table, size, _ms_since(began)), b"".join(packed)


def compile_stored(document: bytes) -> CompiledTable:
    """Compile a table from what `compile_and_pack` returned.

    Raises `RouteFileError` and `RouteTableError` for rows that are not allowed any more,
    `zlib.error` for bytes that are no such document.
    """
    began = time.perf_counter()
    builder = RouteTableBuilder()
    size = 0

    def measured() -> Iterator[bytes]:
        nonlocal size
        for block in unpacked(document):
            size += len(block)
            yield block

    for _ in _added(builder, read_csv(measured())):
        pass
    table = builder.build()
    return CompiledTable(table, size, _ms_since(began))


def _added(builder: RouteTableBuilder, rows: Iterable[NumberedRow]) -> Iterator[RouteFields | None]:
    """Give every row to the builder and hand it on."""
    count = 0
    for line, row in rows:
        if row is not None:
            count += 1
            if count > MAX_ROWS:
                raise RouteFileError(line, "line", "", f"at most {MAX_ROWS} rows")
            builder.add(line, *row)
        yield row


def unpacked(document: bytes) -> Iterator[bytes]:
    """Yield the canonical CSV of a document in blocks. Raises `zlib.error`."""
    unpacker = zlib.decompressobj()
    rest = document
    while not unpacker.eof:
        block = unpacker.decompress(rest, _BLOCK)
        rest = unpacker.unconsumed_tail
        if not block and not rest:
            raise zlib.error("the document ends too early")
        yield block


def _ms_since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)
