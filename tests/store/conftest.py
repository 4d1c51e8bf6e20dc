"""A database of each kind, and the way to open it again as the next process would."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from engine.store.database import Database

_LOCK = "LOCK TABLE events, cdrs, journal_state, idempotency_keys IN EXCLUSIVE MODE"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    made: str = request.getfixturevalue("postgres_url")
    return made


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = await Database.open(url)
    yield opened
    await opened.close()


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Let nobody write to the database, and everybody read."""
    if url.startswith("sqlite"):
        file = sqlite3.connect(url.partition(":///")[2], isolation_level=None)
        file.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            file.close()
        return
    server = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        async with server.transaction():
            await server.execute(_LOCK)
            yield
    finally:
        await server.close()
