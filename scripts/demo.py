"""The first real quickcall: two softphones, one engine, proof that they heard each other.

Run by `make demo`. Ends with status 0 only if everything on its checklist was observed. Starts
nothing that outlives it, listens on loopback only, leaves no files.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from websockets.asyncio.client import ClientConnection

from engine.phone.process import PhoneProcess
from scripts import demo_view as view
from scripts.demo_checks import TICKET, Evidence, findings
from scripts.demo_scene import (
    ALICE,
    BOB,
    TALK_S,
    Scene,
    engine_running,
    event_stream,
    events_until_end,
    fill_directory,
    nothing_left,
    start_phone,
)

LIMIT_S = 90.0
"""Longest run of the demo, seconds; a guard against hanging."""


async def main() -> int:
    """Run the demo; return the exit status."""
    console = view.make_console()
    evidence = Evidence(tones={person.name: person.tone for person in (ALICE, BOB)})
    begun = time.monotonic()
    failure = ""
    try:
        async with asyncio.timeout(LIMIT_S):
            await run(console, evidence)
    except TimeoutError:
        failure = f"the demo was not over after {LIMIT_S:.0f} s"
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    view.title(console, "Observed?")
    judged = findings(evidence)
    view.checklist(console, judged, time.monotonic() - begun)
    if failure:
        console.print(f"  {failure}", style="bold red", markup=False)
    return 1 if failure or any(finding.problem for finding in judged) else 0


async def run(console: Console, evidence: Evidence) -> None:
    """Set the scene, place the call, collect and show what is observed."""
    phones: dict[str, PhoneProcess] = {}
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="quickcall-demo-"))
        scene = await stack.enter_async_context(engine_running(Path(directory)))
        await fill_directory(scene)
        show_scene(console, scene)
        for person in (ALICE, BOB):
            phones[person.name] = phone = await start_phone(scene, person)
            await stack.enter_async_context(phone)
            evidence.phones[person.name] = phone.events
        await register(console, scene, phones, evidence)
        await talk(console, scene, evidence)
        await collect(scene, evidence)
        for phone in phones.values():
            await phone.wait_for("ended")
        show_proof(console, scene, phones, evidence)
        for name, phone in phones.items():
            evidence.exits[name] = await phone.stop()


def show_scene(console: Console, scene: Scene) -> None:
    """Say what was started."""
    view.title(console, "An engine on its embedded default")
    view.facts(
        console,
        {
            "SIP": f"udp {scene.sip}, built-in registrar",
            "HTTP": f"{scene.url}, WebSocket at /v2/websocket",
            "Store": "SQLite in a temporary directory",
            "Account": f"{scene.account}, created through the HTTP API",
        },
    )


async def register(
    console: Console, scene: Scene, phones: Mapping[str, PhoneProcess], evidence: Evidence
) -> None:
    """Wait until both phones are registered, by their own word and by the API's."""
    view.title(console, "Two softphones, registered over SIP")
    for person in (ALICE, BOB):
        phone = phones[person.name]
        listening = await phone.wait_for("listening")
        await phone.wait_for("registered")
        answer = "when the INVITE asks" if person is ALICE else "after ringing 1 s"
        view.facts(
            console,
            {
                f"{person.name:<5}": f"{person.extension} at {listening['address']}, sends"
                f" {person.tone} Hz, answers {answer}"
            },
        )
    rows = await scene.api.get(f"/v2/accounts/{scene.account}/devices/status")
    evidence.registered = sum(row["registered"] for row in rows)


async def talk(console: Console, scene: Scene, evidence: Evidence) -> None:
    """Place the quickcall and show the events until it is over."""
    device = scene.devices[ALICE.name]
    path = f"/v2/accounts/{scene.account}/devices/{device}/quickcall/{BOB.extension}"
    view.title(console, f"Quickcall: ring Alice, connect her to {BOB.extension}")
    shown = f".../devices/{device[:8]}.../quickcall/{BOB.extension}"
    view.facts(console, {"POST": f"{shown}?auto_answer=true&ticket={TICKET}"})
    async with event_stream(scene) as socket:
        events = asyncio.create_task(show_events(console, socket, evidence))
        try:
            response = await scene.api.post(f"{path}?auto_answer=true&ticket={TICKET}")
            evidence.status, evidence.answer = response.status_code, response.json()
            if response.status_code != 202:
                raise RuntimeError(f"the quickcall was refused: {response.text}")
            await events
        finally:
            events.cancel()


async def show_events(console: Console, socket: ClientConnection, evidence: Evidence) -> None:
    """Show and keep the events of the call as they come, up to the terminal one."""
    begun = time.monotonic()
    async for frame in events_until_end(socket):
        evidence.events.append(frame)
        view.event_line(console, frame, time.monotonic() - begun)


async def collect(scene: Scene, evidence: Evidence) -> None:
    """Fetch the SIP messages and the CDRs, and see what is left of the call."""
    for cdr in await scene.api.get(f"/v2/accounts/{scene.account}/cdrs"):
        evidence.cdrs.append(await scene.api.get(f"/v2/accounts/{scene.account}/cdrs/{cdr['id']}"))
    for person in (ALICE, BOB):
        for frame in evidence.events:
            if frame["data"].get("to", "").startswith(f"{person.user}@"):
                evidence.messages[person.name] = scene.engine.trace(frame["data"]["call_id"])
    evidence.left = await nothing_left(scene.engine)


def show_proof(
    console: Console, scene: Scene, phones: Mapping[str, PhoneProcess], evidence: Evidence
) -> None:
    """Show ladder, audio and CDRs."""
    view.title(console, "The SIP messages of both legs")
    addresses = {
        name: next(line["address"] for line in phone.events if line["event"] == "listening")
        for name, phone in phones.items()
    }
    columns = {addresses["Alice"]: "Alice", scene.sip: "engine", addresses["Bob"]: "Bob"}
    view.ladder(console, evidence.messages, columns)
    view.title(console, f"Audio both ways, {TALK_S} s of talk")
    view.hearing(console, evidence)
    view.title(console, "Call records")
    view.call_records(console, evidence.cdrs)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
