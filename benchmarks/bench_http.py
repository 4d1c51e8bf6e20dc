"""What a quickcall costs in HTTP alone, with an engine that answers at once.

    python benchmarks/bench_http.py [--json] [--requests N] [--connections N]

The server runs in a process of its own, with the real store; its CPU time is read from the OS.
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
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.control.server import HttpServer
from tests.control.engine import scripted_engine

BODY = json.dumps({"data": {"timeout": 10, "custom_application_vars": {"order": "7"}}}).encode()


async def serve(pipe: Connection) -> None:
    """Serve an engine until the other end of the pipe says stop."""
    with tempfile.TemporaryDirectory() as folder:
        async with scripted_engine(Path(folder)) as engine:
            engine.answer_at_once = {"call_id": "0-quickcall"}
            account = await engine.directory.put("account", "", {"name": "a", "realm": "a.example"})
            sip = {"username": "alice", "password": "x"}
            device = await engine.directory.put("device", account["id"], {"sip": sip})
            server = HttpServer(engine)
            await server.start()
            path = f"/v2/accounts/{account['id']}/devices/{device['id']}/quickcall/1002?foo=bar"
            pipe.send((server.port, path))
            loop, stopped = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(pipe.fileno(), stopped.set)
            await stopped.wait()
            loop.remove_reader(pipe.fileno())
            await server.stop()


def serve_process(pipe: Connection) -> None:
    """Run `serve` on uvloop."""
    uvloop.run(serve(pipe))


def cpu_seconds(pid: int) -> float:
    """Return the user and system time a process has used (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def send(port: int, request: bytes, count: int, latencies: list[float]) -> None:
    """Send requests one after the other on one connection; every answer must be a 202."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(count):
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - began)
        if not head.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(head.decode())
    writer.close()
    await writer.wait_closed()


async def measure(
    port: int, pid: int, method: str, path: str, requests: int, connections: int
) -> dict[str, object]:
    """Send the requests and return what they cost the server."""
    body = BODY if method == "POST" else b""
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: root-token\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    await send(port, request, 200, [])
    latencies: list[float] = []
    before, began = cpu_seconds(pid), time.perf_counter()
    share = requests // connections
    await asyncio.gather(*(send(port, request, share, latencies) for _ in range(connections)))
    spent, elapsed = cpu_seconds(pid) - before, time.perf_counter() - began
    latencies.sort()
    return {
        "case": f"{method} quickcall",
        "requests": len(latencies),
        "requests_per_s": round(len(latencies) / elapsed),
        "cpu_us_per_request": round(spent / len(latencies) * 1e6, 1),
        "p50_ms": round(latencies[len(latencies) // 2] * 1e3, 3),
        "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1e3, 3),
    }


def main() -> None:
    """Print a table, or with --json one object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=8)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_process, args=(theirs,))
    process.start()
    port, path = ours.recv()
    for method in ("GET", "POST"):
        row = uvloop.run(
            measure(port, process.pid or 0, method, path, arguments.requests, arguments.connections)
        )
        print(json.dumps(row) if arguments.json else row)
    ours.send("stop")
    process.join()


if __name__ == "__main__":
    main()
