"""Webhooks over a restart: what waited is delivered, what is not wanted any more goes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.store.deliveries import StoredDelivery
from tests.control.engine import scripted_engine
from tests.kit.webhook_target import WebhookTarget, has, same, until


@pytest.fixture
async def target() -> AsyncIterator[WebhookTarget]:
    async with WebhookTarget() as listening:
        yield listening


async def test_what_nobody_deleted_is_deleted_at_the_next_start(
    tmp_path: Path, target: WebhookTarget
) -> None:
    document = {"name": "h", "hook": "all", "uri": target.url}
    target.answer = lambda _: 500
    async with scripted_engine(tmp_path) as engine:
        for account in ("a", "b"):
            realm = {"name": "A", "realm": f"{account}.test"}
            await engine.directory.put("account", "", realm, account)
            await engine.directory.put("webhook", account, document, "h")
        await engine.webhooks.start()
        for account in ("a", "b"):
            engine.notice("CHANNEL_CREATE", account_id=account)
        deliveries = engine.webhooks._deliveries
        await until(lambda: has(deliveries.failed("b", None, None, 9), 1))
        await engine.webhooks.stop()
        (row,) = await deliveries.failed("b", None, None, 9)
        deliveries.put(replace(row, sequence=1, dead=1, payload=b"{}"))
        # Nobody is there who follows the directory.
        await engine.directory.delete("account", "b", "b")
    async with scripted_engine(tmp_path) as engine:
        await engine.webhooks.start()
        deliveries = engine.webhooks._deliveries
        await until(lambda: has(deliveries.failed("b", None, None, 9), 0))
        assert len(await deliveries.failed("a", None, None, 9)) == 1
        await engine.webhooks.stop()


async def test_after_a_restart_nothing_is_missing(tmp_path: Path, target: WebhookTarget) -> None:
    leg: dict[str, Any] = {"account_id": "a" * 32}
    async with scripted_engine(tmp_path) as engine:
        await engine.directory.put("account", "", {"name": "A", "realm": "a.test"}, "a" * 32)
        document = {"name": "h", "hook": "all", "uri": target.url, "format": "json"}
        await engine.directory.put("webhook", "a" * 32, document, "h1")
        await engine.webhooks.start()
        target.answer = lambda post: 500 if post.fields["call_id"] == "bad" else 200
        engine.notice("CHANNEL_CREATE", call_id="bad", **leg)
        engine.notice("CHANNEL_ANSWER", call_id="bad", **leg)
        engine.notice("CHANNEL_CREATE", call_id="good", **leg)
        await target.wait_for(2)
        await until(lambda: same(engine.webhooks.lag == 0))
        await engine.webhooks.stop()
        # Between two runs of the webhooks, as the events of a recovery are.
        engine.notice("CHANNEL_ANSWER", call_id="good", **leg)
    target.answer = lambda _: 200
    async with scripted_engine(tmp_path) as engine:
        await engine.webhooks.start()
        engine.notice("CHANNEL_DESTROY", call_id="bad", **leg)
        engine.webhooks.retry_now("a" * 32)
        posts = await target.wait_for(6)
        await engine.webhooks.stop()
    done = [post for post in posts if post.fields["call_id"] == "bad"][1:]
    names = [post.fields["hook_event"] for post in done]
    assert names == ["channel_create", "channel_answer", "channel_destroy"]
    assert [post.attempt for post in done] == [2, 1, 1]
    assert done[0].event_id == posts[0].event_id
    assert all("x-signature" not in post.headers for post in posts)


async def test_what_was_on_its_way_comes_before_what_was_stored_behind_it(
    tmp_path: Path, target: WebhookTarget
) -> None:
    """A delivery on its way is stored when it fails; a process that dies before never says so."""
    leg: dict[str, Any] = {"account_id": "a", "call_id": "call"}
    async with scripted_engine(tmp_path) as engine:
        await engine.directory.put("account", "", {"name": "A", "realm": "a.test"}, "a")
        document = {"name": "h", "hook": "all", "uri": target.url, "format": "json"}
        await engine.directory.put("webhook", "a", document, "h")
        await engine.webhooks.start()
        await engine.webhooks.stop()
        engine.notice("CHANNEL_CREATE", **leg)
        engine.notice("CHANNEL_ANSWER", **leg)
        stored = StoredDelivery(
            account_id="a",
            hook_id="h",
            sequence=engine.feed.last_sequence,
            event_id="event-2",
            lane="call",
            name="CHANNEL_ANSWER",
            at=time.time(),
            since=time.time(),
            attempts=0,
            tried_at=0.0,
            dead=0,
            status=0,
            error="",
            payload=b'{"hook_event":"channel_answer"}',
        )
        engine.webhooks._deliveries.put(stored)
    async with scripted_engine(tmp_path) as engine:
        await engine.webhooks.start()
        posts = await target.wait_for(2)
        await engine.webhooks.stop()
    names = [post.fields["hook_event"] for post in posts]
    assert names == ["channel_create", "channel_answer"]
    assert posts[1].event_id == "event-2"
