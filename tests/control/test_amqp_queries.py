"""Kazoo's questions about channels, over a real broker."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.control.kapi_channels import CHANNELS_REQ
from engine.core.values import LegRole, LegSnapshot
from engine.sip.loopback import LoopbackSip
from tests.control.kazoo_rig import KazooRig


@pytest.fixture
async def kazoo(tmp_path: Path, amqp_url: str) -> AsyncIterator[KazooRig]:
    """A rig on the bus; at the end no task is left."""
    async with KazooRig(tmp_path, LoopbackSip(), amqp_url) as made:
        yield made
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def silent(kazoo: KazooRig) -> bool:
    """Tell whether nothing was answered to what has been asked so far."""
    kazoo.ask("channel_status_req", "mark", Call_ID="mark")
    return bool((await kazoo.answer())["Call-ID"] == "mark")


async def test_the_status_of_a_channel(kazoo: KazooRig) -> None:
    call = await kazoo.talk()
    a, b = kazoo.call_id(LegRole.A), kazoo.call_id(LegRole.B)
    kazoo.ask("channel_status_req", a, Call_ID=a, Msg_ID="q")
    answer = await kazoo.answer()
    leg = kazoo.engine.channel(a)
    assert answer["Msg-ID"] == "q"
    assert answer["Event-Name"] == "channel_status_resp"
    assert {name: answer.get(name) for name in ("Call-ID", "Status", "Other-Leg-Call-ID")} == {
        "Call-ID": a, "Status": "active", "Other-Leg-Call-ID": b,
    }  # fmt: skip
    assert answer["Switch-Nodename"] == kazoo.engine.node
    assert (answer["Realm"], answer["Username"]) == ("acme.test", "1001")
    assert answer["Custom-Channel-Vars"]["Account-ID"] == kazoo.account
    assert answer["From-Tag"] == leg.from_tag
    await kazoo.over(call)


async def test_a_channel_that_is_not_here(kazoo: KazooRig) -> None:
    kazoo.ask("channel_status_req", "gone", Call_ID="gone")
    answer = await kazoo.answer()
    assert answer["Status"] == "terminated"
    assert answer["Error-Msg"] == "no node found with channel gone"
    for active in (True, "true"):
        kazoo.ask("channel_status_req", "gone", Call_ID="gone", Active_Only=active)
    assert await silent(kazoo)


async def test_channels_of_a_device_a_user_and_an_account(kazoo: KazooRig) -> None:
    call = await kazoo.talk()
    a, b = kazoo.call_id(LegRole.A), kazoo.call_id(LegRole.B)
    for name, tail, keys, expected in (
        ("query_auth_id_req", "d1001", {"Auth_ID": "d1001"}, {a}),
        ("query_auth_id_req", "else", {"Auth_ID": "else"}, set()),
        ("query_user_channels_req", "x", {"Username": "1002", "Realm": "ACME.test"}, {b}),
        (
            "query_user_channels_req",
            "1002:acme.test",
            {"Usernames": ["1001", "1002"], "Realm": "acme.test"},
            {a, b},
        ),
        ("query_user_channels_req", "x", {"Authorizing_IDs": ["d1002"]}, {b}),
        (
            "query_user_channels_req",
            "1001:else",
            {"Realm": "else", "Username": "1001", "Active_Only": False},
            set(),
        ),
        ("query_account_channels_req", kazoo.account, {"Account_ID": kazoo.account}, {a, b}),
        (
            "query_account_channels_req",
            kazoo.account,
            {"Account_ID": kazoo.account, "Username": "1001"},
            {a},
        ),
        ("query_account_channels_req", "else", {"Account_ID": "else"}, set()),
    ):  # fmt: skip
        kazoo.ask(name, tail, **keys)
        answer = await kazoo.answer()
        assert answer["Event-Name"] == name.replace("_req", "_resp")
        assert {channel["uuid"] for channel in answer["Channels"]} == expected, keys
    await kazoo.over(call)


async def test_what_a_channel_in_a_list_says(kazoo: KazooRig) -> None:
    call = await kazoo.talk()
    a, b = kazoo.call_id(LegRole.A), kazoo.call_id(LegRole.B)
    kazoo.ask("query_auth_id_req", "d1001", Auth_ID="d1001")
    (channel,) = (await kazoo.answer())["Channels"]
    assert channel["other_leg"] == b
    assert channel["answered"] is True
    assert channel["account_id"] == kazoo.account
    assert channel["switch_nodename"] == kazoo.engine.node
    kazoo.ask("query_channels_req", "channels", Fields="all")
    channels = (await kazoo.answer())["Channels"]
    assert set(channels) == {a, b}
    assert channels[b]["Other-Leg-Call-ID"] == a
    assert channels[b]["Answered"] is True
    assert channels[a]["Account-ID"] == kazoo.account
    assert channels[a]["Media-Node"] == kazoo.engine.node
    kazoo.ask("query_channels_req", "channels", Call_ID=a, Fields=["Call-ID", "Realm"])
    channels = (await kazoo.answer())["Channels"]
    assert channels == {a: {"Call-ID": a, "Realm": "acme.test"}}
    await kazoo.over(call)


async def test_who_has_nothing_stays_silent_where_kazoo_does(kazoo: KazooRig) -> None:
    kazoo.ask("query_channels_req", "channels")
    assert (await kazoo.answer())["Channels"] == {}
    kazoo.ask("query_channels_req", "channels", Active_Only=True)
    kazoo.ask("query_user_channels_req", "a:b", Realm="b", Username="a")
    # A question that is answered comes behind them, by the same worker.
    kazoo.ask("query_account_channels_req", "else", Account_ID="else")
    assert (await kazoo.answer())["Event-Name"] == "query_account_channels_resp"


async def test_bad_questions_are_not_answered(kazoo: KazooRig) -> None:
    ask = kazoo.ask
    ask("channel_status_req", "x")
    ask("query_auth_id_req", "x", Auth_ID=["x"])
    ask("query_user_channels_req", "x", Usernames="1001")
    ask("query_user_channels_req", "x", Realm="r", Usernames=["u"] * 300)
    ask("query_channels_req", "channels", Fields={"a": 1})
    ask("query_channels_req", "channels", Active_Only="perhaps")
    ask("query_everything_req", "x")
    for body in (b"{", b"[]", b"[" * 10_000, b'{"Event-Name": {}}'):
        kazoo.bus.publish("callevt", "call.status_req.x", body)
    kazoo.bus.publish(
        "callevt",
        "call.status_req.channels",
        {**kazoo.envelope("call_event", CHANNELS_REQ.name), "App-Name": "to nobody"},
    )
    ask("query_channels_req", "channels", Msg_ID="good")
    assert (await kazoo.answer())["Msg-ID"] == "good"
    assert kazoo.bus.replies.empty()
    assert kazoo.queries.refused == 11


async def test_many_channels_do_not_hold_up_the_engine(
    kazoo: KazooRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [await kazoo.parked() for _ in range(70)]
    turns = 0
    described: Counter[int] = Counter()
    describe = kazoo.engine.channel

    def channel(call_id: str) -> LegSnapshot:
        described[turns] += 1
        return describe(call_id)

    async def count() -> None:
        nonlocal turns
        while kazoo.bus.replies.empty():
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(kazoo.engine, "channel", channel)
    counting = asyncio.create_task(count())
    kazoo.ask("query_account_channels_req", kazoo.account, Account_ID=kazoo.account)
    assert len((await kazoo.answer())["Channels"]) == 70
    await counting
    assert sum(described.values()) == 70
    assert max(described.values()) <= 64
    for call in calls:
        await kazoo.over(call)
