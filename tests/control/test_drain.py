"""Draining: by API, by signals, with calls that live."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from engine.cli.ending import Ending, drain
from engine.control.auth import ROOT
from engine.control.health import Severity
from engine.control.permissions import Permission
from engine.core.errors import EngineDraining
from engine.core.values import LegRole
from engine.runtime.serving import Server
from engine.sip.loopback import Bye, LoopbackSip
from tests.control.conftest import Tenant
from tests.control.engine import ScriptedEngine
from tests.control.rig import GUARD_S, Rig, ended


async def test_the_api_drains_and_takes_it_back(
    engine: ScriptedEngine, tenant: Tenant, root: httpx.AsyncClient
) -> None:
    told: list[bool] = []
    engine.operations.draining.watch(told.append)
    assert (await root.get("/v2/drain")).json()["data"] == {"draining": False, "calls": 0}
    for _ in range(2):
        begun = await root.post("/v2/drain")
        assert begun.status_code == 202
        assert begun.json()["data"]["draining"] is True
        assert begun.json()["data"]["since"] > 63_000_000_000
    refused = await root.get(tenant.quickcall())
    assert refused.status_code == 503
    assert refused.json()["message"] == "draining"
    assert int(refused.headers["retry-after"]) >= 1
    ready = await root.get("/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "the engine is draining")
    assert (await root.get("/healthz")).json() == {"status": "ok"}
    assert (await root.get(f"{tenant.url}/channels")).status_code == 200
    cancelled = await root.delete("/v2/drain")
    assert cancelled.json()["data"] == {"draining": False, "calls": 0}
    assert (await root.get(tenant.quickcall())).status_code == 202
    assert (await root.get("/readyz")).status_code == 200
    assert told == [True, False]


async def test_what_ends_the_process_is_not_taken_back(
    engine: ScriptedEngine, root: httpx.AsyncClient
) -> None:
    engine.operations.draining.begin(ending=True)
    assert (await root.delete("/v2/drain")).status_code == 409
    assert (await root.get("/v2/drain")).json()["data"]["draining"] is True


async def test_only_an_admin_of_all_accounts_drains(
    engine: ScriptedEngine, tenant: Tenant, client: httpx.AsyncClient
) -> None:
    tokens = engine.tokens
    others = [one for one in Permission if one is not Permission.ADMIN]
    for token in (tenant.token, tokens.create(tenant.account), tokens.create(ROOT, *others)):
        answer = await client.post("/v2/drain", headers={"X-Auth-Token": token})
        assert answer.status_code == 403
    assert not engine.operations.draining.active
    admin = tokens.create(ROOT, Permission.ADMIN)
    assert (await client.post("/v2/drain", headers={"X-Auth-Token": admin})).status_code == 202


async def test_a_fault_is_dead_or_degraded(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    faults = {"stack": "", "broker": ""}
    health = engine.operations.health
    health.add("stack", Severity.DEAD, lambda: faults["stack"])
    health.add("broker", Severity.DEGRADED, lambda: faults["broker"])
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    faults["broker"] = "away"
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "degraded", "faults": {"broker": "away"}}
    assert (await client.get("/healthz")).status_code == 200
    faults["stack"] = "deaf"
    dead = await client.get("/healthz")
    assert dead.status_code == 503
    assert dead.json() == {"status": "dead", "faults": {"stack": "deaf"}}
    assert (await client.get("/readyz")).status_code == 503


def draining(rig: Rig) -> tuple[asyncio.Task[None], list[str], Ending]:
    """Send an engine its first SIGTERM; return what drains it, what it prints, its signals."""
    ending, lines = Ending(), list[str]()
    ending.terminate()
    return asyncio.create_task(drain(Server(rig.engine), ending, lines.append)), lines, ending


async def until_draining(rig: Rig) -> None:
    """Wait until new calls are refused."""
    began = asyncio.Event()
    rig.engine.operations.draining.watch(lambda _: began.set())
    async with asyncio.timeout(GUARD_S):
        await began.wait()


async def test_calls_go_on_until_they_end_by_themselves(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip(), drain_s=3600) as rig:
        call = await rig.talk()
        task, lines, _ = draining(rig)
        await until_draining(rig)
        with pytest.raises(EngineDraining):
            rig.start("1001")
        assert not task.done()
        assert len(rig.engine.channels(rig.account)) == 2
        rig.sip.play(rig.call_id(LegRole.B), Bye())
        async with asyncio.timeout(GUARD_S):
            await task
        assert await ended(call) == "NORMAL_CLEARING"
        assert lines[0].startswith("draining for 3600 s at most, calls left: 1")


@pytest.mark.parametrize("again", ["terminate", "interrupt"])
async def test_a_second_signal_ends_the_calls_at_once(tmp_path: Path, again: str) -> None:
    async with Rig(tmp_path, LoopbackSip(), drain_s=3600) as rig:
        call = await rig.talk()
        task, _, ending = draining(rig)
        await until_draining(rig)
        getattr(ending, again)()
        async with asyncio.timeout(GUARD_S):
            await task
        await rig.engine.drain()
        assert await ended(call) == "SYSTEM_SHUTDOWN"


@pytest.mark.parametrize("drain_s", [0.0, 0.1])
async def test_after_the_time_the_calls_are_ended(tmp_path: Path, drain_s: float) -> None:
    async with Rig(tmp_path, LoopbackSip(), drain_s=drain_s) as rig:
        call = await rig.talk()
        task, lines, _ = draining(rig)
        async with asyncio.timeout(GUARD_S):
            await task
        assert bool(lines) == bool(drain_s)
        assert len(rig.engine.channels(rig.account)) == 2
        await rig.engine.drain()
        assert await ended(call) == "SYSTEM_SHUTDOWN"


async def test_an_interrupt_does_not_wait(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip(), drain_s=3600) as rig:
        await rig.talk()
        ending, lines = Ending(), list[str]()
        ending.interrupt()
        assert ending.asked.is_set()
        async with asyncio.timeout(GUARD_S):
            await drain(Server(rig.engine), ending, lines.append)
        assert lines == []
