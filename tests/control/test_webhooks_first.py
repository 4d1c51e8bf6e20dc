"""The first webhook of an engine: events pass by while there is none, and none is missed after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.control.engine import ScriptedEngine, scripted_engine
from tests.kit.webhook_target import WebhookTarget, same, until

ACCOUNT = "a" * 32


@pytest.fixture
async def target() -> AsyncIterator[WebhookTarget]:
    async with WebhookTarget() as listening:
        yield listening


async def define(engine: ScriptedEngine, target: WebhookTarget) -> None:
    document = {"name": "h", "hook": "all", "uri": target.url, "format": "json"}
    await engine.directory.put("webhook", ACCOUNT, document, "h1")


async def heard(target: WebhookTarget, count: int) -> list[str]:
    """Sequences of the events that came, in their order."""
    return [post.event_id.partition(".")[0] for post in await target.wait_for(count)]


async def test_it_gets_every_event_from_its_definition_on(
    engine: ScriptedEngine, target: WebhookTarget
) -> None:
    await engine.directory.put("account", "", {"name": "A", "realm": "a.test"}, ACCOUNT)
    await engine.webhooks.start()

    def event() -> int:
        return engine.notice("CHANNEL_ANSWER", account_id=ACCOUNT, call_id="c1")

    for _ in range(3):
        event()
        await asyncio.sleep(0)
    await define(engine, target)
    wanted = [event(), event()]
    assert await heard(target, 2) == [str(sequence) for sequence in wanted]
    await engine.directory.delete("webhook", ACCOUNT, "h1")
    event()
    await until(lambda: same(engine.webhooks.lag == 0))
    event()
    await define(engine, target)
    wanted.append(event())
    assert await heard(target, 3) == [str(sequence) for sequence in wanted]
    await engine.webhooks.stop()


async def test_nothing_from_the_time_without_one_comes_after_a_restart(
    tmp_path: Path, target: WebhookTarget
) -> None:
    async with scripted_engine(tmp_path) as engine:
        await engine.directory.put("account", "", {"name": "A", "realm": "a.test"}, ACCOUNT)
        await engine.webhooks.start()
        for _ in range(3):
            engine.notice("CHANNEL_ANSWER", account_id=ACCOUNT, call_id="c1")
        await engine.webhooks.stop()
        assert engine.journal.cursor_lag("webhooks") == 0
    async with scripted_engine(tmp_path) as engine:
        await define(engine, target)
        await engine.webhooks.start()
        last = engine.notice("CHANNEL_ANSWER", account_id=ACCOUNT, call_id="c1")
        assert await heard(target, 1) == [str(last)]
        await engine.webhooks.stop()
