"""Orders of a control plane to an engine: whom to ring, where to go, whom to bridge, to wait."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.core.commands import ResolveDestination
from engine.core.errors import NotFound, WrongState
from engine.core.events import DestinationResolved
from engine.core.values import (
    Application,
    BridgeOrder,
    Contact,
    Endpoint,
    EndpointType,
    LegSnapshot,
    OriginateRequest,
)
from engine.sip.loopback import Answer, Ring
from tests.control.rig import A_URI, B_URI, Rig, ended

ALICE = Endpoint("kazoo-alice", "device", (Contact(A_URI),), user="1001", realm="kazoo.test")
BOB = Endpoint("kazoo-bob", "device", (Contact(B_URI),), user="1002", realm="kazoo.test")

Answered = Callable[[DestinationResolved | None], None]


class Plane:
    """A control plane that answers when the test does."""

    def __init__(self, *, answers: bool = True) -> None:
        self.answers = answers
        self.asked: list[tuple[ResolveDestination, LegSnapshot, Answered]] = []

    def route(self, asked: ResolveDestination, rung: LegSnapshot, answer: Answered) -> bool:
        self.asked.append((asked, rung, answer))
        return self.answers


def foreign(rig: Rig, **options: object) -> OriginateRequest:
    """A request of an account that the directory does not know, with its own endpoints."""
    rig.sip.script(A_URI, Ring(), Answer())
    rig.sip.script(B_URI, Ring(), Answer())
    given = {"number": "1002", "endpoints": (ALICE,), **options}
    return OriginateRequest(
        "kazoo-account",
        EndpointType.DEVICE,
        "kazoo-alice",
        **given,  # type: ignore[arg-type]
    )


async def test_a_control_plane_routes_the_calls_of_its_own_accounts(rig: Rig) -> None:
    plane = rig.engine.control_plane = Plane()
    call = rig.engine.start(foreign(rig))
    await rig.event("CHANNEL_ANSWER")
    ((asked, rung, answer),) = plane.asked
    assert (asked.number, rung.call_id) == ("1002", call.planned[0].call_id)
    assert "CHANNEL_BRIDGE" not in rig.names
    answer(DestinationResolved(asked.originate_id, "1002", (BOB,), "kazoo"))
    await rig.event("CHANNEL_BRIDGE", 2)
    call.hang_up()
    assert await ended(call) == "NORMAL_CLEARING"


async def test_a_control_plane_may_leave_it_to_the_dial_plan(rig: Rig) -> None:
    rig.sip.script(A_URI, Ring(), Answer())
    rig.sip.script(B_URI, Ring(), Answer())
    plane = rig.engine.control_plane = Plane()
    call = rig.start()
    await rig.event("CHANNEL_ANSWER")
    plane.asked[0][2](None)
    await rig.event("CHANNEL_BRIDGE", 2)
    call.hang_up()
    await ended(call)
    rig.engine.control_plane = Plane(answers=False)
    call = rig.start()
    await rig.event("CHANNEL_BRIDGE", 4)
    call.hang_up()
    await ended(call)


async def test_nobody_routes_the_number_of_an_unknown_account(rig: Rig) -> None:
    call = rig.engine.start(foreign(rig))
    assert await ended(call) == "NO_ROUTE_DESTINATION"


async def test_an_endpoint_without_contacts_is_rung_where_it_is_registered(rig: Rig) -> None:
    away = Endpoint("d", "device", (), user="nobody", realm="kazoo.test")
    call = rig.engine.start(foreign(rig, endpoints=(away,)))
    assert await ended(call) == "DESTINATION_OUT_OF_ORDER"
    proxied = Endpoint("d", "device", (), user="1001", realm="192.0.2.11", proxy="192.0.2.11")
    call = rig.engine.start(foreign(rig, endpoints=(proxied,)))
    (planned,) = call.planned
    assert planned.contact.uri == "sip:1001@192.0.2.11"
    call.hang_up()
    await ended(call)


async def test_a_failover_stands_in_for_who_is_not_registered(rig: Rig) -> None:
    away = Endpoint("d", "device", (), user="nobody", realm="kazoo.test", fallbacks=(ALICE,))
    call = rig.engine.start(foreign(rig, endpoints=(away,)))
    assert [planned.contact.uri for planned in call.planned] == [A_URI]
    call.hang_up()
    await ended(call)


async def test_the_endpoint_is_bridged_as_the_request_says(rig: Rig) -> None:
    request = foreign(rig, number="", application=Application.BRIDGE, bridge_to=(BOB,))
    call = rig.engine.start(request)
    await rig.event("CHANNEL_BRIDGE", 2)
    call.hang_up()
    assert await ended(call) == "NORMAL_CLEARING"


async def test_a_parked_call_is_bridged_by_order(rig: Rig) -> None:
    rig.sip.script(A_URI, Ring(), Answer())
    call = rig.engine.start(foreign(rig, number="", application=Application.PARK))
    answered = await call.answered()
    with pytest.raises(NotFound):
        rig.engine.bridge("nobody", BridgeOrder((BOB,)))
    rig.engine.bridge(answered.call_id, BridgeOrder((BOB,), number="1002"))
    await rig.event("CHANNEL_BRIDGE", 2)
    rig.engine.park(answered.call_id)
    complete = await rig.event("CHANNEL_EXECUTE_COMPLETE")
    assert complete.payload["Application-Name"] == "bridge"
    assert complete.payload["Application-Response"] == "SUCCESS"
    call.hang_up()
    assert await ended(call) == "NORMAL_CLEARING"


async def test_a_channel_is_intercepted(rig: Rig) -> None:
    first = await rig.talk()
    await rig.event("CHANNEL_BRIDGE", 2)
    theirs = next(leg for leg in rig.engine.channels(rig.account) if leg.role == "b").call_id
    rig.sip.script(A_URI, Ring(), Answer())
    second = rig.start(application=Application.BRIDGE, target_call_id=theirs)
    await rig.event("CHANNEL_INTERCEPTED")
    await rig.event("CHANNEL_BRIDGE", 4)
    assert await ended(first) == "PICKED_OFF"
    mine = (await second.answered()).call_id
    with pytest.raises(WrongState):
        rig.engine.intercept(mine, theirs)
    second.hang_up()
    assert await ended(second) == "NORMAL_CLEARING"
