"""What carries the packets between the phones: the engine, rtpengine, a bare relay, nothing."""

from __future__ import annotations

import asyncio
import os
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.load.directory import EXTENSION
from benchmarks.load.engines import HttpEngine, Load
from benchmarks.load.media.generator import FIRST_PORT, Generator, compiled
from benchmarks.load.media.phones import Phones
from benchmarks.load.media.rtpengine import Rtpengine
from tests.kit.addresses import loopback_address

RATE = 50.0
"""Calls a second while the pairs are set up and taken down."""
SETTLE_S = 1.0
"""Between the last ACK of a phone and the first packet: the engine bridges, its journal commits."""

RTPENGINE_THREADS = 1
"""Worker threads of rtpengine. One uses less CPU per packet than one for each core, its default."""


SILENCE = {"QUICKCALL_RTP_TIMEOUT_S": "0"}
"""The engine must not end the calls that are held silently."""


@asynccontextmanager
async def direct(generator: Generator) -> AsyncIterator[int]:
    """Let the phones of each pair send straight to each other."""
    for leg in range(generator.legs):
        generator.send_to(leg, generator.address(leg ^ 1))
    yield os.getpid()


@asynccontextmanager
async def bare(generator: Generator) -> AsyncIterator[int]:
    """Put bare_relay.cpp between them."""
    host = loopback_address()
    with tempfile.TemporaryDirectory(prefix="bare-relay-") as folder:
        program = await asyncio.to_thread(compiled, "bare_relay", folder)
        process = await asyncio.create_subprocess_exec(
            program, host, str(generator.legs // 2), str(FIRST_PORT), stdin=PIPE, stdout=PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        for leg in range(generator.legs):
            generator.send_to(leg, (host, FIRST_PORT + leg))
        yield process.pid
        await process.communicate(b"")


@asynccontextmanager
async def rtpengine(generator: Generator) -> AsyncIterator[int]:
    """Put rtpengine between them."""
    async with Rtpengine(RTPENGINE_THREADS) as daemon:
        for leg in range(0, generator.legs, 2):
            one, other = generator.address(leg), generator.address(leg + 1)
            to_one, to_other = await daemon.relay(leg // 2, one, other)
            generator.send_to(leg, to_one)
            generator.send_to(leg + 1, to_other)
        yield daemon.pid


@dataclass(slots=True)
class Pairs:
    """The engine and the phones; no call is up before `call`."""

    engine: HttpEngine
    phones: Phones
    generator: Generator

    async def call(self) -> None:
        """Make a quickcall for each pair, and wait until the engine has bridged them."""
        await self.engine.make_calls()
        await self.phones.answered(self.generator.legs)
        await asyncio.sleep(SETTLE_S)


@asynccontextmanager
async def answered_pairs(
    generator: Generator,
    settings: Mapping[str, str] = MappingProxyType({}),
    options: Mapping[str, object] = MappingProxyType({}),
    rate: float = RATE,
) -> AsyncIterator[Pairs]:
    """Start the engine and the phones.

    `settings`: variables of the engine's environment; `options`: those of each quickcall.
    """
    pairs = generator.legs // 2
    with tempfile.TemporaryDirectory(prefix="bench-media-") as folder:
        async with Phones(generator) as phones:
            load = Load(phones.uri("rung"), phones.uri("dialled"), EXTENSION, rate, pairs)
            settings = {**SILENCE, **settings}
            async with HttpEngine(load, Path(folder), settings, options) as server:
                yield Pairs(server, phones, generator)


@asynccontextmanager
async def engine(generator: Generator) -> AsyncIterator[int]:
    """Put the engine between them, with a quickcall for each pair."""
    async with answered_pairs(generator) as up:
        await up.call()
        yield up.engine.pid
        await up.phones.hang_up("dialled", RATE)
        await up.engine.idle()


@asynccontextmanager
async def srtp(generator: Generator) -> AsyncIterator[int]:
    """As `engine`, both legs of each pair in SRTP."""
    async with answered_pairs(generator, {"QUICKCALL_MEDIA_ENCRYPTION": "mandatory"}) as up:
        await up.call()
        yield up.engine.pid
        await up.phones.hang_up("dialled", RATE)
        await up.engine.idle()


RELAYS = {"direct": direct, "bare": bare, "rtpengine": rtpengine, "engine": engine, "srtp": srtp}
"""By name; each sets the pairs up and yields the process id of the relay, its own for none."""
