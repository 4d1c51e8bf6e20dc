"""A PostgreSQL server that is stopped, killed or away: clear errors, and nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text

from engine.core.errors import EngineUnavailable
from engine.store.database import Database
from engine.store.directory import Directory
from engine.store.journal import Journal
from tests.kit.addresses import free_port
from tests.kit.postgres import Postgres

AT = 1_700_000_000.0
GUARD_S = 40.0


@pytest.fixture
def server(postgres: Postgres, postgres_url: str) -> Iterator[Postgres]:
    """The server, running again when the test is over."""
    yield postgres
    postgres.recover()


@pytest.fixture
async def database(server: Postgres, postgres_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(postgres_url)
    yield opened
    server.recover()
    await opened.close()


@pytest.fixture
async def journal(database: Database, server: Postgres) -> AsyncIterator[Journal]:
    opened = await Journal.open(database)
    yield opened
    server.recover()
    assert await opened.close() == 0


def add(journal: Journal, first: int, count: int) -> None:
    for sequence in range(first, first + count):
        journal.add_event(sequence, "acme", "call", "CHANNEL_CREATE", AT, b"{}")
        journal.persist()


async def sequences(journal: Journal) -> list[int]:
    async with asyncio.timeout(GUARD_S):
        return [event.sequence for event in await journal.events(None)]


async def test_a_server_that_is_not_there_is_named() -> None:
    url = f"postgresql+asyncpg://kit:secret@127.0.0.1:{free_port('127.0.0.1', 'tcp')}/test"
    with pytest.raises(EngineUnavailable, match="cannot open the database postgresql") as caught:
        await Database.open(url)
    assert "secret" not in str(caught.value)


async def test_a_database_that_does_not_exist_is_named(postgres: Postgres) -> None:
    with pytest.raises(EngineUnavailable, match='database "nowhere" does not exist'):
        await Database.open(postgres.url("nowhere"))


async def test_a_stopped_server_delays_and_loses_nothing(
    journal: Journal, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(journal, 1, 10)
    await journal.flush()
    server.pause()
    add(journal, 11, 500)
    await journal.settled()
    assert journal.refusal() == ""
    with monkeypatch.context() as patch:
        patch.setattr("engine.store.journal.FLUSH_S", 0.1)
        with pytest.raises(EngineUnavailable, match="does not keep up"):
            await journal.events(None, 10)
    add(journal, 511, 10)
    assert journal.backlog == 510
    server.resume()
    assert await sequences(journal) == list(range(1, 521))


async def test_a_killed_server_delays_and_loses_nothing(journal: Journal, server: Postgres) -> None:
    add(journal, 1, 10)
    await journal.flush()
    server.kill()
    add(journal, 11, 500)
    await journal.settled()
    assert journal.refusal() == ""
    with pytest.raises(EngineUnavailable):
        await journal.events(None, 0)
    server.start()
    add(journal, 511, 10)
    await caught_up(journal)
    assert await sequences(journal) == list(range(1, 521))


async def test_a_server_that_cuts_its_connections_delays_and_loses_nothing(
    journal: Journal, server: Postgres
) -> None:
    add(journal, 1, 10)
    await journal.flush()
    for first in range(11, 111, 10):
        server.tell(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        add(journal, first, 10)
    await caught_up(journal)
    assert await sequences(journal) == list(range(1, 111))


async def test_who_changes_or_reads_documents_is_told(
    database: Database, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = await Directory.open(database)
    await directory.put("account", "", {"name": "Acme", "realm": "acme.test"}, "a" * 32)
    monkeypatch.setattr("engine.store.database.WRITE_S", 0.1)
    server.pause()
    with pytest.raises(EngineUnavailable, match="the database does not answer"):
        await directory.put("user", "a" * 32, {"first_name": "Ann"}, "b" * 32)
    with pytest.raises(EngineUnavailable, match="the database does not answer"):
        async with database.read(deadline=0.1) as connection:
            await connection.execute(text("SELECT 1"))
    server.resume()
    server.kill()
    for _ in range(3):
        with pytest.raises(EngineUnavailable, match="the database"):
            async with database.read() as connection:
                await connection.execute(text("SELECT 1"))
    server.start()
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1


async def caught_up(journal: Journal) -> None:
    """Wait until the database has everything, however long it is away."""
    async with asyncio.timeout(GUARD_S):
        while journal.backlog:
            try:
                await journal.flush()
            except EngineUnavailable:
                continue
