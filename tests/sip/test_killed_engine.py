"""An engine killed in the middle of a call, as a machine that loses its power does it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

TOKEN = "token-of-the-test"
GUARD_S = 60.0
KEY = {"Idempotency-Key": "order-17", "X-Request-ID": "first"}


class Served:
    """A `quickcall serve` and a client of its HTTP API."""

    def __init__(self, process: Process, http: httpx.AsyncClient) -> None:
        self._process = process
        self.http = http

    async def kill(self) -> None:
        """End it at once: nothing of it runs any more."""
        self._process.kill()
        await self._process.wait()

    async def create(self, path: str, document: dict[str, object]) -> str:
        """Create a document and return its id."""
        response = await self.http.put(path, json={"data": document})
        assert response.status_code == 201, response.text
        return str(response.json()["data"]["id"])


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    """Run an engine on the database in a folder; it is killed at the end."""
    arguments = ["serve", "--sip", "udp:127.0.0.1:0", "--http-port", "0"]
    database = f"sqlite+aiosqlite:///{folder / 'quickcall.db'}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from engine.cli import app; app()", *arguments),
        *("--database", database),
        stdout=PIPE,
        env={**os.environ, "QUICKCALL_TOKENS": f"{TOKEN}=*", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(GUARD_S):
            url = None
            while url is None:
                line = (await process.stdout.readline()).decode()
                assert line, "the engine did not start"
                url = re.search(r"^HTTP +(\S+)", line)
        headers = {"X-Auth-Token": TOKEN}
        async with httpx.AsyncClient(base_url=url[1], headers=headers, timeout=GUARD_S) as http:
            yield Served(process, http)
    finally:
        if process.returncode is None:
            process.kill()
        # The rest of its output, so that the pipe is closed.
        await process.communicate()


async def test_a_call_cut_off_by_a_kill_is_never_placed_again(tmp_path: Path) -> None:
    async with Sipp("uas-silent", options=("-d", "200")) as alice, served(tmp_path) as engine:
        account = await engine.create("/v2/accounts", {"name": "Test", "realm": "test.local"})
        url = f"/v2/accounts/{account}"
        sip = {"username": "alice", "invite_format": "route", "route": alice.uri}
        device = await engine.create(f"{url}/devices", {"name": "alice", "sip": sip})
        path = f"{url}/devices/{device}/quickcall/1002"
        asking = asyncio.create_task(engine.http.post(path, headers=KEY))
        (invite,) = [m for m in await alice.succeeded() if m.method == "INVITE"][:1]
        await engine.kill()
        with pytest.raises(httpx.TransportError):
            await asking
    # Nobody listens at the phone now: a second call would end there, and tell so.
    async with served(tmp_path) as again:
        for _ in range(2):
            response = await again.http.post(path, headers=KEY)
            assert response.status_code == 500
            assert response.headers["idempotent-replayed"] == "true"
            assert response.json()["message"] == "quickcall interrupted"
            assert response.json()["data"]["msg_id"] == "first"
        assert (await again.http.get(f"{url}/channels")).json()["data"] == []
        records = (await again.http.get(f"{url}/cdrs")).json()["data"]
        assert {record["call_id"] for record in records} <= {invite.header("Call-ID")}
