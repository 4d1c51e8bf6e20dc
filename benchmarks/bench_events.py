"""What an event costs: build, publish, encode for the journal and for a WebSocket.

python benchmarks/bench_events.py [--json] [--count N]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.control.feed import Feed
from engine.control.kazoo import Switch, cdr, channel_event
from engine.core.events import ChannelNotice
from engine.core.values import LegSnapshot, LegState
from tests.control.samples import snapshot

CALL = (
    ("CHANNEL_CREATE", LegState.DIALING),
    ("CHANNEL_PROGRESS", LegState.RINGING),
    ("CHANNEL_PROGRESS_MEDIA", LegState.EARLY),
    ("CHANNEL_ANSWER", LegState.ANSWERED),
    ("CHANNEL_BRIDGE", LegState.ANSWERED),
    ("CHANNEL_UNBRIDGE", LegState.ANSWERED),
    ("CHANNEL_DESTROY", LegState.ENDED),
)
"""The notices of one leg; a call has two."""

SWITCH = Switch("engine@node1.example.org", "192.0.2.1:5060")


def notices() -> list[ChannelNotice]:
    """Return the notices of both legs of one call."""
    legs: list[LegSnapshot] = [snapshot(), snapshot(call_id="4567-quickcall")]
    return [
        ChannelNotice(name, 1443672757.0, replace(leg, state=state))
        for leg in legs
        for name, state in CALL
    ]


def timed(name: str, calls: int, per_call: int, run: Callable[[], None]) -> dict[str, object]:
    """Run one call's worth of work `calls` times and return the cost of a call and of an event."""
    run()
    began = time.process_time()
    for _ in range(calls):
        run()
    spent = time.process_time() - began
    return {
        "case": name,
        "calls": calls,
        "us_per_call": round(spent / calls * 1e6, 2),
        "us_per_event": round(spent / calls / per_call * 1e6, 2),
    }


def results(calls: int) -> list[dict[str, object]]:
    """Measure every case."""
    call = notices()
    feed = Feed()

    def build() -> None:
        for notice in call:
            channel_event(notice, SWITCH)

    def publish(public: bool) -> None:
        for notice in call:
            event = feed.publish(
                notice.leg.account_id,
                notice.leg.call_id,
                notice.name,
                channel_event(notice, SWITCH),
                notice.at,
            )
            event.json()
            if public:
                event.public_json()

    def write_cdr() -> None:
        cdr(call[-1].leg, SWITCH)

    return [
        timed("build", calls, len(call), build),
        timed("build, publish, encode", calls, len(call), lambda: publish(False)),
        timed("the same and for WebSockets", calls, len(call), lambda: publish(True)),
        timed("cdr", calls, 1, write_cdr),
    ]


def main() -> None:
    """Print a table, or with --json one object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", type=int, default=2000, help="calls per case")
    arguments = parser.parse_args()
    for row in results(arguments.count):
        if arguments.json:
            print(json.dumps(row))
        else:
            print(f"{row['case']:32} {row['us_per_event']:>8} us/event {row['us_per_call']:>8} us")


if __name__ == "__main__":
    main()
