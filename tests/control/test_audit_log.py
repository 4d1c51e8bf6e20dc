"""The audit log: who had the engine do what, and nothing that must stay secret."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.control.audit import MAX_TEXT, AuditLog
from engine.control.auth import ROOT
from engine.control.permissions import Permission
from engine.core.errors import EngineUnavailable
from engine.store.audit_file import MAX_OWED, AuditFile
from tests.control.conftest import GUARD_S, Tenant
from tests.control.engine import ScriptedEngine
from tests.control.test_tokens_live import created, invoke

Line = dict[str, Any]


def read(path: Path) -> list[Line]:
    """Return the lines of an audit log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
async def log(engine: ScriptedEngine, tenant: Tenant, tmp_path: Path) -> AsyncIterator[Path]:
    """The engine's audit log, empty."""
    path = tmp_path / "audit.log"
    engine.operations.audit = AuditLog(engine.node, str(path))
    engine.operations.audit.open()
    yield path
    engine.operations.audit.close()


async def test_a_call_is_told_with_who_and_where_to(
    log: Path, engine: ScriptedEngine, tenant: Tenant, client: httpx.AsyncClient
) -> None:
    headers = {"X-Auth-Token": tenant.token, "X-Request-ID": "order-17"}
    answer = await client.get(f"{tenant.quickcall('+49%2030')}?cid-name=Ann", headers=headers)
    assert answer.status_code == 202
    (line,) = read(log)
    scope = engine.tokens.verify(tenant.token)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "node": engine.node,
        "via": "http",
        "action": "originate",
        "account_id": tenant.account,
        "token": scope.token_id,
        "address": "127.0.0.1",
        "request_id": "order-17",
        "path": tenant.quickcall("+49%2030"),
        "number": "+49 30",
        "msg_id": "order-17",
        "status": 202,
    }
    assert log.stat().st_mode & 0o777 == 0o600


async def test_a_call_is_told_before_it_is_answered(
    log: Path, engine: ScriptedEngine, tenant: Tenant, root: httpx.AsyncClient
) -> None:
    asking = asyncio.create_task(root.post(tenant.quickcall()))
    await asyncio.wait_for(engine.started.wait(), GUARD_S)
    assert [line["status"] for line in read(log)] == [202]
    engine.handles[0].finish(answered=False, cause="USER_BUSY")
    assert (await asking).status_code == 500
    assert len(read(log)) == 1


async def test_what_is_refused_is_told_too_but_no_stranger_and_no_reader(
    log: Path, engine: ScriptedEngine, tenant: Tenant, client: httpx.AsyncClient
) -> None:
    reader = engine.tokens.create(tenant.account, Permission.CALLS_READ)
    for headers in ({}, {"X-Auth-Token": "guess"}):
        assert (await client.post(tenant.quickcall(), headers=headers)).status_code == 401
    headers = {"X-Auth-Token": reader}
    assert (await client.get(f"{tenant.url}/channels", headers=headers)).status_code == 200
    assert read(log) == []
    assert (await client.post(tenant.quickcall(), headers=headers)).status_code == 403
    headers = {"X-Auth-Token": tenant.token}
    missing = f"{tenant.url}/devices/none/quickcall/1"
    assert (await client.post(missing, headers=headers)).status_code == 404
    engine.operations.draining.begin()
    assert (await client.post(tenant.quickcall(), headers=headers)).status_code == 503
    assert [(line["action"], line["status"]) for line in read(log)] == [
        ("originate", 403),
        ("originate", 404),
        ("originate", 503),
    ]


async def test_changes_and_actions_are_told_without_secrets(
    log: Path, engine: ScriptedEngine, tenant: Tenant, root: httpx.AsyncClient
) -> None:
    device = {"name": "New", "sip": {"username": "new", "password": "pa55word"}}
    made = await root.put(f"{tenant.url}/devices", json={"data": device})
    await root.get(tenant.quickcall())
    name = engine.handles[0].originate_id
    channel = f"{tenant.url}/channels/{name}"
    for data in (
        {"action": "transfer", "target": "1009"},
        {"action": "dtmf", "digits": "4711"},
        {"module": "hangup"},
    ):
        method = "PUT" if "module" in data else "POST"
        await root.request(method, channel, json={"data": data, "auth_token": "root-token"})
    await root.delete(channel, params={"auth_token": "root-token"})
    await root.delete(f"{tenant.url}/devices/{made.json()['data']['id']}")
    await root.post("/v2/drain")
    lines = read(log)
    told = [(line["action"], line.get("target"), line.get("id")) for line in lines]
    assert told == [
        ("create accounts/devices", None, made.json()["data"]["id"]),
        ("originate", None, None),
        ("transfer", "1009", None),
        ("dtmf", None, None),
        ("hangup", None, None),
        ("hangup", None, None),
        ("delete accounts/devices", None, None),
        ("drain", None, None),
    ]
    assert {line["token"] for line in lines} == {engine.tokens.verify("root-token").token_id}
    for secret in ("pa55word", "4711", "root-token"):
        assert secret not in log.read_text()


async def test_what_cannot_be_told_is_not_done(
    log: Path, engine: ScriptedEngine, tenant: Tenant, root: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    full = OSError(errno.ENOSPC, "no space")

    def fail(*_: object) -> int:
        raise full

    with monkeypatch.context() as disk:
        disk.setattr("engine.store.audit_file.os.write", fail)
        # The first finds out, and is done: its line waits in memory.
        assert (await root.get(tenant.quickcall())).status_code == 202
        refused = await root.get(tenant.quickcall())
        assert refused.status_code == 503
        assert "audit log" in refused.json()["data"]["message"]
        assert (await root.get("/readyz")).status_code == 503
        assert (await root.get(f"{tenant.url}/channels")).status_code == 200
        assert len(engine.handles) == 1
    assert (await root.get(tenant.quickcall())).status_code == 202
    assert [line["status"] for line in read(log)] == [202, 202]


def test_a_file_moved_away_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog("n@h", str(path))
    log.open()
    log.record("first", "cli")
    path.rename(tmp_path / "audit.log.1")
    log.record("second", "cli", text="x" * 10_000, half="\ud800", empty="")
    log.reopen()
    log.record("third", "cli")
    log.close()
    old = read(tmp_path / "audit.log.1")
    assert [line["action"] for line in old] == ["first", "second"]
    assert old[1]["text"] == "x" * MAX_TEXT
    assert "empty" not in old[1]
    assert [line["action"] for line in read(path)] == ["third"]


def test_a_write_cut_short_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AuditFile(str(tmp_path / "audit.log"))
    write = os.write
    with monkeypatch.context() as disk:
        disk.setattr("engine.store.audit_file.os.write", lambda fd, data: write(fd, data[:3]))
        file.append(b"first line")
        assert not file.try_again()
    file.append(b"second")
    assert file.try_again()
    assert (tmp_path / "audit.log").read_text() == "first line\nsecond\n"
    with monkeypatch.context() as disk:
        disk.setattr("engine.store.audit_file.os.write", lambda *_: 0)
        while not file.lost:
            file.append(b"x" * 100_000)
        assert len(file._owed) < MAX_OWED + 200_000
    file.close()


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="nowhere"):
        AuditLog("n@h", str(tmp_path / "nowhere" / "audit.log")).open()


def test_tokens_made_by_the_command_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.log"
    monkeypatch.setenv("QUICKCALL_AUDIT_LOG", str(path))
    token, token_id = created(invoke(tmp_path, "create", ROOT, "--scope", "admin"))
    assert invoke(tmp_path, "revoke", token_id).exit_code == 0
    made, revoked = read(path)
    assert made["action"] == "create token"
    assert (made["via"], made["token"]) == ("cli", token_id)
    assert (made["accounts"], made["scopes"]) == ([ROOT], ["admin"])
    assert made["user"]
    assert (revoked["action"], revoked["token"]) == ("revoke token", token_id)
    assert token not in path.read_text()
