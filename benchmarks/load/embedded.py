"""The measured process of `--api embedded`: an engine and the program that embeds it.

Started by `bench_calls.py`. Reads one JSON line: the load. Says `ready`, waits for a line, makes
the calls, prints them as one JSON line, waits for another line and ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

from benchmarks.load.directory import ACCOUNT, EXTENSION, device
from benchmarks.load.pacing import at_rate
from engine import EndpointType, Engine, OriginateRequest, load_config
from engine.runtime.collector import settle_collector


async def run(load: dict[str, object]) -> None:
    """Carry out one load."""
    async with Engine(load_config()) as engine:
        account = (await engine.directory.put("account", "", ACCOUNT))["id"]
        rung = device("rung", "1001", str(load["rung"]))
        device_id = (await engine.directory.put("device", account, rung))["id"]
        dialled = device("dialled", EXTENSION, str(load["dialled"]))
        await engine.directory.put("device", account, dialled)
        settle_collector()
        request = OriginateRequest(account, EndpointType.DEVICE, device_id, str(load["number"]))

        async def call() -> tuple[str, float, float, bool]:
            asked_at = time.time()
            handle = engine.start(request)
            outcome = await handle.answered()
            answered_at = time.time()
            await handle.ended()
            return outcome.call_id, asked_at, answered_at, outcome.answered

        await said("ready")
        rate, calls = float(str(load["rate"])), int(str(load["calls"]))
        await said(json.dumps(await at_rate(rate, calls, call)))


async def said(line: str) -> None:
    """Print a line and wait until one comes back, without stopping the engine."""
    print(line, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    uvloop.run(run(json.loads(sys.stdin.readline())))
