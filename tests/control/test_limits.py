"""Limits of accounts and carriers, and overload, as whoever asks for calls meets them."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from engine.control.http_context import MAX_BODY
from engine.control.server import HttpServer
from engine.core.errors import ConcurrencyExceeded, Overloaded, RateLimited, RequestInvalid
from engine.runtime.calls import Call
from engine.runtime.reaper import Reaped
from engine.sip.loopback import Answer, LoopbackSip, Refuse, Ring
from tests.control.conftest import Tenant
from tests.control.engine import ScriptedEngine
from tests.control.rig import A_URI, GUARD_S, Rig, ended

NUMBER = "4930123456"
FIRST, SECOND = (f"sip:{NUMBER}@192.0.2.{host}" for host in (21, 22))
"""Request-URIs of two carriers."""


async def _limit(rig: Rig, **limits: object) -> None:
    await rig.engine.directory.patch("account", rig.account, rig.account, {"limits": limits})


async def _carrier(rig: Rig, host: int, weight: int, **limits: object) -> str:
    document = {
        "name": f"carrier {host}",
        "rules": [r"^(\d{6,})$"],
        "weight_cost": weight,
        "gateways": [{"server": f"192.0.2.{host}"}],
        "limits": limits,
    }
    made = await rig.engine.directory.put("resource", rig.account, document, f"c{host}")
    return str(made["id"])


# --- calls at once ----------------------------------------------------------------------------


async def test_an_account_has_no_more_calls_at_once_than_it_may(rig: Rig) -> None:
    await _limit(rig, calls=2)
    rig.sip.script(A_URI, Ring())
    calls = [rig.start(), rig.start()]
    with pytest.raises(ConcurrencyExceeded) as caught:
        rig.start()
    assert (caught.value.field, caught.value.value) == ("limits.calls", 3)
    assert caught.value.retry_after > 0
    assert rig.engine.limits(rig.account)["calls_active"] == 2
    calls[0].hang_up()
    await ended(calls[0])
    calls.append(rig.start())
    with pytest.raises(ConcurrencyExceeded):
        rig.start()
    for call in calls:
        call.hang_up()
        await ended(call)
    assert rig.engine.limits(rig.account)["calls_active"] == 0
    assert rig.engine.rejected["concurrency_exceeded"] == 2
    assert rig.engine.reaped == Reaped()


async def test_a_place_is_free_however_the_call_ended(rig: Rig) -> None:
    """Not answered, busy, nobody registered, no route, refused: each gives its place back."""
    await _limit(rig, calls=1)
    rig.sip.script(A_URI, Refuse(486))
    assert await ended(rig.start()) == "USER_BUSY"
    assert await ended(rig.start(endpoint_id="registering")) == "DESTINATION_OUT_OF_ORDER"
    rig.sip.script(A_URI, Answer())
    assert await ended(rig.start("999")) == "NO_ROUTE_DESTINATION"
    rig.sip.script(A_URI, Ring())
    with pytest.raises(RequestInvalid):
        rig.start("1\r\n2")
    cancelled = rig.start()
    cancelled.hang_up()
    assert await ended(cancelled) == "ORIGINATOR_CANCEL"
    assert rig.engine.limits(rig.account)["calls_active"] == 0
    last = rig.start()
    await rig.engine.drain()
    assert await ended(last) == "SYSTEM_SHUTDOWN"
    assert rig.engine.limits(rig.account)["calls_active"] == 0


async def test_accounts_do_not_share_their_places(rig: Rig) -> None:
    directory, other = rig.engine.directory, "b" * 32
    await directory.put("account", "", {"name": "B", "realm": "b.test"}, other)
    sip = {"username": "1", "method": "ip", "ip": "192.0.2.11"}
    await directory.put("device", other, {"sip": sip}, "d1")
    await _limit(rig, calls=1)
    rig.sip.script(A_URI, Ring())
    calls = [rig.start()]
    calls += [
        rig.engine.start(replace(rig.request(), account_id=other, endpoint_id="d1"))
        for _ in range(3)
    ]
    with pytest.raises(ConcurrencyExceeded):
        rig.start()
    assert rig.engine.limits(other) == {
        "calls": 0,
        "calls_active": 3,
        "calls_per_second": 0.0,
        "burst": 10,
    }


async def test_limits_of_the_configuration_count_for_who_has_none(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip(), account_calls=1) as rig:
        rig.sip.script(A_URI, Ring())
        rig.start()
        with pytest.raises(ConcurrencyExceeded):
            rig.start()
        await _limit(rig, calls=0)
        rig.start()
        rig.start()


# --- calls a second ---------------------------------------------------------------------------


async def test_an_account_asks_no_faster_than_it_may(rig: Rig) -> None:
    await _limit(rig, calls_per_second=0.001, burst=3)
    rig.sip.script(A_URI, Refuse(486))
    for _ in range(3):
        assert await ended(rig.start()) == "USER_BUSY"
    with pytest.raises(RateLimited) as caught:
        rig.start()
    assert 900 < caught.value.retry_after <= 1000
    assert "0.001 calls a second, 3 at once" in str(caught.value)
    assert rig.engine.rejected["rate_limited"] == 1
    await _limit(rig, calls_per_second=0, burst=1)
    assert await ended(rig.start()) == "USER_BUSY"


@pytest.mark.parametrize(
    ("kind", "limits", "field"),
    [
        ("account", {"calls": -1}, "limits.calls"),
        ("account", {"calls_per_second": 0.0001}, "limits.calls_per_second"),
        ("account", {"calls_per_second": 1e9}, "limits.calls_per_second"),
        ("account", {"burst": 0}, "limits.burst"),
        ("resource", {"calls": 10**7}, "limits.calls"),
        ("resource", {"calls_per_second": -1}, "limits.calls_per_second"),
        ("gateway", {"calls": -1}, "gateways[0].limits.calls"),
    ],
)
async def test_limits_out_of_bounds(
    rig: Rig, kind: str, limits: dict[str, Any], field: str
) -> None:
    directory = rig.engine.directory
    gateway = {"server": "192.0.2.1", "limits": limits if kind == "gateway" else {}}
    carrier = {"name": "c", "gateways": [gateway]}
    with pytest.raises(RequestInvalid) as caught:
        if kind == "account":
            await _limit(rig, **limits)
        elif kind == "resource":
            await directory.put("resource", rig.account, {**carrier, "limits": limits})
        else:
            await directory.put("resource", rig.account, carrier)
    assert caught.value.field == field


# --- carriers ---------------------------------------------------------------------------------


async def _talking(rig: Rig, count: int, before: int = 0) -> list[Call]:
    """Start calls to the number and wait until they talk, as those `before` them did."""
    calls = [rig.start(NUMBER) for _ in range(count)]
    await rig.event("CHANNEL_BRIDGE", 2 * (before + count))
    return calls


async def test_a_carrier_with_all_its_calls_is_passed_over(rig: Rig) -> None:
    await _carrier(rig, 21, 10, calls=2)
    await _carrier(rig, 22, 20)
    for uri in (A_URI, FIRST, SECOND):
        rig.sip.script(uri, Answer())
    calls = await _talking(rig, 3)
    legs = [rig.engine.legs_of(call.originate_id)[1] for call in calls]
    assert [leg.request_uri for leg in legs] == [FIRST, FIRST, SECOND]
    calls[0].hang_up()
    await ended(calls[0])
    again = (await _talking(rig, 1, 3))[0]
    assert rig.engine.legs_of(again.originate_id)[1].request_uri == FIRST
    calls[2].hang_up()
    outcome = await calls[2].ended()
    passed = outcome.attempts[1]
    assert (passed.cause, passed.sip_status) == ("NORMAL_CIRCUIT_CONGESTION", 0)
    assert "has all its 2 calls" in passed.reason


async def test_no_carrier_left(rig: Rig) -> None:
    await _carrier(rig, 21, 10, calls=1)
    for uri in (A_URI, FIRST):
        rig.sip.script(uri, Answer())
    await _talking(rig, 1)
    second = rig.start(NUMBER)
    outcome = await asyncio.wait_for(second.ended(), GUARD_S)
    assert outcome.cause == "NORMAL_CIRCUIT_CONGESTION"
    assert "carrier c21" in outcome.reason
    assert rig.engine.channels(rig.account)


async def test_transfers_and_forwards_find_no_place_either(rig: Rig) -> None:
    await _carrier(rig, 21, 10, calls=1)
    away = {"enabled": True, "number": NUMBER}
    document = {"sip": {"username": "f", "method": "ip", "ip": "192.0.2.33"}, "call_forward": away}
    await rig.engine.directory.put("device", rig.account, document, "forwards")
    rig.sip.script(FIRST, Answer())
    talking = await rig.talk()
    forwarded = rig.start("1002", endpoint_id="forwards")
    await rig.event("CHANNEL_ANSWER", 3)
    again = rig.start("1002", endpoint_id="forwards")
    assert await ended(again) == "NORMAL_CIRCUIT_CONGESTION"
    gone = [event for event in rig.seen if event.name == "CHANNEL_DESTROY"]
    rig.engine.transfer(talking.winner, NUMBER)
    last = await rig.event("CHANNEL_DESTROY", len(gone) + 2)
    assert last.payload["Hangup-Cause"] == "NORMAL_CIRCUIT_CONGESTION"
    # The two who talk go on; the forwarded call has the only place until it is over.
    assert len(rig.engine.legs_of(talking.originate_id)) == 2
    forwarded.hang_up()
    assert await ended(forwarded) == "ORIGINATOR_CANCEL"
    rig.engine.transfer(talking.winner, NUMBER)
    await rig.event("CHANNEL_TRANSFEREE", 1)


async def test_a_carrier_that_is_asked_too_fast_is_passed_over(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip(), pacing_wait_s=0) as rig:
        await _carrier(rig, 21, 10, calls_per_second=0.001)
        for uri in (A_URI, FIRST):
            rig.sip.script(uri, Answer())
        await _talking(rig, 1)
        refused = rig.start(NUMBER)
        outcome = await asyncio.wait_for(refused.ended(), GUARD_S)
        assert outcome.cause == "SWITCH_CONGESTION"
        metrics = rig.engine.metrics.text().decode()
        assert "quickcall_pacing_refused_total 1.0" in metrics
        assert "quickcall_admission_limit +Inf" in metrics
        assert "carrier c21 of account" in outcome.reason
        await _carrier(rig, 22, 20)
        rig.sip.script(SECOND, Answer())
        third = rig.start(NUMBER)
        await rig.event("CHANNEL_BRIDGE", 4)
        assert rig.engine.legs_of(third.originate_id)[1].request_uri == SECOND


async def test_a_call_that_waits_for_its_turn_is_hung_up(tmp_path: Path) -> None:
    """No INVITE is sent for it, and its place in the queue is free."""
    async with Rig(tmp_path, LoopbackSip(), max_calls_per_second=0.05, pacing_wait_s=30) as rig:
        rig.sip.script(A_URI, Ring())
        first, second = rig.start(), rig.start()
        second.hang_up()
        assert await ended(second) == "ORIGINATOR_CANCEL"
        third = rig.start()
        fourth = rig.start()
        assert await ended(fourth) == "SWITCH_CONGESTION"
        dialled = {command.call_id for command in rig.sip.submitted if hasattr(command, "call_id")}
        assert dialled == {first.planned[0].call_id}
        for call in (first, third):
            call.hang_up()
            assert await ended(call) == "ORIGINATOR_CANCEL"


async def test_calls_take_their_turns(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip(), max_calls_per_second=100, pacing_wait_s=30) as rig:
        rig.sip.script(A_URI, Refuse(486))
        calls = [rig.start() for _ in range(20)]
        assert [await ended(call) for call in calls] == ["USER_BUSY"] * 20
        order = [command.call_id for command in rig.sip.submitted if hasattr(command, "call_id")]
        assert order == [call.planned[0].call_id for call in calls]


# --- HTTP -------------------------------------------------------------------------------------


async def test_limits_over_http(
    root: httpx.AsyncClient, engine: ScriptedEngine, tenant: Tenant
) -> None:
    for error, code, retry in (
        (RateLimited("limits.calls_per_second", "one more", "2 a second", 0.2), "rate_limited", 1),
        (ConcurrencyExceeded("limits.calls", 6, "at most 5", 7.1), "concurrency_exceeded", 8),
    ):
        engine.limited = error
        for answer in (await root.get(tenant.quickcall()), await root.post(tenant.quickcall())):
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == str(retry)
            body = answer.json()
            assert (body["error"], body["message"], body["status"]) == ("429", code, "error")
            assert body["data"]["field"] == error.field
            assert body["data"]["message"] == str(error)
    assert not engine.handles


async def test_an_account_sees_its_limits(
    root: httpx.AsyncClient, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    url = f"{tenant.url}/limits"
    mine = await client.get(url, headers={"X-Auth-Token": tenant.token})
    assert mine.json()["data"]["calls_active"] == 2
    assert (await client.get(url)).status_code == 401
    assert (await root.get(f"/v2/accounts/{'c' * 32}/limits")).status_code == 404


async def test_an_overloaded_engine_refuses_before_it_looks(
    root: httpx.AsyncClient, client: httpx.AsyncClient, engine: ScriptedEngine, tenant: Tenant
) -> None:
    """Whoever asks, with whatever body: the same answer, which tells nothing else."""
    engine.shed_s = 1.0
    named = {"X-Request-ID": "mine"}
    answers = [
        await root.get(tenant.quickcall(), headers=named),
        await client.post(tenant.quickcall(), content=b"not json", headers=named),
        await client.get(f"/v2/accounts/nobody/devices/x/quickcall/{'1' * 300}", headers=named),
        await client.post(tenant.quickcall(), content=b"1" * (MAX_BODY + 1), headers=named),
    ]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-request-id"] == "mine"
        body = answer.json()
        assert body["message"] == "overloaded"
        assert body["request_id"] == "mine"
        assert body["data"] == {"message": str(Overloaded(1.0))}
    made = await root.get(tenant.quickcall(), headers={"X-Request-ID": "a b"})
    assert made.headers["x-request-id"] not in ("", "a b")
    assert not engine.handles
    # Everything else is answered: calls must be ended however much is asked for.
    assert (await root.get(f"{tenant.url}/channels")).status_code == 200
    assert (await client.get("/healthz")).status_code == 200
    engine.shed_s = 0.0
    assert (await root.get(tenant.quickcall())).status_code == 202


async def test_an_engine_that_is_late_lets_in_what_it_can(tmp_path: Path) -> None:
    """The loop is made late for good: calls beyond the floor are refused, the others succeed."""
    async with Rig(tmp_path, LoopbackSip(), overload_lag_ms=1) as rig:
        rig.sip.script(A_URI, Refuse(486))
        rejected = rig.engine.rejected
        calls: list[Call] = []
        async with asyncio.timeout(GUARD_S):
            while rejected["overloaded"] < 5:
                for _ in range(20):
                    with suppress(Overloaded):
                        calls.append(rig.start())
                await asyncio.sleep(0)
        assert {await ended(call) for call in calls} == {"USER_BUSY"}
        assert rig.engine.limits(rig.account)["calls_active"] == 0


@pytest.mark.parametrize("new", [False, True])
async def test_a_request_that_waited_in_its_socket_is_known(
    server: HttpServer, engine: ScriptedEngine, new: bool
) -> None:
    """Whether its connection is open already or waits to be accepted itself."""

    def ask(reader: socket.socket) -> None:
        reader.sendall(b"GET /quickcall/ HTTP/1.1\r\nHost: a\r\n\r\n")

    async def answered(reader: socket.socket) -> None:
        reader.setblocking(False)
        assert (await loop.sock_recv(reader, 65536)).startswith(b"HTTP/1.1 503")

    engine.shed_s, loop = 1.0, asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", server.port)) as first:
        ask(first)
        await answered(first)
        first.setblocking(True)
        with socket.create_connection(("127.0.0.1", server.port)) if new else first as late:
            ask(late)
            # The loop is as late as a busy one.
            time.sleep(0.3)  # noqa: ASYNC251
            await answered(late)
    assert engine.waited_s[0] < engine.waited_s[1]
    assert engine.waited_s[1] >= 0.25
