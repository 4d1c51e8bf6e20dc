"""INVITEs in the order and at the pace that a carrier, and the engine, are allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.load.short_log import read_moments
from engine import EndpointType, OriginateRequest
from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

NUMBER = "4930123456"
CALLS = 20
RATE = 20.0
WINDOW_S = 0.5
LOOSE = 4
"""INVITEs more in a window than the rate says: SIPp may be late to read the first of them."""

SHORT_LOG = ("-trace_shortmsg",)


def _most_in_a_window(times: list[float]) -> int:
    return max(sum(since <= at < since + WINDOW_S for at in times) for since in times)


async def _all_answered(engine: EngineUnderTest, device: str, number: str) -> None:
    """Ask for all the calls at once and wait for their ends."""
    for _ in range(CALLS):
        _start(engine, device, number)
    await engine.end(CALLS)


def _start(engine: EngineUnderTest, device: str, number: str) -> None:
    engine.engine.start(OriginateRequest(engine.account, EndpointType.DEVICE, device, number))


async def test_a_carrier_is_sent_no_more_than_it_can_take(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-load-answer", calls=CALLS, messages=False, options=SHORT_LOG) as alice,
        Sipp("uas-load-answer-bye", calls=CALLS, messages=False, options=SHORT_LOG) as carrier,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        gateway = {
            "server": carrier.host,
            "port": carrier.port,
            "limits": {"calls_per_second": RATE},
        }
        document = {"name": "c", "rules": [r"^(\d{6,})$"], "gateways": [gateway]}
        await engine.put("resources", document)
        await _all_answered(engine, device, NUMBER)
        await alice.succeeded()
        await carrier.succeeded()
        times = sorted(read_moments(carrier.short_log).invite.values())
    assert len(times) == CALLS
    assert _most_in_a_window(times) <= RATE * WINDOW_S + LOOSE


async def test_the_engine_sends_no_more_than_it_may(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, max_calls_per_second=RATE) as engine,
        Sipp("uas-load-answer", calls=CALLS, messages=False, options=SHORT_LOG) as alice,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await _all_answered(engine, device, "999")
        await alice.succeeded()
        times = sorted(read_moments(alice.short_log).invite.values())
    assert len(times) == CALLS
    assert _most_in_a_window(times) <= RATE * WINDOW_S + LOOSE


async def test_what_would_wait_too_long_goes_to_the_next_carrier(tmp_path: Path) -> None:
    half = CALLS // 2
    async with (
        EngineUnderTest(tmp_path, pacing_wait_s=0) as engine,
        Sipp("uas-load-answer", calls=CALLS, messages=False) as alice,
        Sipp("uas-load-answer-bye", calls=1, messages=False) as slow,
        Sipp("uas-load-answer-bye", calls=half - 1, messages=False) as other,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        slowly = {"limits": {"calls_per_second": 0.01}}
        await engine.carrier(slow, weight=10, **slowly)
        await engine.carrier(other, weight=20)
        for _ in range(half):
            _start(engine, device, NUMBER)
        await engine.end(half)
        await slow.succeeded()
        await other.succeeded()
    ends = [event.payload for event in engine.events if event.name == "QUICKCALL_END"]
    assert [end["Hangup-Cause"] for end in ends] == ["NORMAL_CLEARING"] * half
    told: Any = [end["Attempts"] for end in ends]
    attempts = [attempt["Cause"] for one in told for attempt in one]
    assert attempts.count("SWITCH_CONGESTION") == half - 1
