"""An engine inside a program: place one quickcall and print what happens.

    python examples/embed.py            two phones in memory, nothing is sent
    python examples/embed.py HOST       the native stack, two phones at HOST

The phones at HOST are 1001 on port 6001 and 1002 on port 6002, for example two of `quickcall phone`
(docs/embedding.md shows how).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from engine import Engine, EngineConfig, OriginateRequest, Outcome
from engine.core.values import EndpointType
from engine.sip.loopback import Answer, Bye, LoopbackSip, Ring


async def main(host: str) -> int:
    """Ring device 1001, connect it to extension 1002, return the exit status."""
    with tempfile.TemporaryDirectory() as directory:
        config = EngineConfig(
            database=f"sqlite+aiosqlite:///{Path(directory) / 'quickcall.db'}",
            sip_listeners=("udp:127.0.0.1:0",),
        )
        sip = None if host else phones_in_memory()
        async with Engine(config, sip) as engine:
            account = await fill_directory(engine, host or "192.0.2.1")
            outcome = await place_call(engine, account, sip)
    print(f"{outcome.cause}, ended by {outcome.party}; {len(outcome.attempts)} legs")
    return 0 if outcome.cause == "NORMAL_CLEARING" else 1


async def fill_directory(engine: Engine, host: str) -> str:
    """Make an account with two phones that are reached at an address; return its id."""
    account = await engine.directory.put("account", "", {"name": "Demo", "realm": "demo.test"})
    for number, port in (("1001", 6001), ("1002", 6002)):
        sip = {
            "username": number,
            "invite_format": "route",
            "route": f"sip:{number}@{host}:{port}",
        }
        await engine.directory.put("device", account["id"], {"name": number, "sip": sip}, number)
    return str(account["id"])


async def place_call(engine: Engine, account: str, sip: LoopbackSip | None) -> Outcome:
    """Place the call and follow it to its end."""
    with engine.events(account) as events:
        call = engine.start(
            OriginateRequest(
                account_id=account,
                endpoint_type=EndpointType.DEVICE,
                endpoint_id="1001",
                number="1002",
                auto_answer=True,
                custom_application_vars={"order": 77},
            )
        )
        async for event in events:
            print(event.sequence, event.name, event.call_id, event.payload.get("Hangup-Cause", ""))
            if event.name == "CHANNEL_BRIDGE" and sip is not None:
                # The phones in memory only do what they are told: one hangs up now.
                sip.play(event.call_id, Bye())
                sip = None
            if event.name == "QUICKCALL_END":
                return await call.ended()
    raise AssertionError("every accepted request has a terminal event")


def phones_in_memory() -> LoopbackSip:
    """Return a stack whose two phones ring and answer."""
    sip = LoopbackSip()
    sip.script("sip:1001@192.0.2.1:6001", Ring(), Answer())
    sip.script("sip:1002@192.0.2.1:6002", Ring(), Answer())
    return sip


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "")))
