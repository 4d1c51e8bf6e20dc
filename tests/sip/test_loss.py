"""Phones that lose packets: every call ends, once, and nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.lossy_load import LossyLoad, run

pytestmark = pytest.mark.sip


async def test_every_call_ends_once_where_packets_are_lost(tmp_path: Path) -> None:
    async with EngineUnderTest(tmp_path, sip_t1_ms=50) as engine:
        seen = await run(engine, LossyLoad(rate=30, seconds=10))
    assert (seen.asked, seen.events, seen.wrong) == (300, 300, [])
    assert seen.left == {}
    # All four kinds of phone were rung, and hang-ups met them in every state.
    assert {"NORMAL_CLEARING", "USER_BUSY", "NO_ANSWER", "ORIGINATOR_CANCEL"} <= set(seen.outcomes)
