"""DTMF digits as a program sends them and hears of them."""

from __future__ import annotations

import pytest

from engine import NotFound, RequestInvalid, WrongState
from engine.core.commands import SendDigits
from engine.core.media_values import DtmfMethod
from engine.core.values import LegRole
from engine.sip.loopback import Digit, Ring
from tests.control.rig import A_URI, Rig, ended


def _sent(rig: Rig) -> list[tuple[str, int]]:
    orders = [command for command in rig.sip.submitted if isinstance(command, SendDigits)]
    return [(order.digits, order.duration_ms) for order in orders]


async def test_digits_are_sent_to_a_channel(rig: Rig) -> None:
    call = await rig.talk()
    rig.engine.send_digits(rig.call_id(LegRole.B), "12ab", rig.account)
    rig.engine.send_digits(call.originate_id, "#", duration_ms=40)
    assert _sent(rig) == [("12AB", 160), ("#", 40)]
    legs = {leg.role: leg.leg for leg in rig.engine.channels(rig.account)}
    orders = [command for command in rig.sip.submitted if isinstance(command, SendDigits)]
    assert [order.leg for order in orders] == [legs[LegRole.B], legs[LegRole.A]]
    call.hang_up()
    assert await ended(call) == "NORMAL_CLEARING"


async def test_digits_of_a_phone_are_told_and_passed_on(rig: Rig) -> None:
    call = await rig.talk()
    a_leg = rig.call_id(LegRole.A)
    rig.sip.play(a_leg, Digit("7", 200))
    rig.sip.play(a_leg, Digit("8", 80, DtmfMethod.RFC4733, carried=True))
    await rig.event("DTMF", 2)
    told = [event for event in rig.seen if event.name == "DTMF"]
    assert [event.call_id for event in told] == [a_leg, a_leg]
    assert [
        tuple(event.payload[f"DTMF-{name}"] for name in ("Digit", "Duration", "Method"))
        for event in told
    ] == [("7", 200, "info"), ("8", 80, "rfc4733")]
    assert _sent(rig) == [("7", 200)]
    call.hang_up()


async def test_what_cannot_be_sent_is_refused(rig: Rig) -> None:
    rig.sip.script(A_URI, Ring())
    call = rig.start()
    with pytest.raises(WrongState):
        rig.engine.send_digits(call.originate_id, "1")
    with pytest.raises(NotFound):
        rig.engine.send_digits("nothing", "1")
    for digits, duration, field in (("x", 160, "digits"), ("1", 5, "duration")):
        with pytest.raises(RequestInvalid) as caught:
            rig.engine.send_digits(call.originate_id, digits, duration_ms=duration)
        assert caught.value.field == field
    assert _sent(rig) == []
    call.hang_up()
