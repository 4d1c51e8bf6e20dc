"""Hostile datagrams: the same ones on every run."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator

INVITE = (
    "INVITE sip:anyone@127.0.0.1 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {via};branch=z9hG4bK{serial};rport\r\n"
    "From: <sip:stranger@test.invalid>;tag=t{serial}\r\n"
    "To: <sip:anyone@127.0.0.1>\r\n"
    "Call-ID: hostile-{serial}@test.invalid\r\n"
    "CSeq: 1 INVITE\r\n"
    "Contact: <sip:stranger@{via}>\r\n"
    "Max-Forwards: 70\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: {length}\r\n\r\n{body}"
)
"""A well-formed INVITE, to be damaged."""

REGISTER = (
    "REGISTER sip:test.local SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {via};branch=z9hG4bK{serial};rport\r\n"
    "From: <sip:alice@test.local>;tag=t{serial}\r\n"
    "To: <sip:alice@test.local>\r\n"
    "Call-ID: hostile-{serial}@test.invalid\r\n"
    "CSeq: {cseq} REGISTER\r\n"
    "Contact: {contact}\r\n"
    "Expires: {expires}\r\n"
    "Max-Forwards: {hops}\r\n"
    "Content-Length: 0\r\n\r\n"
)


def hostile_datagrams(count: int, via: str, seed: int = 20) -> Iterator[bytes]:
    """Yield `count` malformed datagrams that name `via` (`ip:port`) as their sender.

    Random bytes, cut and corrupted INVITEs, wrong lengths, huge headers, numbers out of bounds,
    headers that are missing, twice there or empty. The same `seed` yields the same datagrams.
    """
    dice = random.Random(seed)
    makers = (_noise, _cut, _flipped, _wrong_length, _huge_header, _bad_register, _without_header)
    for serial in range(count):
        yield makers[serial % len(makers)](dice, serial, via)[:60000]


async def send_storm(target: tuple[str, int], count: int, seed: int = 20) -> None:
    """Send `count` hostile datagrams to an IPv4 address, pausing for the event loop now and
    then.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        host, port = sender.getsockname()
        for serial, datagram in enumerate(hostile_datagrams(count, f"{host}:{port}", seed)):
            sender.sendto(datagram, target)
            if serial % 50 == 49:
                # Pace it, or the kernel drops most of them before the stack can be hurt.
                await asyncio.sleep(0.005)


def _invite(serial: int, via: str, body: str = "v=0\r\n", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return INVITE.format(via=via, serial=serial, length=size, body=body).encode()


def _noise(dice: random.Random, serial: int, via: str) -> bytes:
    return dice.randbytes(dice.randrange(1, 1400))


def _cut(dice: random.Random, serial: int, via: str) -> bytes:
    whole = _invite(serial, via)
    return whole[: dice.randrange(1, len(whole))]


def _flipped(dice: random.Random, serial: int, via: str) -> bytes:
    whole = bytearray(_invite(serial, via))
    for _ in range(dice.randrange(1, 40)):
        whole[dice.randrange(len(whole))] = dice.randrange(256)
    return bytes(whole)


def _wrong_length(dice: random.Random, serial: int, via: str) -> bytes:
    return _invite(serial, via, length=dice.choice((-1, 1, 99999, 2**31, 2**64)))


def _huge_header(dice: random.Random, serial: int, via: str) -> bytes:
    filling = f"X-Filling: {'a' * dice.choice((4000, 20000, 50000))}\r\nMax-Forwards"
    return _invite(serial, via).replace(b"Max-Forwards", filling.encode(), 1)


def _bad_register(dice: random.Random, serial: int, via: str) -> bytes:
    return REGISTER.format(
        via=via,
        serial=serial,
        cseq=dice.choice(("1", "-1", "99999999999999999999", "x")),
        contact=dice.choice(("<<sip:::@>;;", "", "*", "sip:" + "a" * 9000, "<sip:a@b>, " * 200)),
        expires=dice.choice(("-1", "4294967296", "soon", "60")),
        hops=dice.choice(("70", "-1", "many")),
    ).encode()


def _without_header(dice: random.Random, serial: int, via: str) -> bytes:
    lines = _invite(serial, via).split(b"\r\n")
    victim = dice.randrange(1, 8)
    lines[victim : victim + 1] = dice.choice(([], [lines[victim]] * 3, [lines[victim][:4] + b":"]))
    return b"\r\n".join(lines)
