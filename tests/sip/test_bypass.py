"""Calls whose media go from phone to phone, with the whole engine in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kit.engine import GUARD_S, EngineUnderTest
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

PHONE = "uas-bypass"


@dataclass
class Call:
    """A quickcall that was answered by both; the phones' RTP is the test's."""

    engine: EngineUnderTest
    phones: list[Sipp]
    media: list[RtpPeer]

    async def moves_to(self, mode: str, count: int = 1) -> dict[str, Any]:
        """Wait until both legs were told the mode for the `count`th time; return the last event."""
        for leg in self.engine.legs()[:2]:
            seen = 0
            while seen < count:
                seen = [
                    event.payload["Media"]
                    for event in self.engine.events
                    if event.name == "CALL_UPDATE" and event.call_id == leg
                ].count(mode)
                if seen < count:
                    await self.engine.event("CALL_UPDATE", leg, self._told(leg) + 1)
        return [e.payload for e in self.engine.events if e.name == "CALL_UPDATE"][-1]

    def _told(self, leg: str) -> int:
        return self.engine.names(leg).count("CALL_UPDATE")

    async def hear_each_other(self) -> None:
        """Send each way, straight from phone to phone."""
        a, b = self.media
        for one, other in ((a, b), (b, a)):
            sent = one.send(where(self.phones[self.media.index(one)]), b"straight")
            assert await other.payload() == sent
            assert other.source == (one.host, one.port)

    async def order(self, action: str, leg: int = 0, **data: object) -> None:
        path = f"/v2/accounts/{self.engine.account}/channels/{self.engine.legs()[leg]}"
        response = await self.engine.http.post(path, json={"data": {"action": action, **data}})
        assert response.is_success, response.text

    async def hang_up(self) -> dict[str, Any]:
        path = f"/v2/accounts/{self.engine.account}/channels/{self.engine.legs()[0]}"
        assert (await self.engine.http.delete(path)).is_success
        end = await self.engine.end()
        for phone in self.phones:
            await phone.succeeded()
        return end


def where(phone: Sipp, offer: int = -1) -> tuple[str, int]:
    """The address that a phone was offered, last unless told otherwise."""
    offers = [m for m in phone.messages_now() if not m.sent and m.method == "INVITE"]
    return audio_address(offers[offer].body)


@asynccontextmanager
async def talking(
    engine: EngineUnderTest, scenarios: tuple[str, str] = (PHONE, PHONE), **options: Any
) -> AsyncIterator[Call]:
    async with AsyncExitStack() as entered:
        phones, media = [], []
        for number, scenario in enumerate(scenarios, 1):
            rtp = await entered.enter_async_context(RtpPeer(number))
            port = str(rtp.port)
            keys = {"rtp_ip": rtp.host, "rtp_port": port, "later_port": port, "event": "101"}
            phones.append(await entered.enter_async_context(Sipp(scenario, keys=keys)))
            media.append(rtp)
        device = await engine.device("alice", "1001", phones[0].uri)
        await engine.device("bob", "1002", phones[1].uri)
        asked = await engine.quickcall(device, "1002", media="bypass", **options)
        assert asked.is_success, asked.text
        await engine.event("CHANNEL_BRIDGE", count=2)
        yield Call(engine, phones, media)


async def ports_are_free(engine: EngineUnderTest) -> None:
    """Wait until stragglers are passed on no longer: nothing tells, so look every 50 ms."""
    deadline = asyncio.get_running_loop().time() + GUARD_S
    while engine.engine.stats().media_ports:
        assert asyncio.get_running_loop().time() < deadline, engine.engine.stats()
        await asyncio.sleep(0.05)


async def test_the_media_go_from_phone_to_phone(engine: EngineUnderTest) -> None:
    async with talking(engine) as call:
        await call.moves_to("bypass")
        await call.hear_each_other()
        assert {leg.media.value for leg in engine.engine.channels(engine.account)} == {"bypass"}
        await ports_are_free(engine)
        await call.hear_each_other()
        await call.hang_up()
        cdrs = await engine.cdrs()
    assert [cdrs[leg]["media"] for leg in engine.legs()] == ["bypass", "bypass"]


async def test_the_direct_profile_offers_the_device_itself(engine: EngineUnderTest) -> None:
    direct: dict[str, Any] = {"bypass_flow": "direct", "ignore_early_media": False}
    async with talking(engine, **direct) as call:
        await call.moves_to("bypass")
        offers = [m for m in call.phones[1].messages_now() if m.method == "INVITE" and not m.sent]
        assert [audio_address(offer.body) for offer in offers] == [
            (call.media[0].host, call.media[0].port)
        ]
        await call.hear_each_other()
        await call.hang_up()


@pytest.mark.parametrize("refusing", [0, 1])
async def test_a_phone_that_refuses_keeps_the_call(engine: EngineUnderTest, refusing: int) -> None:
    scenarios = ["uas-bypass", "uas-bypass"]
    scenarios[refusing] = "uas-bypass-refuses"
    async with talking(engine, (scenarios[0], scenarios[1])) as call:
        told = await call.moves_to("process")
        assert told["Bypass-Failed-Reason"]
        a, b = call.media
        # The first one never took what it was offered last.
        to_a = where(call.phones[0], 0 if refusing == 0 else -1)
        await a.reach(to_a, b)
        sent = a.send(to_a, b"through the engine")
        assert await b.payload() == sent
        assert b.source[0] == engine.config.media_host
        end = await call.hang_up()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"


async def test_hold_brings_the_media_back_and_resume_shifts_them_again(
    engine: EngineUnderTest,
) -> None:
    async with talking(engine) as call:
        await call.moves_to("bypass")
        await call.order("hold")
        await call.moves_to("process")
        assert where(call.phones[0])[0] == engine.config.media_host
        await call.order("unhold")
        await call.moves_to("bypass", count=2)
        await call.hear_each_other()
        await call.hang_up()


async def test_a_recording_brings_the_media_back_for_good(tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    async with (
        EngineUnderTest(tmp_path, recordings_dir=str(recordings)) as engine,
        talking(engine) as call,
    ):
        await call.moves_to("bypass")
        await call.order("record_start", media_name="call.wav")
        await call.moves_to("process")
        assert where(call.phones[0])[0] == engine.config.media_host
        await call.hang_up()
        stopped = (await engine.event("RECORD_STOP")).payload
    assert Path(str(stopped["Application-Response"])).is_file()
