"""The Idempotency-Key header on a real server: one call for one key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.control.http_once import key_of
from engine.control.server import HttpServer
from engine.core.errors import Conflict, RequestInvalid
from tests.control.conftest import ROOT_TOKEN, Tenant, create
from tests.control.engine import ScriptedEngine, scripted_engine

KEY = {"Idempotency-Key": "order-17"}
DEVICE = {"name": "d", "sip": {"username": "d"}}
BODY = {"data": {"timeout": 10}}


async def test_the_same_request_is_placed_once(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    engine.answer_at_once = {}
    first = await root.post(tenant.quickcall(), json=BODY, headers=KEY)
    again = await root.post(tenant.quickcall(), json=BODY, headers={**KEY, "X-Request-ID": "2nd"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert first.json()["auth_token"] == ROOT_TOKEN
    assert first.json()["data"]["call_id"] == "0123-quickcall"
    assert len(engine.handles) == 1
    without = await root.post(tenant.quickcall(), json=BODY)
    assert without.json().keys() == first.json().keys()
    assert len(engine.handles) == 2


async def test_a_failure_is_told_again_too(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    engine.answer_at_once = {"answered": False, "cause": "USER_BUSY", "sip_status": 486}
    first = await root.post(tenant.quickcall(), json=BODY, headers=KEY)
    again = await root.post(tenant.quickcall(), json=BODY, headers=KEY)
    assert (first.status_code, again.content) == (500, first.content)
    assert again.status_code == 500
    assert again.json()["data"]["error_message"] == "USER_BUSY"
    assert len(engine.handles) == 1


async def test_who_asks_while_it_rings_waits_for_the_same_answer(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        impatient = httpx.Timeout(30, read=0.2)
        await root.post(tenant.quickcall(), json=BODY, headers=KEY, timeout=impatient)
    await engine.started.wait()
    waiting = [
        asyncio.create_task(root.post(tenant.quickcall(), json=BODY, headers=KEY)) for _ in range(2)
    ]
    # A request that came later has been answered: those two are not.
    assert (await root.get("/healthz")).status_code == 200
    (handle,) = engine.handles
    handle.finish()
    answers = [await task for task in waiting]
    assert [answer.headers["idempotent-replayed"] for answer in answers] == ["true", "true"]
    assert answers[0].content == answers[1].content
    assert len(engine.handles) == 1


@pytest.mark.parametrize("change", ["number", "query", "body", "token"])
async def test_another_request_is_refused(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine, change: str
) -> None:
    engine.answer_at_once = {}
    assert (await root.post(tenant.quickcall(), json=BODY, headers=KEY)).status_code == 202
    other: dict[str, Any] = {"json": BODY, "headers": dict(KEY)}
    if change == "query":
        other["params"] = {"foo": "bar"}
    elif change == "body":
        other["json"] = {"data": {"timeout": 11}}
    elif change == "token":
        other["headers"]["X-Auth-Token"] = tenant.token
    number = "1003" if change == "number" else "1002"
    response = await root.post(tenant.quickcall(number), **other)
    assert response.status_code == 422
    assert response.json()["message"] == "idempotency_key_reused"
    assert response.json()["data"]["cause"] == "order-17"
    assert len(engine.handles) == 1


async def test_a_request_that_was_refused_leaves_the_key_free(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    refused: list[dict[str, Any]] = [{"data": {"timeout": 1}}, {"data": []}]
    for body in refused:
        response = await root.post(tenant.quickcall(), json=body, headers=KEY)
        assert response.status_code == 400
    engine.refused = "closing"
    assert (await root.post(tenant.quickcall(), json=BODY, headers=KEY)).status_code == 503
    engine.refused = ""
    unknown = f"{tenant.url}/devices/{'0' * 32}/quickcall/1002"
    assert (await root.post(unknown, json=BODY, headers=KEY)).status_code == 404
    engine.conflict = Conflict("call_id", "x", "a call that is not over")
    response = await root.post(tenant.quickcall(), json=BODY, headers=KEY)
    assert (response.status_code, list(response.json()["data"])) == (409, ["call_id"])
    engine.conflict = None
    engine.answer_at_once = {}
    response = await root.post(tenant.quickcall(), json=BODY, headers=KEY)
    assert response.status_code == 202
    assert "idempotent-replayed" not in response.headers
    assert len(engine.handles) == 1


async def test_keys_belong_to_an_account(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    engine.answer_at_once = {}
    account = await create(root, "/v2/accounts", {"name": "B", "realm": "b.test"})
    url = f"/v2/accounts/{account}/devices"
    theirs = f"{url}/{await create(root, url, DEVICE)}/quickcall/1002"
    for path in (tenant.quickcall(), theirs):
        assert (await root.post(path, json=BODY, headers=KEY)).status_code == 202
    assert len(engine.handles) == 2


async def test_get_has_keys_too(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    first = await root.get(tenant.quickcall(), headers=KEY)
    again = await root.get(tenant.quickcall(), headers=KEY)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert (await root.post(tenant.quickcall(), headers=KEY)).status_code == 422
    assert len(engine.handles) == 1


async def test_an_answer_is_told_after_a_restart(tmp_path: Path) -> None:
    path, body = await _placed(tmp_path, finish=True)
    async with scripted_engine(tmp_path) as engine, served(engine) as client:
        response = await client.post(path, json=BODY, headers=KEY)
        assert (response.status_code, response.content) == (202, body)
        assert response.headers["idempotent-replayed"] == "true"
        assert not engine.handles


async def test_a_call_cut_off_by_a_restart_is_not_placed_again(tmp_path: Path) -> None:
    path, _ = await _placed(tmp_path, finish=False)
    async with scripted_engine(tmp_path) as engine, served(engine) as client:
        for _ in range(2):
            response = await client.post(path, json=BODY, headers=KEY)
            assert response.status_code == 500
            assert response.headers["idempotent-replayed"] == "true"
            assert response.json()["message"] == "quickcall interrupted"
            data = response.json()["data"]
            assert data["msg_id"] == "mine"
            assert "stopped while this request was under way" in data["error_message"]
        assert not engine.handles


async def _placed(folder: Path, *, finish: bool) -> tuple[str, bytes]:
    """Ask for a call, let the engine close; return the path of it and its answer, if any."""
    async with scripted_engine(folder) as engine, served(engine) as client:
        account = await create(client, "/v2/accounts", {"name": "A", "realm": "a.test"})
        url = f"/v2/accounts/{account}/devices"
        path = f"{url}/{await create(client, url, DEVICE)}/quickcall/1002"
        headers = {**KEY, "X-Request-ID": "mine"}
        asking = asyncio.create_task(client.post(path, json=BODY, headers=headers))
        await engine.started.wait()
        if finish:
            engine.handles[0].finish()
            return path, (await asking).content
        asking.cancel()
    return path, b""


@asynccontextmanager
async def served(engine: ScriptedEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an engine's HTTP server, which ends with the block."""
    server = HttpServer(engine)
    await server.start()
    url = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=url, headers={"X-Auth-Token": ROOT_TOKEN}) as client:
        yield client
    await server.stop()


async def test_neither_key_nor_token_reaches_log_or_database(
    client: httpx.AsyncClient,
    tenant: Tenant,
    engine: ScriptedEngine,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.WARNING, logger=name)
    caplog.set_level(logging.DEBUG)
    engine.answer_at_once = {}
    headers = {**KEY, "X-Auth-Token": tenant.token}
    for _ in range(2):
        response = await client.post(tenant.quickcall(), json=BODY, headers=headers)
        assert response.json()["auth_token"] == tenant.token
    assert tenant.token not in caplog.text
    stored = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert tmp_path / "engine.db" in stored
    for file in stored:
        assert tenant.token.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], None),
        (["abc"], "abc"),
        (['"8e03978e-40d5-43e8-bc93-6894a57f9324"'], "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ([r'"a \"b\" \\"'], r'a "b" \\'[:-1]),
        ([" a b "], "a b"),
        (["x" * 255], "x" * 255),
        (['"' + "x" * 255 + '"'], "x" * 255),
    ],
)
def test_a_key_is_a_string_or_bare(headers: list[str], key: str | None) -> None:
    assert key_of(headers) == key


@pytest.mark.parametrize(
    "headers",
    [
        *([""], [" "], ['""'], ["x" * 256], ['"' + "x" * 256 + '"'], ["a\tb"], ["a\x7fb"], ["é"]),
        *(['"a'], ['"a"b"'], ['"a\\b"'], ['"a";p=1'], ["a", "a"]),
    ],
)
def test_what_is_no_key_is_refused(headers: list[str]) -> None:
    with pytest.raises(RequestInvalid) as caught:
        key_of(headers)
    assert caught.value.field == "idempotency-key"


async def test_a_bad_key_is_a_400(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    for key in ("", "x" * 256, '""'):
        response = await root.post(tenant.quickcall(), headers={"Idempotency-Key": key})
        assert response.status_code == 400
        assert list(response.json()["data"]) == ["idempotency-key"]
    assert not engine.handles
