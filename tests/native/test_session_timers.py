"""Session timers (RFC 4028): the interval agreed on, refreshes, and what their absence does."""

from __future__ import annotations

import asyncio

import pytest

from engine.core.commands import Reoffer
from engine.core.events import LegAnswered, LegEnded
from engine.core.values import Party
from engine.sip.port import Listener, SipConfig
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

INTERVAL_S = 90
"""The shortest that RFC 4028 4 allows: refreshed after half, given up after two thirds of it."""


def timed() -> Stack:
    """A stack with the shortest interval, that gives a silent peer up after 3.2 s."""
    listeners = (Listener("udp", "127.0.0.1", 0),)
    return Stack(SipConfig(listeners, t1_ms=50, session_expires_s=INTERVAL_S))


async def call(stack: Stack, scenario: str) -> tuple[LegEnded, list[SippMessage]]:
    """Call a phone and wait until one side ends the call; return the end and what the phone saw."""
    async with Sipp(scenario) as phone:
        leg = stack.dial(phone.uri)
        if scenario == "uas-timer-reinvite":
            await stack.event(LegAnswered, leg)
            stack.submit(Reoffer(leg, hold=False))
        ended = await stack.event(LegEnded, leg, guard_s=2 * INTERVAL_S)
        return ended, await phone.succeeded()


async def test_a_phone_may_want_a_longer_interval() -> None:
    async with timed() as stack, Sipp("uas-timer-422") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert ended.party is Party.LOCAL


async def test_without_session_timers_none_are_asked_for() -> None:
    listeners = (Listener("udp", "127.0.0.1", 0),)
    async with (
        Stack(SipConfig(listeners, session_expires_s=0)) as stack,
        Sipp("uas-busy-486") as phone,
    ):
        await stack.ended(stack.dial(phone.uri))
        invite = (await phone.succeeded())[0]
    assert not invite.headers("Session-Expires")
    assert "timer" not in invite.header("Supported")


async def test_a_session_is_kept_alive_and_ends_when_it_is_not() -> None:
    """All of them at once: the shortest interval there is takes a minute."""
    scenarios = ("update", "reinvite", "481", "dead", "no-refresh")
    async with timed() as stack:
        calls = (call(stack, f"uas-timer-{scenario}") for scenario in scenarios)
        results = dict(zip(scenarios, await asyncio.gather(*calls), strict=True))
    ends = {scenario: (end.party, end.sip_status) for scenario, (end, _) in results.items()}
    assert ends == {
        "update": (Party.REMOTE, 200),
        "reinvite": (Party.REMOTE, 200),
        "481": (Party.TIMEOUT, 481),
        "dead": (Party.TIMEOUT, 408),
        "no-refresh": (Party.TIMEOUT, 408),
    }
    _, messages = results["reinvite"]
    invites = {m.header("CSeq"): m for m in messages if m.method == "INVITE"}
    dialled, offered, refreshed = (invite.body for invite in invites.values())
    # The answer narrowed our offer to one codec, so the next says so, one version up; the refresh
    # changes nothing and keeps it (RFC 4028 7.4).
    assert offered == refreshed != dialled
