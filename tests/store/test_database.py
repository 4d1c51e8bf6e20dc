"""Opening a database: schema, file mode, and the errors of URLs that cannot work."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from engine.core.errors import EngineUnavailable, RequestInvalid
from engine.store.database import Database
from engine.store.tables import metadata


async def test_migrations_make_exactly_the_tables(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_database_is_opened_again_with_what_it_holds(url: str) -> None:
    insert = "INSERT INTO documents VALUES ('account', 'a', 'a', '{}')"
    first = await Database.open(url)
    async with first.write() as connection:
        await connection.execute(text(insert))
    await first.close()
    second = await Database.open(url)
    async with second.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM documents"))).scalar() == 1
    await second.close()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_only_its_owner_may_read_the_file(database: Database, tmp_path: Path) -> None:
    async with database.write() as connection:
        await connection.execute(text("DELETE FROM events"))
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in os.scandir(tmp_path)}
    assert modes["store.db"] == 0o600
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_an_older_file_keeps_the_size_of_its_pages(url: str, tmp_path: Path) -> None:
    async def page_size() -> int:
        database = await Database.open(url)
        async with database.read() as connection:
            size: int = (await connection.execute(text("PRAGMA page_size"))).scalar_one()
        await database.close()
        return size

    assert await page_size() == 8192
    (tmp_path / "store.db").unlink()
    with closing(sqlite3.connect(tmp_path / "store.db")) as older:
        older.execute("PRAGMA page_size=4096")
        older.execute("PRAGMA journal_mode=WAL")
        older.execute("VACUUM")
    assert await page_size() == 4096


async def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    async def fail_halfway() -> None:
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO documents VALUES ('u', 'a', 'a', '{}')"))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail_halfway()
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM documents"))).scalar() == 0


async def test_an_error_does_not_show_what_was_being_stored(database: Database) -> None:
    async def store_twice() -> None:
        async with database.write() as connection:
            insert = text("INSERT INTO documents VALUES ('u', 'a', 'a', :document)")
            for _ in range(2):
                await connection.execute(insert, {"document": b"password"})

    with pytest.raises(IntegrityError) as caught:
        await store_twice()
    assert "password" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "mysql://root:pw@h/x"],
)
async def test_a_url_that_cannot_work_is_refused_by_name(url: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        await Database.open(url)
    assert caught.value.field == "database"
    assert "pw" not in str(caught.value)


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "store.db"
    with pytest.raises(EngineUnavailable, match=r"nowhere/store\.db"):
        await Database.open(f"sqlite+aiosqlite:///{missing}")


async def test_a_schema_of_a_later_version_is_refused(url: str) -> None:
    database = await Database.open(url)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with pytest.raises(EngineUnavailable, match="9999"):
        await Database.open(url)
