"""Calls by their ids: finding them, ending them in every state, no id twice."""

from __future__ import annotations

from typing import Any

import pytest

from engine import Conflict, NotFound, OriginateRequest
from engine.core.commands import Dial
from engine.core.values import EndpointType, LegId, LegRole
from engine.sip.loopback import Bye, Refuse
from tests.control.rig import A_URI, Rig, ended


@pytest.mark.parametrize("by", ["B's Call-ID", "leg", "request", "planned Call-ID", "handle"])
async def test_hang_up_by_every_id_and_by_handle(rig: Rig, by: str) -> None:
    call = await rig.talk()
    (b_leg,) = [leg for leg in rig.engine.channels(rig.account) if leg.role is LegRole.B]
    ids: dict[str, str | LegId] = {
        "B's Call-ID": b_leg.call_id,
        "leg": b_leg.leg,
        "request": call.originate_id,
        "planned Call-ID": call.planned[0].call_id,
    }
    if by in ids:
        assert rig.engine.call(ids[by]) is call
        rig.engine.hangup(ids[by], rig.account)
    else:
        call.hang_up()
    assert await ended(call) == "NORMAL_CLEARING"
    call.hang_up()
    for gone in ids.values():
        with pytest.raises(NotFound):
            rig.engine.hangup(gone)


async def test_a_call_is_found_by_the_call_id_that_was_chosen_for_it(rig: Rig) -> None:
    call = rig.start(endpoint_id="d1002", number="4711", call_id="order/17@shop")
    rig.engine.hangup("order/17@shop")
    assert await ended(call) == "ORIGINATOR_CANCEL"


async def test_hanging_up_twice_is_the_same_as_once(rig: Rig) -> None:
    call = await rig.talk()
    a_leg = rig.call_id(LegRole.A)
    rig.sip.hold(a_leg)
    rig.engine.hangup(a_leg)
    rig.engine.hangup(a_leg)
    rig.engine.hangup(call.originate_id)
    rig.sip.play(a_leg, Bye())
    assert await ended(call) == "NORMAL_CLEARING"


async def test_a_call_of_another_account_is_not_found(rig: Rig) -> None:
    call = await rig.talk()
    names: tuple[str | LegId, ...] = (
        *(rig.call_id(LegRole.A), rig.call_id(LegRole.B), call.originate_id),
        rig.engine.channels(rig.account)[0].leg,
    )
    for name in names:
        with pytest.raises(NotFound):
            rig.engine.hangup(name, "b" * 32)
    with pytest.raises(NotFound):
        rig.engine.hangup("nothing", rig.account)
    assert len(rig.engine.channels(rig.account)) == 2
    assert rig.engine.channels("b" * 32) == ()
    call.hang_up()


async def test_an_id_names_one_call_of_the_whole_engine(rig: Rig) -> None:
    other = "b" * 32
    await rig.engine.directory.put("account", "", {"name": "B", "realm": "b.test"}, other)
    phone = {"sip": {"username": "1", "method": "ip", "ip": "192.0.2.13"}}
    await rig.engine.directory.put("device", other, phone, "d1")
    call = rig.start(call_id="order-17", request_id="req-17")
    a_leg = call.planned[0].call_id
    for field, value in (
        ("call_id", "order-17"),
        ("call_id", "req-17"),
        ("call_id", a_leg),
        ("request_id", "req-17"),
        ("request_id", "order-17"),
        ("request_id", a_leg),
    ):
        ids: dict[str, Any] = {field: value}
        theirs = OriginateRequest(other, EndpointType.DEVICE, "d1", "9", **ids)
        for request in (theirs, rig.request(**ids)):
            with pytest.raises(Conflict) as caught:
                rig.engine.start(request)
            assert (caught.value.field, caught.value.value) == (field, value)
            assert rig.account not in str(caught.value)
    both = rig.start(endpoint_id="d1002", number="9", call_id="same", request_id="same")
    for ending in (call, both):
        ending.hang_up()
        await ended(ending)
    rig.start(call_id="order-17", request_id="req-17").hang_up()


async def test_legs_have_the_call_ids_that_were_chosen(rig: Rig) -> None:
    await rig.engine.directory.put("user", rig.account, {"first_name": "A", "last_name": "B"}, "u")
    for device in ("d1001", "d1002"):
        patch = {"owner_id": "u", **rig.engine.directory.document("device", rig.account, device)}
        await rig.engine.directory.put("device", rig.account, patch, device)
    call = rig.start(endpoint_type=EndpointType.USER, endpoint_id="u", call_id="order-17")
    ids = ["order-17", "order-17-2"]
    assert [attempt.call_id for attempt in call.planned] == ids
    assert [command.call_id for command in rig.sip.submitted if isinstance(command, Dial)] == ids
    rig.engine.hangup("order-17-2")
    assert await ended(call) == "ORIGINATOR_CANCEL"


@pytest.mark.parametrize("by", ["request", "Call-ID"])
async def test_an_attempt_that_waits_for_its_turn_is_found_and_ended(rig: Rig, by: str) -> None:
    call = rig.start(endpoint_delay=3600.0, timeout=7200, request_id="mine")
    assert rig.engine.channels(rig.account) == ()
    rig.engine.hangup("mine" if by == "request" else call.planned[0].call_id)
    assert await ended(call) == "ORIGINATOR_CANCEL"
    assert rig.sip.submitted == []
    await rig.event("QUICKCALL_END")
    assert rig.names == ["QUICKCALL_END"]
    (attempt,) = (await call.ended()).attempts
    assert (attempt.cause, attempt.started_at) == ("ORIGINATOR_CANCEL", None)


async def test_records_of_a_call_id_that_comes_again_are_kept_apart(rig: Rig) -> None:
    for _ in range(2):
        rig.sip.script(A_URI, Refuse(486, "Busy Here"))
        assert await ended(rig.start(call_id="order-17")) == "USER_BUSY"
    await rig.event("QUICKCALL_END", 2)
    first, second = await rig.records()
    assert first["interaction_id"] != second["interaction_id"]
    assert first["id"] != second["id"]
    assert await rig.engine.journal.records.show(rig.account, first["id"]) == first
