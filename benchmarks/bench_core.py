"""What a call costs in call control, with a scripted stack: pure Python, no sockets.

python benchmarks/bench_core.py [--json] [--calls N] [--held N]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.core.commands import Dial
from engine.core.control import CallControl, CallSettings
from engine.core.events import (
    DestinationResolved,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegRang,
    OriginateEnded,
)
from engine.core.values import (
    CallerId,
    Contact,
    Endpoint,
    EndpointType,
    LegId,
    OriginateId,
    OriginateRequest,
    Party,
)

DEVICE = Endpoint(
    id="device",
    kind="device",
    contacts=(Contact("sip:alice@192.0.2.1:5060"),),
    user="alice",
    realm="example.org",
    owner_id="owner",
    caller_id=CallerId("Alice", "1001"),
)
CARRIER = Endpoint(id="carrier", kind="resource", contacts=(Contact("sip:192.0.2.2:5060"),))
REQUEST = OriginateRequest("account", EndpointType.DEVICE, "device", "2001")


class Script:
    """Calls played against one CallControl, event by event."""

    def __init__(self) -> None:
        numbers = count()
        settings = CallSettings(host="192.0.2.254")
        self.control = CallControl(settings, lambda: f"{next(numbers):036x}-quickcall")
        self.now = 1_700_000_000.0
        self.ids = (OriginateId(f"{number:032x}") for number in count())

    def answered(self, leg: LegId) -> None:
        """Let a leg be sent, ring and answer."""
        handle, now = self.control.handle, self.now
        handle(LegDialed(leg, "tag", "v=0"), now)
        handle(LegRang(leg, 180, "Ringing"), now)
        handle(LegAnswered(leg, "PCMU/8000", "to", "phone", "v=0"), now)

    def ring(self) -> tuple[OriginateId, LegId]:
        """Place a call whose device answers."""
        call, self.now = next(self.ids), self.now + 0.01
        begun = self.control.originate(call, REQUEST, "2001", (DEVICE,), "interaction", self.now)
        dial = begun.commands[0]
        assert isinstance(dial, Dial)
        self.answered(dial.leg)
        return call, dial.leg

    def connect(self, call: OriginateId) -> LegId:
        """Route the call to the carrier, which answers."""
        found = DestinationResolved(call, "2001", (CARRIER,), "rule")
        dial = self.control.handle(found, self.now).commands[0]
        assert isinstance(dial, Dial)
        self.answered(dial.leg)
        return dial.leg

    def finish(self, *legs: LegId) -> None:
        """Let the first leg hang up, and the others follow."""
        effects = [
            self.control.handle(LegEnded(leg, 200, "OK", Party.REMOTE, 0), self.now) for leg in legs
        ]
        assert isinstance(effects[-1].notices[-1], OriginateEnded)
        self.control.next_deadline()

    def one_leg(self) -> None:
        """A answers and hangs up."""
        self.finish(self.ring()[1])

    def two_legs(self) -> None:
        """A answers, B answers, B hangs up."""
        call, a = self.ring()
        self.finish(self.connect(call), a)

    def nobody(self) -> None:
        """Nobody is registered."""
        self.control.originate(next(self.ids), REQUEST, "2001", (), "interaction", self.now)


def timed(name: str, calls: int, run: Callable[[], None], held: int) -> dict[str, object]:
    """Return the processor time of one call."""
    for _ in range(200):
        run()
    began = time.process_time()
    for _ in range(calls):
        run()
    spent = time.process_time() - began
    cost = round(spent / calls * 1e6, 2)
    return {"case": name, "calls": calls, "held": held, "us_per_call": cost}


def main() -> None:
    """Run the cases, without and with calls held beside them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--calls", type=int, default=5000, help="calls of each case")
    parser.add_argument("--held", type=int, default=2000, help="calls held in the second half")
    options = parser.parse_args()
    script = Script()
    rows = []
    for held in (0, options.held):
        for _ in range(held):
            script.connect(script.ring()[0])
        cases = {
            "nobody registered": script.nobody,
            "one leg": script.one_leg,
            "two legs": script.two_legs,
        }
        rows += [timed(name, options.calls, run, held) for name, run in cases.items()]
    for row in rows:
        if options.json:
            print(json.dumps(row))
        else:
            print(f"{row['case']:<20} {row['held']:>6} held {row['us_per_call']:>9} us a call")


if __name__ == "__main__":
    main()
