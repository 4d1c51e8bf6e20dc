"""HEPv3 packets, read back by their chunks."""

from __future__ import annotations

import socket
from struct import unpack

from engine.core.events import SipMessageSeen
from engine.sip.hep import MAX_PACKET, HepSender, hep_packet


def chunks(packet: bytes) -> dict[int, bytes]:
    """Type and value of each chunk, all of vendor 0."""
    magic, length = unpack(">4sH", packet[:6])
    assert (magic, length) == (b"HEP3", len(packet))
    found: dict[int, bytes] = {}
    at = 6
    while at < len(packet):
        vendor, kind, size = unpack(">HHH", packet[at : at + 6])
        assert vendor == 0
        found[kind] = packet[at + 6 : at + size]
        at += size
    assert at == len(packet)
    return found


def seen(source: str, destination: str, transport: str = "udp") -> SipMessageSeen:
    """A message between two addresses."""
    return SipMessageSeen(1700000000.25, True, source, destination, transport, "c1", "BYE é")


def test_a_packet_says_who_said_what_to_whom_and_when() -> None:
    found = chunks(hep_packet(seen("192.0.2.1:5060", "192.0.2.2:5070"), 2001, "secret"))
    assert found == {
        1: bytes([socket.AF_INET]),
        2: bytes([17]),
        3: bytes([192, 0, 2, 1]),
        4: bytes([192, 0, 2, 2]),
        7: (5060).to_bytes(2, "big"),
        8: (5070).to_bytes(2, "big"),
        9: (1700000000).to_bytes(4, "big"),
        10: (250000).to_bytes(4, "big"),
        11: bytes([1]),
        12: (2001).to_bytes(4, "big"),
        14: b"secret",
        15: "BYE é".encode(),
        17: b"c1",
    }


def test_ipv6_and_tcp() -> None:
    found = chunks(hep_packet(seen("[::1]:5060", "[2001:db8::1]:5070", "tls"), 1))
    assert found[1] == bytes([socket.AF_INET6])
    assert found[2] == bytes([6])
    assert found[5][-1] == 1
    assert found[6][:4] == bytes([0x20, 0x01, 0x0D, 0xB8])
    assert 14 not in found


def test_a_message_is_cut_where_udp_ends() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        sender = HepSender("127.0.0.1", server.getsockname()[1], 1, "secret")
        ends = ("127.0.0.1:1", "127.0.0.1:2")
        sender.send(SipMessageSeen(1.0, True, *ends, "udp", "c", "x" * 70_000))
        packet = server.recv(0xFFFF)
        assert len(packet) == MAX_PACKET
        assert set(chunks(packet)[15]) == {ord("x")}
        assert (sender.sent, sender.lost) == (1, 0)
        sender.close()


def test_a_server_that_is_away_costs_nothing_but_the_messages() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    sender = HepSender("127.0.0.1", port, 1)
    for _ in range(5):
        sender.send(seen("127.0.0.1:1", "127.0.0.1:2"))
    assert sender.sent + sender.lost == 5
    sender.close()
