"""Where a number goes, asked over HTTP; nobody is called."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.control.conftest import Tenant, create
from tests.control.engine import ScriptedEngine


@pytest.fixture
async def carrier(root: httpx.AsyncClient, tenant: Tenant) -> str:
    document = {"name": "Acme", "rules": [r"^\+?1(\d{10})$"], "gateways": [{"server": "192.0.2.1"}]}
    return await create(root, f"{tenant.url}/resources", document)


async def ask(client: httpx.AsyncClient, url: str, **query: str) -> dict[str, Any]:
    response = await client.get(url, params=query)
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()["data"]
    return report


async def test_every_step_and_the_target_are_told(
    root: httpx.AsyncClient, tenant: Tenant, carrier: str, engine: ScriptedEngine
) -> None:
    told = await ask(root, f"{tenant.url}/route/1-415-555-0101")
    assert told["filter"]["output"] == told["number"] == "14155550101"
    assert (told["target"], told["dialled"]) == ({"kind": "resource", "id": carrier}, "4155550101")
    assert (told["e164"], told["classification"]) == ("+14155550101", "did_us")
    stages = {step["stage"]: step for step in told["steps"]}
    assert stages["carrier"]["outcome"] == "matched"
    assert stages["extension"]["outcome"] == "passed"
    (invite,) = told["invites"]
    assert (invite["leg"], invite["group"]) == ("b", 1)
    assert invite["request_uri"] == "sip:4155550101@192.0.2.1"
    assert ["To", "<sip:4155550101@192.0.2.1>"] in invite["headers"]
    assert (engine.handles, told["refusal"]) == ([], None)


@pytest.mark.parametrize("kind", ["devices", "users"])
async def test_for_an_endpoint_its_own_invite_comes_first(
    root: httpx.AsyncClient, tenant: Tenant, carrier: str, kind: str
) -> None:
    static = {"username": "gate", "invite_format": "route", "route": "sip:gate@192.0.2.7"}
    user = await create(root, f"{tenant.url}/users", {"first_name": "Bob"})
    document = {"name": "Gate", "owner_id": user, "sip": static}
    device = await create(root, f"{tenant.url}/devices", document)
    asker = device if kind == "devices" else user
    told = await ask(root, f"{tenant.url}/{kind}/{asker}/route/%2B14155550101")
    assert (told["endpoint_type"], told["endpoint_id"]) == (kind.removesuffix("s"), asker)
    legs = [(invite["leg"], invite["endpoint_id"]) for invite in told["invites"]]
    assert legs == [("a", device), ("b", carrier)]


async def test_a_blocked_number_is_told_with_its_cause(
    root: httpx.AsyncClient, tenant: Tenant, carrier: str
) -> None:
    blocklist = {"name": "Main", "numbers": {"+14155550101": {}}}
    await create(root, f"{tenant.url}/blocklists", blocklist)
    told = await ask(root, f"{tenant.url}/route/4155550101")
    assert (told["target"], told["invites"]) == (None, [])
    assert told["refusal"]["cause"] == "NUMBER_BLOCKED"
    assert "Main" in told["refusal"]["reason"]


async def test_the_rows_of_the_route_table_are_asked_as_soon_as_it_is_imported(
    root: httpx.AsyncClient, tenant: Tenant, carrier: str
) -> None:
    url = f"{tenant.url}/route/14155550101"
    assert (await ask(root, url))["rule"].startswith("carrier 'Acme'")
    row: dict[str, object] = {"kind": "prefix", "match": "1415", "to": "resource", "id": carrier}
    rows = [row | {"prepend": "+"}, row | {"match": "1", "strip": 1}]
    await root.put(f"{tenant.url}/routes", json={"data": rows})
    told = await ask(root, url)
    assert (told["target"], told["dialled"]) == (
        {"kind": "resource", "id": carrier},
        "+14155550101",
    )
    assert "line 2" in told["rule"]
    outcomes = [step["outcome"] for step in told["steps"] if step["stage"] == "carrier"]
    assert outcomes == ["lost"]
    dialled = [invite["request_uri"] for invite in told["invites"]]
    assert dialled == ["sip:+14155550101@192.0.2.1", "sip:4155550101@192.0.2.1"]
    await root.delete(f"{tenant.url}/routes")
    assert (await ask(root, url))["rule"].startswith("carrier 'Acme'")


async def test_number_and_filter_are_those_of_a_quickcall(
    root: httpx.AsyncClient, tenant: Tenant
) -> None:
    told = await ask(root, f"{tenant.url}/route/a%2Fb%2520", number_filter="a(.*)")
    assert told["filter"]["input"] == "a/b%20"
    assert (told["number"], told["filter"]["applied"]) == ("/b%20", "regex")
    device = f"{tenant.url}/devices/{tenant.device}"
    for url in (f"{tenant.url}/route", f"{device}/route"):
        for number, status in (("", 404), ("/", 404), ("/1/2", 404), ("/%ff", 400)):
            assert (await root.get(url + number)).status_code == status, url + number
        assert (await root.get(f"{url}/{'1' * 129}")).status_code == 400
        response = await root.get(f"{url}/1", params={"number_filter": "("})
        assert list(response.json()["data"]) == ["number_filter"]


async def test_only_what_there_is_is_explained(
    root: httpx.AsyncClient, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    for url in (f"{tenant.url}/devices/none/route/1", "/v2/accounts/none/route/1"):
        assert (await root.get(url)).status_code == 404
    for url in (f"{tenant.url}/devices/{tenant.device}/route/1", f"{tenant.url}/route/1"):
        assert (await client.get(url)).status_code == 401
    other = await create(root, "/v2/accounts", {"name": "Other", "realm": "other.example.org"})
    token = {"X-Auth-Token": tenant.token}
    response = await client.get(f"/v2/accounts/{other}/route/1", headers=token)
    assert response.status_code == 403
