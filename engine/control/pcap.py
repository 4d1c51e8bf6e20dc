"""SIP messages as a capture file (pcap), to be opened with Wireshark or sngrep. Pure.

Each message is one packet of IP and UDP around its text, whatever transport it came by: a capture
shows what was said, not how the bytes were cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from struct import pack

from msgspec.structs import replace

from engine.core.events import SipMessageSeen
from engine.sip.hep import split_address

MEDIA_TYPE = "application/vnd.tcpdump.pcap"
"""Of a capture file."""

_RAW_IP = 101
_SNAP_LENGTH = 0xFFFF
_UDP = 17
_HEADERS = 20 + 8
_SECRET = re.compile(
    r"^((?:Proxy-)?Authorization:[ \t]*Digest\b.*|a=crypto:.*)$", re.IGNORECASE | re.MULTILINE
)
_VALUE = re.compile(r"(response=\")([^\"]*)|(inline:)([^|\s]*)", re.IGNORECASE)


def masked(message: SipMessageSeen) -> SipMessageSeen:
    """Return a message whose digest responses and SRTP keys are crossed out, length unchanged."""
    return replace(message, text=_SECRET.sub(_mask_line, message.text))


def _mask_line(line: re.Match[str]) -> str:
    return _VALUE.sub(_mask_value, line[0])


def _mask_value(found: re.Match[str]) -> str:
    name, value = (found[1], found[2]) if found[1] else (found[3], found[4])
    return name + "x" * len(value)


def pcap_file(messages: Iterable[SipMessageSeen]) -> bytes:
    """Return a capture file with these messages, in microseconds, little-endian."""
    header = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAP_LENGTH, _RAW_IP)
    return header + b"".join(_record(message) for message in messages)


def _record(message: SipMessageSeen) -> bytes:
    payload = message.text.encode()[: _SNAP_LENGTH - 48]
    source, source_port = split_address(message.source)
    destination, destination_port = split_address(message.destination)
    # UDP's checksum may be absent over IPv4 alone; a reader that checks it says so and goes on.
    udp = pack(">HHHH", source_port, destination_port, 8 + len(payload), 0) + payload
    if source.version == 6:
        packet = pack(">IHBB", 6 << 28, len(udp), _UDP, 64) + source.packed + destination.packed
    else:
        bare = pack(">BBHHHBBH", 0x45, 0, _HEADERS + len(payload), 0, 0, 64, _UDP, 0)
        bare += source.packed + destination.packed
        packet = bare[:10] + pack(">H", _checksum(bare)) + bare[12:]
    packet += udp
    microseconds = round(message.at * 1_000_000)
    times = (microseconds // 1_000_000, microseconds % 1_000_000)
    return pack("<IIII", *times, len(packet), len(packet)) + packet


def _checksum(header: bytes) -> int:
    """Return the checksum of an IPv4 header (RFC 791 3.1)."""
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, len(header), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
