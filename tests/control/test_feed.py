"""The stream: order, filters, resuming, and who is too slow."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.feed import (
    EventFilter,
    Feed,
    ResumeAhead,
    ResumeTooOld,
    SlowConsumer,
    Subscription,
)


def publish(
    feed: Feed, account: str = "a", name: str = "CHANNEL_CREATE", call_id: str = "c"
) -> int:
    return feed.publish(account, call_id, name, {"Call-ID": call_id}, 1.0).sequence


async def drain(subscription: Subscription) -> list[int]:
    """Take what waits, without waiting for more."""
    subscription_events = []
    while subscription.waiting:
        subscription_events.append((await anext(subscription)).sequence)
    return subscription_events


async def test_filters() -> None:
    feed = Feed()
    with (
        feed.subscribe() as everything,
        feed.subscribe("a") as account,
        feed.subscribe("a", frozenset({"CHANNEL_ANSWER"})) as answers,
        feed.subscribe("a", call_id="d") as call,
    ):
        publish(feed)
        publish(feed, account="b")
        publish(feed, name="CHANNEL_ANSWER")
        publish(feed, call_id="d")
        assert await drain(everything) == [1, 2, 3, 4]
        assert await drain(account) == [1, 3, 4]
        assert await drain(answers) == [3]
        assert await drain(call) == [4]
    assert feed.readers == 0


async def test_an_event_of_two_filters_comes_once() -> None:
    feed = Feed()
    with feed.subscribe("a") as subscription:
        subscription.add(EventFilter(None, frozenset({"CHANNEL_CREATE"})))
        publish(feed)
        publish(feed, account="b")
        assert await drain(subscription) == [1, 2]
        subscription.remove(EventFilter("a"))
        subscription.remove(EventFilter("never"))
        publish(feed, name="CHANNEL_ANSWER")
        publish(feed)
        assert await drain(subscription) == [4]


async def test_waiting_ends_with_an_event_or_with_close() -> None:
    feed = Feed()
    subscription = feed.subscribe()
    waiting = asyncio.ensure_future(anext(subscription))
    await asyncio.sleep(0)
    publish(feed)
    assert (await waiting).sequence == 1
    rest = asyncio.ensure_future(_collect(subscription))
    await asyncio.sleep(0)
    subscription.close()
    assert await rest == []
    assert await subscription.wait_cut() is None
    subscription.close()


async def _collect(subscription: Subscription) -> list[int]:
    return [event.sequence async for event in subscription]


async def test_resuming() -> None:
    feed = Feed(last_sequence=10, ring_size=3)
    assert feed.oldest == 11
    for _ in range(5):
        publish(feed)
    assert (feed.oldest, feed.last_sequence) == (13, 15)
    with feed.subscribe(resume_from=13) as subscription:
        publish(feed)
        assert await drain(subscription) == [14, 15, 16]
    with feed.subscribe(resume_from=16) as subscription:
        assert await drain(subscription) == []
    with pytest.raises(ResumeTooOld, match="oldest event in memory is 14"):
        feed.subscribe(resume_from=12)
    with pytest.raises(ResumeAhead, match="newest event is 16"):
        feed.subscribe(resume_from=17)
    assert feed.readers == 0


async def test_a_slow_reader_is_cut_off_by_name_and_alone() -> None:
    feed = Feed()
    quick = feed.subscribe()
    slow = feed.subscribe(queue_size=2)
    for _ in range(5):
        publish(feed)
    cut = await slow.wait_cut()
    assert isinstance(cut, SlowConsumer)
    assert (cut.limit, cut.last_sequence) == (2, 2)
    assert feed.readers == 1
    assert [(await anext(slow)).sequence for _ in range(2)] == [1, 2]
    with pytest.raises(SlowConsumer, match="slow consumer: 2 events"):
        await anext(slow)
    assert await drain(quick) == [1, 2, 3, 4, 5]
    with feed.subscribe(resume_from=cut.last_sequence) as again:
        assert await drain(again) == [3, 4, 5]
    quick.close()


async def test_a_replay_does_not_count_as_slowness() -> None:
    feed = Feed()
    for _ in range(10):
        publish(feed)
    with feed.subscribe(resume_from=0, queue_size=2) as subscription:
        publish(feed)
        publish(feed)
        assert not subscription.slow
        publish(feed)
        assert subscription.slow


def test_an_event_is_encoded_once_each_way() -> None:
    feed = Feed()
    event = feed.publish("a", "c", "CHANNEL_CREATE", {"Call-ID": "c"}, 1.0)
    assert msgspec.json.decode(event.json()) == {"Call-ID": "c"}
    assert msgspec.json.decode(event.public_json()) == {"call_id": "c"}
    assert event.json() is event.json()
    assert event.public_json() is event.public_json()


@given(
    published=st.lists(st.sampled_from("ab"), max_size=40),
    resume=st.integers(0, 40),
    ring=st.integers(1, 50),
)
def test_resuming_gives_exactly_what_came_after(
    published: list[str], resume: int, ring: int
) -> None:
    feed = Feed(ring_size=ring)
    for account in published:
        publish(feed, account=account)
    if resume > len(published):
        with pytest.raises(ResumeAhead):
            feed.since(resume)
    elif resume < len(published) - ring:
        with pytest.raises(ResumeTooOld):
            feed.since(resume)
    else:
        assert [e.sequence for e in feed.since(resume)] == list(
            range(resume + 1, len(published) + 1)
        )
