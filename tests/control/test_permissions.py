"""Which scope opens which URL: every one is in the table, and the table is obeyed."""

from __future__ import annotations

import re

import httpx
import pytest
from litestar.routes import HTTPRoute, WebSocketRoute
from msgspec.structs import replace

from engine.control.auth import ROOT
from engine.control.http import make_app
from engine.control.permissions import PUBLIC, ROUTES, Permission, area_of, permission_for
from engine.control.websocket_broadcast import Broadcast
from tests.control.conftest import Tenant
from tests.control.engine import ScriptedEngine


def declared(engine: ScriptedEngine) -> list[tuple[str, str]]:
    """Return every method and URL of the application."""
    pairs: list[tuple[str, str]] = []
    for route in make_app(engine, Broadcast(engine)).routes:
        if isinstance(route, HTTPRoute):
            pairs += [(str(m), route.path) for m in route.route_handler_map if m != "OPTIONS"]
        else:
            assert isinstance(route, WebSocketRoute)
            pairs.append(("GET", route.path))
    return pairs


async def test_every_url_is_in_the_table(engine: ScriptedEngine) -> None:
    areas = {area_of(path) for _, path in declared(engine)}
    assert len(areas) > 15
    assert areas - ROUTES.keys() - PUBLIC == set(), "add them to engine/control/permissions.py"
    assert ROUTES.keys() - areas == set()
    assert not ROUTES.keys() & PUBLIC


async def test_a_token_opens_what_its_scope_says(
    engine: ScriptedEngine, tenant: Tenant, client: httpx.AsyncClient
) -> None:
    tokens = {one: engine.tokens.create(ROOT, one) for one in Permission}
    opened = set()
    for method, path in declared(engine):
        needed = permission_for(method, path)
        if needed is None or area_of(path) in ("websocket", "socket"):
            continue
        url = path.replace("{account_id:str}", tenant.account)
        url = re.sub(r"\{[^}]*\}", "no-such", url)
        for permission, token in tokens.items():
            answer = await client.request(method, url, headers={"X-Auth-Token": token})
            refused = answer.status_code == 403
            assert refused == (permission is not needed), (method, url, permission, answer.text)
            opened.add(needed)
    assert opened >= {Permission.CALLS_READ, Permission.DIRECTORY_WRITE}


async def test_a_url_outside_the_table_is_shut_to_everybody(
    engine: ScriptedEngine, root: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await root.get("/v2/accounts")).status_code == 200
    monkeypatch.delitem(ROUTES, "accounts")
    answer = await root.get("/v2/accounts")
    assert answer.status_code == 403
    assert "no scope opens it" in answer.json()["data"]["message"]


async def test_without_a_token_only_the_public_is_open(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    for method, path in declared(engine):
        if area_of(path) not in {"websocket", "socket"} | PUBLIC:
            answer = await client.request(method, re.sub(r"\{[^}]*\}", "some", path))
            assert answer.status_code == 401, (method, path)
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert (await client.get(path)).status_code == 200


async def test_a_token_of_several_accounts_lists_those(
    engine: ScriptedEngine, tenant: Tenant, root: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    for name in ("Beta", "Gamma"):
        document = {"name": name, "realm": f"{name.lower()}.example.org"}
        made = await root.put("/v2/accounts", json={"data": document})
        assert made.status_code == 201
    everyone = [one["id"] for one in (await root.get("/v2/accounts")).json()["data"]]
    mine = frozenset(everyone[:2])
    token = engine.tokens.create(everyone[0])
    scope = replace(engine.tokens.verify(token), accounts=mine)
    engine.tokens._given = dict.fromkeys(engine.tokens._given, scope)
    listed = await client.get("/v2/accounts", headers={"X-Auth-Token": token})
    assert {one["id"] for one in listed.json()["data"]} == mine


async def test_kazoo_s_api_key_is_a_token(
    tenant: Tenant, client: httpx.AsyncClient, root: httpx.AsyncClient
) -> None:
    answer = await client.put("/v2/api_auth", json={"data": {"api_key": tenant.token}})
    assert answer.status_code == 201
    assert answer.json()["auth_token"] == tenant.token
    assert answer.json()["data"] == {"account_id": tenant.account}
    for body, status in (({"data": {"api_key": "guess"}}, 401), ({"data": {}}, 400), ({}, 400)):
        assert (await client.put("/v2/api_auth", json=body)).status_code == status
