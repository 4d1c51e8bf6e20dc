"""Where requests inside a dialog go when the peer's Contact does not lead back to it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.core.events import LegAnswered
from engine.core.values import LegId, Party
from engine.sip.port import Listener, SipConfig
from tests.kit.addresses import free_port
from tests.kit.flow import Flow
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

BEHIND_A_NAT = [
    "<sip:phone@10.255.255.1:5060>",
    "<sip:phone@192.168.1.20>",
    "<sip:phone@192.0.2.1:5070>",
    "<sip:phone@0.0.0.0>",
    "<sip:phone@[fd00::1]:5060>",
]
"""Contacts that lead nowhere from a loopback address."""


async def _talk_and_hang_up(stack: Stack, leg: LegId, phone: Sipp) -> list[SippMessage]:
    """Wait for the answer, hang up, and return the requests that the phone received."""
    await stack.event(LegAnswered, leg)
    stack.hang_up(leg)
    ended = await stack.ended(leg)
    assert (ended.party, ended.sip_status) == (Party.LOCAL, 200)
    return [message for message in await phone.succeeded() if message.method]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("contact", BEHIND_A_NAT)
async def test_a_contact_that_leads_nowhere(stack: Stack, contact: str, transport: str) -> None:
    if transport == "tcp":
        contact = contact.replace(">", ";transport=tcp>")
    async with Sipp("uas-flow-contact", transport=transport, keys={"contact": contact}) as phone:
        requests = await _talk_and_hang_up(stack, stack.dial(phone.uri), phone)
    assert [message.method for message in requests] == ["INVITE", "ACK", "BYE"]
    for message in requests[1:]:
        assert message.request_uri == contact.strip("<>")
        assert not message.headers("Route")


async def test_a_contact_of_the_same_network_is_believed(stack: Stack) -> None:
    async with Sipp("uas-flow-elsewhere") as elsewhere:
        contact = f"<sip:elsewhere@{elsewhere.address}>"
        async with Sipp("uas-flow-answer-only", keys={"contact": contact}) as phone:
            leg = stack.dial(phone.uri)
            await stack.event(LegAnswered, leg)
            await elsewhere.saw("ACK", sent=False)
            await phone.succeeded()
            stack.hang_up(leg)
            await stack.ended(leg)
            await elsewhere.succeeded()


async def test_a_registered_contact_is_reached_where_it_registered_from(stack: Stack) -> None:
    contact = f"sip:phone@127.0.0.1:{free_port('127.0.0.1', 'udp')}"
    async with Sipp("uas-flow-contact", keys={"contact": f"<{contact}>"}) as phone:
        leg = stack.next_leg()
        received = f"sip:{phone.address};transport=udp"
        stack.submit(replace(stack.dial_command(leg, contact), next_hop=received))
        requests = await _talk_and_hang_up(stack, leg, phone)
    assert {message.request_uri for message in requests} == {contact}


async def test_a_recorded_route_is_kept(stack: Stack) -> None:
    contact = "<sip:phone@10.1.1.1>"
    phone = Sipp("uas-flow-record-route", keys={"contact": contact})
    route = f"<sip:{phone.address};lr>"
    phone.keys["record_route"] = route
    async with phone:
        requests = await _talk_and_hang_up(stack, stack.dial(phone.uri), phone)
    for message in requests[1:]:
        assert message.header("Route") == route
        assert message.request_uri == contact.strip("<>")


async def test_the_connection_that_a_phone_opened_is_used_for_all(stack: Stack) -> None:
    contact = "sip:phone@127.0.0.1:9;transport=tcp"
    phone = Sipp("uas-flow-contact", transport="tcp", keys={"contact": f"<{contact}>"})
    flow = Flow(phone.host, phone.port, engine=stack.address("tcp"))
    async with phone, flow:
        leg = stack.next_leg()
        stack.submit(replace(stack.dial_command(leg, contact), next_hop=flow.opened_uri))
        requests = await _talk_and_hang_up(stack, leg, phone)
    assert flow.connections == 1
    assert [message.method for message in requests] == ["INVITE", "ACK", "BYE"]


async def test_a_bye_whose_connection_broke_is_said_again_over_a_new_one(stack: Stack) -> None:
    phone = Sipp("uas-flow-broken", transport="tcp")
    flow = Flow(phone.host, phone.port, break_on=b"BYE sip:")
    phone.keys["contact"] = f"<{flow.uri}>"
    async with phone, flow:
        leg = stack.dial(flow.uri)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg, "Q.850;cause=16")
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert ended.party is Party.LOCAL
    assert flow.connections == 2
    (bye,) = [message for message in messages if message.method == "BYE"]
    assert bye.header("Reason") == "Q.850;cause=16"


async def test_a_bye_goes_to_the_contact_when_the_phones_connection_broke(stack: Stack) -> None:
    phone = Sipp("uas-flow-broken", transport="tcp")
    flow = Flow(phone.host, phone.port, engine=stack.address("tcp"), break_on=b"BYE sip:")
    phone.keys["contact"] = f"<{flow.uri}>"
    async with phone, flow:
        leg = stack.next_leg()
        stack.submit(replace(stack.dial_command(leg, flow.uri), next_hop=flow.opened_uri))
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        messages = await phone.succeeded()
    assert [message.method for message in messages if message.method] == ["INVITE", "ACK", "BYE"]
    assert flow.connections == 2


async def test_nobody_left_to_say_bye_to() -> None:
    config = SipConfig((Listener("tcp", "127.0.0.1", 0),), t1_ms=50)
    phone = Sipp("uas-flow-answer-only", transport="tcp")
    phone.keys["contact"] = f"<{phone.uri}>"
    async with Stack(config) as stack, phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        await phone.succeeded()
        stack.hang_up(leg)
        ended = await stack.ended(leg)
    assert ended.party is Party.LOCAL
