"""What passing on the media of calls costs, and what it does to them.

python benchmarks/bench_media.py [--json] [--mode relay|srtp|bypass|held] [--pairs N] [--seconds N]
    [--rounds N] [--against rtpengine]

The engine is `quickcall serve`, a process of its own. The phones are one C++ program
(`load/media/media_load.cpp`): every leg sends G.711, 50 packets a second, numbered and stamped with
the time; the legs take turns within the 20 ms. The kernel stamps the arrivals. Whoever is compared
carries the same packets, in turns.

* `relay`: pairs of phones talk through the engine, through a bare epoll relay (the floor), and with
  `--against rtpengine` through rtpengine in user space. In each round `direct`, phones that send
  straight to each other, says what the machine itself does to the packets.
* `srtp`: the same, both legs of each pair encrypted with AES_CM_128_HMAC_SHA1_80.
* `bypass`: phones that talk while their call is moved off the engine, and after.
* `held`: pairs that are bridged and silent: memory and CPU while they are up, memory after.

The figures, of the best of the rounds unless it says otherwise:

* `cpu_pct_per_pair`: user and system time of the relaying process in percent of a core;
  `thread_pct_per_pair`: that of its busiest thread.
* `lost`, `duplicated`, `reordered`, `strange`: packets, in all rounds together; `strange` ones came
  to the wrong leg.
* `latency_p50_ms`, `latency_p99_ms`: from a phone's send to the arrival at the other's socket.
* `jitter_p99_ms`: how much that differs from one packet to the next; `added_jitter_p99_ms`: less
  that of `direct`.
* `late_ms`: how far the load itself fell behind. With more than a few milliseconds the machine was
  busy with other things, and latency and jitter are its own.
* `shift_p50_ms`, `shift_p99_ms`: from the 200 of the phone that answers last until each of the two
  is sent the packets of the other straight. `lost_in_shift`, `duplicated_in_shift`: packets, from
  the first that arrived. `cpu_percent`, `udp_sockets`: of the engine after all shifts, the listener
  included.
* `rss_mb_per_1000_pairs`: growth of resident memory while all pairs are up, in MB (10**6 bytes),
  45 s after the last answer, when the timers of RFC 3261 have run out; `rss_mb_after`: what is left
  of the growth 45 s after the last BYE; `held_cpu_percent`: of a core, for all pairs together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.bench_number_filter import machine
from benchmarks.load.media.bypass import measure_bypass
from benchmarks.load.media.generator import Generator, Heard
from benchmarks.load.media.held import measure_held
from benchmarks.load.media.relays import RELAYS
from benchmarks.load.process import cpu_seconds, thread_seconds

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Turn:
    """One relay in one round."""

    heard: Heard
    cpu_s: float
    thread_s: float
    """Of the busiest thread."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    pairs: int = 400
    seconds: int = 20
    rounds: int = 3

    def row(self, mode: str, relay: str, turns: list[Turn], plain: list[Turn]) -> Row:
        """Return the figures of one relay."""
        share = 100 / self.seconds / self.pairs
        jitter = min(turn.heard.jitter_p99_ms for turn in turns)
        own = min(turn.heard.jitter_p99_ms for turn in plain)
        heard = [turn.heard for turn in turns]
        return {
            "mode": mode,
            "relay": relay,
            "pairs": self.pairs,
            "seconds": self.seconds,
            "rounds": self.rounds,
            "cpu_pct_per_pair": round(min(turn.cpu_s for turn in turns) * share, 4),
            "thread_pct_per_pair": round(min(turn.thread_s for turn in turns) * share, 4),
            "sent": sum(h.sent for h in heard),
            "lost": sum(h.lost + h.before_first for h in heard),
            "duplicated": sum(h.duplicated for h in heard),
            "reordered": sum(h.reordered for h in heard),
            "strange": sum(h.strange for h in heard),
            "latency_p50_ms": min(h.latency_p50_ms for h in heard),
            "latency_p99_ms": min(h.latency_p99_ms for h in heard),
            "jitter_p99_ms": jitter,
            "added_jitter_p99_ms": round(jitter - own, 3),
            "late_ms": min(h.late_ms for h in heard),
        }


async def turn(generator: Generator, name: str, seconds: int) -> Turn:
    """Let one relay carry the packets."""
    async with RELAYS[name](generator) as pid:
        if name == "bare":  # it learns where the phones are from a first packet of each
            generator.begin(1)
            await generator.report()
        cpu, threads = cpu_seconds(pid), thread_seconds(pid)
        generator.begin(seconds)
        heard = await generator.report()
        after = thread_seconds(pid)
        busiest = max((after[tid] - threads.get(tid, 0.0) for tid in after), default=0.0)
        return Turn(heard, cpu_seconds(pid) - cpu, busiest)


async def measure_relays(mode: str, plan: Plan, names: list[str]) -> list[Row]:
    """Let every relay have its turn in every round."""
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    async with Generator(2 * plan.pairs) as generator:
        for _ in range(plan.rounds):
            for name in names:
                turns[name].append(await turn(generator, name, plan.seconds))
    return [plan.row(mode, name, turns[name], turns["direct"]) for name in names]


def measure(mode: str, plan: Plan, against: str | None) -> Iterator[Row]:
    """Measure one mode."""
    if mode == "held":
        yield asyncio.run(measure_held(plan.pairs, plan.seconds))
        return
    if mode == "bypass":
        yield asyncio.run(measure_bypass(plan.pairs, plan.seconds))
        return
    names = ["direct", "bare", "engine"] if mode == "relay" else ["direct", "engine", "srtp"]
    names += [against] if against else []
    yield from asyncio.run(measure_relays(mode, plan, names))


def main() -> None:
    """Print a line for each relay, with --json an object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--mode", choices=("relay", "srtp", "bypass", "held"), default="relay")
    parser.add_argument("--pairs", type=int, default=400, help="1 to 2048")
    parser.add_argument("--seconds", type=int, default=20, help="of each turn, 1 to 600")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", choices=("rtpengine",))
    asked = parser.parse_args()
    if not (1 <= asked.pairs <= 2048 and 1 <= asked.seconds <= 600 and asked.rounds >= 1):
        parser.error("--pairs 1 to 2048, --seconds 1 to 600, --rounds 1 or more")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    plan = Plan(asked.pairs, asked.seconds, asked.rounds)
    for row in [machine(), *measure(asked.mode, plan, asked.against)]:
        said = json.dumps(row) if asked.json else "  ".join(f"{k}={v}" for k, v in row.items())
        print(said, flush=True)


if __name__ == "__main__":
    main()
