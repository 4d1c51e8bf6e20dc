"""Webhooks end to end: events in, posts at a real HTTP server that checks the signatures."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.control.metrics import Metrics
from engine.control.webhook_metrics import show_webhooks
from engine.control.webhook_queue import FAILURES, MAX_FRESH
from engine.control.webhooks import Webhooks
from tests.control.conftest import Tenant, create
from tests.control.engine import ScriptedEngine
from tests.control.samples import outcome
from tests.kit.webhook_target import Post, WebhookTarget, has, same, until

SECRET = "secret-of-the-tests"
DAY = 86_400.0


@pytest.fixture
async def target() -> AsyncIterator[WebhookTarget]:
    async with WebhookTarget() as listening:
        yield listening


@pytest.fixture
async def hooks(engine: ScriptedEngine) -> AsyncIterator[Webhooks]:
    """The webhooks of the engine, at work; at the end nothing of them is on its way."""
    await engine.webhooks.start()
    yield engine.webhooks
    await engine.webhooks.stop()
    assert not engine.webhooks._tasks


class Sender:
    """Makes webhooks and events of one tenant."""

    def __init__(self, root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine) -> None:
        self.root, self.tenant, self.engine = root, tenant, engine
        self.url = f"{tenant.url}/webhooks"

    async def hook(self, uri: str, hook: str = "all", **fields: Any) -> str:
        document = {"name": "h", "hook": hook, "uri": uri, "secret": SECRET, "format": "json"}
        return await create(self.root, self.url, {**document, **fields})

    def event(self, name: str = "CHANNEL_ANSWER", call_id: str = "c1", **changes: Any) -> int:
        account = self.tenant.account
        return self.engine.notice(name, account_id=account, call_id=call_id, **changes)

    async def status(self, hook: str) -> dict[str, Any]:
        answer = await self.root.get(f"{self.url}/{hook}")
        delivery: dict[str, Any] = answer.json()["delivery"]
        return delivery

    async def attempts(self, hook: str = "", **query: Any) -> list[dict[str, Any]]:
        path = f"{self.url}/{hook}/attempts" if hook else f"{self.url}/attempts"
        answer = await self.root.get(path, params=query)
        assert answer.status_code == 200, answer.text
        listed: list[dict[str, Any]] = answer.json()["data"]
        return listed


@pytest.fixture
def sender(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine, hooks: Webhooks
) -> Sender:
    return Sender(root, tenant, engine)


async def test_a_json_post_has_kazoos_fields_and_our_signature(
    sender: Sender, target: WebhookTarget
) -> None:
    hook = await sender.hook(target.url + "?key=1", "channel_destroy")
    sequence = sender.event("CHANNEL_CREATE")
    sequence = sender.event("CHANNEL_DESTROY")
    (post,) = await target.wait_for(1)
    assert (post.method, post.path, post.query) == ("POST", "/hook", "key=1")
    assert post.headers["content-type"] == "application/json"
    assert post.headers["x-hook-id"] == hook
    assert post.headers["x-account-id"] == sender.tenant.account
    assert (post.event_id, post.attempt) == ("c1.1443672756990000.destroy", 1)
    assert post.is_signed(SECRET)
    assert not post.is_signed("another secret")
    assert post.body.startswith(b'{\n  "hook_event": "channel_destroy"')
    assert post.fields == {
        "hook_event": "channel_destroy",
        "account_id": sender.tenant.account,
        "call_direction": "outbound",
        "call_id": "c1",
        "callee_id_name": "Alice",
        "callee_id_number": "1001",
        "caller_id_name": "Device QuickCall",
        "caller_id_number": "1002",
        "from": "1002@example.org",
        "other_leg_call_id": "4567-quickcall",
        "request": "alice@127.0.0.1:5070",
        "timestamp": 63610891957,
        "to": "alice@example.org",
        "authorizing_id": "d" * 32,
        "authorizing_type": "device",
        "owner_id": "b" * 32,
        "custom_application_vars": {"foo": "bar", "Order-ID": "7"},
        "call_forwarded": False,
        "is_internal_leg": False,
        "local_resource_used": True,
        "emergency_resource_used": False,
        "hangup_cause": "NORMAL_CLEARING",
        "hangup_code": "sip:200",
        "duration_seconds": 32,
        "ringing_seconds": 1,
        "billing_seconds": 31,
        "hangup_reason": "OK",
        "hangup_party": "remote",
        "disposition": "ANSWER",
        "cluster_id": "engine@test.example.org",
    }
    assert sequence == sender.engine.feed.last_sequence


@pytest.mark.parametrize("verb", ["post", "put", "get"])
async def test_a_form_and_a_query_have_the_same_fields(
    sender: Sender, target: WebhookTarget, verb: str
) -> None:
    await sender.hook(
        target.url + "?key=1", "channel_bridge", http_verb=verb, format="form-data",
        custom_data={"to": "mine", "type": "x", "action": "y", "deep": {"a": [1, None]}},
    )  # fmt: skip
    sender.event("CHANNEL_BRIDGE")
    (post,) = await target.wait_for(1)
    assert post.method == verb.upper()
    fields = post.fields
    if verb == "get":
        assert (fields.pop("key"), post.body) == ("1", b"")
        assert post.query.startswith("key=1&hook_event=channel_bridge&")
    else:
        assert post.headers["content-type"] == "application/x-www-form-urlencoded"
        assert post.query == "key=1"
    assert post.is_signed(SECRET)
    assert fields["other_leg_destination_number"] == "1002"
    assert fields["custom_application_vars[foo]"] == "bar"
    assert fields["is_internal_leg"] == "false"
    assert (fields["to"], fields["deep[a][0]"], fields["deep[a][1]"]) == ("mine", "1", "")
    assert not fields.keys() & {"type", "action", "custom_channel_vars"}
    assert fields["cluster_id"] == "engine@test.example.org"


async def test_the_terminal_event_has_the_whole_outcome(
    sender: Sender, target: WebhookTarget
) -> None:
    hook = await sender.hook(target.url, "quickcall_end", secret="x" * 20)
    answer = await sender.root.post(sender.tenant.quickcall().replace(
        sender.tenant.device, sender.tenant.nobody), json={"data": {
            "custom_application_vars": {"order": "7"}}})  # fmt: skip
    assert answer.status_code != 202
    (post,) = await target.wait_for(1)
    fields = post.fields
    request_id = fields["request_id"]
    assert post.event_id == f"{request_id}.engine@test.example.org.end"
    assert fields["hook_event"] == "quickcall_end"
    assert fields["hangup_cause"] == "DESTINATION_OUT_OF_ORDER"
    assert fields["answered"] is False
    assert fields["hangup_q850"] == outcome().q850
    assert fields["attempts"][0]["contact"] == "sip:alice@127.0.0.1:5070"
    assert fields["custom_application_vars"] == {"order": "7"}
    assert fields["application_data"] == {"route": "1002"}
    assert post.is_signed("x" * 20)
    assert post.headers["x-hook-id"] == hook


async def test_events_without_variables_say_so_and_own_fields_are_told(
    sender: Sender, target: WebhookTarget
) -> None:
    await sender.hook(target.url, "channel_hold")
    sender.event("CHANNEL_HOLD", application_vars={}, held=True)
    (post,) = await target.wait_for(1)
    assert post.fields["custom_application_vars"] == {}
    assert post.fields["channel_state"] == "EXCHANGE_MEDIA"
    assert not post.fields.keys() & {"remote_sdp", "custom_channel_vars", "switch_uri", "node"}


async def test_a_webhook_gets_what_it_asks_for(sender: Sender, target: WebhookTarget) -> None:
    await sender.hook(target.url + "/all")
    await sender.hook(target.url + "/two", events=["CHANNEL_CREATE", "CHANNEL_HOLD"])
    await sender.hook(target.url + "/call", call_id="c2")
    await sender.hook(target.url + "/busy", modifiers={"hangup_cause": ["USER_BUSY", "NO_ANSWER"]})
    await sender.hook(target.url + "/off", enabled=False)
    sender.event("CHANNEL_CREATE")
    sender.event("CHANNEL_ANSWER", "c2")
    sender.event("CHANNEL_DESTROY", cause="USER_BUSY")
    sender.engine.notice("CHANNEL_CREATE", account_id="f" * 32)
    posts = await target.wait_for(6)
    await sender.engine.webhooks.stop()
    found = sorted((post.path, post.fields["hook_event"]) for post in posts)
    assert found == [
        ("/hook/all", "channel_answer"),
        ("/hook/all", "channel_create"),
        ("/hook/all", "channel_destroy"),
        ("/hook/busy", "channel_destroy"),
        ("/hook/call", "channel_answer"),
        ("/hook/two", "channel_create"),
    ]


async def test_a_failed_delivery_is_made_again_and_holds_up_only_its_call(
    sender: Sender, target: WebhookTarget
) -> None:
    hook = await sender.hook(target.url)
    target.answer = lambda post: (
        503 if post.attempt == 1 and post.fields["call_id"] == "c1" else 200
    )
    first, second = sender.event("CHANNEL_CREATE"), sender.event("CHANNEL_ANSWER")
    other = sender.event("CHANNEL_CREATE", "c2")
    await target.wait_for(2)
    await until(lambda: has(sender.attempts(hook), 1))
    (attempt,) = await sender.attempts()
    assert attempt["reason"] == "answered 503"
    assert attempt["event_id"] == f"{first}.engine@test.example.org"
    assert (attempt["response_code"], attempt["attempts"], attempt["state"]) == (503, 1, "waiting")
    assert sender.engine.webhooks.waiting == 2
    # The second one of the call fails once too, when its turn comes.
    sender.engine.webhooks.retry_now(sender.tenant.account)
    await target.wait_for(4)
    await until(lambda: has(sender.attempts(hook), 1))
    sender.engine.webhooks.retry_now(sender.tenant.account)
    posts = await target.wait_for(5)
    told = [(post.event_id.partition(".")[0], post.attempt) for post in posts]
    one, two, three = str(first), str(second), str(other)
    assert [entry for entry in told if entry[0] != three] == [
        (one, 1),
        (one, 2),
        (two, 1),
        (two, 2),
    ]
    assert (three, 1) in told[:3]
    await until(lambda: has(sender.attempts(hook), 0))
    assert (sender.engine.webhooks.delivered, sender.engine.webhooks.failed) == (3, 2)
    assert sender.engine.webhooks.waiting == 0


async def test_a_target_that_is_down_is_probed_and_then_gets_everything_in_order(
    sender: Sender, target: WebhookTarget, engine: ScriptedEngine
) -> None:
    hook = await sender.hook(target.url)
    down = True
    target.answer = lambda _: 500 if down else 200
    for number in range(FAILURES):
        sender.event("CHANNEL_CREATE", f"c{number}")
    await target.wait_for(FAILURES)
    await until(lambda: _state(sender, hook, "probing"))
    assert engine.webhooks.probing == 1
    for number in range(400):
        sender.event("CHANNEL_ANSWER", f"c{number % 20}")
        sender.event("CHANNEL_DESTROY", f"c{number % 20}", created_at=float(number))
    # They are all stored: the engine's place in the stream goes on without the target.
    await until(lambda: same(engine.webhooks.lag == 0))
    assert (await sender.status(hook))["waiting"] == 800 + FAILURES
    probes = len(target.posts) - FAILURES
    assert probes <= 3
    down = False
    del target.posts[:]
    engine.webhooks.retry_now(sender.tenant.account)
    await target.wait_for(800 + FAILURES)
    await until(lambda: same(engine.webhooks.waiting == 0))
    assert await sender.status(hook) == {"state": "working", "waiting": 0, "dead": 0}
    assert len(target.posts) == len({post.event_id for post in target.posts}) == 800 + FAILURES
    for number in range(20):
        of_call = [post for post in target.posts if post.fields["call_id"] == f"c{number}"]
        names = [post.fields["hook_event"] for post in of_call]
        first = ["channel_create"] if number < FAILURES else []
        assert names == [*first, *["channel_answer", "channel_destroy"] * 20]
    assert await sender.attempts(hook) == []


async def _state(sender: Sender, hook: str, state: str) -> bool:
    found: str = (await sender.status(hook))["state"]
    return found == state


async def test_what_failed_for_a_day_is_dead_and_can_be_sent_again(
    sender: Sender, target: WebhookTarget, engine: ScriptedEngine
) -> None:
    hook = await sender.hook(target.url)
    target.answer = lambda _: 404
    started = 1_000_000.0
    engine.webhooks._clock = lambda: started
    events = [sender.event("CHANNEL_CREATE", f"c{n}") for n in range(3)]
    await until(lambda: has(sender.attempts(hook, state="waiting"), 3))
    engine.webhooks._clock = lambda: started + DAY
    engine.webhooks.retry_now(sender.tenant.account)
    await until(lambda: has(sender.attempts(hook, state="dead"), 3))
    assert await sender.status(hook) == {"state": "working", "waiting": 0, "dead": 3}
    assert engine.webhooks.given_up == 3
    dead = await sender.attempts(hook)
    assert [one["sequence"] for one in dead] == events
    assert {one["attempts"] for one in dead} == {2}
    page = await sender.root.get(f"{sender.url}/attempts?page_size=2&state=dead")
    assert [one["sequence"] for one in page.json()["data"]] == events[:2]
    assert page.json()["next_start_key"] == str(events[2])
    target.answer = lambda _: 200
    one = {"data": {"event_id": dead[1]["event_id"]}}
    answer = await sender.root.post(f"{sender.url}/{hook}/replay", json=one)
    assert answer.json()["data"] == {"replayed": 1}
    posts = await target.wait_for(7)
    assert (posts[-1].event_id, posts[-1].attempt) == (dead[1]["event_id"], 1)
    answer = await sender.root.post(f"{sender.url}/{hook}/replay")
    assert answer.json()["data"] == {"replayed": 2}
    posts = await target.wait_for(9)
    assert {post.event_id for post in posts[-2:]} == {dead[0]["event_id"], dead[2]["event_id"]}
    await until(lambda: has(sender.attempts(hook), 0))
    answer = await sender.root.post(f"{sender.url}/{hook}/replay", json=one)
    assert answer.status_code == 404
    assert (await sender.status(hook))["dead"] == 0


async def test_beyond_the_bound_the_oldest_is_given_up(
    sender: Sender, target: WebhookTarget, engine: ScriptedEngine
) -> None:
    engine.webhooks._max_waiting = 20
    hook = await sender.hook(target.url)
    target.answer = lambda _: 500
    events = [sender.event("CHANNEL_CREATE", f"c{n}") for n in range(FAILURES)]
    await until(lambda: _state(sender, hook, "probing"))
    engine.webhooks._clock = lambda: 0.0
    events += [sender.event("CHANNEL_CREATE", f"d{n}") for n in range(20)]
    await until(lambda: has(sender.attempts(hook, state="dead"), FAILURES))
    dead = await sender.attempts(hook, state="dead")
    # One may have been on its way as a probe just then.
    assert len({one["sequence"] for one in dead} & set(events[: FAILURES + 1])) == FAILURES
    assert all("want of room" in one["reason"] for one in dead)
    assert engine.webhooks.given_up == FAILURES


async def test_what_webhooks_count_is_among_the_metrics(
    sender: Sender, target: WebhookTarget, engine: ScriptedEngine
) -> None:
    metrics = Metrics()
    show_webhooks(metrics, engine.webhooks)
    hook = await sender.hook(target.url)
    target.answer = lambda post: 418 if post.fields["call_id"] == "c2" else 200
    sender.event(call_id="c1")
    sender.event(call_id="c2")
    await until(lambda: has(sender.attempts(hook), 1))
    await until(lambda: same(engine.webhooks.lag == 0))
    text = metrics.text().decode()
    for line in (
        *('webhook_delivery_total{code="200"} 1.0', 'webhook_delivery_total{code="418"} 1.0'),
        *("webhook_delivery_seconds_count 2.0", "webhook_waiting 1.0", "webhook_probing 0.0"),
        *("webhook_given_up_total 0.0", "webhook_lag 0.0"),
    ):
        assert f"quickcall_{line}" in text


async def test_a_slow_target_delays_only_itself(
    sender: Sender, target: WebhookTarget, engine: ScriptedEngine
) -> None:
    release = asyncio.Event()

    async def slowly(post: Post) -> int:
        if post.path == "/hook/slow":
            await release.wait()
        return 200

    target.answer = slowly
    slow = await sender.hook(target.url + "/slow")
    await sender.hook(target.url + "/quick")
    count = MAX_FRESH + 200
    for number in range(count):
        sender.event("CHANNEL_CREATE", f"c{number}")
    await target.wait(lambda posts: [post.path for post in posts].count("/hook/quick") == count)
    # What does not fit into memory is stored.
    assert (await sender.status(slow))["waiting"] == count
    release.set()
    posts = await target.wait_for(2 * count)
    assert len({(post.path, post.event_id) for post in posts}) == 2 * count


async def test_a_disabled_or_deleted_webhook_gets_nothing_more(
    sender: Sender, target: WebhookTarget, engine: ScriptedEngine
) -> None:
    target.answer = lambda _: 500
    ids = [await sender.hook(f"{target.url}/{n}") for n in range(2)]
    sender.event()
    await until(lambda: has(sender.attempts(), 2))
    await sender.root.patch(f"{sender.url}/{ids[0]}", json={"data": {"enabled": False}})
    await sender.root.delete(f"{sender.url}/{ids[1]}")
    await until(lambda: has(sender.attempts(), 0))
    assert engine.webhooks.waiting == 0
    sender.event()
    await until(lambda: same(engine.webhooks.lag == 0))
    assert len(target.posts) == 2
    assert await sender.status(ids[0]) == {"state": "disabled"}
    answer = await sender.root.post(f"{sender.url}/{ids[0]}/replay")
    assert (answer.status_code, answer.json()["message"]) == (409, "wrong_state")
    target.answer = lambda _: 200
    answer = await sender.root.patch(sender.url, json={"data": {"re-enable": True}})
    assert [one["enabled"] for one in answer.json()["data"]] == [True]
    last = sender.event()
    posts = await target.wait_for(3)
    assert posts[-1].event_id == f"{last}.engine@test.example.org"


async def test_an_account_takes_its_webhooks_along(
    sender: Sender, target: WebhookTarget, engine: ScriptedEngine
) -> None:
    target.answer = lambda _: 500
    await sender.hook(target.url)
    sender.event()
    await until(lambda: has(sender.attempts(), 1))
    answer = await sender.root.delete(sender.tenant.url)
    assert answer.status_code == 200
    await until(lambda: _gone(engine))
    assert engine.webhooks.waiting == 0


async def _gone(engine: ScriptedEngine) -> bool:
    return not await engine.webhooks._deliveries.waiting()


async def test_without_a_database_what_works_goes_on_and_the_rest_is_not_forgotten(
    sender: Sender, target: WebhookTarget, engine: ScriptedEngine, tmp_path: Path
) -> None:
    target.answer = lambda post: 500 if post.path == "/hook/bad" else 200
    bad = await sender.hook(target.url + "/bad")
    await sender.hook(target.url + "/good")
    with closing(sqlite3.connect(tmp_path / "engine.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(50):
            sender.event("CHANNEL_CREATE", f"c{number}")
        await target.wait(lambda posts: [post.path for post in posts].count("/hook/good") == 50)
        assert engine.webhooks.lag > 0
        other.execute("ROLLBACK")
    await until(lambda: same(engine.webhooks.lag == 0))
    assert (await sender.status(bad))["waiting"] == 50
    rows = await engine.webhooks._deliveries.waiting()
    assert len(rows) == 50
