"""Rules of the bus's envelope, confirms and frames."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands

from engine.control.amqp_confirms import Confirms, LinkDown
from engine.control.amqp_frames import (
    OVERHEAD,
    Message,
    WireError,
    read_ack,
    read_delivery,
    read_method,
    read_properties,
    split,
    write_method,
    write_publish,
)
from engine.control.kapi import (
    Rules,
    encode_key,
    error_message,
    is_boolean,
    is_list,
    is_object,
    only_known,
    prepare,
    queue_name,
    reply_to,
    validate,
)
from engine.core.errors import RequestInvalid

RULES = Rules(
    "resource",
    "originate_req",
    frozenset({"Application-Name", "Endpoints"}),
    frozenset({"Media", "Continue-On-Fail", "Custom-Channel-Vars"}),
    {"Media": frozenset({"process", "bypass", "auto"})},
    {"Endpoints": is_list, "Continue-On-Fail": is_boolean, "Custom-Channel-Vars": is_object},
)
GOOD: dict[str, Any] = {
    "App-Name": "crossbar",
    "App-Version": "4.0.0",
    "Event-Category": "resource",
    "Event-Name": "originate_req",
    "Msg-ID": "m",
    "Application-Name": "transfer",
    "Endpoints": [],
    "Media": "auto",
    "Continue-On-Fail": "false",
    "Custom-Channel-Vars": {},
    "Whatever": 1,
}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("abc-DEF~_9", "abc-DEF~_9"),
        ("a b.c", "a+b%2Ec"),
        ("user@realm", "user%40realm"),
        ("a*b#", "a%2Ab%23"),
        ("*", "*"),
        ("#", "#"),
        ("ü", "%C3%BC"),
        ("", ""),
    ],
)
def test_routing_key_elements_are_written_as_kazoo_does(text: str, key: str) -> None:
    assert encode_key(text) == key


@given(st.text())
def test_an_element_never_becomes_two_or_a_wildcard(text: str) -> None:
    key = encode_key(text)
    assert key in ("*", "#") or not set(key) & set(".*#")


def test_a_queue_name_is_one_that_amqp_knows() -> None:
    assert queue_name("q", "a b%@x") == "q-a_b_@x"
    assert len(queue_name("q", "x" * 400)) == 255


def test_a_message_is_stripped_and_its_envelope_filled() -> None:
    made = prepare(
        {
            "Event-Category": "c",
            "Event-Name": "n",
            "Server-ID": "",
            "A": "",
            "B": None,
            "C": {"D": "", "E": 0, "F": {}},
            "G": [{"H": None}, ""],
            "I": False,
            "J": [],
        },
        "n@h",
    )
    msg_id = made.pop("Msg-ID")
    assert isinstance(msg_id, str)
    assert len(msg_id) == 32
    assert made == {
        "Event-Category": "c",
        "Event-Name": "n",
        "Server-ID": "",
        "Node": "n@h",
        "App-Name": "ecallmgr",
        "App-Version": "4.0.0",
        "C": {"E": 0, "F": {}},
        "G": [{}, ""],
        "I": False,
        "J": [],
    }
    assert prepare({"Msg-ID": "own", "Node": "x", "App-Name": "y"}, "n@h") == {
        "Msg-ID": "own",
        "Node": "x",
        "App-Name": "y",
        "App-Version": "4.0.0",
    }


@pytest.mark.parametrize(
    ("server_id", "queue", "headers"),
    [
        ("plain", "plain", {}),
        ("pid://<0.1.2>/q/with/slash", "q/with/slash", {"Deliver-To-PID": "<0.1.2>"}),
        ("consumer://<0.1.2>/q", "q", {"Deliver-To-PID": "<0.1.2>"}),
        ("pid://nothing", "pid://nothing", {}),
    ],
)
def test_replies_go_where_server_id_says(
    server_id: str, queue: str, headers: dict[str, str]
) -> None:
    to = reply_to({"Server-ID": server_id})
    assert to is not None
    assert (to.queue, to.headers) == (queue, headers)


@pytest.mark.parametrize("server_id", [None, "", 7, ["x"], {}])
def test_who_names_no_queue_gets_no_reply(server_id: object) -> None:
    assert reply_to({"Server-ID": server_id}) is None
    assert reply_to({}) is None


def test_a_good_message_is_valid_whatever_else_it_holds() -> None:
    validate(GOOD, RULES)
    assert set(GOOD) - set(only_known(GOOD, RULES)) == {"Whatever"}


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("Application-Name", None, "required"),
        ("Endpoints", "", "required"),
        ("Msg-ID", "", "required"),
        ("Event-Name", "route_req", "enum"),
        ("Event-Category", ["resource"], "enum"),
        ("Media", "maybe", "enum"),
        ("Media", ["auto"], "enum"),
        ("Endpoints", {}, "type"),
        ("Continue-On-Fail", "perhaps", "type"),
        ("Custom-Channel-Vars", [], "type"),
    ],
)
def test_a_fault_is_named(key: str, value: object, code: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        validate({**GOOD, key: value}, RULES)
    assert (refused.value.field, refused.value.code) == (key, code)


def test_an_error_carries_the_whole_request() -> None:
    assert error_message("originate_resp", "USER_BUSY", GOOD, "c1") == {
        "Event-Category": "error",
        "Event-Name": "originate_resp",
        "Msg-ID": "m",
        "Error-Message": "USER_BUSY",
        "Call-ID": "c1",
        "Request": GOOD,
    }


# --- confirms -------------------------------------------------------------------------------------


async def test_waiters_wake_when_all_before_them_is_confirmed() -> None:
    confirms = Confirms()
    loop = asyncio.get_running_loop()
    first, second, third = loop.create_future(), loop.create_future(), loop.create_future()
    confirms.when_all(first)
    assert first.done()
    confirms.sent(3)
    confirms.when_all(second)
    confirms.sent(2)
    confirms.when_all(third)
    assert list(confirms.acked(2, multiple=False)) == [2]
    assert list(confirms.acked(2, multiple=False)) == []
    assert list(confirms.acked(4, multiple=False)) == [4]
    assert not second.done()
    assert list(confirms.acked(3, multiple=True)) == [1, 3]
    assert second.done()
    assert (confirms.unconfirmed, third.done()) == (1, False)
    # What the broker cannot mean changes nothing.
    assert list(confirms.acked(9, multiple=True)) == []
    confirms.fail(LinkDown("gone"))
    with pytest.raises(LinkDown, match="gone"):
        await third


@given(st.data())
def test_confirms_in_any_order_confirm_all_once(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    confirms = Confirms()
    confirms.sent(count)
    seen: list[int] = []
    order = data.draw(st.permutations(range(1, count + 1)))
    for tag in order:
        seen += confirms.acked(tag, multiple=data.draw(st.booleans()))
    assert sorted(seen) == list(range(1, count + 1))
    assert confirms.unconfirmed == 0


# --- frames ---------------------------------------------------------------------------------------

FRAME_MAX = 4096


@given(st.binary(max_size=10_000), st.lists(st.integers(1, 5000), max_size=8), st.text(max_size=99))
def test_a_message_is_read_as_it_was_written(body: bytes, cuts: list[int], text: str) -> None:
    message = Message("callevt", "a.b", body, "id", 1443672757123456, {"call-id": text})
    data = write_publish(message, 5, FRAME_MAX, mandatory=True)
    # However the network cuts it.
    buffer = bytearray()
    frames: list[tuple[int, int, bytes]] = []
    for cut in cuts:
        buffer += data[:cut]
        data = data[cut:]
        frames += split(buffer, FRAME_MAX)
    buffer += data
    frames += split(buffer, FRAME_MAX)
    assert not buffer
    assert {channel for _, channel, _ in frames} == {5}
    method = read_method(frames[0][2])
    assert isinstance(method, commands.Basic.Publish)
    assert (method.exchange, method.routing_key, method.mandatory) == ("callevt", "a.b", True)
    properties = read_properties(frames[1][2])
    assert (properties.body_size, properties.message_id) == (len(body), "id")
    assert properties.headers == {"call-id": text}
    assert b"".join(payload for _, _, payload in frames[2:]) == body
    assert all(len(payload) + OVERHEAD <= FRAME_MAX for _, _, payload in frames)


def test_a_delivery_and_a_confirm_are_read_as_pamqp_writes_them() -> None:
    delivery = commands.Basic.Deliver("tag", 7, True, "callmgr", "originate.resource.req")
    payload = write_method(delivery, 1)[7:-1]
    read = read_delivery(payload)
    assert read is not None
    assert (read.consumer_tag, read.delivery_tag, read.redelivered) == ("tag", 7, True)
    assert (read.exchange, read.routing_key) == ("callmgr", "originate.resource.req")
    ack = write_method(commands.Basic.Ack(9, True), 1)[7:-1]
    assert read_ack(ack) == (9, True)
    assert read_ack(payload) is None
    assert read_delivery(ack) is None


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    for read in (read_method, read_properties, read_delivery, read_ack):
        for prefix in (b"", bytes.fromhex("003c003c"), bytes.fromhex("003c0050")):
            with contextlib.suppress(WireError):
                read(prefix + data)
    buffer = bytearray(data)
    with contextlib.suppress(WireError):
        list(split(buffer, FRAME_MAX))


def test_a_frame_over_the_bound_or_with_a_wrong_end_is_refused() -> None:
    with pytest.raises(WireError, match="bound"):
        list(split(bytearray(b"\x03\x00\x01\xff\xff\xff\xff\x00"), FRAME_MAX))
    with pytest.raises(WireError, match="end"):
        list(split(bytearray(b"\x03\x00\x01\x00\x00\x00\x01a\x00"), FRAME_MAX))


def test_a_table_of_headers_gone_wrong_is_an_empty_one() -> None:
    header = bytes.fromhex("003c0000") + (9).to_bytes(8, "big") + b"\x20\x00" + b"\x00\x00\x00\x09z"
    properties = read_properties(header)
    assert (properties.body_size, properties.headers) == (9, {})
