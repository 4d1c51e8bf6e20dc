"""The documents of webhooks over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from engine.control.kazoo_events import EVENT_NAMES
from engine.core.errors import RequestInvalid
from engine.store.webhooks import MAX_WEBHOOKS, Webhook
from tests.control.conftest import Tenant, create
from tests.control.engine import ScriptedEngine

HOOK: dict[str, Any] = {
    "name": "CRM",
    "hook": "channel_destroy",
    "uri": "https://hooks.example.org/x?token=t",
}


async def test_a_webhook_is_created_shown_listed_changed_and_deleted(
    root: httpx.AsyncClient, tenant: Tenant
) -> None:
    url = f"{tenant.url}/webhooks"
    answer = await root.put(url, json={"data": {**HOOK, "retries": 3, "include_subaccounts": True}})
    assert answer.status_code == 201
    made = answer.json()["data"]
    assert len(made["secret"]) == 64
    one = f"{url}/{made['id']}"
    shown = (await root.get(one)).json()
    assert shown["data"] == {k: v for k, v in made.items() if k != "secret"}
    assert shown["data"]["include_subaccounts"] is True
    assert shown["delivery"] == {"state": "disabled"}
    row = {"id": made["id"], **HOOK, "enabled": True}
    assert (await root.get(url)).json()["data"] == [row]
    answer = await root.patch(one, json={"data": {"http_verb": "get", "enabled": False}})
    assert answer.json()["data"]["http_verb"] == "get"
    assert "secret" not in answer.json()["data"]
    answer = await root.post(one, json={"data": {**HOOK, "name": "Other"}})
    assert answer.json()["data"] == {**HOOK, "name": "Other", "id": made["id"]}
    answer = await root.delete(one)
    assert answer.status_code == 200
    assert "secret" not in answer.json()["data"]
    assert (await root.get(one)).status_code == 404


async def test_a_secret_stays_until_it_is_changed_and_is_shown_then_alone(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = f"{tenant.url}/webhooks"
    answer = await root.put(url, json={"data": {**HOOK, "secret": "my-own-secret"}})
    assert answer.json()["data"]["secret"] == "my-own-secret"
    one = f"{url}/{answer.json()['data']['id']}"

    def stored() -> str:
        (webhook,) = engine.directory.webhooks(tenant.account)
        assert "my-own-secret" not in repr(webhook)
        return webhook.secret

    await root.post(one, json={"data": HOOK})
    await root.patch(one, json={"data": {"name": "Other"}})
    assert stored() == "my-own-secret"
    for method in ("PATCH", "POST"):
        before = stored()
        answer = await root.request(method, one, json={"data": {**HOOK, "secret": None}})
        assert answer.json()["data"]["secret"] == stored() != before
        assert len(stored()) == 64
    assert stored() not in (await root.get(url)).text + (await root.get(one)).text


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"hook": "object"}, "hook", "quickcall_end"),
        ({"hook": "inbound_fax"}, "hook", "channel_bridge"),
        ({"hook": None}, "hook", "required"),
        ({"name": ""}, "name", "128"),
        ({"name": "a\nb"}, "name", "printable"),
        ({"uri": None}, "uri", "required"),
        ({"uri": "ftp://example.org/"}, "uri", "http"),
        ({"uri": "file:///etc/passwd"}, "uri", "http"),
        ({"uri": "http:///x"}, "uri", "host"),
        ({"uri": "http://user:pw@example.org/"}, "uri", "user"),
        ({"uri": "http://example.org/#x"}, "uri", "fragment"),
        ({"uri": "http://example.org/a b"}, "uri", "visible"),
        ({"uri": "http://example.org/\r\nX: y"}, "uri", "visible"),
        ({"uri": "http://example.org:0/"}, "uri", "http"),
        ({"uri": "http://example.org:99999/"}, "uri", "http"),
        ({"uri": "http://[::1/"}, "uri", "http"),
        ({"uri": "http://example.org/" + "x" * 2048}, "uri", "2048"),
        ({"http_verb": "delete"}, "http_verb", "get, post, put"),
        ({"format": "xml"}, "format", "form-data, json"),
        ({"retries": 5}, "retries", "0 to 4"),
        ({"secret": "short"}, "secret", "8 to 256"),
        ({"secret": "pass word pass"}, "secret", "8 to 256"),
        ({"events": ["CHANNEL_DESTROYED"]}, "events", "CHANNEL_DESTROY"),
        ({"modifiers": {"to": {"a": 1}}}, "modifiers", ""),
        ({"custom_data": []}, "custom_data", "object"),
        ({"call_id": "x" * 129}, "call_id", "128"),
    ],
)
async def test_a_bad_field_is_named(
    root: httpx.AsyncClient, tenant: Tenant, change: dict[str, Any], field: str, said: str
) -> None:
    document = {**HOOK, **change}
    answer = await root.put(f"{tenant.url}/webhooks", json={"data": document})
    assert answer.status_code == 400, answer.text
    (named,) = answer.json()["data"]
    assert named.startswith(field)
    assert said in answer.text
    assert "short" not in answer.text
    assert ":pw@" not in answer.text
    assert (await root.get(f"{tenant.url}/webhooks")).json()["data"] == []


@pytest.mark.parametrize("host", ["10.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:10.0.0.1]"])
async def test_a_private_address_is_refused_at_once_unless_it_is_allowed(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine, host: str
) -> None:
    document = {"data": {**HOOK, "uri": f"http://{host}:8080/"}}
    engine.webhooks.private_addresses = False
    answer = await root.put(f"{tenant.url}/webhooks", json=document)
    assert answer.status_code == 400
    assert "webhook_private_addresses" in answer.text
    engine.webhooks.private_addresses = True
    assert (await root.put(f"{tenant.url}/webhooks", json=document)).status_code == 201


async def test_there_are_only_so_many(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    for number in range(MAX_WEBHOOKS):
        await engine.directory.put("webhook", tenant.account, HOOK, str(number))
    answer = await root.put(f"{tenant.url}/webhooks", json={"data": HOOK})
    assert (answer.status_code, "at most 100" in answer.text) == (400, True)
    await root.patch(f"{tenant.url}/webhooks/7", json={"data": {"name": "changed"}})
    assert engine.directory.webhooks(tenant.account)[0].name == "CRM"


async def test_every_hook_is_listed(root: httpx.AsyncClient, tenant: Tenant) -> None:
    listed = (await root.get("/v2/webhooks")).json()["data"]
    assert {one["id"] for one in listed} == {name.lower() for name in EVENT_NAMES} | {"all"}
    everything = next(one for one in listed if one["id"] == "all")
    assert set(everything["events"]) == EVENT_NAMES
    for one in listed:
        await create(root, f"{tenant.url}/webhooks", {**HOOK, "hook": one["id"]})


async def test_another_account_sees_nothing(
    client: httpx.AsyncClient, root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    hook = await create(root, f"{tenant.url}/webhooks", HOOK)
    client.headers["X-Auth-Token"] = engine.tokens.create("f" * 32)
    one = f"{tenant.url}/webhooks/{hook}"
    for method, url in (
        *(("GET", tenant.url + "/webhooks"), ("PUT", tenant.url + "/webhooks")),
        *(("PATCH", tenant.url + "/webhooks"), ("GET", one), ("POST", one), ("PATCH", one)),
        *(("DELETE", one), ("GET", f"{one}/attempts"), ("POST", f"{one}/replay")),
        ("GET", f"{tenant.url}/webhooks/attempts"),
    ):
        answer = await client.request(method, url)
        assert answer.status_code == 403, (method, url)
    client.headers.pop("X-Auth-Token")
    assert (await client.get("/v2/webhooks")).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "none/attempts", None, 404),
        ("POST", "none/replay", None, 404),
        ("GET", "attempts?page_size=0", None, 400),
        ("GET", "attempts?page_size=1e3", None, 400),
        ("GET", "attempts?start_key=-1", None, 400),
        ("GET", "attempts?state=lost", None, 400),
        ("PATCH", "", {"data": {"re-enable": False}}, 400),
        ("PATCH", "", {"data": {}}, 400),
    ],
)
async def test_what_cannot_be_done_is_refused(
    root: httpx.AsyncClient, tenant: Tenant, method: str, path: str, body: Any, status: int
) -> None:
    url = f"{tenant.url}/webhooks/{path}".rstrip("/")
    answer = await root.request(method, url, json=body)
    assert answer.status_code == status, answer.text


async def test_a_webhook_needs_an_account(engine: ScriptedEngine) -> None:
    with pytest.raises(RequestInvalid, match="uri"):
        account = await engine.directory.put("account", "", {"name": "a", "realm": "a.test"})
        await engine.directory.put("webhook", account["id"], {**HOOK, "uri": "gopher://x"})


def test_a_webhook_hides_its_secret() -> None:
    webhook = Webhook("1", "n", "all", "https://example.org/?token=abc", secret="hidden-one")
    assert "hidden-one" not in repr(webhook)
    assert "abc" not in repr(webhook)
