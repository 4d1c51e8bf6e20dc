"""Many rows at once: those of whole statements and the rest, on either database."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import select

from engine.store.database import Database
from engine.store.inserts import SIZES, Inserts
from engine.store.tables import cdrs, events

MANY = SIZES[0]
Event = tuple[int, str, str, str, float, bytes]


def event(sequence: int, name: str = "A") -> Event:
    return (sequence, "account", "call", name, 1.5, b"{}")


async def names(database: Database) -> dict[int, str]:
    async with database.read() as connection:
        found = await connection.execute(select(events.c.sequence, events.c.name))
        return {row.sequence: row.name for row in found}


@pytest.mark.parametrize(
    "count", [1, SIZES[1], SIZES[1] + 1, MANY - 1, MANY, MANY + 1, 2 * MANY + 77]
)
async def test_every_row_is_there_once(database: Database, count: int) -> None:
    rows = [event(sequence) for sequence in range(1, count + 1)]
    inserts = Inserts(database, events)
    await database.write_at_once(lambda c: inserts.write(c, rows))
    await database.write_at_once(lambda c: inserts.write(c, ()))
    assert await names(database) == dict.fromkeys(range(1, count + 1), "A")


async def test_what_is_there_is_passed_over(database: Database) -> None:
    inserts = Inserts(database, events)
    others = [event(n, "B") for n in range(1, MANY + 6)]
    await database.write_at_once(lambda c: inserts.write(c, [event(7), event(MANY + 3)]))
    await database.write_at_once(lambda c: inserts.write(c, others))
    found = await names(database)
    assert len(found) == MANY + 5
    assert {sequence for sequence, name in found.items() if name == "A"} == {7, MANY + 3}


async def test_or_its_document_is_replaced(database: Database) -> None:
    inserts = Inserts(database, cdrs, replaced="document")
    ids = [f"leg-{n}" for n in range(2 * MANY + 1)]
    for document in (b"first", b"last"):
        rows = [(name, "account", name, "both", 1.0, document) for name in ids]
        await database.write_at_once(partial(inserts.write, rows=rows))
    async with database.read() as connection:
        found = (await connection.execute(select(cdrs.c.id, cdrs.c.document))).all()
    assert {row.id: row.document for row in found} == dict.fromkeys(ids, b"last")
