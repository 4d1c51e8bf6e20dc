"""The audit over the wire: what only one side knows of is ended, and the phone hears of it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from engine.core.commands import Dial, SipCommand
from engine.core.events import LegEnded, StackEvent
from engine.core.values import LegId
from engine.runtime.reaper import Reaped
from engine.sip.native import NativeSip
from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

STRAY = LegId(10**9)


class Deaf(NativeSip):
    """Does not tell of the end of some legs."""

    deaf_to: ClassVar[set[LegId]] = set()

    def drain(self) -> list[StackEvent]:
        """Take what waits."""
        events = super().drain()
        return [e for e in events if not (isinstance(e, LegEnded) and e.leg in self.deaf_to)]


def stray_dial(phone: Sipp) -> list[SipCommand]:
    """Return a call that call control knows nothing of."""
    headers = (("X-KAZOO-AOR", "sip:stray@test.local"), ("X-KAZOO-INVITE-FORMAT", "contact"))
    return [
        Dial(STRAY, "stray", phone.uri, "<sip:a@test.local>", "<sip:b@test.local>", headers=headers)
    ]


@pytest.mark.parametrize("scenario", ["uas-answer", "uas-no-answer"])
async def test_a_phone_that_nobody_calls_is_released(
    engine: EngineUnderTest, scenario: str
) -> None:
    async with Sipp(scenario) as phone:
        engine.engine._sip.submit(stray_dial(phone))
        messages = await phone.succeeded()
    given_up = "BYE" if scenario == "uas-answer" else "CANCEL"
    assert given_up in [message.method for message in messages]
    assert engine.events == []
    engine.faults = Reaped(stack_legs=1)


async def test_a_call_whose_leg_is_gone_unheard_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.sip.native.NativeSip", Deaf)
    monkeypatch.setattr(Deaf, "deaf_to", {LegId(2)})  # the dialled leg: they are counted from 1
    async with (
        EngineUnderTest(tmp_path) as engine,
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-ring-answer-bye", options=("-d", "500")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        assert (await engine.quickcall(device, "1002")).is_success
        await engine.event("CHANNEL_BRIDGE", count=2)
        await bob.succeeded()
        end = await engine.end()
        messages = await alice.succeeded()
        cdrs = await engine.cdrs()
        engine.faults = Reaped(control_legs=1)
    assert end["Hangup-Cause"] == "RECOVERY_ON_TIMER_EXPIRE"
    assert {cdr["hangup_cause"] for cdr in cdrs.values()} == {"RECOVERY_ON_TIMER_EXPIRE"}
    (bye,) = [message for message in messages if message.method == "BYE"]
    assert bye.header("Reason").startswith("Q.850;cause=102;")
