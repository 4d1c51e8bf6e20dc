"""Pairs that are bridged and silent: what they take while they are up, and what is left of it."""

from __future__ import annotations

import asyncio

from benchmarks.load.media.generator import Generator
from benchmarks.load.media.relays import RATE, answered_pairs
from benchmarks.load.watch import Watch

AFTER_S = 45.0
"""Timers of RFC 3261 run 32 s after the last message; then the engine gives memory back."""


async def measure_held(pairs: int, seconds: int) -> dict[str, object]:
    """Bridge the pairs, watch them being silent for some seconds, let the phones hang up."""
    async with (
        Generator(2 * pairs) as generator,
        answered_pairs(generator) as up,
        Watch(up.engine.pid) as watch,
    ):
        before = watch.look()
        await up.call()
        reached = watch.look()
        await asyncio.sleep(AFTER_S)
        since = watch.look()
        await asyncio.sleep(seconds)
        held = watch.look()
        await up.phones.hang_up("dialled", RATE)
        await up.engine.idle()
        await asyncio.sleep(AFTER_S)
        after = watch.look()
    per_1000 = 1000 / pairs
    share = (held.cpu_s - since.cpu_s) / (held.at - since.at)
    return {
        "mode": "held",
        "pairs": pairs,
        "seconds": seconds,
        "rss_mb_before": round(before.rss_mb, 1),
        "rss_mb_answered": round(reached.rss_mb, 1),
        "rss_mb_held": round(held.rss_mb, 1),
        "rss_mb_per_1000_pairs": round((held.rss_mb - before.rss_mb) * per_1000, 1),
        "rss_mb_after": round(after.rss_mb - before.rss_mb, 1),
        "held_cpu_percent": round(share * 100, 2),
    }
