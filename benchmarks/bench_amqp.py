"""Quickcalls on Kazoo's bus: originate_req in, every event out and confirmed, against SIPp.

python benchmarks/bench_amqp.py [--rate N] [--calls N] [--json]

The same two-leg calls three times over, each with an engine of its own: asked over HTTP without a
bus, asked over HTTP with all events to a RabbitMQ, and asked with originate_req over it. RabbitMQ,
SIPp and the asking side run on the same machine.

* `cpu_ms_per_call`: user and system time of the engine process, less what it used idle before,
  until nothing is left and every event was heard, over all calls.
* `ratio`: that over the figure without a bus, in the same run.
* `events_per_call`: events that came over the bus, each counted once by its message id, call
  records too; `twice`: those that came again.
* `ok`, `calls_per_s`, `p50_invite_ms`, `p99_invite_ms`: as in bench_calls.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.bench_calls import (
    Plan,
    Row,
    all_hung_up,
    allow_many_files,
    idle_share,
    invite_latencies,
    phones,
    span,
)
from benchmarks.bench_number_filter import machine
from benchmarks.load.amqp_engine import AmqpEngine, BusEngine
from benchmarks.load.directory import EXTENSION
from benchmarks.load.engines import HttpEngine, Load, stored_legs
from benchmarks.load.watch import Watch
from tests.kit.rabbitmq import RabbitMq

Maker = Callable[[Load, Path], HttpEngine]


async def measure(case: str, make: Maker, plan: Plan) -> Row:
    """Make the calls of a plan with one engine and return its figures."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        async with phones(plan) as (rung, dialled):
            load = Load(rung.uri, dialled.uri, EXTENSION, plan.rate, plan.calls)
            async with make(load, directory) as engine:
                idle = await idle_share(engine.pid)
                async with Watch(engine.pid) as watch:
                    before = watch.look()
                    made = await engine.make_calls()
                    seen = await all_hung_up(plan, rung, dialled)
                    await engine.idle()
                    if isinstance(engine, BusEngine):
                        await engine.heard_all(plan.calls)
                    await asyncio.sleep(0.5)
                    after = watch.look()
                heard, twice = 0, 0
                if isinstance(engine, BusEngine):
                    heard, twice = engine.heard.total(), engine.twice
        legs = stored_legs(directory)
    spent = after.cpu_s - before.cpu_s - idle * (after.at - before.at)
    return {
        "case": case,
        "rate": plan.rate,
        "calls": plan.calls,
        "ok": min(seen.good, sum(call.answered for call in made)),
        "calls_per_s": round(plan.calls / span(made), 1),
        "cpu_ms_per_call": round(spent / plan.calls * 1e3, 3),
        "events_per_call": round(heard / plan.calls, 2),
        "twice": twice,
        **invite_latencies(made, seen, legs),
        "cdrs": len(legs),
    }


def main() -> int:
    """Measure the three cases; return 1 when a call failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=200.0, help="calls a second")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = parser.parse_args()
    plan = Plan(rate=given.rate, calls=given.calls)
    allow_many_files()
    print(json.dumps(machine()) if given.json else machine(), flush=True)
    broker = RabbitMq()
    broker.start()
    cases: dict[str, Maker] = {
        "http, no bus": HttpEngine,
        "http, events": lambda load, folder: BusEngine(load, folder, broker.new_vhost()),
        "originate_req, events": lambda load, folder: AmqpEngine(load, folder, broker.new_vhost()),
    }
    failed, plain = 0, 0.0
    try:
        for case, make in cases.items():
            row = asyncio.run(measure(case, make, plan))
            cost = float(str(row["cpu_ms_per_call"]))
            plain = plain or cost
            row["ratio"] = round(cost / plain, 2)
            failed += plan.calls - int(str(row["ok"]))
            if given.json:
                print(json.dumps(row), flush=True)
            else:
                print("  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    finally:
        broker.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
