"""Pairs whose media bypass the engine: when their streams meet, what the engine is left with."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load.media.generator import Generator
from benchmarks.load.media.relays import RATE, answered_pairs
from benchmarks.load.process import cpu_seconds, percentile

CALLS_PER_S = 10.0
"""Calls a second: each is alone with the engine for most of its shift."""
MOST_S = 600


async def measure_bypass(pairs: int, seconds: int) -> dict[str, object]:
    """Call with media bypass while every phone talks; then watch the engine for some seconds."""
    async with (
        Generator(2 * pairs) as generator,
        answered_pairs(generator, options={"media": "bypass"}, rate=CALLS_PER_S) as up,
    ):
        generator.begin(MOST_S)
        await up.call()
        generator.stop()
        heard = await generator.report()
        generator.begin(seconds)
        cpu = cpu_seconds(up.engine.pid)
        after = await generator.report()
        spent = cpu_seconds(up.engine.pid) - cpu
        sockets = udp_sockets(up.engine.pid)
        shifts = shift_times(heard.met, {c.leg: c.answered_at for c in up.phones.calls.values()})
        await up.phones.hang_up("dialled", RATE)
        await up.engine.idle()
    return {
        "mode": "bypass",
        "pairs": pairs,
        "seconds": seconds,
        "shifted": len(shifts),
        "shift_p50_ms": round(percentile(shifts, 50) * 1e3, 1) if shifts else None,
        "shift_p99_ms": round(percentile(shifts, 99) * 1e3, 1) if shifts else None,
        "lost_in_shift": heard.lost,
        "duplicated_in_shift": heard.duplicated,
        "lost": after.lost + after.before_first,
        "cpu_percent": round(spent / seconds * 100, 2),
        "udp_sockets": sockets,
    }


def shift_times(met: dict[str, tuple[float, int]], answered: dict[int, float]) -> list[float]:
    """Return for each pair the seconds from the later answer until both were sent the other's."""
    times = []
    for leg, (at, other) in met.items():
        if int(leg) < other and str(other) in met:
            later = max(answered[int(leg)], answered[other])
            times.append(max(at, met[str(other)][0]) - later)
    return times


def udp_sockets(pid: int) -> int:
    """Return how many UDP sockets a process has, its SIP listener among them."""
    inodes = {fd.readlink().name for fd in Path(f"/proc/{pid}/fd").iterdir()}
    lines = Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]
    return sum(f"socket:[{line.split()[9]}]" in inodes for line in lines)
