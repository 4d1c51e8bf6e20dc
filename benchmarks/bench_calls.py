"""Whole quickcalls against SIPp: calls per second, CPU per call, latency, memory.

python benchmarks/bench_calls.py [--json] [--mode one-leg|two-leg] [--api http|embedded]
    [--media process|bypass] [--rate N] [--calls N] [--hold SECONDS]

Without options a default set is measured. The engine is a process of its own with its SQLite file:
events and CDRs are stored. The phones are SIPp at static contacts.

* `one-leg`: the device answers, the number has no route, the engine releases it.
* `two-leg`: the device answers, a second device is dialled, the two are bridged; after `--hold`
  seconds the second one hangs up.
* `ok`: calls that SIPp's statistics count as successful on every leg and that were answered to
  whoever asked. The engine's own word is not enough.
* `calls_per_s`: calls over the time from the first request to the last answer.
* `cpu_ms_per_call`: user and system time of the engine process, less what it used idle before,
  from the first request until nothing is left, over all calls. With `--api embedded` the loop that
  makes the calls is part of that process.
* `p50_invite_ms`, `p99_invite_ms`: from just before the request is written to its socket (`http`)
  or `Engine.start` is called (`embedded`) to SIPp having read the INVITE, by SIPp's own time stamp.
  Both clocks are the machine's; time in the kernel and in SIPp's queue counts against the engine.
* `p50_b_invite_ms`, `p99_b_invite_ms`: from SIPp writing the first leg's 200 to SIPp having read
  the second leg's INVITE.
* `rss_mb_before`, `rss_mb_held`, `rss_mb_after`: resident memory of the engine process before the
  first call, at its highest (every call held at once), after the last.
* `held_cpu_percent`: share of one core while every call was up and silent, for holds long enough.
* `cdrs`: CDRs found in the store after the engine has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load.directory import EXTENSION, NO_ROUTE
from benchmarks.load.engines import (
    EmbeddedEngine,
    HttpEngine,
    Load,
    Made,
    MeasuredEngine,
    stored_legs,
)
from benchmarks.load.process import percentile
from benchmarks.load.short_log import Moments, read_moments
from benchmarks.load.watch import Watch
from tests.kit.sipp import Sipp

IDLE_S = 2.0
"""How long the idle engine is watched before the first call."""

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Plan:
    """One measurement."""

    mode: str = "two-leg"
    api: str = "http"
    media: str = "process"
    rate: float = 200.0
    calls: int = 2000
    hold: float = 0.0
    """Seconds between the answer of the second leg and its BYE."""

    @property
    def legs(self) -> int:
        """Legs of each call."""
        return 2 if self.mode == "two-leg" else 1


DEFAULT_SET = (
    Plan("one-leg", "http"),
    Plan("two-leg", "http"),
    Plan("one-leg", "embedded"),
    Plan("two-leg", "embedded"),
    Plan("two-leg", "http", calls=1000, hold=12.0),
)


@dataclass(slots=True)
class Seen:
    """What the phones saw of a run."""

    good: int
    """Calls that went well on every leg, by SIPp's statistics."""
    rung: Moments
    dialled: Moments


@asynccontextmanager
async def phones(plan: Plan) -> AsyncIterator[tuple[Sipp, Sipp]]:
    """Start the phone that is rung and the one that is dialled."""
    options = ("-trace_shortmsg", "-buff_size", "1048576")
    hold = ("-d", str(int(plan.hold * 1000)))
    async with (
        Sipp("uas-load-answer", calls=plan.calls, options=options, messages=False) as rung,
        Sipp(
            "uas-load-answer-bye", calls=plan.calls, options=(*options, *hold), messages=False
        ) as dialled,
    ):
        yield rung, dialled


async def all_hung_up(plan: Plan, rung: Sipp, dialled: Sipp) -> Seen:
    """Wait for SIPp to have handled every call and read what it saw."""
    good = plan.calls
    for phone in (rung, dialled)[: plan.legs]:
        counters = await phone.finished()
        good = min(good, counters["SuccessfulCall"])
    second = read_moments(dialled.short_log) if plan.legs == 2 else Moments()
    return Seen(good, read_moments(rung.short_log), second)


async def measure(plan: Plan) -> Row:
    """Carry out one plan and return its figures."""
    engines: dict[str, type[HttpEngine | EmbeddedEngine]] = {
        "http": HttpEngine,
        "embedded": EmbeddedEngine,
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        async with phones(plan) as (rung, dialled):
            number = EXTENSION if plan.legs == 2 else NO_ROUTE
            load = Load(rung.uri, dialled.uri, number, plan.rate, plan.calls)
            engine: MeasuredEngine = engines[plan.api](load, directory)
            async with engine:
                idle = await idle_share(engine.pid)
                async with Watch(engine.pid) as watch:
                    before = watch.look()
                    made = await engine.make_calls()
                    seen = await all_hung_up(plan, rung, dialled)
                    await engine.idle()
                    # The journal commits every 50 ms: what is not written yet counts as well.
                    await asyncio.sleep(0.2)
                    after = watch.look()
        legs = stored_legs(directory)
    spent = after.cpu_s - before.cpu_s - idle * (after.at - before.at)
    ok = min(seen.good, sum(call.answered for call in made))
    return {
        "mode": plan.mode,
        "api": plan.api,
        "media": plan.media,
        "rate": plan.rate,
        "calls": plan.calls,
        "hold_s": plan.hold,
        "ok": ok,
        "failed": plan.calls - ok,
        "calls_per_s": round(plan.calls / span(made), 1),
        "cpu_ms_per_call": round(spent / plan.calls * 1e3, 3),
        **invite_latencies(made, seen, legs),
        "rss_mb_before": round(before.rss_mb, 1),
        "rss_mb_held": round(watch.peak_rss_mb, 1),
        "rss_mb_after": round(after.rss_mb, 1),
        "idle_cpu_percent": round(idle * 100, 2),
        "held_cpu_percent": held_percent(plan, watch, seen),
        "cdrs": len(legs),
    }


async def idle_share(pid: int) -> float:
    """Return the share of a core the engine uses with nothing to do."""
    async with Watch(pid) as watch:
        await asyncio.sleep(IDLE_S)
        watch.look()
    return watch.cpu_share(watch.looks[0].at, watch.looks[-1].at) or 0.0


def span(made: list[Made]) -> float:
    """Return the seconds from the first request to the last answer."""
    return max(call.answered_at for call in made) - min(call.asked_at for call in made)


def invite_latencies(made: list[Made], seen: Seen, legs: list[tuple[str, str]]) -> Row:
    """Return percentiles, in milliseconds, from request and from answer to INVITE."""
    to_invite = [
        seen.rung.invite[call.call_id] - call.asked_at
        for call in made
        if call.call_id in seen.rung.invite
    ]
    of_interaction = {
        interaction: call_id for call_id, interaction in legs if call_id in seen.rung.answer
    }
    to_b_invite = [
        seen.dialled.invite[call_id] - seen.rung.answer[of_interaction[interaction]]
        for call_id, interaction in legs
        if call_id in seen.dialled.invite and interaction in of_interaction
    ]
    return {
        "p50_invite_ms": milliseconds(to_invite, 50),
        "p99_invite_ms": milliseconds(to_invite, 99),
        "p50_b_invite_ms": milliseconds(to_b_invite, 50),
        "p99_b_invite_ms": milliseconds(to_b_invite, 99),
    }


def milliseconds(seconds: list[float], percent: float) -> float | None:
    """Return a percentile in milliseconds, None when nothing was measured."""
    return round(percentile(seconds, percent) * 1e3, 3) if seconds else None


def held_percent(plan: Plan, watch: Watch, seen: Seen) -> float | None:
    """Return the CPU share while every call was up, None when they never were for a second."""
    if not seen.dialled.answer:
        return None
    last_up = max(seen.dialled.answer.values())
    first_down = min(seen.dialled.answer.values()) + plan.hold
    share = watch.cpu_share(last_up + 0.5, first_down - 0.1)
    return None if share is None else round(share * 100, 2)


def allow_many_files() -> None:
    """Raise the limit of open files as far as allowed: a held leg has two sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def parse() -> tuple[tuple[Plan, ...], bool]:
    """Return what to measure and whether to print JSON. Ends the program for what cannot be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mode", choices=("one-leg", "two-leg"))
    parser.add_argument("--api", choices=("http", "embedded"))
    parser.add_argument("--media", choices=("process", "bypass"))
    parser.add_argument("--rate", type=float, help="calls a second, more than 0")
    parser.add_argument("--calls", type=int, help="1 or more")
    parser.add_argument("--hold", type=float, metavar="SECONDS", help="0 or more")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    given = vars(parser.parse_args())
    as_json = bool(given.pop("json"))
    chosen = {name: value for name, value in given.items() if value is not None}
    plan = Plan(**chosen)
    if plan.media == "bypass":
        parser.error(
            "--media bypass: the engine cannot move media off itself yet, it would measure process"
        )
    if plan.rate <= 0 or plan.calls < 1 or plan.hold < 0:
        parser.error("--rate must be more than 0, --calls 1 or more, --hold 0 or more")
    if plan.hold and plan.mode == "one-leg":
        parser.error("--hold needs --mode two-leg: with one leg the call ends when answered")
    return ((plan,) if chosen else DEFAULT_SET), as_json


def main() -> int:
    """Measure; return 1 when a call failed."""
    plans, as_json = parse()
    allow_many_files()
    failed = 0
    for plan in plans:
        row = asyncio.run(measure(plan))
        failed += int(str(row["failed"]))
        if as_json:
            print(json.dumps(row), flush=True)
        else:
            print("  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
