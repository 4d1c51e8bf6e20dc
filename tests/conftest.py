"""What holds for every test, and the servers that one process of a test run starts once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings

from engine.store.database import Database
from tests.kit.postgres import Postgres
from tests.kit.rabbitmq import RabbitMq

# A busy machine is no fault of the code: no test fails for the time an example took.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMq]:
    """The broker of this worker process, for whoever stops it or makes it say things."""
    broker = RabbitMq()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL server of this worker process."""
    server = Postgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_database(postgres: Postgres) -> str:
    """Name of a database with the current schema."""
    name = postgres.new_database()

    async def migrate() -> None:
        await (await Database.open(postgres.url(name))).close()

    # A test may have an event loop in this thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate()).result()
    postgres.remember(name)
    return name


@pytest.fixture
def postgres_url(
    postgres: Postgres, postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """URL of a database with empty tables; its spool is in the test's folder."""
    monkeypatch.chdir(tmp_path)
    yield postgres.url(postgres_database)
    postgres.restore(postgres_database)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how much chaos `tests/chaos` is to cause."""
    help_text = "%s of tests/chaos, more in `make soak`"
    parser.addoption("--chaos-seconds", type=float, default=15, help=help_text % "seconds")
    parser.addoption("--chaos-rate", type=float, default=10, help=help_text % "calls a second")
