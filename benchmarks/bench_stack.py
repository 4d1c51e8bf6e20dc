"""What the native stack costs and how fast it is, alone: no engine, no store, no HTTP.

python benchmarks/bench_stack.py [--json] [--calls N] [--rate N]

Cases, with SIPp as the phone:

* `command to INVITE`: from `submit` of a Dial to SIPp having read the INVITE (SIPp's own time
  stamp).
* `one leg`: CPU of the SIP thread and the bridge for INVITE, 200, ACK, BYE, without any engine
  above; events
  taken by Python per second of that CPU time.
* `Python busy`: from SIPp's 200 to the ACK it reads, with Python idle and with Python holding the
  interpreter lock
  all the time. The ACK is sent by the SIP thread, so the difference is what a busy Python makes it
  wait.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load.process import percentile
from benchmarks.load.short_log import read_moments
from engine.core.commands import HangUp
from engine.core.events import LegAnswered, LegEnded
from engine.core.values import LegId
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

Row = dict[str, object]


async def count_events(stack: Stack, kind: type[LegAnswered] | type[LegEnded], count: int) -> None:
    """Wait until `count` events of a kind have come."""
    while sum(isinstance(event, kind) for event in stack.events) < count:
        await stack.next_event()


async def paced(stack: Stack, phone: Sipp, calls: int, rate: int) -> dict[str, float]:
    """Make calls at an even rate, hang up each when answered; return when each was dialled."""
    submitted: dict[str, float] = {}
    began = time.monotonic()
    hung_up = 0
    for number in range(calls):
        leg = LegId(number + 1)
        command = stack.dial_command(leg, phone.uri, ())
        submitted[command.call_id] = time.time()
        stack.submit(command)
        await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
        hung_up = hang_up_answered(stack, hung_up)
    while hung_up < calls:
        await stack.next_event()
        hung_up = hang_up_answered(stack, hung_up)
    await count_events(stack, LegEnded, calls)
    return submitted


def hang_up_answered(stack: Stack, already: int) -> int:
    """Hang up every leg answered since the last time; returns how many were by now."""
    answered = [event.leg for event in stack.events if isinstance(event, LegAnswered)]
    for leg in answered[already:]:
        stack.hang_up(leg)
    return len(answered)


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
    for case, keep_busy in (("ACK, Python idle", None), ("ACK, Python busy", hold_the_lock)):
        async with (
            Stack() as stack,
            Sipp(
                "uas-load-answer", calls=calls, options=("-trace_shortmsg",), messages=False
            ) as phone,
        ):
            legs = await burst(stack, phone, calls, keep_busy)
            await count_events(stack, LegAnswered, calls)
            stack.submit(*(HangUp(leg) for leg in legs))
            await count_events(stack, LegEnded, calls)
            await phone.succeeded()
            moments = read_moments(phone.short_log)
        waits = [moments.ack[call_id] - at for call_id, at in moments.answer.items()]
        rows.append(latency(case, waits, calls=calls))
    return rows


async def burst(
    stack: Stack, phone: Sipp, calls: int, keep_busy: Callable[[], None] | None
) -> list[LegId]:
    """Dial every leg at once; then keep Python busy, or leave it idle, while the stack works."""
    legs = [LegId(number + 1) for number in range(calls)]
    stack.submit(*(stack.dial_command(leg, phone.uri, ()) for leg in legs))
    if keep_busy is not None:
        keep_busy()
    await count_events(stack, LegAnswered, calls)
    return legs


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
    return await measure_calls(calls, rate) + await measure_busy(min(calls, 200))


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
