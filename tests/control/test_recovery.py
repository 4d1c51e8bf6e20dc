"""After a crash: what the stored events of a dead process still owe is told once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from engine.core.values import LegRole
from engine.sip.loopback import Early, LoopbackSip, Refuse, Ring
from engine.store.journal import StoredEvent
from tests.control.rig import A_URI, Rig

Payload = dict[str, Any]


async def crash(rig: Rig, directory: Path) -> Path:
    """Return a folder with the database as it would be had the engine died now."""
    await rig.engine.journal.flush()
    directory.mkdir()
    path = str(rig.engine.config.database).partition(":///")[2]

    def copy() -> None:
        with sqlite3.connect(path) as old, sqlite3.connect(directory / "quickcall.db") as new:
            old.backup(new)

    await asyncio.to_thread(copy)
    return directory


async def restart(directory: Path) -> tuple[list[StoredEvent], dict[str, Payload]]:
    """Open an engine there; return every stored event and the call records by Call-ID."""
    rig = Rig(directory, LoopbackSip())
    await rig.engine.open()
    events = await rig.engine.journal.events(None)
    cdrs = {cdr["call_id"]: cdr for cdr in await rig.records()}
    assert not rig.engine.journal.unended.requests
    await rig.engine.close()
    return events, cdrs


def named(events: list[StoredEvent], name: str) -> list[Payload]:
    return [msgspec.json.decode(event.payload) for event in events if event.name == name]


async def test_a_talking_call_is_told_to_have_ended(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip()) as rig:
        call = await rig.talk()
        a, b = rig.call_id(LegRole.A), rig.call_id(LegRole.B)
        dead = await crash(rig, tmp_path / "dead")
        before = len(await rig.engine.journal.events(None))
        alive = {leg.call_id: leg for leg in rig.engine.channels(rig.account)}
    events, cdrs = await restart(dead)
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
    again, _ = await restart(dead)
    assert [event.sequence for event in again] == [event.sequence for event in events]


async def test_a_ringing_call_ends_unanswered(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip()) as rig:
        rig.sip.script(A_URI, Ring())
        call = rig.start(custom_application_vars={"ticket": "T-1"})
        await rig.event("CHANNEL_PROGRESS")
        dead = await crash(rig, tmp_path / "dead")
    events, cdrs = await restart(dead)
    (end,) = named(events, "QUICKCALL_END")
    assert (end["Msg-ID"], end["Answered"]) == (call.originate_id, False)
    assert "Call-ID" not in end
    assert end["Custom-Application-Vars"] == {"ticket": "T-1"}
    (attempt,) = end["Attempts"]
    assert (attempt["Cause"], attempt["SIP-Status"]) == ("CRASH", 0)
    assert [cdr["disposition"] for cdr in cdrs.values()] == ["CRASH"]


async def test_calls_that_were_over_are_left_alone(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip()) as rig:
        ended = await rig.talk()
        ended.hang_up()
        await rig.event("QUICKCALL_END")
        rig.sip.script(A_URI, Early())
        lives = rig.start()
        await rig.event("CHANNEL_PROGRESS_MEDIA")
        dead = await crash(rig, tmp_path / "dead")
    events, _ = await restart(dead)
    ends = Counter(end["Msg-ID"] for end in named(events, "QUICKCALL_END"))
    assert ends == {ended.originate_id: 1, lives.originate_id: 1}
    created = Counter(event.call_id for event in events if event.name == "CHANNEL_CREATE")
    assert created == Counter(e.call_id for e in events if e.name == "CHANNEL_DESTROY")


async def test_a_request_whose_channels_are_destroyed_still_gets_its_end(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip()) as rig:
        call = await rig.talk()
        call.hang_up()
        await rig.event("QUICKCALL_END")
        dead = await crash(rig, tmp_path / "dead")
    with sqlite3.connect(dead / "quickcall.db") as database:
        database.execute("DELETE FROM events WHERE name = 'QUICKCALL_END'")
    events, cdrs = await restart(dead)
    (end,) = named(events, "QUICKCALL_END")
    assert end["Msg-ID"] == call.originate_id
    assert len(named(events, "CHANNEL_DESTROY")) == 2
    assert {cdr["hangup_cause"] for cdr in cdrs.values()} == {"NORMAL_CLEARING"}


async def test_a_call_whose_first_invite_waits_ends_too(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip()) as rig:
        call = rig.start(endpoint_delay=30.0, custom_application_vars={"ticket": "T-2"})
        dead = await crash(rig, tmp_path / "dead")
        assert await rig.engine.journal.events(None) == []
    for _ in range(2):
        events, cdrs = await restart(dead)
        (end,) = named(events, "QUICKCALL_END")
        assert (end["Msg-ID"], end["Hangup-Cause"]) == (call.originate_id, "CRASH")
        assert end["Custom-Application-Vars"] == {"ticket": "T-2"}
        assert (end["Attempts"], cdrs, len(events)) == ([], {}, 1)


async def test_a_call_that_waited_and_was_dialled_is_told_by_its_events(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip()) as rig:
        rig.sip.script(A_URI, Ring())
        call = rig.start(endpoint_delay=0.1)
        await rig.engine.journal.flush()
        waiting = await rig.engine.journal.waiting()
        await rig.event("CHANNEL_PROGRESS")
        dead = await crash(rig, tmp_path / "dead")
        assert [request_id for request_id, _ in waiting] == [call.originate_id]
        assert await rig.engine.journal.waiting() == []
    events, cdrs = await restart(dead)
    (end,) = named(events, "QUICKCALL_END")
    assert end["Msg-ID"] == call.originate_id
    assert len(end["Attempts"]) == len(cdrs) == 1


async def test_wherever_the_crash_cuts_every_call_ends_once(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip()) as rig:
        first = await rig.talk()
        rig.sip.script(A_URI, Refuse())
        rig.start()
        rig.sip.script(A_URI, Ring())
        rig.start(custom_application_vars={"ticket": "T-3"})
        first.hang_up()
        await rig.event("QUICKCALL_END", count=2)
        dead = await crash(rig, tmp_path / "dead")
        sequences = [event.sequence for event in await rig.engine.journal.events(None)]
    for cut in sequences:
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        with (
            sqlite3.connect(dead / "quickcall.db") as old,
            sqlite3.connect(folder / "quickcall.db") as new,
        ):
            old.backup(new)
            new.execute("DELETE FROM events WHERE sequence > ?", (cut,))
            destroyed = "SELECT call_id FROM events WHERE name = 'CHANNEL_DESTROY'"
            new.execute(f"DELETE FROM cdrs WHERE call_id NOT IN ({destroyed})")
        events, cdrs = await restart(folder)
        created = [event.call_id for event in events if event.name == "CHANNEL_CREATE"]
        assert sorted(created) == sorted(cdrs)
        assert Counter(created) == Counter(
            event.call_id for event in events if event.name == "CHANNEL_DESTROY"
        )
        asked = {create["Originate"]["Msg-ID"] for create in named(events, "CHANNEL_CREATE")}
        ends = [end["Msg-ID"] for end in named(events, "QUICKCALL_END")]
        assert sorted(ends) == sorted(asked)
