"""The route table of an account over HTTP: in and out as CSV and JSON, faults with their line."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from engine.control.http_context import MAX_BODY
from engine.control.http_routes import MAX_SHOWN
from engine.store import route_tables
from tests.control.conftest import Tenant, create
from tests.control.engine import ScriptedEngine

HEADER = "kind,match,to,id,priority,weight,strip,prepend,description\n"
CSV = {"Content-Type": "text/csv; charset=utf-8"}
AS_CSV = {"Accept": "text/csv"}


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"{tenant.url}/routes"


@pytest.fixture
async def carrier(root: httpx.AsyncClient, tenant: Tenant) -> str:
    document = {"name": "Carrier", "gateways": [{"server": "192.0.2.1"}]}
    return await create(root, f"{tenant.url}/resources", document)


def fault(response: httpx.Response) -> dict[str, Any]:
    """Return field, rule and what is said about it, of a refusal of one field."""
    assert response.status_code == 400, response.text
    assert response.json()["message"] == "validation error"
    ((field, rules),) = response.json()["data"].items()
    ((rule, detail),) = rules.items()
    return {"field": field, "rule": rule, **detail}


async def test_a_table_comes_back_as_it_was_sent(
    root: httpx.AsyncClient, url: str, carrier: str, engine: ScriptedEngine, tenant: Tenant
) -> None:
    text = HEADER + f'prefix,1415,resource,{carrier},0,1,1,00,"a, b"\n'
    response = await root.put(url, content=text.encode(), headers=CSV)
    assert response.status_code == 200, response.text
    told = response.json()["data"]
    assert (told["rows"], told["revision"], told["csv_bytes"]) == (1, 1, len(text))
    assert told["memory_bytes"] >= told["index_bytes"] > 0
    assert told["compile_ms"] >= 0
    shown = (await root.get(url)).json()["data"]
    row: dict[str, object] = {"kind": "prefix", "match": "1415", "to": "resource", "id": carrier}
    row |= {"strip": 1, "prepend": "00", "description": "a, b"}
    assert shown == {**told, "routes": [row]}
    exported = await root.get(url, headers=AS_CSV)
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.text == text
    table = engine.route_tables.table(tenant.account)
    assert table is not None
    found = table.match("14155550100")
    assert found is not None
    assert found.number == "004155550100"


async def test_json_comes_back_as_it_was_sent(
    root: httpx.AsyncClient, url: str, tenant: Tenant
) -> None:
    rows = [
        {"kind": "extension", "match": "100", "to": "device", "id": tenant.device},
        {"kind": "pattern", "match": "_2XX", "to": "user", "id": tenant.user, "priority": 3},
    ]
    for method in ("PUT", "POST"):
        response = await root.request(method, url, json={"data": rows})
        assert response.status_code == 200, response.text
        assert (await root.get(url)).json()["data"]["routes"] == rows


async def test_a_broken_line_is_told_and_the_old_table_stays(
    root: httpx.AsyncClient, url: str, carrier: str
) -> None:
    good = HEADER + f"prefix,1,resource,{carrier},0,1,0,,\n"
    await root.put(url, content=good, headers=CSV)
    broken = good + f"\npattern,_2[3,resource,{carrier},0,1,0,,\n"
    told = fault(await root.put(url, content=broken, headers=CSV))
    assert (told["field"], told["line"], told["cause"]) == ("match", 4, "_2[3")
    assert isinstance(told["position"], int)
    assert told["message"].startswith("line 4: match '_2[3'")
    told = fault(await root.put(url, content=good + "prefix,2,user,none,,,,,\n", headers=CSV))
    assert (told["field"], told["line"], told["cause"]) == ("id", 3, "none")
    assert (await root.get(url, headers=AS_CSV)).text == good


async def test_a_broken_item_is_told(root: httpx.AsyncClient, url: str, carrier: str) -> None:
    good = {"kind": "prefix", "match": "1", "to": "resource", "id": carrier}
    for bad, field in (({"weight": 0}, "weight"), ({"cost": 1}, "line"), ({"kind": 1}, "kind")):
        told = fault(await root.post(url, json={"data": [good, {**good, **bad}]}))
        assert (told["field"], told["item"]) == (field, 2)
        assert "line" not in told
    assert (await root.get(url)).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [(b"", "data"), (b'{"data": {}}', "data"), (b'{"data": null}', "data")],
)
async def test_json_must_be_an_array(
    root: httpx.AsyncClient, url: str, body: bytes, field: str
) -> None:
    assert fault(await root.put(url, content=body))["field"] == field


async def test_hostile_text_is_a_plain_refusal(
    root: httpx.AsyncClient, url: str, carrier: str
) -> None:
    row = f"prefix,1,resource,{carrier},0,1,0,,"
    for text, line in (
        (b"", 1),
        (b"\x00\xff" * 100, 1),
        (b"\xef\xbb\xbf" + HEADER.encode() + b"\x00\n", 2),
        (HEADER.encode() + b"prefix,\xe9,resource,x,0,1,0,,\n", 2),
        (HEADER.encode() + row.encode() + b"x" * 2_000_000, 2),
        (HEADER.encode() + row.encode() + b'"' + b"\n" * 300_000, 2),
    ):
        assert fault(await root.put(url, content=text, headers=CSV))["line"] == line
    windows = "\ufeff" + (HEADER + row).replace("\n", "\r\n")
    assert (await root.put(url, content=windows.encode(), headers=CSV)).status_code == 200


async def test_a_long_body_is_taken_as_csv_only(
    root: httpx.AsyncClient, url: str, carrier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"prefix,{n:06d},resource,{carrier},0,1,0,,\n" for n in range(20_000)]
    text = (HEADER + "".join(rows)).encode()
    assert len(text) > MAX_BODY

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(text), 100_000):
            yield text[at : at + 100_000]

    response = await root.put(url, content=pieces(), headers=CSV)
    assert response.json()["data"]["rows"] == len(rows)
    assert (await root.get(url, headers=AS_CSV)).content == text
    assert "routes" not in (await root.get(url)).json()["data"]
    assert len(rows) > MAX_SHOWN
    response = await root.put(url, content=b" " * (MAX_BODY + 1))
    assert response.status_code == 413
    assert response.json()["message"] == "request_too_large"
    monkeypatch.setattr(route_tables, "MAX_BYTES", len(text) - 1)
    response = await root.put(url, content=pieces(), headers=CSV)
    assert fault(response)["field"] == "body"


async def test_others_are_served_while_a_table_is_imported(
    root: httpx.AsyncClient, url: str, carrier: str, engine: ScriptedEngine, tenant: Tenant
) -> None:
    await root.put(url, content=HEADER, headers=CSV)
    old = engine.route_tables.table(tenant.account)
    rows = [f"prefix,{n:06d},resource,{carrier},0,1,0,,\n" for n in range(100_000)]
    text = (HEADER + "".join(rows)).encode()
    importing = asyncio.create_task(root.put(url, content=text, headers=CSV))
    served = 0
    while not importing.done():
        assert (await root.get(tenant.url)).status_code == 200
        table = engine.route_tables.table(tenant.account)
        assert table is old or (table is not None and len(table) == len(rows))
        served += 1
    assert (await importing).json()["data"]["rows"] == len(rows)
    # A server that compiled in its event loop would serve one before and one after.
    assert served > 5


async def test_the_announced_length_is_enough_to_refuse(
    root: httpx.AsyncClient, url: str, tenant: Tenant
) -> None:
    base = root.base_url
    with socket.create_connection((base.host, base.port)) as raw:
        head = (
            f"PUT {url} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {tenant.token}\r\n"
            f"Content-Type: text/csv\r\nContent-Length: {route_tables.MAX_BYTES + 1}\r\n\r\n"
        )
        raw.sendall(head.encode())
        reply = await asyncio.to_thread(raw.recv, 4096)
    assert reply.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_goes_away_changes_nothing(
    root: httpx.AsyncClient, url: str, tenant: Tenant, carrier: str, engine: ScriptedEngine
) -> None:
    async def breaks_off() -> AsyncIterator[bytes]:
        yield (HEADER + f"prefix,1,resource,{carrier},0,1,0,,\n").encode()
        raise ConnectionError("the client is gone")

    with pytest.raises(ConnectionError):
        await root.put(url, content=breaks_off(), headers=CSV)
    assert (await root.get(url)).status_code == 404
    assert engine.route_tables.table(tenant.account) is None


async def test_a_table_is_deleted(root: httpx.AsyncClient, url: str, carrier: str) -> None:
    await root.put(url, content=HEADER + f"prefix,1,resource,{carrier},,,,,\n", headers=CSV)
    assert (await root.delete(url)).json()["data"]["rows"] == 1
    for response in (await root.get(url), await root.get(url, headers=AS_CSV)):
        assert response.status_code == 404
        assert response.json()["data"]["kind"] == "route table"
    assert (await root.delete(url)).status_code == 404


async def test_it_goes_with_its_account(
    root: httpx.AsyncClient, url: str, carrier: str, tenant: Tenant, engine: ScriptedEngine
) -> None:
    await root.put(url, content=HEADER + f"prefix,1,resource,{carrier},,,,,\n", headers=CSV)
    assert (await root.delete(tenant.url)).status_code == 200
    assert engine.route_tables.table(tenant.account) is None
    assert (await root.get(url)).status_code == 404


async def test_only_who_may_use_the_account_gets_there(
    client: httpx.AsyncClient, root: httpx.AsyncClient, url: str, tenant: Tenant
) -> None:
    other = await create(root, "/v2/accounts", {"name": "Other", "realm": "other.example.org"})
    theirs = f"/v2/accounts/{other}/routes"
    token = {"X-Auth-Token": tenant.token}
    for method, content in (("GET", ""), ("PUT", HEADER), ("POST", HEADER), ("DELETE", "")):
        response = await client.request(method, url, content=content, headers=CSV)
        assert response.status_code == 401, method
        response = await client.request(method, theirs, content=content, headers=CSV | token)
        assert response.status_code == 403, method


async def test_the_token_may_stand_in_the_envelope(
    client: httpx.AsyncClient, url: str, tenant: Tenant
) -> None:
    response = await client.put(url, json={"data": [], "auth_token": tenant.token})
    assert response.status_code == 200
    assert response.json()["data"]["rows"] == 0


async def test_the_openapi_document_tells_of_csv(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    described = paths["/v2/accounts/{account_id}/routes"]
    assert set(described) == {"get", "put", "post", "delete"}
    for method in ("put", "post"):
        assert set(described[method]["requestBody"]["content"]) == {"application/json", "text/csv"}
    assert "text/csv" in described["get"]["responses"]["200"]["content"]
