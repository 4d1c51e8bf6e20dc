"""originate_req on a real broker: what is replied, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.control.amqp_originate import MAX_HANDSHAKES
from engine.core.values import LegRole
from engine.sip.loopback import Answer, Bye, Refuse, Ring
from tests.control.originate_node import (
    ACCOUNT,
    CONTROL,
    KEY,
    Node,
    ask,
    node_on,
    rings,
    the_error,
)
from tests.control.originates import crossbar_endpoint
from tests.control.rig import A_URI, B_URI
from tests.kit.kazoo_bus import KazooBus, Seen

# --- the answered call -------------------------------------------------------------------------


async def test_replies_come_in_kazoos_order(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    node.sip.script(B_URI, Ring(), Answer())
    sent = ask(bus)
    replies = [await bus.replies.next() for _ in range(3)]
    assert {reply.exchange for reply in replies} == {"targeted"}
    assert {reply.payload["Msg-ID"] for reply in replies} == {"request-1"}
    first, second, third = [reply.payload for reply in replies]
    assert first["Event-Name"] == second["Event-Name"] == "originate_uuid"
    call_id = rings()["Outbound-Call-ID"]
    assert first["Outbound-Call-ID"] != call_id
    assert second["Outbound-Call-ID"] == call_id
    assert first["Outbound-Call-Control-Queue"] == CONTROL
    assert (third["Event-Category"], third["Event-Name"]) == ("resource", "originate_resp")
    assert third["Call-ID"] == call_id
    assert third["Application-Response"] == "SUCCESS"
    assert third["Application-Data"] == {"Route": "1002"}
    assert third["Custom-Channel-Vars"] == sent["Custom-Channel-Vars"]
    assert "Endpoints" not in third
    await node.event("CHANNEL_BRIDGE", 2)
    node.sip.play(call_id, Bye())
    end = await node.event("QUICKCALL_END")
    assert end.payload["Msg-ID"] == "request-1"
    assert node.originate.accepted == 1


async def test_what_the_legs_say_of_the_request(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    node.sip.script(B_URI, Ring(), Answer())
    ask(bus)
    await node.event("CHANNEL_BRIDGE", 2)
    a_leg, b_leg = (e.payload for e in node.seen if e.name == "CHANNEL_CREATE")
    assert a_leg["Call-ID"] == rings()["Outbound-Call-ID"]
    assert (a_leg["Caller-ID-Name"], a_leg["Caller-ID-Number"]) == ("Device QuickCall", "1002")
    assert (b_leg["Caller-ID-Name"], b_leg["Caller-ID-Number"]) == ("Alice", "1001")
    of_a, of_b = a_leg["Custom-Channel-Vars"], b_leg["Custom-Channel-Vars"]
    assert isinstance(of_a, dict)
    assert isinstance(of_b, dict)
    assert of_a["Authorizing-ID"] == "d" * 32
    assert of_a["Ecallmgr-Node"] == "engine@one.test"
    assert len(of_a["Fetch-ID"]) == 32
    assert "Auto-Answer" not in of_a
    assert of_b["Authorizing-ID"] == "d" * 32
    assert "Fetch-ID" not in of_b
    for event in node.seen:
        assert event.payload["Custom-Application-Vars"] == {"foo": "bar"}, event.name


async def test_without_a_server_id_nothing_is_answered(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Refuse())
    ask(bus, **{"Server-ID": None})
    end = await node.event("QUICKCALL_END")
    assert end.payload["Hangup-Cause"] == "USER_BUSY"
    ask(bus, **{"Server-ID": None, "Application-Name": "dance"})
    # What is answered after them is the first answer there is.
    ask(bus, "last", **{"Application-Name": "fax"})
    assert (await bus.replies.next()).payload["Msg-ID"] == "last"
    assert node.originate.refused == 2


async def test_a_process_that_waits_is_named_in_the_answer(node: Node, bus: KazooBus) -> None:
    ask(bus, **{"Application-Name": "fax", "Server-ID": f"pid://<0.1.2>/{bus.server_id}"})
    reply = await bus.replies.next()
    assert reply.headers["Deliver-To-PID"] == "<0.1.2>"
    assert reply.routing_key == bus.server_id


# --- refusals and failures ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "cause"), [(486, "USER_BUSY"), (603, "CALL_REJECTED"), (404, "UNALLOCATED_NUMBER")]
)
async def test_the_cause_is_the_error(node: Node, bus: KazooBus, status: int, cause: str) -> None:
    node.sip.script(A_URI, Ring(), Refuse(status, "No"))
    sent = ask(bus)
    announced = (await bus.replies.next()).payload["Outbound-Call-ID"]
    error = await the_error(bus)
    assert error["Error-Message"] == cause
    assert error["Call-ID"] == announced
    assert error["Msg-ID"] == "request-1"
    assert error["Request"] == sent
    assert error["Error-Detail"] == {"SIP-Status": status, "Reason": "No"}
    assert error["App-Name"] == "ecallmgr"


async def test_who_is_not_registered_is_out_of_order(node: Node, bus: KazooBus) -> None:
    ask(bus, Endpoints=[crossbar_endpoint("nobody")])
    assert (await the_error(bus))["Error-Message"] == "DESTINATION_OUT_OF_ORDER"
    end = await node.event("QUICKCALL_END")
    assert end.payload["Hangup-Cause"] == "DESTINATION_OUT_OF_ORDER"
    assert node.names == ["QUICKCALL_END"]


async def test_nobody_to_ring_is_out_of_order(node: Node, bus: KazooBus) -> None:
    ask(bus, Endpoints=[{"To-User": "without a format"}])
    assert (await the_error(bus))["Error-Message"] == "DESTINATION_OUT_OF_ORDER"
    assert node.originate.accepted == 0


async def test_what_does_not_validate_says_why(node: Node, bus: KazooBus) -> None:
    sent = ask(bus, Timeout=1)
    error = await the_error(bus)
    assert error["Error-Message"] == "originate failed to execute as JObj did not validate"
    assert error["Request"] == sent
    assert error["Error-Detail"] == {
        "Field": "Timeout",
        "Value": "1",
        "Allowed": "an integer of seconds, 3 to 86400",
        "Code": "minimum",
    }
    assert node.originate.refused == 1


async def test_what_there_is_not_is_refused_clearly(node: Node, bus: KazooBus) -> None:
    for application in ("eavesdrop", "fax"):
        ask(bus, **{"Application-Name": application})
        error = await the_error(bus)
        assert error["Error-Message"] == "FACILITY_NOT_IMPLEMENTED"
        assert error["Error-Detail"]["Value"] == application


async def test_an_id_that_lives_is_not_taken_again(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring())
    ask(bus)
    await node.event("CHANNEL_PROGRESS")
    ask(bus, "request-2")
    error = await the_error(bus)
    assert error["Msg-ID"] == "request-2"
    assert rings()["Outbound-Call-ID"] in error["Error-Detail"]["Reason"]


async def test_an_engine_that_is_full_refuses_at_once(tmp_path: Path, amqp_url: str) -> None:
    async with node_on(tmp_path, amqp_url, max_legs=1) as node, KazooBus(amqp_url) as bus:
        node.sip.script(A_URI, Ring())
        ask(bus)
        await node.event("CHANNEL_PROGRESS")
        ask(bus, "request-2", Endpoints=[rings(**{"Outbound-Call-ID": "other"})])
        error = await the_error(bus)
        assert error["Msg-ID"] == "request-2"
        assert error["Error-Message"] == "SWITCH_CONGESTION"
        assert error["Error-Detail"] == {"Reason": "all 1 legs are in use"}


async def test_an_account_at_its_limit_is_told_so(tmp_path: Path, amqp_url: str) -> None:
    async with node_on(tmp_path, amqp_url, account_calls=1) as node, KazooBus(amqp_url) as bus:
        node.sip.script(A_URI, Ring())
        ask(bus)
        await node.event("CHANNEL_PROGRESS")
        ask(bus, "request-2", Endpoints=[rings(**{"Outbound-Call-ID": "other"})])
        error = await the_error(bus)
        assert error["Msg-ID"] == "request-2"
        assert error["Error-Message"] == "concurrency_exceeded"
        assert error["Error-Detail"]["Retry-After"] > 0


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b"null", b'"text"', b"[" * 5000, b'{"a": "\xff"}']
)
async def test_what_is_no_request_does_no_harm(node: Node, bus: KazooBus, body: bytes) -> None:
    bus.publish(*KEY, body)
    ask(bus, **{"Application-Name": "fax"})
    assert (await the_error(bus))["Error-Message"] == "FACILITY_NOT_IMPLEMENTED"


@pytest.mark.parametrize("server_id", [5, {"a": 1}, ["q"], "pid://x", "\x00", "q" * 1000])
async def test_a_strange_server_id_does_no_harm(
    node: Node, bus: KazooBus, server_id: object
) -> None:
    ask(bus, **{"Application-Name": "fax", "Server-ID": server_id, "Msg-ID": ["strange"]})
    ask(bus, **{"Application-Name": "fax"})
    assert (await the_error(bus))["Error-Message"] == "FACILITY_NOT_IMPLEMENTED"


# --- ready and execute -------------------------------------------------------------------------


def execute(bus: KazooBus, ready: Seen, **changes: Any) -> None:
    """Answer originate_ready as its receiver does."""
    body = {
        "App-Name": "acdc",
        "App-Version": "4.0.0",
        "Event-Category": "dialplan",
        "Event-Name": "originate_execute",
        "Msg-ID": ready.payload["Msg-ID"],
        "Call-ID": ready.payload["Call-ID"],
        **changes,
    }
    bus.publish("targeted", ready.payload["Server-ID"], body)


async def test_parking_waits_for_its_execute(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    ask(bus, **{"Application-Name": "park", "Application-Data": None})
    first = (await bus.replies.next()).payload
    ready = await bus.replies.named("originate_ready")
    assert ready.payload["Event-Category"] == "dialplan"
    assert ready.payload["Msg-ID"] == "request-1"
    assert ready.payload["Call-ID"] == first["Outbound-Call-ID"]
    assert ready.payload["Control-Queue"] == CONTROL
    assert node.originate.accepted == 0
    execute(bus, ready)
    reply = (await bus.replies.next()).payload
    assert (reply["Event-Name"], reply["Application-Response"]) == ("originate_resp", "SUCCESS")
    await node.event("CHANNEL_ANSWER")
    assert node.names.count("CHANNEL_CREATE") == 1
    assert [leg.role for leg in node.engine.channels(ACCOUNT)] == [LegRole.A]


async def test_who_executes_may_have_the_answers_sent_elsewhere(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    elsewhere = await bus.listen(("targeted", "another-queue"))
    ask(bus, **{"Originate-Immediate": False})
    execute(bus, await bus.replies.named("originate_ready"), **{"Server-ID": "another-queue"})
    reply = await elsewhere.next()
    assert (reply.name, reply.payload["Msg-ID"]) == ("originate_resp", "request-1")


async def test_without_an_execute_nobody_is_rung(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    async with node_on(tmp_path, amqp_url, execute_s=0.05) as node:
        ask(bus, **{"Originate-Immediate": False})
        ready = await bus.replies.named("originate_ready")
        error = await the_error(bus)
        assert error["Error-Message"] == "Failed to receive valid originate_execute in time"
        assert error["Call-ID"] == ready.payload["Call-ID"]
        execute(bus, ready)
        ask(bus, "last", **{"Application-Name": "fax"})
        assert (await the_error(bus))["Msg-ID"] == "last"
        assert node.originate.accepted == 0
        assert node.sip.submitted == []


async def test_an_execute_that_is_none_executes_nothing(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    ask(bus, **{"Originate-Immediate": False})
    ready = await bus.replies.named("originate_ready")
    queue = ready.payload["Server-ID"]
    for body in (b"no json", b"{}", b'{"Call-ID": []}'):
        bus.publish("targeted", queue, body)
    execute(bus, ready, **{"Call-ID": "somebody else's"})
    execute(bus, ready, **{"Event-Name": "originate_ready"})
    execute(bus, ready, **{"Call-ID": [1]})
    assert node.originate.accepted == 0
    execute(bus, ready)
    assert (await bus.replies.named("originate_resp")).payload["Application-Response"] == "SUCCESS"


async def test_handshakes_are_bounded(node: Node, bus: KazooBus) -> None:
    for n in range(MAX_HANDSHAKES + 1):
        endpoint = rings(**{"Outbound-Call-ID": f"call-{n}"})
        ask(bus, f"request-{n}", Endpoints=[endpoint], **{"Originate-Immediate": False})
    error = await bus.replies.until(lambda reply: reply.payload["Event-Category"] == "error")
    assert error.payload["Error-Message"] == "SWITCH_CONGESTION"
    ready = [reply for reply in bus.replies.seen if reply.name == "originate_ready"]
    assert len(ready) == MAX_HANDSHAKES
