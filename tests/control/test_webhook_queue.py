"""The queue of one webhook: order per call, schedules, probes, bounds. No time passes."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.webhook_queue import (
    FAILURES,
    LIFETIME_S,
    MAX_ACTIVE,
    MAX_FRESH,
    PROBE_MAX_S,
    RETRY_MAX_S,
    HookQueue,
    Item,
    probe_delay,
    retry_delay,
)

NOW = 1_000_000.0
DAY = 86_400.0


def item(sequence: int, lane: str = "", since: float = NOW) -> Item:
    return Item(sequence, str(sequence), lane or str(sequence), "E", NOW, since, b"{}")


def queue_of(*items: Item, max_waiting: int = 1000) -> HookQueue:
    queue = HookQueue(max_waiting)
    for one in items:
        queue.add(one)
    return queue


def sent(queue: HookQueue, now: float = NOW) -> list[int]:
    """Take everything that may be sent now."""
    found = []
    while (one := queue.next(now)) is not None:
        found.append(one.sequence)
    return found


def failing(queue: HookQueue, count: int, now: float = NOW) -> None:
    for _ in range(count):
        one = queue.next(now)
        assert one is not None
        queue.failed(one, now, 0.5)


def test_calls_go_side_by_side_and_each_in_order() -> None:
    a1, a2, b1 = item(1, "a"), item(2, "a"), item(3, "b")
    queue = queue_of(a1, a2, b1)
    assert sent(queue) == [1, 3]
    queue.succeeded(a1)
    assert sent(queue) == [2]
    queue.succeeded(b1)
    queue.succeeded(a2)
    assert not queue.items
    assert not queue.fresh
    assert queue.active == 0


def test_a_failed_delivery_holds_up_its_call_alone_until_it_is_due() -> None:
    a1, a2, b1 = item(1, "a"), item(2, "a"), item(3, "b")
    queue = queue_of(a1, a2, b1)
    assert sent(queue) == [1, 3]
    assert not queue.failed(a1, NOW, 0.5)
    assert queue.held_up_by(a1) == [a1, a2]
    queue.succeeded(b1)
    assert sent(queue) == []
    assert queue.wake_at() == NOW + 2.0
    assert sent(queue, NOW + 2.0) == [1]
    assert (a1.attempts, a1.tried_at) == (1, NOW)


def test_pauses_double_up_to_their_bound_and_vary() -> None:
    assert [retry_delay(n, 0.5) for n in (1, 2, 3, 4)] == [2, 4, 8, 16]
    assert retry_delay(1000, 0.5) == RETRY_MAX_S
    assert retry_delay(1, 0.0) < 2 < retry_delay(1, 1.0)
    assert [probe_delay(FAILURES + n, 0.5) for n in (0, 1, 2)] == [1, 2, 4]
    assert probe_delay(1000, 0.5) == PROBE_MAX_S


def test_a_delivery_is_given_up_after_a_day() -> None:
    first, second = item(1, "a"), item(2, "a")
    queue = queue_of(first, second)
    now, attempts = NOW, 0
    while True:
        one = queue.next(now)
        assert one is first
        attempts += 1
        if queue.failed(one, now, 0.5):
            break
        wake = queue.wake_at()
        assert wake is not None
        assert wake > now
        now = wake
    assert LIFETIME_S == DAY
    assert DAY <= now - NOW <= DAY + PROBE_MAX_S
    assert list(queue.items.values()) == [second]


def test_a_target_that_is_down_gets_one_probe_at_a_time() -> None:
    queue = queue_of(*(item(n) for n in range(1, 11)))
    failing(queue, FAILURES)
    assert queue.probing
    assert sent(queue) == []
    wake = queue.wake_at()
    assert wake == NOW + 1.0
    assert sent(queue, wake) == [FAILURES + 1]
    assert queue.wake_at() is None
    assert sent(queue, wake + 100.0) == []
    queue.failed(queue.items[FAILURES + 1], wake, 0.5)
    assert queue.wake_at() == wake + 2.0


def test_a_delivery_that_always_fails_does_not_keep_the_target_down() -> None:
    queue = queue_of(item(1))
    now = NOW
    for _ in range(FAILURES):
        failing(queue, 1, now)
        now = queue.wake_at() or 0.0
    assert queue.probing
    queue.add(item(2))
    assert sent(queue, now) == [2]


def test_a_probe_that_succeeds_lets_everything_go_in_order() -> None:
    items = [item(n, f"call-{n % 5}") for n in range(1, 21)]
    queue = queue_of(*items)
    failing(queue, FAILURES)
    wake = queue.wake_at()
    assert wake is not None
    (probe,) = sent(queue, wake)
    queue.succeeded(queue.items[probe])
    assert not queue.probing
    order = []
    while queue.items:
        taken = sent(queue, wake)
        assert taken
        order += taken
        for sequence in taken:
            queue.succeeded(queue.items[sequence])
    assert order == sorted(order)


def test_so_many_are_on_their_way_and_so_many_in_memory_alone() -> None:
    queue = queue_of(*(item(n) for n in range(1, MAX_FRESH + 1)))
    assert len(sent(queue)) == MAX_ACTIVE
    assert not queue.must_store(queue.items[MAX_FRESH])
    last = item(MAX_FRESH + 1)
    queue.add(last)
    assert queue.must_store(last)
    queue.stored(last)
    assert last.payload == b""
    assert len(queue.fresh) == MAX_FRESH


def test_what_waits_behind_a_failure_or_a_probe_must_be_stored() -> None:
    first, second = item(1, "a"), item(2, "a")
    queue = queue_of(first)
    failing(queue, 1)
    queue.add(second)
    assert queue.must_store(second)
    queue = queue_of(*(item(n) for n in range(1, FAILURES + 1)))
    failing(queue, FAILURES)
    queue.add(item(100))
    assert queue.must_store(queue.items[100])
    assert {one.sequence for one in queue.held_up_by(queue.items[1])} == {1, 2, 3, 4, 5, 100}


def test_beyond_the_bound_the_oldest_go_but_not_what_is_on_its_way() -> None:
    queue = queue_of(item(1, "a"), item(2, "b"), item(3, "a"), max_waiting=3)
    first = queue.next(NOW)
    assert first is not None
    queue.add(item(4, "c"))
    queue.add(item(5, "d"))
    assert [one.sequence for one in queue.overflow()] == [2, 4]
    queue.succeeded(first)
    assert sorted(sent(queue)) == [3, 5]


def test_what_could_not_be_read_is_due_again() -> None:
    one = item(1)
    queue = queue_of(one)
    assert sent(queue) == [1]
    queue.postponed(one, NOW)
    assert queue.wake_at() == NOW + 1.0
    assert sent(queue, NOW + 1.0) == [1]
    assert one.attempts == 0
    queue.lost(one)
    assert not queue.items


@settings(max_examples=60)
@given(st.lists(st.sampled_from("aabbc+-.>"), max_size=80))
def test_order_holds_whatever_happens(steps: list[str]) -> None:
    """Letters add to that call; + and - end what is on its way; . sends; > lets time pass."""
    queue, now, sequence = HookQueue(20), NOW, 0
    flying: list[Item] = []
    ended: dict[str, list[int]] = defaultdict(list)
    for step in [*steps, *".+" * 200]:
        if step.isalpha():
            sequence += 1
            queue.add(item(sequence, step, now))
            for dropped in queue.overflow():
                ended[dropped.lane].append(dropped.sequence)
        elif step == "." and (one := queue.next(now)) is not None:
            assert one.lane not in {other.lane for other in flying}
            flying.append(one)
        elif step == "+" and flying:
            one = flying.pop(0)
            queue.succeeded(one)
            ended[one.lane].append(one.sequence)
        elif step == "-" and flying:
            queue.failed(flying.pop(0), now, 0.5)
        if step in ">.":
            now += 100.0
        assert queue.active == len(flying)
        assert len(queue.items) <= 20 + len(flying)
    assert not queue.items
    assert sorted(chain.from_iterable(ended.values())) == list(range(1, sequence + 1))


@pytest.mark.parametrize("attempts", [0, 1])
def test_more_than_one_wake_up_is_not_lost(attempts: int) -> None:
    queue = queue_of(*(item(n) for n in range(1, 4)))
    for one in list(queue.items.values())[: attempts + 1]:
        assert queue.next(NOW) is one
        queue.failed(one, NOW, 0.5)
    queue.reset()
    assert len(sent(queue)) == 3
