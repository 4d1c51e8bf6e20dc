"""What the store costs: rows into the journal, registrations, and look-ups in the directory.

python benchmarks/bench_store.py [--json] [--rows N] [--rate CALLS] [--database URL]

CPU is that of the whole process, the database's threads included. A call writes fourteen events
and two call records of realistic size, in ten turns of the engine; each turn goes to the spool with
one write().
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.core.events import RegisterReceived
from engine.core.values import Contact
from engine.sip.bindings import Binding
from engine.sip.digest import DigestCredentials, DigestServer, digest_response
from engine.sip.registrar import Registrar
from engine.store.database import Database
from engine.store.directory import Directory
from engine.store.journal import Journal
from engine.store.location import Location

EVENTS_PER_CALL = 14
CDRS_PER_CALL = 2
ROWS_PER_CALL = EVENTS_PER_CALL + CDRS_PER_CALL
TURNS_PER_CALL = 10
PAYLOAD = json.dumps({f"Custom-Field-{index}": "value of a field" for index in range(40)}).encode()
DOCUMENT = {f"custom_field_{index}": "value of a field" for index in range(40)}
NOW = 1_700_000_000.0
BENCH_KEY = b"only for bench-key"

Result = dict[str, object]


def machine() -> Result:
    """Return what the figures depend on: cores and Python."""
    return {"cores": os.cpu_count(), "python": platform.python_version()}


def add_call(journal: Journal, sequences: itertools.count[int], call: int) -> float:
    """Add the rows of one call, turn by turn; return the seconds that `persist` took."""
    spent = 0.0
    for index in range(EVENTS_PER_CALL):
        call_id = f"{call:032x}-{index % 2}-quickcall"
        journal.add_event(next(sequences), "a" * 32, call_id, "CHANNEL_CREATE", NOW, PAYLOAD)
        if index in (EVENTS_PER_CALL - 2, EVENTS_PER_CALL - 1):
            cdr_id = f"{call:032x}-{index}-quickcall"
            journal.add_cdr("a" * 32, cdr_id, f"{call:x}", NOW, DOCUMENT)
        if index >= EVENTS_PER_CALL - TURNS_PER_CALL:
            began = time.perf_counter()
            journal.persist()
            spent += time.perf_counter() - began
    return spent


async def cpu_of_pacing(rate: float) -> float:
    """Return the CPU seconds that only waiting for the next call costs, per call."""
    cpu, began = time.process_time(), time.perf_counter()
    for call in range(200):
        await asyncio.sleep(max(0.0, began + (call + 1) / rate - time.perf_counter()))
    return (time.process_time() - cpu) / 200


async def journal_rows(database: Database, rows: int, rate: float) -> Result:
    """Write rows, `rate` calls a second, or as fast as they are taken when it is 0.

    The CPU of waiting for the next call is measured before and left out.
    """
    journal = await Journal.open(database)
    sequences = itertools.count(journal.last_sequence() + 1)
    calls = max(1, rows // ROWS_PER_CALL)
    first = next(sequences)
    pacing = await cpu_of_pacing(rate) if rate else 0.0
    cpu, began = time.process_time(), time.perf_counter()
    adding, persisting, most = 0.0, 0.0, 0
    for call in range(calls):
        before = time.perf_counter()
        persisting += add_call(journal, sequences, first + call)
        adding += time.perf_counter() - before
        most = max(most, journal.backlog)
        if rate:
            await asyncio.sleep(max(0.0, began + (call + 1) / rate - time.perf_counter()))
        elif journal.backlog > 5000:
            await journal.flush()
    await journal.flush()
    cpu, took = time.process_time() - cpu - pacing * calls, time.perf_counter() - began
    await journal.close()
    written = calls * ROWS_PER_CALL
    return {
        "bench": "journal",
        "calls_per_s": round(calls / took),
        "paced": bool(rate),
        "rows": written,
        "rows_per_s": round(written / took),
        "us_cpu_per_row": round(cpu / written * 1e6, 2),
        "us_add_per_row": round((adding - persisting) / written * 1e6, 2),
        "us_persist_per_turn": round(persisting / calls / TURNS_PER_CALL * 1e6, 2),
        "backlog_max": most,
    }


async def location_changes(database: Database, count: int) -> Result:
    """Refresh bindings of many AORs, durable at the end."""
    location = await Location.open(database)
    cpu, began = time.process_time(), time.perf_counter()
    for index in range(count):
        aor = f"user{index % 1000}@acme.example"
        contact = Contact(f"sip:{aor}", "sip:192.0.2.1:5060;transport=udp", "Phone 1.0")
        location.replace(aor, (Binding(aor, contact, NOW + 600, NOW + index, "call", index),))
        if index % 500 == 499:
            await location.flush()
    await location.flush()
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    await location.close()
    return {
        "bench": "location",
        "changes": count,
        "changes_per_s": round(count / took),
        "us_cpu_per_change": round(cpu / count * 1e6, 2),
    }


def us_per_call(count: int, run: Callable[[], object]) -> float:
    """Return the least CPU time of one run in microseconds, of five rounds of `count`."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time_ns()
        for _ in range(count):
            run()
        best = min(best, (time.process_time_ns() - began) / count)
    return round(best / 1000, 2)


async def look_ups(database: Database) -> list[Result]:
    """Measure what call control asks for with every call, in an account of 1000 devices."""
    directory = await Directory.open(database)
    await directory.put("account", "", {"name": "Bench", "realm": "bench.example"}, "bench")
    await directory.put("user", "bench", {}, "user0")
    began = time.perf_counter()
    for index in range(1000):
        sip = {"username": f"user{index}", "password": "secret"}
        await directory.put("device", "bench", {"owner_id": "user0", "sip": sip}, f"d{index}")
    per_put = (time.perf_counter() - began) / 1000
    location = await Location.open(database)
    asked: dict[str, Callable[[], object]] = {
        "device": lambda: directory.device("bench", "d500"),
        "device_by_sip": lambda: directory.device_by_sip("Bench.example", "user500"),
        "devices_of": lambda: directory.devices_of("bench", "user0"),
        "extensions": lambda: directory.extensions("bench"),
        "revision": lambda: directory.revision("bench"),
        "contacts": lambda: location.contacts("user5@acme.example", NOW),
    }
    results: list[Result] = [{"bench": "directory_put", "ms_each": round(per_put * 1000, 3)}]
    for name, ask in asked.items():
        count = 200 if name == "devices_of" else 20_000
        results.append({"bench": f"look_up_{name}", "us_each": us_per_call(count, ask)})
    await location.close()
    return results


async def registers(database: Database, count: int) -> Result:
    """Answer REGISTERs with right credentials, the answer computed beforehand."""
    digest = DigestServer(BENCH_KEY, os.urandom, max_nonces=count + 1)
    location = await Location.open(database, backlog_limit=count + 1)
    registrar = Registrar(lambda realm, user: "secret", location, digest)
    event = RegisterReceived(
        transaction=1,
        request_uri="sip:acme.example",
        to_uri="sip:ann@acme.example",
        from_uri="sip:ann@acme.example",
        call_id="call",
        cseq=1,
        contacts=("<sip:ann@192.0.2.1:5060>;expires=600",),
        expires=None,
        authorization=(),
        path=(),
        user_agent="Phone 1.0",
        source="192.0.2.1:5060",
        transport="udp",
    )
    events = []
    for index in range(count):
        challenge = digest.challenge("acme.example", NOW, stale=False)[0][1]
        nonce = challenge.split('nonce="')[1].split('"')[0]
        c = DigestCredentials(
            "ann", "acme.example", nonce, "sip:acme.example", "", "SHA-256", "auth", 1, "c"
        )
        header = (
            f'Digest username="ann", realm="acme.example", nonce="{nonce}", algorithm=SHA-256,'
            f' uri="sip:acme.example", qop=auth, nc=00000001, cnonce="c",'
            f' response="{digest_response(c, "REGISTER", "secret")}"'
        )
        events.append(replace(event, cseq=index + 1, authorization=(header,)))
    began = time.process_time()
    answers = [registrar.handle(event, NOW + 1) for event in events]
    spent = time.process_time() - began
    if any(answer.status != 200 for answer in answers):
        raise SystemExit("a REGISTER with right credentials was refused")
    await location.close()
    return {"bench": "register", "count": count, "us_each": round(spent / count * 1e6, 1)}


async def measure(rows: int, rate: float, url: str) -> list[Result]:
    """Run every measurement on one database, which should be new; on a file when none is named."""
    with tempfile.TemporaryDirectory() as folder:
        url = url or f"sqlite+aiosqlite:///{folder}/bench.db"
        database = await Database.open(url, f"{folder}/bench.spool")
        results = [
            await journal_rows(database, rows, 0),
            await journal_rows(database, rows, rate),
            await location_changes(database, 20_000),
            *await look_ups(database),
            await registers(database, 2000),
        ]
        await database.close()
        return results


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--rows", type=int, default=40_000, help="rows of each journal run")
    parser.add_argument("--rate", type=float, default=200, help="calls a second of the paced run")
    parser.add_argument("--database", default="", help="URL of an empty database to measure")
    arguments = parser.parse_args()
    results = uvloop.run(measure(arguments.rows, arguments.rate, arguments.database))
    for result in [machine(), *results]:
        if arguments.json:
            print(json.dumps(result))
        else:
            print("  ".join(f"{key} {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()
