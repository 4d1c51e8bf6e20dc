"""A served engine with a real call is told to end: by SIGTERM, and once more."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from tests.kit.engine import GUARD_S, REALM
from tests.kit.server import ServerProcess
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def until(manager: socket.socket, words: bytes) -> list[bytes]:
    """Return what systemd was told until these words, these too."""
    loop, told = asyncio.get_running_loop(), list[bytes]()
    async with asyncio.timeout(GUARD_S):
        while not told or words not in told[-1]:
            told.append(await loop.sock_recv(manager, 4096))
    return told


async def test_sigterm_lets_a_call_go_on_and_the_second_one_ends_it(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, drain_s=3600)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        server.environment = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "50000",
        }
        async with Sipp("uas-no-answer") as alice, server:
            assert any(b"READY=1" in told for told in await until(manager, b"READY=1"))
            await until(manager, b"WATCHDOG=1")
            account = (await server.put("/v2/accounts", {"name": "Test", "realm": REALM}))["id"]
            url = f"/v2/accounts/{account}"
            sip = {"username": "alice", "invite_format": "route", "route": alice.uri}
            device = (await server.put(f"{url}/devices", {"name": "alice", "sip": sip}))["id"]
            asked = await server.http.get(f"{url}/devices/{device}/quickcall/1002")
            assert asked.status_code == 202
            server.send(signal.SIGTERM)
            told = await until(manager, b"calls left: 1")
            assert told[-1].startswith(b"STOPPING=1\n")
            refused = await server.http.get(f"{url}/devices/{device}/quickcall/1002")
            assert (refused.status_code, refused.json()["message"]) == (503, "draining")
            assert (await server.http.get("/healthz")).status_code == 200
            assert (await server.http.get("/readyz")).status_code == 503
            assert len((await server.http.get(f"{url}/channels")).json()["data"]) == 1
            server.send(signal.SIGTERM)
            assert await server.ended() == 0
            assert "draining for 3600 s at most, calls left: 1" in server.output
        async with ServerProcess(tmp_path) as again:
            (record,) = (await again.http.get(f"{url}/cdrs")).json()["data"]
            assert record["hangup_cause"] == "SYSTEM_SHUTDOWN"
