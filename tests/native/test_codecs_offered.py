"""Which codecs an INVITE offers, in which order, and what becomes of those we cannot decode."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from engine.core.events import LegAnswered, LegDialed
from engine.sip.port import Listener, SipConfig
from tests.kit.codecs import answering, offered, payload_types
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

EVENT = "telephone-event/8000"
USUAL = ["opus/48000", "G722/8000", "PCMU/8000", "PCMA/8000"]


async def offer(stack: Stack, phone: Sipp, **fields: object) -> str:
    """Dial a phone with these fields of `Dial`; return the SDP of the INVITE."""
    leg = stack.next_leg()
    stack.submit(replace(stack.dial_command(leg, phone.uri), **fields))
    await stack.ended(leg)
    (invite, *_) = await phone.succeeded()
    return invite.body


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ((), USUAL),
        (("PCMA", "PCMU"), ["PCMA/8000", "PCMU/8000"]),
        (("G729", "GSM", "AMR", "AMR-WB"), ["G729/8000", "GSM/8000", "AMR/8000", "AMR-WB/16000"]),
        (("speex/16000", "speex/8000"), ["speex/16000", "speex/8000"]),
        (("iLBC/8000", "PCMU/8000"), ["iLBC/8000", "PCMU/8000"]),
        (("G723", "PCMU"), ["G723/8000", "PCMU/8000"]),
    ],
)
async def test_a_device_is_offered_its_own_list(
    stack: Stack, named: tuple[str, ...], expected: list[str]
) -> None:
    async with Sipp("uas-busy-486") as phone:
        sdp = await offer(stack, phone, codecs=named)

    assert offered(sdp) == [*expected, EVENT]
    numbers = payload_types(sdp)
    assert len(set(numbers.values())) == len(numbers)
    assert numbers[EVENT] == 101
    mentioned = set(re.findall(r"^a=(?:rtpmap|fmtp):(\d+) ", sdp, re.MULTILINE))
    assert mentioned <= {str(number) for number in numbers.values()}


async def test_the_codec_in_use_comes_first_and_the_list_after_it(stack: Stack) -> None:
    async with answering("127.0.0.1", 40000, {18: "G729/8000"}) as first:
        leg = stack.next_leg()
        stack.submit(replace(stack.dial_command(leg, first.uri), codecs=("G729/8000", "PCMU/8000")))
        assert (await stack.event(LegAnswered, leg)).codec == "G729/8000"
        async with Sipp("uas-busy-486") as alone, Sipp("uas-busy-486") as among:
            one = await offer(stack, alone, codec_of=leg, codecs=("opus", "PCMA"))
            assert offered(one) == ["G729/8000", EVENT]
            all_ = await offer(
                stack, among, codec_of=leg, codecs=("opus", "G729", "PCMA"), other_codecs=True
            )
            assert offered(all_) == ["G729/8000", "opus/48000", "PCMA/8000", EVENT]
        stack.hang_up(leg)
        await stack.ended(leg)
        await first.succeeded()


async def test_a_codec_we_cannot_decode_is_agreed_on(stack: Stack) -> None:
    async with answering("127.0.0.1", 40000, {99: "iLBC/8000", 101: EVENT}) as phone:
        leg = stack.next_leg()
        stack.submit(replace(stack.dial_command(leg, phone.uri), codecs=("iLBC/8000", "PCMU")))
        dialed, answered = (
            await stack.event(LegDialed, leg),
            await stack.event(LegAnswered, leg),
        )
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()
    assert "iLBC/8000" in offered(dialed.local_sdp)
    assert answered.codec == "iLBC/8000"


async def test_the_configured_codecs_keep_their_payload_types() -> None:
    config = SipConfig(listeners=(Listener("udp", "127.0.0.1", 0),), codecs=("opus", "PCMU"))
    async with Stack(config) as stack, Sipp("uas-busy-486") as phone:
        sdp = await offer(stack, phone)
    assert payload_types(sdp) == {"opus/48000": 96, "PCMU/8000": 0, EVENT: 101}
