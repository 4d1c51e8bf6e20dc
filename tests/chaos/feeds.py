"""What each feed told: the bus, a webhook, a WebSocket that comes back after every cut."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import websockets

from tests.chaos.system import EngineProcess
from tests.kit.engine import ROOT_TOKEN
from tests.kit.kazoo_bus import Inbox

RETRY_S = 0.05


@dataclass
class Told:
    """The events one feed told, in the order in which each came first."""

    ids: dict[str, None] = field(default_factory=dict)
    twice: int = 0
    """How many came again; their ids say so."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, event_id: str) -> None:
        """Note an event."""
        if event_id in self.ids:
            self.twice += 1
        self.ids[event_id] = None
        self.changed.set()


async def read_bus(inbox: Inbox, told: Told) -> None:
    """Note every call event that comes."""
    while True:
        message = await inbox.wait()
        assert message.message_id, message
        told.take(message.message_id)


class SocketReader:
    """A client of the event stream that resumes where it was after every cut."""

    def __init__(self, engine: EngineProcess, account: str) -> None:
        """Read the events of an account."""
        self.told = Told()
        self.connected = asyncio.Event()
        self._engine = engine
        self._account = account
        self._last = 0

    async def run(self) -> None:
        """Read, and come back, for ever."""
        url = f"ws{self._engine.url.removeprefix('http')}/v2/websocket?auth_token={ROOT_TOKEN}"
        while True:
            try:
                async with websockets.connect(url) as socket:
                    await socket.send(json.dumps(self._subscription()))
                    self.connected.set()
                    async for text in socket:
                        self._take(json.loads(text))
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(RETRY_S)

    def _subscription(self) -> dict[str, object]:
        data = {
            "account_id": self._account,
            "binding": "call.*.*",
            "resume_from": self._last,
        }
        return {"action": "subscribe", "data": data}

    def _take(self, frame: dict[str, object]) -> None:
        assert frame["action"] in ("event", "reply"), frame
        if frame["action"] == "reply":
            assert frame["status"] == "success", frame
            return
        sequence = frame["sequence"]
        assert isinstance(sequence, int)
        assert sequence > self._last, "frames come in order and none comes twice"
        self._last = sequence
        self.told.take(str(frame["event_id"]))
