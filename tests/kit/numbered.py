"""Streams of numbered packets through a call: what of them arrives, how often, in which order."""

from __future__ import annotations

import asyncio
import itertools
from types import TracebackType
from typing import Self

from tests.kit.audio import AudioPeer, Packet

_EVERY_S = 0.02
_SIZE = 160


def payload(name: str, number: int) -> bytes:
    """Return what the packet of that number of a stream carries."""
    return f"{name}{number:07}".encode().ljust(_SIZE, b"\xd5")


class Numbered:
    """Sends packets 0, 1, 2 ... 50 times a second inside the `async with` block.

    Args:
        peer: who sends.
        name: one letter that tells the stream from others.
        to: RTP address of the engine.
    """

    def __init__(self, peer: AudioPeer, name: str, to: tuple[str, int]) -> None:
        """Keep them; entering begins."""
        self._peer = peer
        self._name = name
        self._to = to
        self._task: asyncio.Task[None]
        self.sent = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._send())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def more_at(self, other: AudioPeer, count: int) -> None:
        """Wait until `other` has been sent that many packets of this stream from now on."""
        wanted = len(self.at(other)) + count
        while len(self.at(other)) < wanted:
            await other.hear(len(other.packets) + 1)

    def at(self, other: AudioPeer) -> list[int]:
        """Return the numbers of this stream that came to `other`, in the order they came."""
        return [number for name, number in map(read, other.packets) if name == self._name]

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            self._peer.send(self._to, payload(self._name, self.sent))
            self.sent += 1
            await asyncio.sleep(max(0.0, began + self.sent * _EVERY_S - loop.time()))


def read(packet: Packet) -> tuple[str, int]:
    """Return name and number of a packet, no name for one that is of no stream."""
    text = packet.payload[:8].decode("latin-1")
    return (text[0], int(text[1:])) if text[1:].isdecimal() and len(text) == 8 else ("", 0)


def gaps(numbers: list[int]) -> int:
    """Return how often a number does not follow the one before.

    Raises `AssertionError` when one came twice or after a higher one.
    """
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    assert all(step > 0 for step in steps), f"doubled or out of order: {numbers}"
    return sum(step > 1 for step in steps)
