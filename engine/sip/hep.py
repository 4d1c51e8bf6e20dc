"""SIP messages for a capture server: HEP version 3 (the HEPv3 network protocol specification).

Homer and sngrep take them by UDP. A packet is `HEP3`, its length, and chunks of vendor, type,
length and value; numbers are big-endian.
"""

from __future__ import annotations

import ipaddress
import socket
from struct import pack

from engine.core.events import SipMessageSeen

MAX_PACKET = 65507
"""Longest packet, bytes: that of UDP over IPv4."""

_FAMILY, _PROTOCOL, _SOURCE_4, _DESTINATION_4, _SOURCE_6, _DESTINATION_6 = range(1, 7)
_SOURCE_PORT, _DESTINATION_PORT, _SECONDS, _MICROSECONDS, _KIND, _AGENT = range(7, 13)
_KEY, _PAYLOAD, _CORRELATION = 14, 15, 17
_SIP = 1
_UDP, _TCP = 17, 6


def hep_packet(message: SipMessageSeen, agent: int, key: str = "") -> bytes:
    """Return one message as a packet.

    `agent` names this engine at the capture server, 0 to 2^32-1; `key` is the server's password,
    empty: none. The Call-ID is the correlation id. The text is cut where the packet would not fit
    into UDP.
    """
    source, source_port = split_address(message.source)
    destination, destination_port = split_address(message.destination)
    v6 = source.version == 6
    microseconds = round(message.at * 1_000_000)
    chunks = [
        _chunk(_FAMILY, pack(">B", socket.AF_INET6 if v6 else socket.AF_INET)),
        _chunk(_PROTOCOL, pack(">B", _UDP if message.transport == "udp" else _TCP)),
        _chunk(_SOURCE_6 if v6 else _SOURCE_4, source.packed),
        _chunk(_DESTINATION_6 if v6 else _DESTINATION_4, destination.packed),
        _chunk(_SOURCE_PORT, pack(">H", source_port)),
        _chunk(_DESTINATION_PORT, pack(">H", destination_port)),
        _chunk(_SECONDS, pack(">I", microseconds // 1_000_000)),
        _chunk(_MICROSECONDS, pack(">I", microseconds % 1_000_000)),
        _chunk(_KIND, pack(">B", _SIP)),
        _chunk(_AGENT, pack(">I", agent)),
        _chunk(_CORRELATION, message.call_id.encode()),
    ]
    if key:
        chunks.append(_chunk(_KEY, key.encode()))
    body = b"".join(chunks)
    body += _chunk(_PAYLOAD, message.text.encode()[: MAX_PACKET - len(body) - 12])
    return b"HEP3" + pack(">H", len(body) + 6) + body


def split_address(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """Return address and port of `ip:port`, IPv6 in brackets.

    >>> split_address("[::1]:5060")
    (IPv6Address('::1'), 5060)
    """
    host, _, port = text.rpartition(":")
    return ipaddress.ip_address(host.strip("[]")), int(port)


def _chunk(kind: int, value: bytes) -> bytes:
    return pack(">HHH", 0, kind, len(value) + 6) + value


class HepSender:
    """Sends messages to a capture server. Never waits; what cannot be sent is counted."""

    def __init__(self, host: str, port: int, agent: int, key: str = "") -> None:
        """Send to this address, as `hep_packet`. Raises `OSError` when there is no way to it."""
        self._agent = agent
        self._key = key
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.connect((host, port))
        self.sent = 0
        """Packets sent since the start."""
        self.lost = 0
        """Messages that could not be sent: no room in the socket, or nobody there."""

    def send(self, message: SipMessageSeen) -> None:
        """Send one message."""
        packet = hep_packet(message, self._agent, self._key)
        try:
            self._socket.send(packet)
        except OSError:
            # ECONNREFUSED tells of an earlier packet, and that nobody listens there.
            self.lost += 1
        else:
            self.sent += 1

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
