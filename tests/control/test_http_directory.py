"""Accounts, users, devices and carriers over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.control.http_blocklists import MAX_BLOCKLIST_BODY
from engine.control.http_directory import with_secrets_of
from tests.control.conftest import Tenant, create
from tests.control.engine import ScriptedEngine, scripted_engine

CARRIER: dict[str, Any] = {
    "name": "Carrier",
    "rules": ["^\\+?1(\\d{10})$"],
    "weight_cost": 10,
    "gateways": [{"server": "sip.carrier.example.org", "username": "u", "password": "p1"}],
}


async def test_a_document_is_created_shown_replaced_merged_and_deleted(
    root: httpx.AsyncClient, tenant: Tenant
) -> None:
    url = f"{tenant.url}/users"
    user = await create(root, url, {"first_name": "Bob", "x_unknown": {"kept": True}})
    shown = (await root.get(f"{url}/{user}")).json()["data"]
    assert shown == {"first_name": "Bob", "x_unknown": {"kept": True}, "id": user}
    response = await root.patch(
        f"{url}/{user}", json={"data": {"last_name": "B", "x_unknown": None}}
    )
    assert response.status_code == 200
    assert response.json()["data"] == {"first_name": "Bob", "last_name": "B", "id": user}
    response = await root.post(f"{url}/{user}", json={"data": {"first_name": "Rob"}})
    assert response.status_code == 200
    assert response.json()["data"] == {"first_name": "Rob", "id": user}
    listed = (await root.get(url)).json()["data"]
    assert {"id": user, "first_name": "Rob", "enabled": True} in listed
    response = await root.delete(f"{url}/{user}")
    assert response.status_code == 200
    assert response.json()["data"]["first_name"] == "Rob"
    for method in ("GET", "POST", "PATCH", "DELETE"):
        body: dict[str, Any] | None = None if method in ("GET", "DELETE") else {"data": {}}
        response = await root.request(method, f"{url}/{user}", json=body)
        assert response.status_code == 404, method
        assert response.json()["message"] == "bad_identifier"


async def test_passwords_are_shown_only_to_who_sent_them(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = f"{tenant.url}/devices"
    device = {"name": "Desk 2", "sip": {"username": "carol", "password": "pw1"}}
    response = await root.put(url, json={"data": device})
    assert response.json()["data"]["sip"]["password"] == "pw1"
    one = f"{url}/{response.json()['data']['id']}"
    shown = (await root.get(one)).json()["data"]
    assert "password" not in shown["sip"]
    shown["name"] = "Desk 3"
    response = await root.post(one, json={"data": shown})
    assert "password" not in response.json()["data"]["sip"]
    response = await root.patch(one, json={"data": {"sip": {"username": "carla"}}})
    assert "password" not in response.json()["data"]["sip"]
    stored = engine.directory.device(tenant.account, shown["id"])
    assert (stored.name, stored.sip.username, stored.sip.password) == ("Desk 3", "carla", "pw1")
    shown["sip"]["password"] = "pw2"
    response = await root.post(one, json={"data": shown})
    assert response.json()["data"]["sip"]["password"] == "pw2"
    response = await root.delete(one)
    assert "password" not in response.json()["data"]["sip"]
    assert "pw" not in (await root.get(url)).text


async def test_carriers_keep_the_passwords_of_their_gateways(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = f"{tenant.url}/resources"
    carrier = await create(root, url, CARRIER)
    shown = (await root.get(f"{url}/{carrier}")).json()["data"]
    assert "password" not in shown["gateways"][0]
    shown["weight_cost"] = 20
    assert (await root.post(f"{url}/{carrier}", json={"data": shown})).status_code == 200
    stored = engine.directory.resource(tenant.account, carrier)
    assert (stored.weight_cost, stored.gateways[0].password) == (20, "p1")


def test_secrets_stay_with_their_server() -> None:
    old = {"gateways": [{"server": "a", "password": "1"}, {"server": "b", "password": "2"}]}
    moved = {"gateways": [{"server": "b"}, {"server": "b"}, {"server": "c"}]}
    assert with_secrets_of(old, moved) == {
        "gateways": [{"server": "b"}, {"server": "b", "password": "2"}, {"server": "c"}]
    }
    assert with_secrets_of({"password": "1"}, {"password": None}) == {"password": None}


@pytest.mark.parametrize(
    ("collection", "data", "field"),
    [
        ("devices", {"sip": {"username": "a\r\nb"}}, "sip.username"),
        ("devices", {"sip": {"username": "x" * 300}}, "sip.username"),
        ("devices", {"sip": {"invite_format": "fax"}}, "sip.invite_format"),
        ("devices", {"owner_id": "0" * 32}, "owner_id"),
        ("users", {"caller_id": {"internal": {"name": 7}}}, "caller_id.internal.name"),
        ("resources", {"name": "x", "gateways": []}, "gateways"),
        ("blocklists", {"numbers": {}}, "name"),
        ("devices", {"call_restriction": {"premium": {}}}, "call_restriction"),
        ("devices", {"dial_plan": {"system": ["us"]}}, "dial_plan.system"),
    ],
)
async def test_a_bad_field_is_named(
    root: httpx.AsyncClient, tenant: Tenant, collection: str, data: dict[str, Any], field: str
) -> None:
    response = await root.put(f"{tenant.url}/{collection}", json={"data": data})
    assert response.status_code == 400
    assert response.json()["message"] == "validation error"
    assert list(response.json()["data"]) == [field]


async def test_a_write_needs_data(root: httpx.AsyncClient, tenant: Tenant) -> None:
    for content in (b"", b"{}", b'{"data": null}', b'{"data": "x"}'):
        response = await root.put(f"{tenant.url}/users", content=content)
        assert response.status_code == 400
        assert "data" in response.json()["data"]


async def test_what_must_be_unique_is_a_conflict(root: httpx.AsyncClient, tenant: Tenant) -> None:
    response = await root.put(
        f"{tenant.url}/devices", json={"data": {"sip": {"username": "alice"}}}
    )
    assert response.status_code == 409
    assert response.json()["message"] == "datastore_conflict"
    assert response.json()["data"]["sip.username"]["unique"]["cause"] == "alice"
    response = await root.put(
        "/v2/accounts", json={"data": {"name": "Other", "realm": "ACME.example.org"}}
    )
    assert response.status_code == 409


async def test_only_root_makes_and_deletes_accounts(
    client: httpx.AsyncClient, root: httpx.AsyncClient, tenant: Tenant
) -> None:
    other = await create(root, "/v2/accounts", {"name": "Other", "realm": "other.example.org"})
    own = {"X-Auth-Token": tenant.token}
    listed = (await client.get("/v2/accounts", headers=own)).json()["data"]
    assert [account["id"] for account in listed] == [tenant.account]
    assert len((await root.get("/v2/accounts")).json()["data"]) == 2
    assert (await client.get(tenant.url, headers=own)).status_code == 200
    renamed = {"data": {"name": "Acme 2"}}
    assert (await client.patch(tenant.url, json=renamed, headers=own)).status_code == 200
    for method, url in (
        ("PUT", "/v2/accounts"),
        ("DELETE", tenant.url),
        ("GET", f"/v2/accounts/{other}"),
        ("GET", f"/v2/accounts/{other}/devices"),
        ("PUT", f"/v2/accounts/{other}/users"),
    ):
        response = await client.request(method, url, headers=own, json={"data": {}})
        assert response.status_code == 403, (method, url)
    response = await root.delete(tenant.url)
    assert response.json()["data"]["name"] == "Acme 2"
    assert (await root.get(f"{tenant.url}/users")).status_code == 404


async def test_device_status_tells_who_is_reachable(
    root: httpx.AsyncClient, tenant: Tenant
) -> None:
    static = {"name": "Gate", "sip": {"method": "ip", "ip": "127.0.0.9"}}
    gate = await create(root, f"{tenant.url}/devices", static)
    rows = (await root.get(f"{tenant.url}/devices/status")).json()["data"]
    registered = {row["device_id"]: row["registered"] for row in rows}
    assert registered == {tenant.device: False, tenant.nobody: False, gate: True}


async def test_the_directory_survives_a_restart(tmp_path: Path) -> None:
    async with scripted_engine(tmp_path) as engine:
        made = await engine.directory.put("account", "", {"name": "A", "realm": "a.example.org"})
    async with scripted_engine(tmp_path) as engine:
        assert engine.directory.account(made["id"]).realm == "a.example.org"


SEED: dict[str, Any] = {"name": "Main Blacklist", "numbers": {"+14154846048": {}}}
"""The payload of the quickcall document."""


@pytest.mark.parametrize("collection", ["blocklists", "blacklists"])
async def test_a_blocklist_has_two_names_and_one_life(
    root: httpx.AsyncClient, tenant: Tenant, collection: str
) -> None:
    blocklist = await create(root, f"{tenant.url}/{collection}", SEED)
    for name in ("blocklists", "blacklists"):
        url = f"{tenant.url}/{name}"
        listed = (await root.get(url)).json()["data"]
        assert listed == [{"id": blocklist, "name": "Main Blacklist", "enabled": True}]
        shown = (await root.get(f"{url}/{blocklist}")).json()["data"]
        assert shown == {**SEED, "id": blocklist}
    one = f"{tenant.url}/{collection}/{blocklist}"
    changes = {"numbers": {"+14154846048": None, "1002": {"name": "Bob"}}}
    changed = (await root.patch(one, json={"data": changes})).json()["data"]
    assert changed["numbers"] == {"1002": {"name": "Bob"}}
    replaced = await root.post(one, json={"data": {"name": "Other", "enabled": False}})
    assert replaced.json()["data"] == {"name": "Other", "enabled": False, "id": blocklist}
    assert (await root.delete(one)).status_code == 200
    assert (await root.get(one)).json()["data"]["kind"] == "blocklist"


async def test_a_long_blocklist_is_taken_and_one_too_long_told_so(
    root: httpx.AsyncClient, tenant: Tenant
) -> None:
    numbers: dict[str, Any] = {f"+1415{place:07}": {} for place in range(100_000)}
    url = f"{tenant.url}/blocklists"
    blocklist = await create(root, url, {"name": "Long", "numbers": numbers})
    shown = (await root.get(f"{url}/{blocklist}")).json()["data"]
    assert shown["numbers"] == numbers
    numbers["+1"] = {}
    response = await root.put(url, json={"data": {"name": "Longer", "numbers": numbers}})
    assert response.status_code == 400
    assert response.json()["data"]["numbers"]["maxProperties"]["cause"] == 100_001
    response = await root.put(url, content=b"x" * (MAX_BLOCKLIST_BODY + 1))
    assert response.status_code == 413


async def test_a_shared_dial_plan_lives_under_its_name(
    root: httpx.AsyncClient, tenant: Tenant
) -> None:
    url = "/v2/dial_plans/us"
    rules = {"^(\\d{7})$": {"prefix": "+1415", "description": "local"}}
    created = await root.put(url, json={"data": rules})
    assert (created.status_code, created.json()["data"]) == (201, {**rules, "id": "us"})
    assert (await root.put(url, json={"data": {}})).status_code == 409
    assert (await root.get(url)).json()["data"] == {**rules, "id": "us"}
    assert (await root.get("/v2/dial_plans")).json()["data"] == [{"id": "us"}]
    changes = {"^(\\d{7})$": {"prefix": "+1212"}, "^9(.*)$": {}}
    changed = (await root.patch(url, json={"data": changes})).json()["data"]
    assert changed["^(\\d{7})$"] == {"prefix": "+1212", "description": "local"}
    replaced = await root.post(url, json={"data": {"^8(.*)$": {}}})
    assert replaced.json()["data"] == {"^8(.*)$": {}, "id": "us"}
    used = {"data": {"dial_plan": {"system": ["us"]}}}
    assert (await root.patch(tenant.url, json=used)).status_code == 200
    assert (await root.delete(url)).status_code == 409
    assert (await root.patch(tenant.url, json={"data": {"dial_plan": None}})).status_code == 200
    assert (await root.delete(url)).status_code == 200
    for method in ("GET", "POST", "PATCH", "DELETE"):
        response = await root.request(method, url, json={"data": {}})
        assert (response.status_code, response.json()["data"]["kind"]) == (404, "dial_plan")


async def test_a_shared_plan_that_names_others_is_refused(root: httpx.AsyncClient) -> None:
    response = await root.put("/v2/dial_plans/us", json={"data": {"system": ["eu"]}})
    assert response.status_code == 400
    assert list(response.json()["data"]) == ["system"]


async def test_accounts_see_shared_plans_and_only_root_has_hands_on_them(
    client: httpx.AsyncClient, root: httpx.AsyncClient, tenant: Tenant
) -> None:
    await root.put("/v2/dial_plans/us", json={"data": {"^9(.*)$": {"prefix": "+"}}})
    own = {"X-Auth-Token": tenant.token}
    shown = await client.get(f"{tenant.url}/dialplans", headers=own)
    assert shown.json()["data"] == {"us": {"^9(.*)$": {"prefix": "+"}, "name": "us"}}
    assert (await client.get("/v2/dial_plans", headers=own)).status_code == 403
    for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
        response = await client.request(method, "/v2/dial_plans/us", headers=own, json={"data": {}})
        assert response.status_code == 403, method
    assert (await root.get("/v2/accounts/none/dialplans")).status_code == 404


@pytest.mark.parametrize("collection", ["blocklists", "resources"])
async def test_lists_come_in_pages(
    root: httpx.AsyncClient, tenant: Tenant, collection: str
) -> None:
    url = f"{tenant.url}/{collection}"
    for index in range(5):
        document = {**CARRIER, "weight_cost": 100 - index}
        await create(root, url, document)
    whole = (await root.get(url, params={"paginate": "false"})).json()
    assert "next_start_key" not in whole
    ids = [one["id"] for one in whole["data"]]
    if collection == "resources":
        assert [one["weight_cost"] for one in whole["data"]] == [96, 97, 98, 99, 100]
    seen: list[str] = []
    query = {"page_size": "2"}
    while True:
        page = (await root.get(url, params=query)).json()
        seen += [one["id"] for one in page["data"]]
        if "next_start_key" not in page:
            break
        query["start_key"] = page["next_start_key"]
    assert seen == ids
    # The first of the next page has gone meanwhile.
    page = (await root.get(url, params={"page_size": "2"})).json()
    assert (await root.delete(f"{url}/{ids[2]}")).status_code == 200
    following = {"page_size": "2", "start_key": page["next_start_key"]}
    page = (await root.get(url, params=following)).json()
    assert [one["id"] for one in page["data"]] == ids[3:5]


async def test_a_tag_saves_reading_and_guards_writing(
    root: httpx.AsyncClient, tenant: Tenant
) -> None:
    url = f"{tenant.url}/devices/{tenant.device}"
    first = await root.get(url)
    tag = first.headers["etag"]
    again = await root.get(url, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    listed = await root.get(f"{tenant.url}/devices")
    known = {"If-None-Match": listed.headers["etag"]}
    assert (await root.get(f"{tenant.url}/devices", headers=known)).status_code == 304
    changed = await root.patch(url, json={"data": {"name": "New"}}, headers={"If-Match": tag})
    assert changed.status_code == 200
    new = changed.headers["etag"]
    assert new == (await root.get(url)).headers["etag"] != tag
    for method in ("PATCH", "POST", "DELETE"):
        refused = await root.request(
            method, url, json={"data": {"name": "Old"}}, headers={"If-Match": tag}
        )
        assert (refused.status_code, refused.json()["message"]) == (412, "precondition_failed")
        assert new in refused.json()["data"]["message"].replace("\\", "")
    assert (await root.get(f"{tenant.url}/devices", headers=known)).status_code == 200
    assert (await root.get(url)).json()["data"]["name"] == "New"
    # A password is no part of it: it could be guessed from the tag.
    changed = await root.patch(url, json={"data": {"sip": {"password": "other"}}})
    assert changed.headers["etag"] == new
    deleted = await root.delete(url, headers={"If-Match": f'"x", {new}'})
    assert deleted.status_code == 200


async def test_numbers_of_a_blocklist_change_a_few_at_a_time(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    blocklist = await create(root, f"{tenant.url}/blocklists", SEED)
    url = f"{tenant.url}/blocklists/{blocklist}/numbers"
    changes: dict[str, Any] = {"add": ["1", "2", "1"], "remove": ["+14154846048", "none"]}
    response = await root.post(url, json={"data": changes})
    assert response.json()["data"] == {"removed": 1, "added": 2, "numbers": 2}
    changes = {"add": {"2": {"name": "Bob"}, "3": {}}}
    response = await root.post(
        url, json={"data": changes}, headers={"If-Match": response.headers["etag"]}
    )
    assert response.json()["data"] == {"removed": 0, "added": 1, "numbers": 3}
    stored = engine.directory.document("blocklist", tenant.account, blocklist)
    assert stored["numbers"] == {"1": {}, "2": {"name": "Bob"}, "3": {}}
    page = (await root.get(url, params={"page_size": "2"})).json()
    assert page["data"] == {"1": {}, "2": {"name": "Bob"}}
    page = (await root.get(url, params={"start_key": page["next_start_key"]})).json()
    assert page["data"] == {"3": {}}
    for data, field in (
        ({"add": [1]}, "add"),
        ({"remove": {"1": {}}}, "remove"),
        ({"numbers": []}, "numbers"),
        ({"add": {"1": "x"}}, "numbers"),
        ({"add": ["\n"]}, "numbers"),
    ):
        response = await root.post(url, json={"data": data})
        assert response.status_code == 400, data
        assert next(iter(response.json()["data"])).startswith(field)
    refused = await root.post(url, json={"data": {}}, headers={"If-Match": '"x"'})
    assert refused.status_code == 412
    assert (await root.get(f"{tenant.url}/blocklists/none/numbers")).status_code == 404


async def test_head_is_get_without_its_body(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = f"{tenant.url}/devices/{tenant.device}"
    got, head = await root.get(url), await root.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type"):
        assert head.headers[name] == got.headers[name]
    assert (await root.head(f"{tenant.url}/devices/none")).status_code == 404
    # A GET that places a call has no HEAD.
    assert (await root.head(tenant.quickcall())).status_code == 405
    assert engine.handles == []


async def test_other_origins_are_told_nothing(root: httpx.AsyncClient, tenant: Tenant) -> None:
    origin = {"Origin": "https://example.com", "Access-Control-Request-Method": "GET"}
    for method in ("GET", "OPTIONS"):
        response = await root.request(method, tenant.url, headers=origin)
        assert not [name for name in response.headers if name.startswith("access-control")]
