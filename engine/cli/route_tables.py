"""`quickcall routes`: import and export the route table of an account through the HTTP API."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from engine.cli.client import Api, ApiRefused, account_path, data_of, errors, find_account, run
from engine.numbers.route_file import (
    RouteFileError,
    item_of,
    read_csv,
    read_json,
    write_csv,
    write_json,
)

REFUSED = 1
"""Exit status when the table has a fault."""

_COMPILE_S = 600.0
"""How long the engine may take to compile a table, seconds."""

_BLOCK = 256 * 1024
_CSV = {"Content-Type": "text/csv"}

_out = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file with a route table."""

    path: Path
    is_json: bool
    """A JSON array of rows; else CSV."""


class _Refused(ApiRefused):
    """The table has a fault; says where and what."""

    exit_status = REFUSED


def run_import(api: Api, file: TableFile) -> int:
    """Replace the route table by a file; return the exit status.

    0 imported, 1 the table was refused and the old one stays, 2 it could not be sent.
    """
    return run("routes import", api, _import(api, file))


def run_export(api: Api, file: TableFile) -> int:
    """Write the route table into a file; return the exit status: 0 written, 2 not."""
    return run("routes export", api, _export(api, file))


async def _import(api: Api, file: TableFile) -> int:
    with file.path.open("rb") as opened:
        async with api.connect(_COMPILE_S) as http:
            path = f"{account_path(await find_account(http, api))}/routes"
            sender = _Sender(file, opened)
            try:
                with sender.progress:
                    answer = await http.put(path, content=sender.blocks(), headers=_CSV)
                told = data_of(answer)
            except RouteFileError as error:
                words = f"{error.field} {error.value!r}: {error.reason}"
                raise _Refused(sender.place(error.line, words)) from None
            except ApiRefused as error:
                raise sender.refusal(error) from None
    seconds, memory = told["compile_ms"] / 1000, decimal(told["memory_bytes"])
    _out.print(f"{told['rows']:,} rows, compiled in {seconds:.1f} s, {memory} in memory")
    return 0


class _Sender:
    """Sends a file as CSV, shows how far it is, and finds the place of a fault in the file."""

    def __init__(self, file: TableFile, opened: IO[bytes]) -> None:
        self.progress = _progress()
        self._file = file
        self._opened = opened
        self._json = opened.read() if file.is_json else b""

    async def blocks(self) -> AsyncIterator[bytes]:
        if self._file.is_json:
            # How long it is as CSV is only known in the end.
            total = None
            source = _gathered(write_csv(row for _, row in read_json(self._json)))
        else:
            total = os.fstat(self._opened.fileno()).st_size
            source = _blocks(self._opened)
        task = self.progress.add_task(f"sending {self._file.path.name}", total=total, amount="")
        sent = 0
        for block in source:
            yield block
            sent += len(block)
            self.progress.update(task, completed=sent, amount=_amount(sent, total))
        self.progress.update(task, completed=sent, total=sent, amount=_amount(sent, sent))
        self.progress.add_task("compiling", total=None, amount="")

    def place(self, line: int, words: str) -> str:
        """Return what is wrong at a line of the CSV, and where that is in the file."""
        where = f"item {item_of(self._json, line)}" if self._file.is_json else f"line {line}"
        return f"{self._file.path}, {where}: {words}"

    def refusal(self, error: ApiRefused) -> Exception:
        """Return the error to show; that of a row with its place in the file."""
        for rules in error.details.values():
            for rule in rules.values() if isinstance(rules, dict) else ():
                if isinstance(rule, dict) and "line" in rule:
                    line, words = int(rule["line"]), str(rule["message"])
                    return _Refused(self.place(line, words.removeprefix(f"line {line}: ")))
        return error


async def _export(api: Api, file: TableFile) -> int:
    # Whoever reads the file meanwhile, or after a failure, must not find half a table.
    part = file.path.with_name(file.path.name + ".part")
    try:
        with part.open("wb") as target:
            if file.is_json:
                with tempfile.TemporaryFile() as text:
                    rows = await _receive(api, text)
                    text.seek(0)
                    target.writelines(write_json(row for _, row in read_csv(_blocks(text))))
            else:
                rows = await _receive(api, target)
        part.replace(file.path)
    finally:
        part.unlink(missing_ok=True)
    _out.print(f"{rows:,} rows in {file.path}", markup=False)
    return 0


async def _receive(api: Api, target: IO[bytes]) -> int:
    """Write the canonical CSV; return how many rows the engine says it has."""
    async with api.connect() as http:
        path = f"{account_path(await find_account(http, api))}/routes"
        told = data_of(await http.get(path))
        total = int(told["csv_bytes"])
        received = 0
        request = http.stream("GET", path, headers={"Accept": "text/csv"})
        async with request as answer:
            if answer.is_error:
                await answer.aread()
                data_of(answer)
            with _progress() as progress:
                task = progress.add_task("receiving", total=total, amount="")
                async for block in answer.aiter_bytes(_BLOCK):
                    target.write(block)
                    received += len(block)
                    progress.update(task, completed=received, amount=_amount(received, total))
    return int(told["rows"])


def _blocks(opened: IO[bytes]) -> Iterator[bytes]:
    while block := opened.read(_BLOCK):
        yield block


def _gathered(small: Iterable[bytes]) -> Iterator[bytes]:
    block = bytearray()
    for piece in small:
        block += piece
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _amount(done: int, total: int | None) -> str:
    return decimal(done) if total is None else f"{decimal(done)} of {decimal(total)}"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        console=errors,
    )
