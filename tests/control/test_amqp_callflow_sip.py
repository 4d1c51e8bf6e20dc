"""A whole quickcall in Kazoo's hands: crossbar asks for it, callflow routes and bridges it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.control.originates import CALL_ID, crossbar_endpoint, crossbar_request
from tests.kit.engine import REALM, SIPP_DIGEST, EngineUnderTest
from tests.kit.kazoo_bus import Inbox, KazooBus
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


def engine_on(tmp_path: Path, url: str, routing: str = "auto") -> EngineUnderTest:
    return EngineUnderTest(
        tmp_path, digest_algorithms=SIPP_DIGEST, amqp_url=url, amqp_routing=routing
    )


def quickcall(engine: EngineUnderTest, bus: KazooBus, device: str, number: str) -> None:
    """Publish what crossbar does for a quickcall of alice's device."""
    variables = {"Account-ID": engine.account, "Authorizing-ID": device}
    endpoint = crossbar_endpoint("alice", REALM)
    endpoint["Custom-Channel-Vars"] |= {**variables, "Auto-Answer": False}
    route = {"Server-ID": bus.server_id, "Application-Data": {"Route": number}}
    message = crossbar_request(**route, Endpoints=[endpoint])
    message["Custom-Channel-Vars"] |= variables
    bus.publish("callmgr", "originate.resource.req", message)


def envelope(category: str, name: str, **keys: Any) -> dict[str, Any]:
    return {
        "Event-Category": category,
        "Event-Name": name,
        "App-Name": "callflow",
        "App-Version": "4.0.0",
        "Msg-ID": "m",
        **keys,
    }


async def play_callflow(bus: KazooBus, questions: Inbox, events: Inbox, bob: Sipp) -> None:
    """Take the call that is asked about, bridge it to bob, hang it up when they talk."""
    question = (await questions.next()).payload
    assert (question["Call-ID"], question["Request"]) == (CALL_ID, f"4711@{REALM}")
    keys = {"Msg-ID": question["Msg-ID"], "Server-ID": bus.server_id, "Pre-Park": "none"}
    answer = envelope("dialplan", "route_resp", Method="park") | keys
    bus.publish("targeted", question["Server-ID"], answer)
    won = (await bus.replies.named("route_win")).payload
    assert won["Call-ID"] == CALL_ID

    def command(application: str, **keys: Any) -> None:
        names = {"Application-Name": application, "Call-ID": CALL_ID}
        message = envelope("call", "command", **names, **keys)
        bus.publish("callctl", won["Control-Queue"], message)

    route = {"Invite-Format": "route", "Route": bob.uri, "To-User": "bob", "To-Realm": REALM}
    command("bridge", Endpoints=[route], Timeout=20)
    await events.named("CHANNEL_BRIDGE", 2)
    command("hangup", **{"Insert-At": "now"})
    await events.named("CHANNEL_DESTROY", 2)
    ended = await events.named("QUICKCALL_END")
    assert ended.payload["Hangup-Cause"] == "NORMAL_CLEARING"


async def test_a_quickcall_that_callflow_bridges(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    questions = await bus.listen(("callmgr", "route.req.#"))
    events = await bus.listen(("callevt", "call.#"))
    alice, bob = Sipp("uas-answer"), Sipp("uas-ring-answer")
    async with engine_on(tmp_path, amqp_url) as engine:
        device = await engine.device("alice", "1001")
        await engine.register("alice", alice)
        async with alice, bob:
            # No dial plan of the engine leads there: callflow alone knows the number.
            quickcall(engine, bus, device, "4711")
            await play_callflow(bus, questions, events, bob)
            (to_alice, *_), (to_bob, *_) = await alice.succeeded(), await bob.succeeded()
    assert to_alice.header("Call-ID") == CALL_ID
    assert "1001" in to_bob.header("From")
    alices = [seen.name for seen in events.seen if seen.payload.get("Call-ID") == CALL_ID]
    kept = [name for name in alices if name != "CHANNEL_PROGRESS"]
    assert kept == [
        "CHANNEL_CREATE",
        "CHANNEL_ANSWER",
        "CHANNEL_BRIDGE",
        "CHANNEL_UNBRIDGE",
        "CHANNEL_DESTROY",
        "QUICKCALL_END",
    ]


@pytest.mark.parametrize("routing", ["auto", "engine"])
async def test_the_dial_plan_of_the_engine_where_kazoo_does_not_route(
    tmp_path: Path, amqp_url: str, bus: KazooBus, routing: str
) -> None:
    heard = await bus.listen(("callmgr", "route.req.#")) if routing == "engine" else None
    alice, bob = Sipp("uas-answer"), Sipp("uas-ring-answer-bye", options=("-d", "100"))
    async with engine_on(tmp_path, amqp_url, routing) as engine:
        device = await engine.device("alice", "1001")
        await engine.device("bob", "1002", bob.uri)
        await engine.register("alice", alice)
        async with alice, bob:
            quickcall(engine, bus, device, "1002")
            assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"
            await alice.succeeded()
            await bob.succeeded()
    assert heard is None or heard.empty()
