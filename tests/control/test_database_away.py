"""A database that is away for a while: calls go on, and it gets everything afterwards, in order."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from engine.core.errors import EngineUnavailable
from engine.sip.loopback import Answer, LoopbackSip, Refuse, Ring
from tests.control.rig import A_URI, B_URI, Rig, ended
from tests.kit.postgres import Postgres

Away = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, object], Away]:
    """What an engine is told of its store, and what keeps it from being written to."""
    if request.param == "sqlite":

        @contextmanager
        def locked() -> Iterator[None]:
            other = sqlite3.connect(tmp_path / "quickcall.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
            other.close()

        return {}, locked
    url: str = request.getfixturevalue("postgres_url")
    server: Postgres = request.getfixturevalue("postgres")

    @contextmanager
    def stopped() -> Iterator[None]:
        server.pause()
        try:
            yield
        finally:
            server.resume()

    return {"database": url}, stopped


@pytest.fixture
async def rig(tmp_path: Path, store: tuple[dict[str, object], Away]) -> AsyncIterator[Rig]:
    async with Rig(tmp_path, LoopbackSip(), **store[0]) as made:
        yield made


async def test_calls_go_on_and_are_stored_in_order_afterwards(
    rig: Rig, store: tuple[dict[str, object], Away], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.journal.FLUSH_S", 0.1)
    journal, away = rig.engine.journal, store[1]
    talking = await rig.talk()
    calls = []
    with away():
        waiting = journal.backlog
        for answers in (True, False) * 10:
            rig.sip.script(A_URI, Ring(), Answer() if answers else Refuse())
            rig.sip.script(B_URI, Ring(), Answer())
            calls.append(rig.start())
            await journal.settled()
        await rig.event("CHANNEL_BRIDGE", 22)
        for call in calls:
            call.hang_up()
        for call in calls:
            await ended(call)
        assert journal.backlog > waiting + 200
        assert rig.engine.refusal() == ""
        with pytest.raises(EngineUnavailable, match="does not keep up"):
            await journal.events(None)
        assert talking.winner
    monkeypatch.undo()
    talking.hang_up()
    await ended(talking)
    await rig.event("QUICKCALL_END", 21)
    async with asyncio.timeout(40):
        stored = await journal.events(None, limit=10_000)
    told = rig.seen
    assert [e.sequence for e in stored] == [e.sequence for e in told]
    assert [e.payload for e in stored] == [e.json() for e in told]
    destroyed = Counter(e.call_id for e in stored if e.name == "CHANNEL_DESTROY")
    assert destroyed == Counter(cdr["call_id"] for cdr in await rig.records())
