"""A call with an idempotency key whose engine is killed: the next one does not place it again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.kit.engine import REALM
from tests.kit.server import ServerProcess
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

KEY = {"Idempotency-Key": "order-17", "X-Request-ID": "first"}


async def test_a_call_cut_off_by_a_kill_is_never_placed_again(tmp_path: Path) -> None:
    phone = Sipp("uas-silent", options=("-d", "200"))
    async with phone as alice, ServerProcess(tmp_path) as server:
        account = (await server.put("/v2/accounts", {"name": "Test", "realm": REALM}))["id"]
        url = f"/v2/accounts/{account}"
        sip = {"username": "alice", "invite_format": "route", "route": alice.uri}
        device = (await server.put(f"{url}/devices", {"name": "alice", "sip": sip}))["id"]
        path = f"{url}/devices/{device}/quickcall/1002"
        asking = asyncio.create_task(server.http.post(path, headers=KEY))
        messages = await alice.succeeded()
        await server.kill()
        with pytest.raises(httpx.TransportError):
            await asking
    call_ids = {message.header("Call-ID") for message in messages}
    async with ServerProcess(tmp_path) as again:
        for _ in range(2):
            response = await again.http.post(path, headers=KEY)
            assert response.status_code == 500
            assert response.headers["idempotent-replayed"] == "true"
            assert response.json()["message"] == "quickcall interrupted"
            assert response.json()["data"]["msg_id"] == "first"
        assert (await again.http.get(f"{url}/channels")).json()["data"] == []
        records = (await again.http.get(f"{url}/cdrs")).json()["data"]
        assert {record["call_id"] for record in records} <= call_ids
