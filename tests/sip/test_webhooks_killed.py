"""kill -9 of a served engine while its webhooks deliver: the next one delivers what is missing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.kit.engine import REALM
from tests.kit.server import ServerProcess
from tests.kit.webhook_target import WebhookTarget

pytestmark = pytest.mark.sip

CALLERS = 4


async def test_no_terminal_event_is_missing_after_a_kill(tmp_path: Path) -> None:
    answered: set[str] = set()

    async def call(server: ServerProcess, path: str, caller: int) -> None:
        """Ask again and again for a phone that nobody registered, until the engine is gone."""
        for number in range(10_000):
            name = f"{caller}-{number}"
            try:
                answer = await server.http.post(path, headers={"X-Request-ID": name})
            except httpx.TransportError:
                return
            # 503: it is told to come back, on a machine that is busy.
            assert answer.status_code in (500, 503)
            if answer.status_code == 500:
                answered.add(name)

    async with WebhookTarget() as target:
        # A third of all calls fails at first, so that some wait in the database.
        target.answer = lambda post: 500 if sum(post.event_id.encode()) % 3 == 0 else 200
        hook = {"name": "h", "hook": "quickcall_end", "uri": target.url, "format": "json"}
        changes: dict[str, object] = {"webhook_private_addresses": True, "node": "e@test.local"}
        async with ServerProcess(tmp_path, **changes) as server:
            account = (await server.put("/v2/accounts", {"name": "Test", "realm": REALM}))["id"]
            url = f"/v2/accounts/{account}"
            sip = {"username": "nobody", "password": "x"}
            device = (await server.put(f"{url}/devices", {"name": "n", "sip": sip}))["id"]
            secret = (await server.put(f"{url}/webhooks", hook))["secret"]
            path = f"{url}/devices/{device}/quickcall/1002"
            calling = [asyncio.create_task(call(server, path, n)) for n in range(CALLERS)]
            await target.wait_for(150)
            await server.kill()
            await asyncio.gather(*calling)
        assert len(answered) >= 100
        target.answer = lambda _: 200
        before = len(target.posts)
        wanted = {f"{name}.e@test.local.end" for name in answered}
        failed = {p.event_id for p in target.posts if sum(p.event_id.encode()) % 3 == 0}
        assert failed
        async with ServerProcess(tmp_path, **changes):
            await target.wait(
                lambda posts: (
                    wanted <= {post.event_id for post in posts}
                    and failed <= {post.event_id for post in posts[before:]}
                )
            )
        assert all(post.is_signed(secret) for post in target.posts)
