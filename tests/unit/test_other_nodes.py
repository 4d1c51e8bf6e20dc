"""What an engine knows of the others: who is gone, who tells, what is owed."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from engine.control import other_nodes
from engine.control.feed import FeedEvent
from engine.control.kazoo_events import QUICKCALL_END, Switch, channel_event
from engine.control.kazoo_stored import origin_of
from engine.control.other_nodes import OtherNodes
from engine.core.events import ChannelNotice
from engine.core.values import EndpointType, LegRole, OriginateId, OriginateRequest
from tests.control.samples import snapshot

AT = 1443672757.0
GONE_S = 30.0


@pytest.fixture
def others() -> OtherNodes:
    others = OtherNodes("b.node@test", GONE_S)
    for name in ("a.node@test", "c.node@test"):
        assert others.lives(name, 0.0)
    return others


def told(
    others: OtherNodes, node: str, name: str, call_id: str, request_id: str, at: float = AT
) -> None:
    """Let an engine tell an event of a leg."""
    leg = replace(snapshot(call_id=call_id), originate_id=OriginateId(request_id), role=LegRole.A)
    payload = channel_event(ChannelNotice(name, at, leg), Switch(node))
    if name == "CHANNEL_CREATE":
        request = OriginateRequest(leg.account_id, EndpointType.DEVICE, "d", "1002")
        payload["Originate"] = origin_of(leg, request, "1002")
    event = FeedEvent(7, name, leg.account_id, call_id, at, payload)
    others.event(name, call_id, event.event_id(node), at, event.json())


def ended(others: OtherNodes, node: str, request_id: str) -> None:
    others.event(QUICKCALL_END, "", f"{request_id}.{node}.end", AT, b"{}")


def names(events: list[FeedEvent]) -> list[tuple[str, str]]:
    return [(event.name, event.call_id) for event in events]


def test_one_is_gone_after_its_time_and_not_before(others: OtherNodes) -> None:
    told(others, "c.node@test", "CHANNEL_CREATE", "leg", "r.1")
    others.lives("a.node@test", 40.0)
    assert others.gone(GONE_S) == []
    # a.node lives and has the lower name: it tells.
    assert others.gone(GONE_S + 1) == []
    assert others.gone(40.0 + GONE_S + 1) == ["c.node@test"]
    # a.node had nothing left to tell.
    assert others.names == ["c.node@test"]


def test_what_is_owed_has_the_ids_its_engine_will_use(others: OtherNodes) -> None:
    node = "c.node@test"
    told(others, node, "CHANNEL_CREATE", "one", "r.1")
    told(others, node, "CHANNEL_ANSWER", "one", "r.1", AT + 5)
    told(others, node, "CHANNEL_CREATE", "two", "r.1")
    told(others, node, "CHANNEL_DESTROY", "two", "r.1")
    owed = others.owed(node, 10.0, AT + 10)
    assert names(owed) == [("CHANNEL_DESTROY", "one"), (QUICKCALL_END, "one")]
    destroyed, end = owed
    assert destroyed.payload["Node"] == node
    assert destroyed.payload["Hangup-Cause"] == "CRASH"
    created = destroyed.payload["Channel-Created-Time"]
    assert destroyed.event_id(node) == f"one.{created}.destroy"
    assert end.event_id(node) == "r.1.c.node@test.end"
    assert end.payload["Answered"] is True
    # It is owed until it comes back from the bus.
    told(others, "b.node@test", "CHANNEL_DESTROY", "one", "r.1")
    assert names(others.owed(node, 10.0, AT + 10)) == [(QUICKCALL_END, "one")]
    ended(others, node, "r.1")
    assert others.owed(node, 10.0, AT + 10) == []
    assert others.channels == 0


def test_a_channel_that_outlives_the_terminal_event_still_owes_its_end(others: OtherNodes) -> None:
    told(others, "c.node@test", "CHANNEL_CREATE", "leg", "r1")
    ended(others, "c.node@test", "r1")
    assert names(others.owed("c.node@test", 1.0, AT)) == [("CHANNEL_DESTROY", "leg")]


def test_who_says_good_bye_is_forgotten_with_its_calls(others: OtherNodes) -> None:
    told(others, "c.node@test", "CHANNEL_CREATE", "leg", "r1")
    assert others.owner("leg") == "c.node@test"
    others.leaves("c.node@test")
    others.leaves("nobody@test")
    assert (others.owner("leg"), others.names) == (None, ["a.node@test"])


def test_after_an_outage_nobody_is_gone_and_no_call_is_known(others: OtherNodes) -> None:
    told(others, "c.node@test", "CHANNEL_CREATE", "leg", "r1")
    others.all_live(100.0)
    assert (others.gone(100.0 + GONE_S), others.owner("leg")) == ([], "c.node@test")
    others.begin_again(200.0)
    assert (others.gone(200.0 + GONE_S), others.owner("leg")) == ([], None)
    assert others.names == ["a.node@test", "c.node@test"]


def test_a_call_id_used_again_is_another_channel(others: OtherNodes) -> None:
    node = "c.node@test"
    told(others, node, "CHANNEL_CREATE", "leg", "r1")
    told(others, node, "CHANNEL_DESTROY", "leg", "r1")
    told(others, node, "CHANNEL_CREATE", "leg", "r2")
    ended(others, node, "r1")
    assert others.owner("leg") == node
    owed = others.owed(node, 1.0, AT)
    assert [event.payload.get("Msg-ID") for event in owed if event.name == QUICKCALL_END] == ["r2"]


def test_neither_oneself_nor_strangers_nor_nonsense_are_remembered(others: OtherNodes) -> None:
    assert not others.lives("b.node@test", 1.0)
    told(others, "b.node@test", "CHANNEL_CREATE", "own", "r1")
    told(others, "stranger@test", "CHANNEL_CREATE", "leg", "r1")
    told(others, "c.node@test", "CHANNEL_ANSWER", "unknown", "r1")
    for body in (b"", b"[]", b"{}", b"\xff", b'{"Originate": 1}'):
        others.event("CHANNEL_CREATE", "leg", "7.c.node@test", AT, body)
    assert others.channels == 0
    # One whose later events are no JSON is told by its engine alone.
    told(others, "c.node@test", "CHANNEL_CREATE", "leg", "r1")
    others.event("CHANNEL_ANSWER", "leg", "8.c.node@test", AT, b"{")
    told(others, "c.node@test", "CHANNEL_CREATE", "good", "r2")
    assert names(others.owed("c.node@test", 1.0, AT)) == [
        ("CHANNEL_DESTROY", "good"),
        (QUICKCALL_END, ""),
    ]


def test_there_are_bounds(others: OtherNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_nodes, "MAX_CHANNELS", 2)
    monkeypatch.setattr(other_nodes, "MAX_NODES", 2)
    for number in range(3):
        told(others, "c.node@test", "CHANNEL_CREATE", f"leg-{number}", f"r{number}")
    assert (others.channels, others.passed_over) == (2, 1)
    assert not others.lives("d.node@test", 1.0)
    for _ in range(50):
        told(others, "c.node@test", "CHANNEL_BRIDGE", "leg-0", "r0")
    told(others, "c.node@test", "CHANNEL_DESTROY", "leg-0", "r0")
    owed = others.owed("c.node@test", 1.0, AT)
    assert ("CHANNEL_DESTROY", "leg-0") not in names(owed)
    assert msgspec.json.decode(owed[0].json())["Event-Name"] == QUICKCALL_END
