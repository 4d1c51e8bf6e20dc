"""What it costs to tell many listeners of one event: in the process, and over real WebSockets.

python benchmarks/bench_fanout.py [--json] [--listeners N] [--sockets N] [--events N] [--rate N]

The sockets' client is a process of its own, so the CPU counted is the engine's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.control.feed import Feed
from engine.control.kazoo import Switch, channel_event
from engine.control.server import HttpServer
from engine.control.websocket_broadcast import Broadcast
from engine.control.websocket_frames import Binding
from engine.core.events import ChannelNotice
from tests.control.engine import ScriptedEngine, scripted_engine
from tests.control.samples import snapshot

NODE = "engine@node1.example.org"
PAYLOAD = channel_event(
    ChannelNotice("CHANNEL_ANSWER", 1443672757.0, snapshot()), Switch(NODE, "192.0.2.1:5060")
)

CLIENT = r"""
import base64, json, os, selectors, socket, sys
port, sockets, accounts, expected = map(int, sys.argv[1:5])
mark = b'{"action":"event"'
selector = selectors.DefaultSelector()
for index in range(sockets):
    one = socket.create_connection(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    one.sendall((
        "GET /v2/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        "X-Auth-Token: root-token\r\n\r\n").encode())
    frame = json.dumps({"action": "subscribe", "data": {
        "account_id": f"account-{index % accounts}", "binding": "call.*.*"}}).encode()
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += one.recv(65536)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    one.sendall(bytes((0x81, 0x80 | len(frame))) + bytes(4) + frame if len(frame) < 126 else
                bytes((0x81, 0xfe)) + len(frame).to_bytes(2, "big") + bytes(4) + frame)
    while b'"action":"reply"' not in answer:
        answer += one.recv(65536)
    one.setblocking(False)
    selector.register(one, selectors.EVENT_READ, [b""])
print("ready", flush=True)
seen = 0
while seen < expected:
    for key, _ in selector.select():
        data = key.data[0] + key.fileobj.recv(1 << 20)
        found = data.count(mark)
        seen += found
        # What is left after the last mark may hold the beginning of another one.
        rest = data[data.rfind(mark) + 1:] if found else data
        key.data[0] = rest[-len(mark) + 1:]
print(seen, flush=True)
sys.stdin.read()
"""


class Sink:
    """A listener that takes everything and does nothing with it."""

    full = False

    def __init__(self) -> None:
        self.bytes = 0

    def write_frames(self, frames: bytes) -> None:
        """Count."""
        self.bytes += len(frames)

    def cut_off(self, waiting: int, last_sequence: int) -> None:
        """Never happens: it is never full."""
        raise AssertionError("a sink is never full")


class Stream:
    """A feed without an engine."""

    def __init__(self) -> None:
        self.node = NODE
        self.feed = Feed()


def account_of(index: int, shared: bool) -> str:
    """Return the account of a listener: everybody's, or its own."""
    return "account-0" if shared else f"account-{index}"


def spent(run: Callable[[], None], events: int, delivered: int) -> dict[str, object]:
    """Run something and return its CPU per event and per delivery."""
    began = time.process_time()
    run()
    cpu = time.process_time() - began
    return {
        "us_per_event": round(cpu / events * 1e6, 2),
        "us_per_delivery": round(cpu / delivered * 1e6, 3),
    }


async def subscriptions(listeners: int, events: int, *, shared: bool) -> dict[str, object]:
    """Publish to in-process subscriptions, each read by nobody: only the publishing is counted."""
    feed = Feed()
    readers = [feed.subscribe(account_of(index, shared)) for index in range(listeners)]

    def publish() -> None:
        for index in range(events):
            account = account_of(index % listeners, shared)
            feed.publish(account, "call", "CHANNEL_ANSWER", PAYLOAD, 1.0)

    delivered = events * (listeners if shared else 1)
    row = spent(publish, events, delivered)
    for reader in readers:
        reader.close()
    name = "one account" if shared else "own accounts"
    return {"case": f"{listeners} subscriptions, {name}, publish", **row}


async def broadcast(listeners: int, events: int, *, shared: bool) -> list[dict[str, object]]:
    """Publish to sessions without sockets: publishing, and then all that is done for them."""
    stream = Stream()
    hub = Broadcast(stream)
    sinks = [Sink() for _ in range(listeners)]
    for index, sink in enumerate(sinks):
        hub.join(sink, [Binding(account_of(index, shared), "*", "*")])

    def publish() -> None:
        for index in range(events):
            account = account_of(index % listeners, shared)
            stream.feed.publish(account, "call", "CHANNEL_ANSWER", PAYLOAD, 1.0)

    delivered = events * (listeners if shared else 1)
    published = spent(publish, events, delivered)
    began = time.process_time()
    lag = await _lag_until(
        lambda: sum(sink.bytes > 0 for sink in sinks) >= min(delivered, listeners)
    )
    for _ in range(100):
        await asyncio.sleep(0)
    cpu = time.process_time() - began
    for sink in sinks:
        hub.leave(sink)
    name = f"{listeners} sessions, {'one account' if shared else 'own accounts'}"
    told = {
        "us_per_event": round(cpu / events * 1e6, 2),
        "us_per_delivery": round(cpu / delivered * 1e6, 3),
        "longest_turn_ms": round(lag * 1e3, 2),
    }
    return [{"case": f"{name}, publish", **published}, {"case": f"{name}, hand over", **told}]


async def _lag_until(done: Callable[[], bool]) -> float:
    """Let the loop turn until something is so; return the longest turn, seconds of CPU."""
    longest = 0.0
    while not done():
        began = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - began)
    return longest


async def sockets(
    engine: ScriptedEngine, count: int, accounts: int, events: int, rate: float
) -> dict[str, object]:
    """Publish to real sockets at a steady rate."""
    server = HttpServer(engine, sockets_per_ip=count)
    await server.start()
    delivered = sum(len(range(index % accounts, count, accounts)) for index in range(events))
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT, str(server.port), str(count), str(accounts)),
        str(delivered),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert client.stdout is not None
    assert (await client.stdout.readline()) == b"ready\n"
    lags: list[float] = []
    began, wall = time.process_time(), time.perf_counter()
    for index in range(events):
        account = f"account-{index % accounts}"
        engine.feed.publish(account, "call", "CHANNEL_ANSWER", PAYLOAD, 1.0)
        due = wall + (index + 1) / rate
        before = time.perf_counter()
        await asyncio.sleep(max(0.0, due - before))
        lags.append(time.perf_counter() - max(due, before))
    assert int(await client.stdout.readline()) >= delivered
    cpu, took = time.process_time() - began, time.perf_counter() - wall
    await server.stop()
    client.terminate()
    await client.wait()
    lags.sort()
    return {
        "case": f"{count} sockets, {accounts} accounts, {rate:g} events/s",
        "us_per_event": round(cpu / events * 1e6, 1),
        "us_per_delivery": round(cpu / delivered * 1e6, 2),
        "deliveries_per_s": round(delivered / took),
        "loop_lag_p99_ms": round(lags[int(len(lags) * 0.99)] * 1e3, 2),
    }


async def results(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Measure every case."""
    rows: list[dict[str, object]] = []
    many, events = arguments.listeners, arguments.events
    for shared in (True, False):
        rows.append(await subscriptions(many, min(events, 500), shared=shared))
    for shared in (True, False):
        rows += await broadcast(many, min(events, 500), shared=shared)
    with TemporaryDirectory() as folder:
        async with scripted_engine(Path(folder)) as engine:
            count, rate = arguments.sockets, arguments.rate
            rows.append(await sockets(engine, count, 1, events, rate))
            rows.append(await sockets(engine, count, max(1, count // 10), 10 * events, 10 * rate))
    return rows


def main() -> None:
    """Print a table, or with --json one object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--listeners", type=int, default=10_000, help="without sockets")
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50.0, help="events per second")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for row in uvloop.run(results(arguments)):
        if arguments.json:
            print(json.dumps(row))
        else:
            more = ", ".join(f"{value} {key}" for key, value in row.items() if key != "case")
            print(f"{row['case']:48} {more}")


if __name__ == "__main__":
    main()
