"""Crossbar's quickcall over the bus, to real phones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.control.originates import CALL_ID, crossbar_endpoint, crossbar_request
from tests.kit.engine import REALM, SIPP_DIGEST, EngineUnderTest
from tests.kit.kazoo_bus import KazooBus
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


@pytest.fixture
async def engine(tmp_path: Path, amqp_url: str) -> AsyncIterator[EngineUnderTest]:
    """An engine that takes requests of the bus."""
    async with EngineUnderTest(
        tmp_path, digest_algorithms=SIPP_DIGEST, amqp_url=amqp_url
    ) as engine:
        face = engine.server.amqp
        assert face is not None
        await face.link.wait_connected()
        yield engine


def quickcall(
    engine: EngineUnderTest,
    bus: KazooBus,
    device: str,
    *,
    auto_answer: bool = False,
    **changes: Any,
) -> None:
    """Publish what crossbar does for a quickcall of alice's device to 1002."""
    variables = {
        "Account-ID": engine.account,
        "Authorizing-ID": device,
        "Authorizing-Type": "device",
    }
    endpoint = crossbar_endpoint("alice", REALM)
    endpoint["Custom-Channel-Vars"] |= {**variables, "Auto-Answer": auto_answer}
    message = crossbar_request(**{"Server-ID": bus.server_id, "Endpoints": [endpoint], **changes})
    message["Custom-Channel-Vars"] |= variables
    bus.publish("callmgr", "originate.resource.req", message, mandatory=True)


@pytest.mark.parametrize("waits", [True, False], ids=["POST", "GET"])
async def test_crossbars_quickcall(engine: EngineUnderTest, bus: KazooBus, waits: bool) -> None:
    events = await bus.listen(("callevt", "call.#"))
    alice, bob = Sipp("uas-auto-answer"), Sipp("uas-ring-answer-bye", options=("-d", "100"))
    device = await engine.device("alice", "1001")
    await engine.device("bob", "1002", bob.uri)
    await engine.register("alice", alice)
    async with alice, bob:
        quickcall(engine, bus, device, auto_answer=True, **({} if waits else {"Server-ID": None}))
        end = await engine.end()
        to_alice = (await alice.succeeded())[0]
        to_bob = (await bob.succeeded())[0]
    assert to_alice.request_uri.startswith(alice.uri)
    assert to_alice.header("Call-ID") == CALL_ID
    assert to_alice.header("X-KAZOO-AOR") == f"sip:alice@{REALM}"
    assert to_alice.header("X-KAZOO-INVITE-FORMAT") == "contact"
    assert to_alice.header("From").startswith(f'"Device QuickCall" <sip:1002@{REALM}>;tag=')
    assert to_alice.header("To") == f"<sip:alice@{REALM}>"
    assert "answer-after=0" in to_alice.header("Call-Info")
    assert to_bob.header("From").startswith(f'"Alice" <sip:1001@{REALM}>;tag=')
    assert end["Msg-ID"] == "request-1"
    assert (end["Answered"], end["Hangup-Cause"]) == (True, "NORMAL_CLEARING")
    cdrs = await engine.cdrs()
    assert set(cdrs) == set(engine.legs())
    assert {cdr["custom_application_vars"]["foo"] for cdr in cdrs.values()} == {"bar"}
    told = await events.named("QUICKCALL_END")
    assert told.payload == end
    names_told = [seen.name for seen in events.seen]
    assert names_told.count("CHANNEL_BRIDGE") == names_told.count("CHANNEL_DESTROY") == 2
    await bus.settled()
    names = [] if bus.replies.empty() else [(await bus.replies.next()).name for _ in range(3)]
    expected = ["originate_uuid", "originate_uuid", "originate_resp"]
    assert names == (expected if waits else [])
    assert bus.replies.empty()


async def test_a_device_that_is_not_registered(engine: EngineUnderTest, bus: KazooBus) -> None:
    device = await engine.device("alice", "1001")
    quickcall(engine, bus, device)
    error = await bus.replies.named("originate_resp")
    assert error.payload["Error-Message"] == "DESTINATION_OUT_OF_ORDER"
    assert (await engine.end())["Hangup-Cause"] == "DESTINATION_OUT_OF_ORDER"


@pytest.mark.parametrize(
    ("scenario", "cause", "status"),
    [("uas-busy-486", "USER_BUSY", 486), ("uas-no-answer", "NO_ANSWER", 480)],
)
async def test_how_it_failed(
    engine: EngineUnderTest, bus: KazooBus, scenario: str, cause: str, status: int
) -> None:
    alice = Sipp(scenario)
    device = await engine.device("alice", "1001")
    await engine.register("alice", alice)
    async with alice:
        quickcall(engine, bus, device, Timeout=3)
        error = await bus.replies.named("originate_resp")
        await engine.end()
        await alice.succeeded()
    assert error.payload["Error-Message"] == cause
    assert error.payload["Error-Detail"]["SIP-Status"] == status
    assert error.payload["Msg-ID"] == "request-1"
