"""Events of calls that live: kept beyond the bound, found again by the next process."""

from __future__ import annotations

from engine.store.database import Database
from engine.store.journal import Journal


class Calls:
    """A journal in which calls of one channel begin and end."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def event(self, call_id: str, name: str = "CHANNEL_ANSWER", at: float = 1.0) -> int:
        """Add an event and return its sequence."""
        sequence = self.journal.last_sequence() + 1
        self.journal.add_event(sequence, "acme", call_id, name, at, b"{}")
        return sequence

    def begin(self, call_id: str) -> int:
        """Begin the request and the channel `call_id`."""
        sequence = self.event(call_id, "CHANNEL_CREATE")
        self.journal.unended.begin(call_id, call_id, sequence)
        return sequence

    def end(self, call_id: str) -> None:
        """End both."""
        self.event(call_id, "CHANNEL_DESTROY")
        self.journal.end_channel(call_id)
        self.event(call_id, "QUICKCALL_END")
        self.journal.end_request(call_id)


async def stored(journal: Journal) -> list[str]:
    return [event.call_id for event in await journal.events(None)]


async def test_the_events_of_a_live_call_outlast_the_others(database: Database) -> None:
    journal = await Journal.open(database, keep_events=3)
    calls = Calls(journal)
    calls.begin("held")
    for number in range(5):
        calls.begin(f"short-{number}")
        calls.event("held")
        await journal.flush()
        calls.end(f"short-{number}")
        await journal.flush()
    assert (await stored(journal)).count("held") == 6
    assert len(await stored(journal)) == 6 + 3
    calls.end("held")
    await journal.flush()
    calls.event("later")
    await journal.flush()
    calls.event("later")
    await journal.flush()
    assert len(await stored(journal)) == 3
    assert await journal.close() == 0


async def test_only_what_was_not_over_is_read_by_the_next_process(database: Database) -> None:
    journal = await Journal.open(database)
    calls = Calls(journal)
    calls.begin("over")
    calls.end("over")
    calls.begin("alive")
    calls.begin("over too")
    calls.end("over too")
    calls.journal.checkpoint(7.0)
    calls.event("alive", at=5.0)
    await journal.close()

    again = await Journal.open(database)
    assert [(e.call_id, e.name) async for e in again.unsettled()] == [
        ("alive", "CHANNEL_CREATE"),
        ("over too", "CHANNEL_CREATE"),
        ("over too", "CHANNEL_DESTROY"),
        ("over too", "QUICKCALL_END"),
        ("alive", "CHANNEL_ANSWER"),
    ]
    assert again.last_alive == 7.0
    again.checkpoint(8.0)
    await again.close()

    third = await Journal.open(database)
    assert [event async for event in third.unsettled()] == []
    assert await third.close() == 0


async def test_an_idle_journal_writes_no_checkpoint(database: Database) -> None:
    journal = await Journal.open(database)
    journal.checkpoint(1.0)
    assert journal.backlog == 0
    Calls(journal).begin("call")
    journal.checkpoint(2.0)
    assert journal.backlog == 2
    assert await journal.close() == 0
