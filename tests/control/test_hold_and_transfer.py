"""Hold and transfer as a program asks for them, and what is told of them."""

from __future__ import annotations

import pytest

from engine import NotFound, RequestInvalid, WrongState
from engine.control.kazoo import Switch
from engine.control.kazoo_channels import channel_document
from engine.core.values import LegRole
from engine.sip.loopback import Answer, Bye, Refuse, Ring
from tests.control.rig import A_URI, Rig, ended

C_URI = "sip:1003@192.0.2.13"


async def _third_phone(rig: Rig) -> None:
    sip = {"username": "1003", "method": "ip", "ip": "192.0.2.13"}
    await rig.engine.directory.put("device", rig.account, {"name": "1003", "sip": sip}, "d1003")


def _held(rig: Rig) -> dict[str, object]:
    legs = rig.engine.channels(rig.account)
    documents = [channel_document(leg, Switch("engine@node"), 0.0) for leg in legs]
    return {str(document["leg"]): document["is_onhold"] for document in documents}


async def test_a_channel_is_held_and_talks_again(rig: Rig) -> None:
    call = await rig.talk()
    b_leg = rig.call_id(LegRole.B)
    rig.engine.hold(b_leg, rig.account)
    rig.engine.hold(b_leg)
    held = await rig.event("CHANNEL_HOLD")
    assert (held.call_id, held.payload["Channel-Call-State"]) == (b_leg, "HELD")
    assert _held(rig) == {"a": False, "b": True}
    rig.engine.hold(b_leg, on=False)
    talks = await rig.event("CHANNEL_UNHOLD")
    assert (talks.call_id, talks.payload["Channel-Call-State"]) == (b_leg, "UNHELD")
    assert _held(rig) == {"a": False, "b": False}
    # The id of the request stands for the phone that answered.
    rig.engine.hold(call.originate_id)
    assert (await rig.event("CHANNEL_HOLD", 2)).call_id == call.winner
    assert rig.names.count("CHANNEL_HOLD") == 2
    call.hang_up()
    assert await ended(call) == "NORMAL_CLEARING"


async def test_what_does_not_talk_is_not_held(rig: Rig) -> None:
    rig.sip.script(A_URI, Ring())
    call = rig.start()
    for name in (call.originate_id, call.planned[0].call_id):
        with pytest.raises(WrongState):
            rig.engine.hold(name)
        with pytest.raises(WrongState):
            rig.engine.transfer(name, "1003")
    for account in (None, "b" * 32):
        with pytest.raises(NotFound):
            rig.engine.hold("nothing" if account is None else call.originate_id, account)
    for number in ("", "1" * 129, "1\r\n2"):
        with pytest.raises(RequestInvalid) as caught:
            rig.engine.transfer(call.originate_id, number)
        assert caught.value.field == "target"
    call.hang_up()


async def test_a_channel_is_transferred(rig: Rig) -> None:
    await _third_phone(rig)
    rig.sip.script(C_URI, Ring(), Answer())
    call = await rig.talk()
    a_leg, b_leg = rig.call_id(LegRole.A), rig.call_id(LegRole.B)
    rig.engine.transfer(a_leg, "1003", rig.account)
    leaving = await rig.event("CHANNEL_TRANSFEROR")
    assert leaving.call_id == b_leg
    told = {name: leaving.payload[name] for name in ("Transfer-Type", "Transfer-To")}
    assert told == {"Transfer-Type": "blind", "Transfer-To": "1003"}
    staying = await rig.event("CHANNEL_TRANSFEREE")
    target = str(staying.payload["Target-Call-ID"])
    assert staying.call_id == a_leg
    assert (await rig.event("CHANNEL_DESTROY")).call_id == b_leg
    assert {leg.call_id for leg in rig.engine.channels(rig.account)} == {a_leg, target}
    rig.sip.play(target, Bye())
    assert await ended(call) == "NORMAL_CLEARING"


async def test_a_transfer_that_fails_connects_the_two_again(rig: Rig) -> None:
    await _third_phone(rig)
    rig.sip.script(C_URI, Refuse(486, "Busy Here"))
    call = await rig.talk()
    rig.engine.transfer(call.originate_id, "1003")
    await rig.event("CHANNEL_BRIDGE", 4)
    legs = {leg.role: leg.call_id for leg in rig.engine.channels(rig.account)}
    assert set(legs) == {LegRole.A, LegRole.B}
    call.hang_up()
    assert await ended(call) == "NORMAL_CLEARING"
