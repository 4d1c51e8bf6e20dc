"""Capture files, as tcpdump reads them, and what is crossed out of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.control.pcap import masked, pcap_file
from engine.core.events import SipMessageSeen
from tests.kit.programs import require

INVITE = "INVITE sip:alice@192.0.2.11 SIP/2.0\r\nCall-ID: c1\r\n\r\n"


def message(text: str = INVITE, **changes: object) -> SipMessageSeen:
    """One message from the engine to a phone."""
    given: dict[str, object] = {
        "at": 1700000000.25,
        "sent": True,
        "source": "192.0.2.1:5060",
        "destination": "192.0.2.11:5070",
        "transport": "udp",
        "call_id": "c1",
        "text": text,
        **changes,
    }
    return SipMessageSeen(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        (("192.0.2.1:5060", "192.0.2.11:5070"), "IP 192.0.2.1.5060 > 192.0.2.11.5070"),
        (("[2001:db8::1]:5060", "[::1]:5070"), "IP6 2001:db8::1.5060 > ::1.5070"),
    ],
)
def test_tcpdump_reads_a_capture_file(tmp_path: Path, ends: tuple[str, str], shown: str) -> None:
    file = tmp_path / "call.pcap"
    file.write_bytes(pcap_file([message(source=ends[0], destination=ends[1]), message()]))
    command = [require("tcpdump"), "-nn", "-tt", "-r", str(file)]
    read = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    first = read.splitlines()[0]
    assert first.startswith(f"1700000000.250000 {shown}: SIP: INVITE sip:alice@192.0.2.11")
    assert len([line for line in read.splitlines() if line.startswith("17")]) == 2
    assert "bad" not in read


def test_secrets_are_crossed_out_and_nothing_moves() -> None:
    text = (
        "INVITE sip:a@b SIP/2.0\r\n"
        'Proxy-Authorization: Digest username="x", response="0123456789abcdef", uri="sip:b"\r\n'
        "Content-Type: application/sdp\r\n\r\n"
        "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0a2V5|2^20\r\n"
    )
    shown = masked(message(text)).text
    assert len(shown) == len(text)
    assert 'response="xxxxxxxxxxxxxxxx", uri' in shown
    assert "inline:xxxxxxxxxxxx|2^20" in shown
    assert masked(message()).text == INVITE
