"""Route tables in the database and in memory: replaced whole, or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable

import pytest
from sqlalchemy import select, update

from engine.core.errors import NotFound, RequestInvalid
from engine.store import route_documents
from engine.store import route_tables as module
from engine.store.database import Database
from engine.store.directory import Directory
from engine.store.route_tables import RouteTableInvalid, RouteTables
from engine.store.tables import route_tables

ACCOUNT = "a1"
HEADER = "kind,match,to,id,priority,weight,strip,prepend,description\n"
SMALL = HEADER + "prefix,1415,resource,r1,0,1,0,,\nextension,100,device,d1,0,1,0,,\n"


async def filled(database: Database) -> Directory:
    directory = await Directory.open(database)
    await directory.put("account", "", {"name": "A", "realm": "a.example.org"}, ACCOUNT)
    await directory.put("device", ACCOUNT, {"name": "D"}, "d1")
    carrier = {"name": "R", "gateways": [{"server": "192.0.2.1"}]}
    await directory.put("resource", ACCOUNT, carrier, "r1")
    return directory


@pytest.fixture
async def directory(database: Database) -> Directory:
    return await filled(database)


@pytest.fixture
async def tables(database: Database, directory: Directory) -> RouteTables:
    return await RouteTables.open(database, directory)


async def chunks(data: str | Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in [data.encode()] if isinstance(data, str) else data:
        yield chunk


async def exported(tables: RouteTables) -> str:
    return b"".join([block async for block in await tables.export(ACCOUNT)]).decode()


async def stored(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(select(route_tables.c.account_id))).scalars())


async def test_a_table_is_imported_shown_and_exported(tables: RouteTables) -> None:
    assert tables.table(ACCOUNT) is None
    summary = await tables.replace(ACCOUNT, chunks(SMALL))
    assert (summary.revision, summary.rows, summary.csv_bytes) == (1, 2, len(SMALL))
    assert tables.summary(ACCOUNT) == summary
    table = tables.table(ACCOUNT)
    assert table is not None
    found = table.match("14155550100")
    assert found is not None
    assert (found.row.id, found.line) == ("r1", 2)
    assert await exported(tables) == SMALL


async def test_what_is_exported_can_be_imported(tables: RouteTables) -> None:
    row = 'prefix,44,resource,r1,2,3,1,0044,"London, ""City"" \u2028"\n'
    text = SMALL + "\n" + row + "\n"
    await tables.replace(ACCOUNT, chunks(text))
    assert await exported(tables) == text
    summary = await tables.replace(ACCOUNT, tables_export(tables))
    assert summary.revision == 2
    assert await exported(tables) == text


async def tables_export(tables: RouteTables) -> AsyncIterator[bytes]:
    async for block in await tables.export(ACCOUNT):
        yield block


async def test_json_is_stored_as_the_same_csv(tables: RouteTables) -> None:
    text = (
        b'[{"kind":"prefix","match":"1415","to":"resource","id":"r1"},'
        b'{"kind":"extension","match":"100","to":"device","id":"d1"}]'
    )
    assert (await tables.replace_json(ACCOUNT, text)).rows == 2
    assert await exported(tables) == SMALL


async def test_tables_survive_a_restart(database: Database, tables: RouteTables) -> None:
    before = await tables.replace(ACCOUNT, chunks(SMALL))
    again = await RouteTables.open(database, await Directory.open(database))
    after = again.summary(ACCOUNT)
    assert (after.revision, after.rows, after.csv_bytes, after.imported_at) == (
        before.revision,
        before.rows,
        before.csv_bytes,
        before.imported_at,
    )
    table = again.table(ACCOUNT)
    assert table is not None
    assert table.match("100") is not None
    assert await exported(again) == SMALL


@pytest.mark.parametrize(
    ("row", "field", "value", "words"),
    [
        ("prefix,1,resource,r2,0,1,0,,", "id", "r2", "the account has no resource of this id"),
        ("prefix,1,device,r1,0,1,0,,", "id", "r1", "the account has no device of this id"),
        ("route,1,resource,r1,0,1,0,,", "kind", "route", "prefix"),
        ("pattern,_1[2,resource,r1,0,1,0,,", "match", "_1[2", ""),
        ("prefix,1,resource,r1,0,1,0,", "line", "8 cells", "9 columns"),
        ("prefix,1,resource,r1,x,1,0,,", "priority", "x", "whole number"),
        ("prefix,1,resource,r1,0,70000,0,,", "weight", "70000", "1 to 65535"),
        ("prefix,1\0,resource,r1,0,1,0,,", "match", "1\0", "control character"),
        ('prefix,1,resource,r1,0,1,0,,"a\nb"', "description", "a\nb", "control character"),
    ],
)
async def test_a_broken_table_is_refused_whole(
    tables: RouteTables, row: str, field: str, value: str, words: str
) -> None:
    await tables.replace(ACCOUNT, chunks(SMALL))
    kept = tables.table(ACCOUNT)
    with pytest.raises(RouteTableInvalid) as caught:
        await tables.replace(ACCOUNT, chunks(SMALL + f"{row}\nprefix,9,user,u9,,,,,\n"))
    error = caught.value
    assert (error.line, error.item, error.field, error.value) == (4, None, field, value)
    assert words in error.allowed
    assert str(error).startswith(f"line 4: {field} {value!r}")
    assert tables.table(ACCOUNT) is kept
    assert tables.summary(ACCOUNT).revision == 1
    assert await exported(tables) == SMALL


async def test_a_fault_in_json_names_its_item(tables: RouteTables) -> None:
    good = '{"kind":"prefix","match":"1","to":"resource","id":"r1"}'
    bad = '{"kind":"prefix","match":"2","to":"user","id":"r1"}'
    with pytest.raises(RouteTableInvalid, match=r"^item 2: id 'r1'") as caught:
        await tables.replace_json(ACCOUNT, f"[{good},{bad}]".encode())
    assert (caught.value.item, caught.value.line) == (2, 3)


async def test_a_table_without_an_account_is_refused(tables: RouteTables) -> None:
    with pytest.raises(NotFound):
        await tables.replace("nobody", chunks(SMALL))
    with pytest.raises(NotFound):
        await tables.replace_json("nobody", b"[]")
    with pytest.raises(NotFound):
        await tables.export("nobody")
    with pytest.raises(NotFound, match="route table"):
        tables.summary(ACCOUNT)


async def test_a_deleted_table_is_gone(database: Database, tables: RouteTables) -> None:
    await tables.replace(ACCOUNT, chunks(SMALL))
    assert (await tables.delete(ACCOUNT)).rows == 2
    assert tables.table(ACCOUNT) is None
    assert await stored(database) == []
    with pytest.raises(NotFound, match="route table"):
        await tables.delete(ACCOUNT)
    with pytest.raises(NotFound, match="route table"):
        await tables.export(ACCOUNT)


async def test_a_table_goes_with_its_account(
    database: Database, directory: Directory, tables: RouteTables
) -> None:
    await tables.replace(ACCOUNT, chunks(SMALL))
    await directory.delete("account", ACCOUNT, ACCOUNT)
    assert tables.table(ACCOUNT) is None
    assert await stored(database) == []


async def test_an_account_deleted_during_an_import_gets_no_table(
    database: Database, directory: Directory, tables: RouteTables
) -> None:
    async def interrupted() -> AsyncIterator[bytes]:
        yield SMALL.encode()
        await directory.delete("account", ACCOUNT, ACCOUNT)

    with pytest.raises(NotFound):
        await tables.replace(ACCOUNT, interrupted())
    assert tables.table(ACCOUNT) is None
    assert await stored(database) == []


async def test_an_import_that_breaks_off_changes_nothing(tables: RouteTables) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield SMALL.encode()
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await tables.replace(ACCOUNT, broken())
    assert tables.table(ACCOUNT) is None


async def test_imports_at_the_same_time_all_count(tables: RouteTables) -> None:
    texts = [SMALL + f"prefix,{n},resource,r1,0,1,0,,\n" for n in range(5)]
    done = await asyncio.gather(*(tables.replace(ACCOUNT, chunks(text)) for text in texts))
    assert sorted(summary.revision for summary in done) == [1, 2, 3, 4, 5]
    last = max(range(5), key=lambda n: done[n].revision)
    assert await exported(tables) == texts[last]


async def test_too_much_is_refused(tables: RouteTables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", len(SMALL) - 1)
    with pytest.raises(RequestInvalid, match="body"):
        await tables.replace(ACCOUNT, chunks(SMALL))
    with pytest.raises(RequestInvalid, match="body"):
        await tables.replace_json(ACCOUNT, b" " * len(SMALL))
    monkeypatch.setattr(module, "MAX_BYTES", len(SMALL))
    monkeypatch.setattr(route_documents, "MAX_ROWS", 1)
    with pytest.raises(RouteTableInvalid, match=r"line 3: .* at most 1 rows"):
        await tables.replace(ACCOUNT, chunks(SMALL))


async def test_a_stored_table_that_cannot_be_used_stops_nobody(
    database: Database, tables: RouteTables, caplog: pytest.LogCaptureFixture
) -> None:
    await tables.replace(ACCOUNT, chunks(SMALL))
    async with database.write() as connection:
        row = (await connection.execute(select(route_tables.c.document))).scalar()
        assert row is not None
        await connection.execute(update(route_tables).values(document=row[:-20]))
    with caplog.at_level(logging.ERROR):
        again = await RouteTables.open(database, await Directory.open(database))
    assert again.table(ACCOUNT) is None
    assert f"account {ACCOUNT} cannot be used" in caplog.text


async def test_a_large_table_passes_through_a_file(tables: RouteTables) -> None:
    rows = [f"prefix,{n:06d},resource,r1,0,1,0,,row {n}\n" for n in range(60_000)]
    text = (HEADER + "".join(rows)).encode()
    pieces = (text[at : at + 65536] for at in range(0, len(text), 65536))
    assert len(text) > 2 * 1024 * 1024
    assert (await tables.replace(ACCOUNT, chunks(pieces))).rows == len(rows)
    assert (await exported(tables)).encode() == text
