"""After a crash: what the stored events of a dead process still owe is told once."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.core.values import LegRole
from engine.sip.loopback import Early, LoopbackSip, Refuse, Ring
from engine.store.journal import StoredEvent
from tests.control.rig import A_URI, Rig
from tests.kit.postgres import Postgres

Payload = dict[str, Any]


class Dead:
    """The store of an engine as it would be had its process died at some moment."""

    def __init__(self, folder: Path, postgres: Postgres | None, database: str) -> None:
        self._folder = folder
        self._postgres = postgres
        self._database = database
        self._spool = folder / "quickcall.db.spool"

    def save(self, rig: Rig, spool: Path | None) -> None:
        """Copy the database of an engine that runs, and its spool if one is named."""
        # The spool first: what leaves it meanwhile is in the database.
        self._spool.mkdir(parents=True)
        if spool is not None:
            for file in spool.glob("*.spool"):
                shutil.copy(file, self._spool)
        if self._postgres is not None:
            self._postgres.remember(self._database, "dead")
            return
        path = str(rig.engine.config.database).partition(":///")[2]
        with closing(sqlite3.connect(path)) as old, closing(self._file("saved.db")) as new:
            old.backup(new)

    def revive(self) -> None:
        """Have the database as it was saved. No engine may be on it."""
        if self._postgres is not None:
            self._postgres.restore(self._database, "dead")
            return
        with closing(self._file("saved.db")) as old, closing(self._file("quickcall.db")) as new:
            old.backup(new)

    def execute(self, statement: str) -> None:
        """Change the database behind the back of the next engine."""
        if self._postgres is not None:
            self._postgres.tell(statement, self._database)
            return
        with closing(self._file("quickcall.db")) as file, file:
            file.execute(statement)

    async def restart(self) -> tuple[list[StoredEvent], dict[str, Payload]]:
        """Open an engine on it; return every stored event and the call records by Call-ID."""
        changes: dict[str, Any] = {"spool_dir": str(self._spool)}
        if self._postgres is not None:
            changes["database"] = self._postgres.url(self._database)
        rig = Rig(self._folder, LoopbackSip(), **changes)
        await rig.engine.open()
        events = await rig.engine.journal.events(None)
        cdrs = {cdr["call_id"]: cdr for cdr in await rig.records()}
        assert not rig.engine.journal.unended.requests
        await rig.engine.close()
        return events, cdrs

    def _file(self, name: str) -> sqlite3.Connection:
        return sqlite3.connect(self._folder / name)


class World:
    """A store of one kind, with an engine on it and what is left of its death."""

    def __init__(self, folder: Path, postgres: Postgres | None, database: str) -> None:
        self._folder = folder
        self._postgres = postgres
        self._database = database
        self._dead: Dead

    def rig(self) -> Rig:
        """Return an engine, not open yet, on the store."""
        changes = {}
        if self._postgres is not None:
            changes["database"] = self._postgres.url(self._database)
        return Rig(self._folder, LoopbackSip(), **changes)

    async def crash(self, rig: Rig, *, stored: bool = False) -> None:
        """Note what the store would be had the engine died now.

        `stored`: a moment later, when the database has it all; else most of it is in the spool.
        """
        spool = "quickcall.db.spool" if self._postgres is None else "quickcall.spool"
        self._dead = Dead(self._folder / "dead", self._postgres, self._database)
        if stored:
            await rig.engine.journal.flush()
        self._dead.save(rig, None if stored else self._folder / spool)

    def dead(self) -> Dead:
        """Return the store of the dead engine, to be started once the living one is closed."""
        self._dead.revive()
        return self._dead


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "sqlite":
        return World(tmp_path, None, "")
    url: str = request.getfixturevalue("postgres_url")
    server: Postgres = request.getfixturevalue("postgres")
    return World(tmp_path, server, url.rpartition("/")[2])


def named(events: list[StoredEvent], name: str) -> list[Payload]:
    return [msgspec.json.decode(event.payload) for event in events if event.name == name]


async def test_a_talking_call_is_told_to_have_ended(world: World) -> None:
    async with world.rig() as rig:
        call = await rig.talk()
        a, b = rig.call_id(LegRole.A), rig.call_id(LegRole.B)
        await world.crash(rig)
        before = len(await rig.engine.journal.events(None))
        alive = {leg.call_id: leg for leg in rig.engine.channels(rig.account)}
    dead = world.dead()
    events, cdrs = await dead.restart()
    assert [event.name for event in events[before:]] == [
        "CHANNEL_DESTROY",
        "CHANNEL_DESTROY",
        "QUICKCALL_END",
    ]
    assert {event.call_id for event in events[before : before + 2]} == {a, b}
    for destroyed in named(events, "CHANNEL_DESTROY"):
        assert destroyed["Hangup-Cause"] == "CRASH"
        assert destroyed["Hangup-Party"] == "local"
        assert destroyed["Disposition"] == "ANSWER"
        assert destroyed["Channel-Call-State"] == "HANGUP"
        assert "Originate" not in destroyed
    (end,) = named(events, "QUICKCALL_END")
    assert (end["Msg-ID"], end["Call-ID"], end["Hangup-Cause"]) == (call.originate_id, a, "CRASH")
    assert end["Answered"] is True
    assert end["Application-Data"] == {"Route": "1002"}
    assert end["Custom-Channel-Vars"]["Authorizing-ID"] == "d1001"
    assert [attempt["Call-ID"] for attempt in end["Attempts"]] == [a, b]
    for call_id, other in ((a, b), (b, a)):
        cdr, leg = cdrs[call_id], alive[call_id]
        assert (cdr["hangup_cause"], cdr["other_leg_call_id"]) == ("CRASH", other)
        assert cdr["interaction_id"] == leg.interaction_id
        assert cdr["channel_created_time"] == round(leg.created_at * 1_000_000)
        assert cdr["billing_seconds"] <= 1
    again, _ = await dead.restart()
    assert [event.sequence for event in again] == [event.sequence for event in events]


async def test_a_ringing_call_ends_unanswered(world: World) -> None:
    async with world.rig() as rig:
        rig.sip.script(A_URI, Ring())
        call = rig.start(custom_application_vars={"ticket": "T-1"})
        await rig.event("CHANNEL_PROGRESS")
        await world.crash(rig)
    dead = world.dead()
    events, cdrs = await dead.restart()
    (end,) = named(events, "QUICKCALL_END")
    assert (end["Msg-ID"], end["Answered"]) == (call.originate_id, False)
    assert "Call-ID" not in end
    assert end["Custom-Application-Vars"] == {"ticket": "T-1"}
    (attempt,) = end["Attempts"]
    assert (attempt["Cause"], attempt["SIP-Status"]) == ("CRASH", 0)
    assert [cdr["disposition"] for cdr in cdrs.values()] == ["CRASH"]


async def test_calls_that_were_over_are_left_alone(world: World) -> None:
    async with world.rig() as rig:
        ended = await rig.talk()
        ended.hang_up()
        await rig.event("QUICKCALL_END")
        rig.sip.script(A_URI, Early())
        lives = rig.start()
        await rig.event("CHANNEL_PROGRESS_MEDIA")
        await world.crash(rig)
    dead = world.dead()
    events, _ = await dead.restart()
    ends = Counter(end["Msg-ID"] for end in named(events, "QUICKCALL_END"))
    assert ends == {ended.originate_id: 1, lives.originate_id: 1}
    created = Counter(event.call_id for event in events if event.name == "CHANNEL_CREATE")
    assert created == Counter(e.call_id for e in events if e.name == "CHANNEL_DESTROY")


async def test_a_request_whose_channels_are_destroyed_still_gets_its_end(world: World) -> None:
    async with world.rig() as rig:
        call = await rig.talk()
        call.hang_up()
        await rig.event("QUICKCALL_END")
        await world.crash(rig, stored=True)
    dead = world.dead()
    dead.execute("DELETE FROM events WHERE name = 'QUICKCALL_END'")
    events, cdrs = await dead.restart()
    (end,) = named(events, "QUICKCALL_END")
    assert end["Msg-ID"] == call.originate_id
    assert len(named(events, "CHANNEL_DESTROY")) == 2
    assert {cdr["hangup_cause"] for cdr in cdrs.values()} == {"NORMAL_CLEARING"}


async def test_a_call_whose_first_invite_waits_ends_too(world: World) -> None:
    async with world.rig() as rig:
        call = rig.start(endpoint_delay=30.0, custom_application_vars={"ticket": "T-2"})
        await world.crash(rig)
        assert await rig.engine.journal.events(None) == []
    dead = world.dead()
    for _ in range(2):
        events, cdrs = await dead.restart()
        (end,) = named(events, "QUICKCALL_END")
        assert (end["Msg-ID"], end["Hangup-Cause"]) == (call.originate_id, "CRASH")
        assert end["Custom-Application-Vars"] == {"ticket": "T-2"}
        assert (end["Attempts"], cdrs, len(events)) == ([], {}, 1)


async def test_a_call_that_waited_and_was_dialled_is_told_by_its_events(world: World) -> None:
    async with world.rig() as rig:
        rig.sip.script(A_URI, Ring())
        call = rig.start(endpoint_delay=0.1)
        await rig.engine.journal.flush()
        waiting = await rig.engine.journal.waiting()
        await rig.event("CHANNEL_PROGRESS")
        await world.crash(rig)
        assert [request_id for request_id, _ in waiting] == [call.originate_id]
        await rig.engine.journal.flush()
        assert await rig.engine.journal.waiting() == []
    dead = world.dead()
    events, cdrs = await dead.restart()
    (end,) = named(events, "QUICKCALL_END")
    assert end["Msg-ID"] == call.originate_id
    assert len(end["Attempts"]) == len(cdrs) == 1


async def test_wherever_the_crash_cuts_every_call_ends_once(world: World) -> None:
    async with world.rig() as rig:
        first = await rig.talk()
        rig.sip.script(A_URI, Refuse())
        rig.start()
        rig.sip.script(A_URI, Ring())
        rig.start(custom_application_vars={"ticket": "T-3"})
        first.hang_up()
        await rig.event("QUICKCALL_END", count=2)
        await world.crash(rig, stored=True)
        sequences = [event.sequence for event in await rig.engine.journal.events(None)]
    for cut in sequences:
        dead = world.dead()
        dead.execute(f"DELETE FROM events WHERE sequence > {cut}")
        destroyed = "SELECT call_id FROM events WHERE name = 'CHANNEL_DESTROY'"
        dead.execute(f"DELETE FROM cdrs WHERE call_id NOT IN ({destroyed})")
        events, cdrs = await dead.restart()
        created = [event.call_id for event in events if event.name == "CHANNEL_CREATE"]
        assert sorted(created) == sorted(cdrs)
        assert Counter(created) == Counter(
            event.call_id for event in events if event.name == "CHANNEL_DESTROY"
        )
        asked = {create["Originate"]["Msg-ID"] for create in named(events, "CHANNEL_CREATE")}
        ends = [end["Msg-ID"] for end in named(events, "QUICKCALL_END")]
        assert sorted(ends) == sorted(asked)
