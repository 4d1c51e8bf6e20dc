"""What a user with several phones costs: CPU of the server per originate, over that of one phone.

python benchmarks/bench_fork.py [--json] [--devices N] [--calls N] [--rate N] [--rounds N]

`quickcall serve` with its SQLite file is asked over HTTP. Every phone rings; one of them answers
after 100 ms, the others are cancelled; the number has no route, so the winner is released at once.
Rounds with one phone and with all of them take turns on one server.

* `one_ms`, `all_ms`: user and system time of the server process per originate, without what it uses
  idle: the least of the rounds.
* `ratio`: `all_ms` / `one_ms`.
* `ok`: originates that were answered; `cdrs`: records in the store, one for each INVITE.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load.directory import NO_ROUTE, device
from benchmarks.load.engines import HttpEngine, Load, stored_legs
from benchmarks.load.watch import Watch
from tests.kit.sipp import Sipp

RING_MS = 100
IDLE_S = 2.0
"""How long the idle server is watched before the first call."""
MANY = 1_000_000

Row = dict[str, object]


class ForkingEngine(HttpEngine):
    """The server with a user who has several devices; a round calls one of them, or the user."""

    async def add_user(self, phones: list[str]) -> None:
        """Create the user with a device for each of these phones."""
        user = await self._put(f"{self._account}/users", {"first_name": "Load"})
        for number, uri in enumerate(phones):
            document = device(f"phone{number}", f"20{number:02}", uri) | {"owner_id": user}
            await self._put(f"{self._account}/devices", document)
        of_user = f"{self._account}/users/{user}/quickcall/{self._load.number}"
        self._paths = {False: self._path, True: of_user}

    def call_the_user(self, every_phone: bool) -> None:
        """Choose what the next round calls: the user, or the device of the load."""
        self._path = self._paths[every_phone]


@asynccontextmanager
async def phones(devices: int) -> AsyncIterator[list[str]]:
    """Start the phones and return their URIs; the first one answers."""
    ringing = ("-d", str(RING_MS))
    async with (
        Sipp("uas-load-ring-answer", calls=MANY, options=ringing, messages=False) as answering,
        Sipp("uas-load-no-answer", calls=MANY, messages=False) as silent,
    ):
        others = [silent.uri.replace("phone@", f"phone{n}@") for n in range(1, devices)]
        yield [answering.uri, *others]


async def round_of(engine: ForkingEngine, every_phone: bool, idle: float) -> tuple[float, int]:
    """Make the calls of one round; return CPU seconds per call and the calls answered."""
    engine.call_the_user(every_phone)
    async with Watch(engine.pid) as watch:
        before = watch.look()
        made = await engine.make_calls()
        await engine.idle()
        await asyncio.sleep(0.2)  # the journal writes behind
        after = watch.look()
    spent = after.cpu_s - before.cpu_s - idle * (after.at - before.at)
    return spent / len(made), sum(call.answered for call in made)


async def measure(devices: int, calls: int, rate: float, rounds: int) -> Row:
    """Carry out the rounds."""
    one: list[float] = []
    every: list[float] = []
    answered = 0
    with tempfile.TemporaryDirectory(prefix="bench-fork-") as name:
        async with phones(devices) as uris:
            load = Load(uris[0], uris[0], NO_ROUTE, rate, calls)
            async with ForkingEngine(load, Path(name)) as engine:
                await engine.add_user(uris)
                idle = await idle_share(engine.pid)
                await round_of(engine, True, idle)  # nothing is imported or compiled after it
                for _ in range(rounds):
                    for results, every_phone in ((one, False), (every, True)):
                        spent, good = await round_of(engine, every_phone, idle)
                        results.append(spent)
                        answered += good
        legs = len(stored_legs(Path(name)))
    return {
        "devices": devices,
        "calls": calls * rounds * 2,
        "ok": answered,
        "cdrs": legs,
        "one_ms": round(min(one) * 1e3, 2),
        "all_ms": round(min(every) * 1e3, 2),
        "ratio": round(min(every) / min(one), 2),
    }


async def idle_share(pid: int) -> float:
    """Return the share of a core the server uses with nothing to do."""
    async with Watch(pid) as watch:
        await asyncio.sleep(IDLE_S)
        watch.look()
    return watch.cpu_share(watch.looks[0].at, watch.looks[-1].at) or 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--devices", type=int, default=8, help="devices of the user")
    parser.add_argument("--calls", type=int, default=200, help="originates of a round")
    parser.add_argument("--rate", type=float, default=20.0, help="originates per second")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each kind")
    asked = parser.parse_args()
    row = asyncio.run(measure(asked.devices, asked.calls, asked.rate, asked.rounds))
    print(json.dumps(row) if asked.json else "  ".join(f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
