"""Calls to phones that lose packets, and what is left of them: nothing.

python benchmarks/bench_loss.py [--json] [--rate N] [--seconds N] [--lost PERCENT] [--t1 MS]

Phones are SIPp that drops packets in both directions: one answers, one is busy, one rings until it
is cancelled, one is picked up at the moment the engine gives up; the one that is dialled answers
and hangs up. A third of the calls is hung up by the engine at some moment of their life. The engine
runs in this process with its SQLite file, so the figures are no measure of its speed.

* `ended`: terminal events; `wrong`: requests that did not have exactly one.
* `left`: legs, RTP ports, dialogs, transactions, deadlines that are not zero after the last timer
  of RFC 3261 (64*T1, 32 s) and 3 s more; `zero_after_s`: when all of them were zero.

Ends with status 1 when a request is wrong or something is left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.kit.engine import EngineUnderTest
from tests.kit.lossy_load import LossyLoad, Seen, run


async def measure(load: LossyLoad, t1_ms: int) -> Seen:
    """Carry out the load on a new engine."""
    with tempfile.TemporaryDirectory(prefix="bench-loss-") as directory:
        async with EngineUnderTest(Path(directory), sip_t1_ms=t1_ms) as engine:
            return await run(engine, load)


def main() -> int:
    """Run once and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--rate", type=float, default=50.0, help="calls per second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long calls are made")
    parser.add_argument("--lost", type=int, default=3, help="percentage each phone loses, each way")
    parser.add_argument("--t1", type=int, default=500, help="the engine's T1, milliseconds")
    asked = parser.parse_args()
    seen = asyncio.run(measure(LossyLoad(asked.rate, asked.seconds, asked.lost), asked.t1))
    row = {
        "rate": asked.rate,
        "seconds": asked.seconds,
        "lost_percent": asked.lost,
        "asked": seen.asked,
        "ended": seen.events,
        "wrong": len(seen.wrong),
        "left": seen.left,
        "zero_after_s": round(seen.zero_after_s, 1),
        "outcomes": dict(seen.outcomes.most_common()),
    }
    if asked.json:
        print(json.dumps(row))
    else:
        print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")
        for name, value in row.items():
            print(f"{name:14} {value}")
    return 1 if seen.wrong or seen.left else 0


if __name__ == "__main__":
    sys.exit(main())
