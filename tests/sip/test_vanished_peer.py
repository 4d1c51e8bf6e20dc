"""A phone that dies in the middle of a call, silent media or not: found, and the other one is told.

Session timers (RFC 4028) find it, not in-dialog OPTIONS of our own: they say how often every hop
may expect a sign of life, so proxies in between drop dead calls too, and a phone that knows them
finds out by itself when it is this engine that died. A phone that does not know them answers the
same UPDATE or re-INVITE as it would answer OPTIONS.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.kit.engine import GUARD_S, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

INTERVAL_S = 90
"""The shortest session interval (RFC 4028 4): the first refresh comes after half of it."""


async def test_whichever_phone_vanishes_the_other_is_released(tmp_path: Path) -> None:
    """Both at once, for a refresh takes 45 s to come."""
    async with (
        EngineUnderTest(tmp_path, sip_t1_ms=50, session_expires_s=INTERVAL_S) as engine,
        Sipp("uas-ring-answer") as vanishing_a,
        Sipp("uas-other-side-vanished") as left_b,
        Sipp("uas-other-side-vanished") as left_a,
        Sipp("uas-ring-answer") as vanishing_b,
    ):
        first = await engine.device("anna", "1001", vanishing_a.uri)
        await engine.device("bob", "1002", left_b.uri)
        second = await engine.device("carl", "1003", left_a.uri)
        await engine.device("dora", "1004", vanishing_b.uri)
        assert (await engine.quickcall(first, "1002")).is_success
        await engine.event("CHANNEL_BRIDGE", count=2)
        assert (await engine.quickcall(second, "1004")).is_success
        await engine.event("CHANNEL_BRIDGE", count=4)
        legs = engine.legs()
        for vanishing in (vanishing_a, vanishing_b):
            os.kill(vanishing.pid, signal.SIGKILL)
        await engine.event("QUICKCALL_END", count=2, guard_s=INTERVAL_S + GUARD_S)
        for left in (left_a, left_b):
            messages = await left.succeeded()
            assert "BYE" in [message.method for message in messages]
        cdrs = await engine.cdrs()
    ends = [event.payload for event in engine.events if event.name == "QUICKCALL_END"]
    assert [end["Hangup-Cause"] for end in ends] == ["RECOVERY_ON_TIMER_EXPIRE"] * 2
    assert [end["Hangup-Party"] for end in ends] == ["timeout"] * 2
    for leg in legs:
        assert cdrs[leg]["hangup_cause"] == "RECOVERY_ON_TIMER_EXPIRE"
        assert cdrs[leg]["hangup_party"] == "timeout"
        assert cdrs[leg]["billing_seconds"] > 0
