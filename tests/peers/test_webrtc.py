"""Real audio between WebRTC devices and plain phones: tones, recognised at the far end."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame, AudioResampler

from engine.phone.process import PhoneProcess
from engine.phone.tones import ToneMeter
from tests.kit.baresip import Baresip
from tests.kit.engine import PASSWORD, REALM, EngineUnderTest
from tests.kit.sip_phone import SipPhone
from tests.kit.webrtc_phone import only_address

pytestmark = pytest.mark.sip

BROWSERS_TONE, PHONES_TONE, BARESIPS_TONE = 700, 1100, 440
RATE, FRAME = 8000, 160
GUARD_S = 40.0


def media(webrtc: bool) -> dict[str, Any]:
    """Return the media settings of a device."""
    return {"audio": {"codecs": ["PCMU"]}, "webrtc": webrtc}


@asynccontextmanager
async def softphone(engine: EngineUnderTest) -> AsyncIterator[PhoneProcess]:
    """A plain pjsua2 phone, bob, that says a tone."""
    phone = await PhoneProcess.start(
        "bob",
        *("--user", "bob", "--realm", REALM, "--server", engine.sip_address()),
        *("--codec", "PCMU", "--tone", str(PHONES_TONE), "--answer", "always"),
        password=PASSWORD,
    )
    async with phone:
        await phone.wait_for("registered")
        yield phone


class _Tone(MediaStreamTrack):
    """Says a tone, a frame every 20 ms."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(FRAME / RATE)  # the pace of speech; nothing is awaited by it
        step = 2 * math.pi * BROWSERS_TONE / RATE
        samples = array("h", (int(8000 * math.sin(step * (self._sent + i))) for i in range(FRAME)))
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, Fraction(1, RATE)
        self._sent += FRAME
        return frame


class _Browser:
    """aiortc's peer connection, as a browser has it."""

    def __init__(self) -> None:
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.addTrack(_Tone())
        self._connection.on("track", self._listen)
        self._listener: asyncio.Task[None]
        self.heard = asyncio.Event()

    async def answer(self, offer: str) -> str:
        with only_address("127.0.0.1"):
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            made = await self._connection.createAnswer()
            await self._connection.setLocalDescription(made)
        return self._connection.localDescription.sdp

    def _listen(self, track: MediaStreamTrack) -> None:
        self._listener = asyncio.create_task(self._hear(track))

    async def _hear(self, track: MediaStreamTrack) -> None:
        meter = ToneMeter(RATE)
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        while meter.hearing().freq != PHONES_TONE:
            frame = await track.recv()
            assert isinstance(frame, AudioFrame)
            for piece in resampler.resample(frame):
                meter.feed(bytes(piece.planes[0])[: piece.samples * 2])
        self.heard.set()

    async def close(self) -> None:
        self._listener.cancel()
        await self._connection.close()


async def test_a_browser_and_a_plain_phone_hear_each_other(engine: EngineUnderTest) -> None:
    browser = _Browser()
    await engine.device("bob", "1002", media=media(webrtc=False))
    async with SipPhone(browser.answer) as sip, softphone(engine) as bob:
        device = await engine.device("alice", "1001", sip.uri, media=media(webrtc=True))
        response = await engine.quickcall(device, "1002")
        assert response.status_code == 202, response.text
        async with asyncio.timeout(GUARD_S):
            await browser.heard.wait()
        await bob.wait_for("hearing")
        await sip.bye()
        end = await engine.end()
        assert end["Hangup-Cause"] == "NORMAL_CLEARING"
        assert (await bob.wait_for("heard"))["freq"] == BROWSERS_TONE
        await browser.close()


async def test_baresip_in_dtls_talks_to_a_plain_phone_also_after_a_hold(
    engine: EngineUnderTest,
) -> None:
    """It answers without ICE: version 1.0 wants a candidate for RTCP too."""
    device = await engine.device("alice", "1001", media=media(webrtc=True))
    await engine.device("bob", "1002", media=media(webrtc=False))
    parameters = ";mediaenc=dtls_srtp"
    async with (
        Baresip("alice", engine.sip_address(), media=parameters) as alice,
        softphone(engine) as bob,
    ):
        quickcall = asyncio.create_task(engine.quickcall(device, "1002"))
        await alice.answer()
        assert (await quickcall).status_code == 202
        await engine.event("CHANNEL_BRIDGE", count=2)
        await bob.wait_for("hearing")
        await alice.command("hold")
        await engine.event("CHANNEL_HOLD")
        await alice.command("resume")
        await engine.event("CHANNEL_UNHOLD")
        await alice.press("5")
        digit = (await engine.event("DTMF")).payload
        await alice.release()
        await alice.command("hangup")
        await engine.end()
        assert (await bob.wait_for("heard"))["freq"] == BARESIPS_TONE
    assert digit["DTMF-Digit"] == "5"
