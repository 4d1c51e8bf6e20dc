"""Ending a call by any id its caller knows, in every state, through the HTTP API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

IDS = ["planned Call-ID", "request id"]


async def _placed(engine: EngineUnderTest, alice: Sipp, **options: Any) -> dict[str, str]:
    """Ask for a call; return its ids by name."""
    device = await engine.device("alice", "1001", alice.uri)
    response = await engine.quickcall(device, "1002", method="GET", **options)
    assert response.status_code == 202, response.text
    (endpoint,) = response.json()["data"]["endpoints"]
    request_id = response.headers["x-request-id"]
    return {"planned Call-ID": endpoint["outbound_call_id"], "request id": request_id}


async def _delete(engine: EngineUnderTest, name: str) -> httpx.Response:
    return await engine.http.delete(f"/v2/accounts/{engine.account}/channels/{name}")


@pytest.mark.parametrize("by", IDS)
async def test_before_the_phone_has_said_anything(engine: EngineUnderTest, by: str) -> None:
    async with Sipp("uas-cancelled-before-ringing") as alice:
        ids = await _placed(engine, alice)
        assert (await _delete(engine, ids[by])).status_code == 202
        end = await engine.end()
        messages = await alice.succeeded()
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert end["Hangup-Party"] == "local"
    assert [m.method for m in messages if m.method] == ["INVITE", "CANCEL", "ACK"]
    assert messages[0].header("Call-ID") == ids["planned Call-ID"]


@pytest.mark.parametrize("by", [*IDS, "Call-ID of B"])
async def test_while_the_second_phone_rings(engine: EngineUnderTest, by: str) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-no-answer") as bob:
        await engine.device("bob", "1002", bob.uri)
        ids = await _placed(engine, alice)
        await engine.event("CHANNEL_PROGRESS", count=2)
        ids["Call-ID of B"] = engine.legs()[1]
        response = await _delete(engine, ids[by])
        assert response.status_code == 202
        assert response.json()["data"]["msg_id"] == ids["request id"]
        end = await engine.end()
        await alice.succeeded()
        messages = await bob.succeeded()
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert [m.method for m in messages if m.method] == ["INVITE", "CANCEL", "ACK"]
    for gone in ids.values():
        assert (await _delete(engine, gone)).status_code == 404


async def test_once_more_while_it_ends(engine: EngineUnderTest) -> None:
    async with Sipp("uas-silent", options=("-d", "1500")) as alice:
        ids = await _placed(engine, alice)
        for name in (*ids.values(), *ids.values()):
            # A phone that has said nothing cannot be cancelled yet (RFC 3261 9.1).
            assert (await _delete(engine, name)).status_code == 202
        await alice.succeeded()
        end = await engine.end()
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert [event.name for event in engine.events].count("QUICKCALL_END") == 1
