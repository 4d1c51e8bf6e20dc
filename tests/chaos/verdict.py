"""What must hold when the chaos is over, judged by what the engine has stored."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from engine.control.feed import FeedEvent
from engine.store.database import Database
from engine.store.journal import Journal
from tests.chaos.feeds import Told
from tests.chaos.load import Asked
from tests.chaos.system import NODE


@dataclass(frozen=True)
class Truth:
    """What the store of an engine says that is closed."""

    events: dict[str, FeedEvent]
    """By event id, in the order of the stream."""
    records: list[dict[str, Any]]


async def read_truth(database_url: str, spool: str, account: str) -> Truth:
    """Read events and call records of an account."""
    database = await Database.open(database_url, spool)
    journal = await Journal.open(database)
    try:
        events: dict[str, FeedEvent] = {}
        after = 0
        while page := await journal.events(account, after, 1000):
            after = page[-1].sequence
            for row in page:
                payload = json.loads(row.payload)
                event = FeedEvent(
                    *(row.sequence, row.name, row.account_id, row.call_id, row.at, payload)
                )
                name = event.event_id(NODE)
                assert name not in events, f"two events are {name}"
                events[name] = event
        records: list[dict[str, Any]] = []
        async with database.read() as connection:
            rows = await connection.exec_driver_sql("SELECT document FROM cdrs")
            records += [json.loads(row[0]) for row in rows]
        return Truth(events, records)
    finally:
        await journal.close()
        await database.close()


def judge(truth: Truth, asked: Asked, feeds: dict[str, Told]) -> None:
    """Raise `AssertionError` naming what was lost, told twice, or told in another order."""
    _judge_requests(truth, asked)
    _judge_channels(truth)
    for name, told in feeds.items():
        missing = [event for event in truth.events if event not in told.ids]
        assert not missing, f"{name} did not tell {len(missing)} events: {missing[:5]}"
        strange = [event for event in told.ids if event not in truth.events]
        assert not strange, f"{name} told what was never stored: {strange[:5]}"
        _judge_order(name, truth, told)


def _judge_requests(truth: Truth, asked: Asked) -> None:
    ends = Counter(
        str(event.payload["Msg-ID"])
        for event in truth.events.values()
        if event.name == "QUICKCALL_END"
    )
    lost = asked.accepted - ends.keys()
    assert not lost, f"accepted requests without an end: {sorted(lost)[:5]}"
    twice = [name for name, count in ends.items() if count > 1]
    assert not twice, f"requests that ended twice: {twice[:5]}"
    nobody_asked = ends.keys() - asked.accepted - asked.unknown
    assert not nobody_asked, f"ends of requests that were refused: {sorted(nobody_asked)[:5]}"


def _judge_channels(truth: Truth) -> None:
    names: dict[str, Counter[str]] = {}
    for event in truth.events.values():
        if event.name != "QUICKCALL_END":
            names.setdefault(event.call_id, Counter())[event.name] += 1
    records = Counter(str(record["call_id"]) for record in truth.records)
    for call_id, seen in names.items():
        assert seen["CHANNEL_CREATE"] == 1, (call_id, seen)
        assert seen["CHANNEL_DESTROY"] == 1, (call_id, seen)
        assert records[call_id] == 1, (call_id, records[call_id])
    assert records.keys() == names.keys()
    for event in truth.events.values():
        assert event.payload["Custom-Application-Vars"]["chaos"], event.name  # type: ignore[index]
    for record in truth.records:
        assert record["custom_application_vars"]["chaos"], record["call_id"]


def _judge_order(feed: str, truth: Truth, told: Told) -> None:
    """Events of one call keep their order; those of different calls may pass each other."""
    last: dict[str, int] = {}
    for name in told.ids:
        event = truth.events[name]
        before = last.get(event.call_id, 0)
        assert event.sequence > before, f"{feed} told {name} after a later one of its call"
        last[event.call_id] = event.sequence
