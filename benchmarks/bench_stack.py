"""What the native stack costs and how fast it is, alone: no engine, no store, no HTTP.

python benchmarks/bench_stack.py [--json] [--calls N] [--rate N]

Cases, with SIPp as the phone:

* `command to INVITE`: from `submit` of a Dial to SIPp having read the INVITE (its own time stamp).
* `one leg`: CPU of the SIP thread and the bridge for INVITE, 200, ACK, BYE, without any engine
  above; events taken by Python per second of that CPU time.
* `ACK, Python ...`: from SIPp's 200 to the ACK it reads, with Python idle and with Python holding
  the interpreter lock all the time. The ACK is sent by the SIP thread. `blocked_max_us` is the
  longest that thread ever waited for Python to let go of a queue.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load.process import percentile
from benchmarks.load.short_log import read_moments
from engine.core.events import LegAnswered, LegEnded
from engine.core.values import LegId
from engine.sip.native import NativeSip
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

Row = dict[str, object]


class Legs:
    """Hangs up each leg as it is answered and counts the ends; looks at every event once."""

    def __init__(self, stack: Stack) -> None:
        """Begin with the first event of this stack."""
        self._stack = stack
        self._seen = 0
        self.answered = 0
        self.ended = 0

    def look(self) -> None:
        """Handle the events that came since the last look."""
        for event in self._stack.events[self._seen :]:
            if isinstance(event, LegAnswered):
                self.answered += 1
                self._stack.hang_up(event.leg)
            elif isinstance(event, LegEnded):
                self.ended += 1
        self._seen = len(self._stack.events)

    async def all_ended(self, count: int) -> None:
        """Wait until `count` legs have ended."""
        self.look()
        while self.ended < count:
            await self._stack.next_event()
            self.look()


async def paced(stack: Stack, phone: Sipp, calls: int, rate: int) -> dict[str, float]:
    """Make calls at an even rate, hang up each when answered; return when each was dialled."""
    submitted: dict[str, float] = {}
    legs = Legs(stack)
    began = time.monotonic()
    for number in range(calls):
        command = stack.dial_command(LegId(number + 1), phone.uri, ())
        submitted[command.call_id] = time.time()
        stack.submit(command)
        await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
        legs.look()
    await legs.all_ended(calls)
    return submitted


async def measure_calls(calls: int, rate: int) -> list[Row]:
    """Measure command-to-INVITE latency and the CPU of bare legs."""
    options = ("-trace_shortmsg",)
    async with (
        Stack() as stack,
        Sipp("uas-load-answer", calls=calls, options=options, messages=False) as phone,
    ):
        cpu = time.process_time()
        submitted = await paced(stack, phone, calls, rate)
        cpu = time.process_time() - cpu
        await phone.succeeded()
        moments = read_moments(phone.short_log)
        events = len(stack.events)
    waits = [moments.invite[call_id] - at for call_id, at in submitted.items()]
    return [
        latency("command to INVITE", waits, calls=calls, rate=rate),
        {
            "case": "one leg",
            "calls": calls,
            "rate": rate,
            "cpu_ms_per_call": round(cpu / calls * 1e3, 3),
            "events": events,
            "events_per_cpu_s": round(events / cpu),
        },
    ]


async def measure_busy(calls: int) -> list[Row]:
    """Measure the wait for the ACK with Python idle and with Python holding its lock."""
    rows = []
    for case, busy in (("ACK, Python idle", False), ("ACK, Python busy", True)):
        async with (
            Stack() as stack,
            Sipp(
                "uas-load-answer", calls=calls, options=("-trace_shortmsg",), messages=False
            ) as phone,
        ):
            dials = (stack.dial_command(LegId(n + 1), phone.uri, ()) for n in range(calls))
            stack.submit(*dials)
            if busy:
                hold_the_lock()
            await Legs(stack).all_ended(calls)
            await phone.succeeded()
            moments = read_moments(phone.short_log)
            assert isinstance(stack.sip, NativeSip)
            blocked = stack.sip.blocked_max_ns() / 1e3
        waits = [moments.ack[call_id] - at for call_id, at in moments.answer.items()]
        rows.append(latency(case, waits, calls=calls, blocked_max_us=round(blocked, 3)))
    return rows


def hold_the_lock() -> None:
    """Hold the interpreter lock for about a second: one C call that never looks up."""
    sum(range(60_000_000))


def latency(case: str, seconds: list[float], **fields: object) -> Row:
    """Return a row of percentiles in milliseconds."""
    return {
        "case": case,
        **fields,
        "p50_ms": round(percentile(seconds, 50) * 1e3, 3),
        "p99_ms": round(percentile(seconds, 99) * 1e3, 3),
        "max_ms": round(max(seconds) * 1e3, 3),
    }


async def measure(calls: int, rate: int) -> list[Row]:
    """Measure every case."""
    return await measure_calls(calls, rate) + await measure_busy(min(calls, 50))


def main() -> None:
    """Print a table, or with --json one object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rate", type=int, default=200, help="calls a second")
    arguments = parser.parse_args()
    for row in asyncio.run(measure(arguments.calls, arguments.rate)):
        if arguments.json:
            print(json.dumps(row))
        else:
            print("  ".join(f"{key}={value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
