"""A phone for tests of digits: SIPp for its SIP, the test itself for its RTP."""

from __future__ import annotations

from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

PCMU = (0, "PCMU/8000")


def digits_told(engine: EngineUnderTest) -> list[str]:
    """Return the digits told of each leg, in the order of the legs."""
    told = [event for event in engine.events if event.name == "DTMF"]
    return [
        "".join(str(event.payload["DTMF-Digit"]) for event in told if event.call_id == leg)
        for leg in engine.legs()
    ]


def digit_phone(
    address: tuple[str, int],
    formats: tuple[tuple[int, str], ...] = (PCMU, (101, "telephone-event/8000")),
    *,
    scenario: str = "uas-digits",
) -> Sipp:
    """Return a phone whose RTP is at `address`, and that agrees on these payload types."""
    numbers = " ".join(str(number) for number, _ in formats)
    attributes = "\r\n".join(f"a=rtpmap:{number} {name}" for number, name in formats)
    keys = {
        "rtp_ip": address[0],
        "rtp_port": str(address[1]),
        "formats": numbers,
        "attributes": attributes,
    }
    return Sipp(scenario, keys=keys)
