"""Overload: what the engine does when it is offered more than it can do.

    python benchmarks/bench_overload.py [--json] [--mode one-leg|two-leg] [--seconds N] [--times X]
        [--best RATE]

First the best rate is looked for: offered rates rise, a few seconds each, until the engine refuses
or is late, and the last gap is halved; it must hold for `--seconds` (60), or it is lowered until it
does. Then `--times` the best rate (2) is offered for as long. The engine is a process of its own
with its SQLite file; the client, this process, asks by HTTP at an even rate whatever becomes of it
(an open loop); the phones are SIPp and answer at once.

* `best_per_s`: the highest rate at which nothing was refused, nothing failed, and 99 of 100 were
  answered within 100 ms. `--best` takes this rate instead of looking for it.
* `admitted_per_s`: calls a second that were answered while too much was offered, and `ratio`: of
  the best rate. The first two seconds, in which the engine finds out, do not count.
* `p50_invite_ms`, `p99_invite_ms`: of admitted calls, from just before the request is written to
  its socket to SIPp having read the INVITE, by SIPp's own time stamp.
* `p50_refusal_ms`, `p99_refusal_ms`: from the same moment to the 503.
* `failed`: requests that were neither refused nor answered, and calls that SIPp's statistics do not
  count as successful on every leg, of the whole run.
* `refusal_cost`: CPU time of the server for one refusal over that of the engine for one call. The
  former comes from a server that refuses everything, the latter from the best rate.
* `client_cores`: cores that the client itself used at the best rate, and while too much was
  offered: what it needs more is not there for the engine.
* `cores`, `load_before`: of the machine, which engine, client and phones share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.bench_calls import allow_many_files, milliseconds
from benchmarks.load.directory import EXTENSION, NO_ROUTE
from benchmarks.load.engines import TOKEN, HttpEngine, Load
from benchmarks.load.http_client import LoadClient, Reply
from benchmarks.load.pacing import at_rate
from benchmarks.load.process import cpu_seconds, percentile
from benchmarks.load.short_log import read_moments
from engine.control.server import HttpServer
from tests.control.engine import scripted_engine
from tests.kit.sipp import Sipp

FIRST, FACTOR, HALVINGS, LOWER = 60.0, 1.3, 3, 0.95
"""The first rate offered, what the next one is multiplied by, how often the gap is halved, and what
a rate that does not hold is multiplied by."""

STEP_S, SETTLE_S = 5.0, 2.0
"""Seconds that a rate is offered, and those at the beginning of a run that do not count."""

FORGET_S = 3.0
"""Seconds without requests after which the engine has forgotten that there were too many."""

LIMIT_S = 0.1
"""Longest time to the answer for 99 of 100 at a rate that the engine can do."""

MANY = 10_000_000
"""Calls that SIPp waits for: it is told to end."""

REFUSALS, AT_ONCE = 4000, 8
"""Refusals whose CPU time is measured, and connections they come over."""

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Run:
    """One rate that was offered."""

    offered: float
    replies: list[Reply]
    cpu_s: float
    """CPU time of the engine."""
    client_cores: float
    """CPU time of this process for each second of the run."""

    @property
    def counted(self) -> list[Reply]:
        """The replies to what was asked after the beginning."""
        since = min(reply.sent_at for reply in self.replies) + SETTLE_S
        return [reply for reply in self.replies if reply.sent_at >= since]

    @property
    def admitted(self) -> list[Reply]:
        """Those of `counted` that were answered."""
        return [reply for reply in self.counted if reply.status == 202]

    @property
    def admitted_per_s(self) -> float:
        """Answered calls a second."""
        return len(self.admitted) / len(self.counted) * self.offered

    @property
    def good(self) -> bool:
        """Whether the engine did all of it in time."""
        took = [reply.got_at - reply.sent_at for reply in self.counted]
        done = all(reply.status == 202 for reply in self.counted)
        return done and percentile(took, 99) <= LIMIT_S


class Measured:
    """An engine with its phones, and all that was asked of it."""

    def __init__(self, engine: HttpEngine, rung: Sipp, dialled: Sipp, legs: int) -> None:
        self._engine = engine
        self._phones = (rung, dialled)[:legs]
        self.statuses: Counter[int] = Counter()

    async def offer(self, rate: float, seconds: float) -> Run:
        """Offer a rate and wait until every call is over."""
        before, client_s = cpu_seconds(self._engine.pid), time.process_time()
        replies = await at_rate(rate, int(rate * seconds), self._engine.ask)
        client_cores = (time.process_time() - client_s) / seconds
        await self._engine.idle()
        self.statuses.update(reply.status for reply in replies)
        run = Run(rate, replies, cpu_seconds(self._engine.pid) - before, client_cores)
        told = f"offered {rate:.0f}/s: {run.admitted_per_s:.0f}/s answered, good: {run.good}"
        print(told, file=sys.stderr, flush=True)
        return run

    async def try_rate(self, rate: float) -> Run:
        """Offer a rate for a while; once more when it is not done, the machine may have been busy.

        The engine forgets in between that it was overloaded.
        """
        run = await self.offer(rate, STEP_S)
        if not run.good:
            await asyncio.sleep(FORGET_S)
            run = await self.offer(rate, STEP_S)
            await asyncio.sleep(0.0 if run.good else FORGET_S)
        return run

    async def best(self, seconds: float) -> Run:
        """Return the highest rate that the engine can do for `seconds`.

        Raises `RuntimeError` without one.
        """
        runs = [await self.try_rate(FIRST)]
        while runs[-1].good:
            runs.append(await self.try_rate(runs[-1].offered * FACTOR))
        good, bad = runs[-2:] if len(runs) > 1 else (None, runs[0])
        if good is None:
            raise RuntimeError(f"not even {FIRST} calls a second are made in time")
        for _ in range(HALVINGS):
            run = await self.try_rate((good.offered + bad.offered) / 2)
            good, bad = (run, bad) if run.good else (good, run)
        # What goes well for a moment need not go on: transactions stay for 32 s, tables fill.
        held = await self.offer(good.offered, seconds)
        while not held.good:
            await asyncio.sleep(FORGET_S)
            held = await self.offer(held.offered * LOWER, seconds)
        return held

    async def successful(self) -> int:
        """End the phones; return how many calls went well on every leg by their statistics."""
        good = MANY
        for phone in self._phones:
            good = min(good, (await phone.stopped())["SuccessfulCall"])
        return good

    def invite_s(self, run: Run) -> list[float]:
        """Return the seconds from request to INVITE of what was admitted; phones have ended."""
        invites = read_moments(self._phones[0].short_log).invite
        call_ids = [(r, json.loads(r.body)["data"]["call_id"]) for r in run.admitted]
        return [invites[call_id] - r.sent_at for r, call_id in call_ids]


@asynccontextmanager
async def measured(legs: int, directory: Path) -> AsyncIterator[Measured]:
    """Start an engine and its phones."""
    options = ("-trace_shortmsg", "-buff_size", "1048576")
    async with (
        Sipp("uas-load-answer", calls=MANY, options=options, messages=False) as rung,
        Sipp("uas-load-answer-bye", calls=MANY, options=("-d", "0"), messages=False) as dialled,
    ):
        number = EXTENSION if legs == 2 else NO_ROUTE
        async with HttpEngine(Load(rung.uri, dialled.uri, number, 0.0, 0), directory) as engine:
            yield Measured(engine, rung, dialled, legs)


async def measure(legs: int, seconds: float, times: float, best_rate: float) -> Row:
    """Find the best rate, offer too much, and return the figures."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        async with measured(legs, Path(name)) as engine:
            best = await (engine.offer(best_rate, STEP_S) if best_rate else engine.best(seconds))
            over = await engine.offer(best.offered * times, seconds)
            successful = await engine.successful()
            invite_s = engine.invite_s(over)
    refused = [r.got_at - r.sent_at for r in over.counted if r.status == 503]
    call_ms = best.cpu_s / len(best.replies) * 1e3
    refusal_ms = await refusal_cpu_ms()
    statuses = engine.statuses
    return {
        "mode": "two-leg" if legs == 2 else "one-leg",
        "best_per_s": round(best.offered, 1),
        "offered_per_s": round(over.offered, 1),
        "seconds": seconds,
        "admitted_per_s": round(over.admitted_per_s, 1),
        "ratio": round(over.admitted_per_s / best.offered, 3),
        "p50_invite_ms": milliseconds(invite_s, 50),
        "p99_invite_ms": milliseconds(invite_s, 99),
        "refused": len(refused),
        "p50_refusal_ms": milliseconds(refused, 50),
        "p99_refusal_ms": milliseconds(refused, 99),
        "failed": statuses.total() - statuses[503] - min(statuses[202], successful),
        "call_cpu_ms": round(call_ms, 3),
        "refusal_cpu_ms": round(refusal_ms, 3),
        "refusal_cost": round(refusal_ms / call_ms, 3),
        "client_cores": [round(run.client_cores, 2) for run in (best, over)],
        "cores": os.cpu_count(),
        "load_before": round(load, 1),
    }


# --- what a refusal costs ---------------------------------------------------------------------


async def refusal_cpu_ms() -> float:
    """Return the CPU time of a server for one refusal, milliseconds."""
    pipe, other = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=refuse_all, args=(other,))
    process.start()
    assert process.pid is not None
    try:
        port = await asyncio.to_thread(pipe.recv)
        client = LoadClient("127.0.0.1", port, TOKEN)
        before = cpu_seconds(process.pid)

        async def ask_all() -> None:
            for _ in range(REFUSALS // AT_ONCE):
                reply = await client.request("POST", "/v2/accounts/a/devices/d/quickcall/1")
                assert reply.status == 503

        await asyncio.gather(*(ask_all() for _ in range(AT_ONCE)))
        spent = cpu_seconds(process.pid) - before
        client.close()
    finally:
        pipe.send("stop")
        await asyncio.to_thread(process.join)
    return spent / REFUSALS * 1e3


def refuse_all(pipe: Connection) -> None:
    """Serve an engine that is overloaded until the other end of the pipe says stop."""
    uvloop.run(_refuse_all(pipe))


async def _refuse_all(pipe: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with scripted_engine(Path(folder)) as engine:
            engine.shed_s = 1.0
            server = HttpServer(engine)
            await server.start()
            pipe.send(server.port)
            await asyncio.to_thread(pipe.recv)
            await server.stop()


def main() -> int:
    """Measure; return 1 when an admitted call failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mode", choices=("one-leg", "two-leg"), default="two-leg")
    parser.add_argument("--seconds", type=float, default=60.0, help="more than 2")
    parser.add_argument("--times", type=float, default=2.0, help="more than 0")
    parser.add_argument("--best", type=float, default=0.0, metavar="RATE", help="calls a second")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    if given.seconds <= SETTLE_S or given.times <= 0 or given.best < 0:
        parser.error("--seconds must be more than 2, --times more than 0, --best 0 or more")
    allow_many_files()
    legs = 2 if given.mode == "two-leg" else 1
    row = uvloop.run(measure(legs, given.seconds, given.times, given.best))
    print(json.dumps(row) if given.json else "\n".join(f"{k}={v}" for k, v in row.items()))
    return 1 if row["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
