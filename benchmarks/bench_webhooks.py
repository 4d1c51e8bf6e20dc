"""What webhooks cost: deliveries beside a stream of events, and a backlog after an outage.

python benchmarks/bench_webhooks.py [--json] [--seconds S] [--rate DELIVERIES] [--backlog N]

The target is an HTTP server in a process of its own. CPU is that of the engine's whole process, the
database's threads included; that of the same events without a webhook is taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import httptools
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.control.engine import ScriptedEngine, scripted_engine

ACCOUNT = "a" * 32


class Target(asyncio.Protocol):
    """Answers every request at once; 200 while it works, else 503."""

    down = False
    taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = cast(asyncio.WriteTransport, transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Answer."""
        status = b"503 Down" if Target.down else b"200 OK"
        Target.taken += not Target.down
        self._transport.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")


async def serve(pipe: Connection) -> None:
    """Serve until the pipe is closed; `down` and `up` change it, `taken` asks for the count."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(Target, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])

    def order() -> None:
        try:
            word = pipe.recv()
        except EOFError:
            over.set()
            return
        Target.down = {"down": True, "up": False}.get(word, Target.down)
        pipe.send(Target.taken)

    loop.add_reader(pipe.fileno(), order)
    await over.wait()
    loop.remove_reader(pipe.fileno())
    server.close()


def serve_process(pipe: Connection) -> None:
    """Run `serve` on uvloop."""
    uvloop.run(serve(pipe))


def ask(pipe: Connection, word: str) -> int:
    """Give the target an order; return how many deliveries it has taken."""
    pipe.send(word)
    taken: int = pipe.recv()
    return taken


async def publish(engine: ScriptedEngine, count: int, rate: float) -> None:
    """Publish events of calls, ten to a call, at so many a second."""
    began = time.perf_counter()
    for number in range(count):
        # Each with a time of its own: an end is known by when its channel began.
        at = float(number)
        engine.notice("CHANNEL_DESTROY", account_id=ACCOUNT, call_id=f"c{number // 10}",
                      created_at=at)  # fmt: skip
        ahead = number / rate - (time.perf_counter() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)
        elif number % 50 == 0:
            await asyncio.sleep(0)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for ten minutes at most."""
    for _ in range(60_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def until_delivered(engine: ScriptedEngine) -> None:
    """Wait until every delivery is made."""
    hooks = engine.webhooks
    await until(lambda: not hooks.lag and not hooks.waiting)


async def stream(port: int | None, seconds: float, rate: float) -> tuple[float, float]:
    """Return the CPU seconds and the seconds that events and their deliveries took."""
    with tempfile.TemporaryDirectory() as folder:
        async with scripted_engine(Path(folder)) as engine:
            await prepare(engine, port)
            await publish(engine, 200, rate)
            await until_delivered(engine)
            cpu, began = time.process_time(), time.perf_counter()
            await publish(engine, round(seconds * rate), rate)
            await until_delivered(engine)
            spent = time.process_time() - cpu, time.perf_counter() - began
            await engine.webhooks.stop()
            return spent


async def prepare(engine: ScriptedEngine, port: int | None) -> None:
    """Make an account and, where there is a target, its webhook; begin to deliver."""
    await engine.directory.put("account", "", {"name": "a", "realm": "a.test"}, ACCOUNT)
    if port is not None:
        hook = {"name": "h", "hook": "all", "format": "json", "secret": "secret-of-the-bench"}
        uri = f"http://127.0.0.1:{port}/hook"
        await engine.directory.put("webhook", ACCOUNT, {**hook, "uri": uri}, "h")
    await engine.webhooks.start()


async def outage(pipe: Connection, port: int, count: int, rate: float) -> dict[str, object]:
    """Let so many deliveries wait for a target that is down, then drain them."""
    with tempfile.TemporaryDirectory() as folder:
        async with scripted_engine(Path(folder)) as engine:
            await prepare(engine, port)
            before = ask(pipe, "down")
            memory = resident()
            cpu = time.process_time()
            await publish(engine, count, rate)
            await until(lambda: engine.webhooks.lag == 0)
            queued = time.process_time() - cpu
            waiting, grown = engine.webhooks.waiting, resident() - memory
            ask(pipe, "up")
            cpu, began = time.process_time(), time.perf_counter()
            engine.webhooks.retry_now(ACCOUNT)
            await until_delivered(engine)
            elapsed = time.perf_counter() - began
            drained = time.process_time() - cpu
            taken = ask(pipe, "taken") - before
            await engine.webhooks.stop()
    return {
        "case": "outage",
        "waiting": waiting,
        "delivered_then": taken,
        "memory_mb": round(grown / 1e6, 1),
        "queue_cpu_us": round(queued / count * 1e6, 1),
        "drain_cpu_us": round(drained / waiting * 1e6, 1),
        "drained_per_s": round(waiting / elapsed),
    }


def resident() -> int:
    """Return the memory of this process, bytes (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    """Print a table, or with --json one object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--backlog", type=int, default=30_000)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_process, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    port = ours.recv()
    rows: list[dict[str, object]] = [
        {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}
    ]
    bare, _ = uvloop.run(stream(None, arguments.seconds, arguments.rate))
    spent, elapsed = uvloop.run(stream(port, arguments.seconds, arguments.rate))
    count = round(arguments.seconds * arguments.rate)
    rows.append(
        {
            "case": "stream",
            "deliveries_per_s": round(count / elapsed),
            "cpu_us_per_delivery": round((spent - bare) / count * 1e6, 1),
            "cpu_share_of_a_core": round((spent - bare) / elapsed, 3),
            "cpu_us_per_event_alone": round(bare / count * 1e6, 1),
        }
    )
    _, elapsed = uvloop.run(stream(port, arguments.seconds, 4 * arguments.rate))
    rows.append({"case": "four times that", "deliveries_per_s": round(4 * count / elapsed)})
    rows.append(uvloop.run(outage(ours, port, arguments.backlog, 5000.0)))
    for row in rows:
        print(json.dumps(row) if arguments.json else row)
    ours.close()
    process.join()


if __name__ == "__main__":
    main()
