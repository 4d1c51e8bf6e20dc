"""The engine's own audit, over a loopback stack that loses what it is told to lose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from engine.core.commands import Dial, HangUp, SipCommand
from engine.core.values import LegId, LegRole
from engine.runtime.reaper import Reaped
from engine.sip.loopback import LoopbackSip
from tests.control.rig import Rig


class FaultySip(LoopbackSip):
    """Loses legs without a word, and says when it is told to hang up."""

    def __init__(self) -> None:
        super().__init__()
        self.hung_up = asyncio.Event()

    def submit(self, commands: Iterable[SipCommand]) -> None:
        """Carry the commands out."""
        super().submit(commands)
        if isinstance(self.submitted[-1], HangUp):
            self.hung_up.set()

    def lose(self, call_id: str) -> None:
        """Forget a leg."""
        del self._legs[self._by_call_id.pop(call_id)]


async def test_a_call_whose_leg_the_stack_lost_ends(tmp_path: Path) -> None:
    sip = FaultySip()
    async with Rig(tmp_path, sip, reaper_s=1) as rig:
        await rig.talk()
        lost = rig.call_id(LegRole.B)
        sip.lose(lost)
        ended = await rig.event("QUICKCALL_END")
        assert ended.payload["Hangup-Cause"] == "RECOVERY_ON_TIMER_EXPIRE"
        assert ended.payload["Hangup-Reason"] == "the SIP stack does not know this leg"
        destroyed = [event for event in rig.seen if event.name == "CHANNEL_DESTROY"]
        assert {event.call_id for event in destroyed} >= {lost}
        assert len(destroyed) == 2
        assert rig.engine.reaped == Reaped(control_legs=1)
        assert not rig.engine.channels(rig.account)


async def test_a_leg_nobody_owns_is_hung_up(tmp_path: Path) -> None:
    sip = FaultySip()
    async with Rig(tmp_path, sip, reaper_s=1) as rig:
        stray = LegId(10**9)
        sip.submit([Dial(stray, "stray", "sip:nobody@192.0.2.9", "<sip:b@a>", "<sip:1@a>")])
        async with asyncio.timeout(20):
            await sip.hung_up.wait()
        assert sip.submitted[-1] == HangUp(stray)
        assert sip.stats().legs == 0
        assert rig.engine.reaped == Reaped(stack_legs=1)


@pytest.mark.parametrize("reaper_s", [0, 0.5, 3601])
def test_the_interval_is_bounded(tmp_path: Path, reaper_s: float) -> None:
    with pytest.raises(ValueError, match="reaper_s"):
        Rig(tmp_path, LoopbackSip(), reaper_s=reaper_s)
