"""Calls at a rate to phones that lose packets, hang-ups crossing answers: what is left of them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from engine import EndpointType, OriginateRequest
from engine.core.errors import NotFound
from engine.runtime.calls import Call
from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

MANY = 1_000_000
"""More calls than any run makes: the phones are ended, they do not end by themselves."""

RING_S = 3
"""Ring timeout of the calls, seconds; uas-load-crossing is picked up at that moment."""


@dataclass(frozen=True, slots=True)
class LossyLoad:
    """What to do to an engine."""

    rate: float
    """Calls per second."""
    seconds: float
    lost: int = 3
    """Percentage of packets each phone loses, in either direction."""
    seed: int = 20


@dataclass(slots=True)
class Seen:
    """What came of the calls."""

    asked: int = 0
    events: int = 0
    """Terminal events, of whatever request."""
    wrong: list[str] = field(default_factory=list)
    """Requests with another number of terminal events than one."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Causes of the terminal events."""
    left: dict[str, int] = field(default_factory=dict)
    """What is not zero after the last timer must have run out."""
    zero_after_s: float = 0.0
    """Seconds from the last terminal event until nothing was left."""


async def run(engine: EngineUnderTest, load: LossyLoad) -> Seen:
    """Make the calls, wait until each has ended and every timer must have run out."""
    dice = random.Random(load.seed)
    async with _phones(load) as phones:
        devices = [
            await engine.device(name, f"100{number}", phone.uri)
            for number, (name, phone) in enumerate(phones.items())
        ]
        calls = await _make_calls(engine, load, dice, devices[:-1])
        async with asyncio.timeout(60 + 2 * _longest_timer(engine)):
            await asyncio.gather(*(call.ended() for call in calls))
        seen = Seen(asked=len(calls))
        await _wait_for_nothing(engine, seen)
    _count(engine, calls, seen)
    return seen


@asynccontextmanager
async def _phones(load: LossyLoad) -> AsyncIterator[dict[str, Sipp]]:
    """Start the phones; the last one is the one that is dialled, extension 1004."""
    lossy = ("-lost", str(load.lost))
    async with (
        Sipp("uas-load-answer", calls=MANY, options=lossy, messages=False) as answering,
        Sipp("uas-load-busy", calls=MANY, options=lossy, messages=False) as busy,
        Sipp("uas-load-no-answer", calls=MANY, options=lossy, messages=False) as silent,
        Sipp(
            "uas-load-crossing",
            calls=MANY,
            options=lossy,
            messages=False,
        ) as crossing,
        Sipp(
            "uas-load-answer-bye", calls=MANY, options=(*lossy, "-d", "300"), messages=False
        ) as dialled,
    ):
        yield {
            "answering": answering,
            "busy": busy,
            "silent": silent,
            "crossing": crossing,
            "dialled": dialled,
        }


async def _make_calls(
    engine: EngineUnderTest, load: LossyLoad, dice: random.Random, devices: list[str]
) -> list[Call]:
    """Start calls at the rate; a third of them is hung up at some moment of its life."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    calls = []
    for number in range(int(load.rate * load.seconds)):
        await asyncio.sleep(max(0.0, began + number / load.rate - loop.time()))
        device = dice.choice(devices)
        request = OriginateRequest(
            engine.account, EndpointType.DEVICE, device, "1004", timeout=RING_S
        )
        call = engine.engine.start(request)
        calls.append(call)
        if dice.random() < 1 / 3:
            loop.call_later(dice.random() * RING_S, _hang_up, engine, call)
    return calls


def _hang_up(engine: EngineUnderTest, call: Call) -> None:
    with suppress(NotFound):
        engine.engine.hangup(call.originate_id)


def _longest_timer(engine: EngineUnderTest) -> float:
    """Return 64*T1 in seconds: timers B, D, F, H of RFC 3261 and the wait after a CANCEL."""
    return 64 * engine.config.sip_t1_ms / 1000


async def _wait_for_nothing(engine: EngineUnderTest, seen: Seen) -> None:
    """Look until nothing is left, at most until 64*T1 and 3 s have passed."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        seen.left = {name: value for name, value in holdings(engine).items() if value}
        seen.zero_after_s = loop.time() - began
        if not seen.left or seen.zero_after_s > _longest_timer(engine) + 3:
            return
        await asyncio.sleep(0.1)


def holdings(engine: EngineUnderTest) -> dict[str, int]:
    """Return what the engine holds of calls, in the stack and in call control, and has reaped."""
    stats = engine.engine.stats()
    control = engine.engine._control
    return {
        "legs": stats.legs,
        "media_ports": stats.media_ports,
        "dialogs": stats.dialogs,
        "transactions": stats.transactions,
        "pending_requests": stats.pending_requests,
        "legs in control": control.legs,
        "originates": control.originates,
        "deadlines": control.deadlines,
        "reaped": engine.engine.reaped.total,
    }


def _count(engine: EngineUnderTest, calls: list[Call], seen: Seen) -> None:
    ends = [event for event in engine.events if event.name == "QUICKCALL_END"]
    seen.events = len(ends)
    seen.outcomes = Counter(str(event.payload["Hangup-Cause"]) for event in ends)
    times = Counter(str(event.payload["Msg-ID"]) for event in ends)
    asked = {str(call.originate_id) for call in calls}
    seen.wrong = [name for name in asked | set(times) if times[name] != 1 or name not in asked]
