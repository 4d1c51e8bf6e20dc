"""SRTP as RFC 3711, RFC 6188 and RFC 7714 have it, to check the engine's with: shares no code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from tests.kit.rtp import RtpPeer

_HEADER = 12
"""Bytes of an RTP header without sources and extension, the only one used here."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Sizes in bytes."""

    key: int
    salt: int
    tag: int
    """0: AES-GCM, whose tag has 16 bytes."""


SUITES = {
    "AEAD_AES_256_GCM": Suite(32, 12, 0),
    "AEAD_AES_128_GCM": Suite(16, 12, 0),
    "AES_256_CM_HMAC_SHA1_80": Suite(32, 14, 10),
    "AES_CM_128_HMAC_SHA1_80": Suite(16, 14, 10),
    "AES_256_CM_HMAC_SHA1_32": Suite(32, 14, 4),
    "AES_CM_128_HMAC_SHA1_32": Suite(16, 14, 4),
}


@dataclass(frozen=True, slots=True)
class Key:
    """A master key and salt of a suite."""

    suite: str
    secret: bytes

    @classmethod
    def new(cls, suite: str) -> Key:
        """Make one."""
        return cls(suite, secrets.token_bytes(SUITES[suite].key + SUITES[suite].salt))

    def line(self, tag: int) -> str:
        """Return the attribute that names it in SDP (RFC 4568 9.1)."""
        return f"a=crypto:{tag} {self.suite} inline:{base64.b64encode(self.secret).decode()}"


def read_lines(sdp: str) -> dict[int, Key]:
    """Return the keys of an SDP by their tags. Raises `ValueError` for what is no key."""
    keys = {}
    for line in sdp.splitlines():
        if line.startswith("a=crypto:"):
            tag, suite, parameters = line.removeprefix("a=crypto:").split(" ")
            secret = base64.b64decode(parameters.removeprefix("inline:"), validate=True)
            assert len(secret) == SUITES[suite].key + SUITES[suite].salt, line
            keys[int(tag)] = Key(suite, secret)
    return keys


class Direction:
    """One sender's packets under one key: protects them, or takes them."""

    def __init__(self, key: Key) -> None:
        """Derive the session keys (RFC 3711 4.3, RFC 7714 11)."""
        self._suite = SUITES[key.suite]
        master, salt = key.secret[: self._suite.key], key.secret[self._suite.key :]
        sizes = (self._suite.key, 20, self._suite.salt)
        derived = [
            _stream(master, _label(salt, label), size)
            for label, size in enumerate((*sizes, *sizes))
        ]
        self._key, self._authentication, self._salt = derived[:3]
        self._rtcp_keys = derived[3:]
        self._highest: dict[int, int] = {}
        """Highest packet index by source."""
        self._seen: set[tuple[int, int]] = set()

    def protect(self, packet: bytes) -> bytes:
        """Return the SRTP packet for an RTP packet."""
        index = self._index(packet)
        header, payload = packet[:_HEADER], packet[_HEADER:]
        if self._suite.tag == 0:
            return header + AESGCM(self._key).encrypt(self._gcm(packet, index), payload, header)
        body = header + self._mask(packet, index, payload)
        return body + self._tag(body, index)

    def unprotect(self, packet: bytes) -> bytes | None:
        """Return the RTP packet, None: it was not made with this key, or came before."""
        ssrc, index = _ssrc(packet), self._index(packet)
        header = packet[:_HEADER]
        if self._suite.tag == 0:
            try:
                plain = AESGCM(self._key).decrypt(
                    self._gcm(packet, index), packet[_HEADER:], header
                )
            except InvalidTag:
                return None
        else:
            body, tag = packet[: -self._suite.tag], packet[-self._suite.tag :]
            if not hmac.compare_digest(tag, self._tag(body, index)):
                return None
            plain = self._mask(packet, index, body[_HEADER:])
        if (ssrc, index) in self._seen:
            return None
        self._seen.add((ssrc, index))
        self._highest[ssrc] = max(index, self._highest.get(ssrc, 0))
        return header + plain

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """Return the RTCP packet (RFC 3711 3.4, RFC 7714 9), None: it was made with no such key."""
        key, authentication, salt = self._rtcp_keys
        header, rest = packet[:8], packet[8:]
        if self._suite.tag == 0:
            body, word = rest[:-4], rest[-4:]
            iv = _xor(salt, b"\0\0" + packet[4:8] + b"\0\0" + _rtcp_index(word).to_bytes(4, "big"))
            try:
                return header + AESGCM(key).decrypt(iv, body, header + word)
            except InvalidTag:
                return None
        body, word, tag = rest[:-14], rest[-14:-10], rest[-10:]
        made = hmac.new(authentication, packet[:-10], hashlib.sha1).digest()[:10]
        if not hmac.compare_digest(tag, made):
            return None
        start = int.from_bytes(salt, "big") << 16
        start ^= int.from_bytes(packet[4:8], "big") << 64 ^ _rtcp_index(word) << 16
        return header + _xor(body, _stream(key, start.to_bytes(16, "big"), len(body)))

    def _index(self, packet: bytes) -> int:
        """Guess the index of a packet from its sequence number (RFC 3711 3.3.1)."""
        ssrc, sequence = _ssrc(packet), int.from_bytes(packet[2:4], "big")
        highest = self._highest.get(ssrc)
        if highest is None:
            index = sequence
        else:
            rounds = highest >> 16
            nearby = (((turn << 16) | sequence) for turn in (rounds - 1, rounds, rounds + 1))
            index = min(nearby, key=lambda guess: (abs(guess - highest), guess < 0))
        return index

    def sent(self, packet: bytes) -> None:
        """Note a packet of ours, so that the next one's index is right."""
        self._highest[_ssrc(packet)] = self._index(packet)

    def _mask(self, packet: bytes, index: int, data: bytes) -> bytes:
        iv = int.from_bytes(self._salt, "big") << 16 ^ _ssrc(packet) << 64 ^ index << 16
        return _xor(data, _stream(self._key, iv.to_bytes(16, "big"), len(data)))

    def _tag(self, body: bytes, index: int) -> bytes:
        rollover = (index >> 16).to_bytes(4, "big")
        made = hmac.new(self._authentication, body + rollover, hashlib.sha1).digest()
        return made[: self._suite.tag]

    def _gcm(self, packet: bytes, index: int) -> bytes:
        return _xor(self._salt, b"\0\0" + packet[8:12] + index.to_bytes(6, "big"))


class SrtpPeer(RtpPeer):
    """An `RtpPeer` that speaks SRTP; what it is sent and cannot read is counted, and passed over.

    Args:
        ssrc: as of `RtpPeer`.
        key: its own, which its packets are sent under.
        host: as of `RtpPeer`.
    """

    def __init__(self, ssrc: int, key: Key, host: str | None = None) -> None:
        """Choose the address; `async with` binds it. It reads nothing before `hear`."""
        super().__init__(ssrc, host)
        self.key = key
        self.unreadable: list[bytes] = []
        self.last_sent = b""
        """The last packet as it was on the wire."""
        self._sends = Direction(key)
        self._hears: Direction | None = None

    def hear(self, key: Key) -> None:
        """Take the packets that are sent under this key from now on."""
        self._hears = Direction(key)

    def speak(self, key: Key) -> None:
        """Send under another key from now on."""
        self.key, self._sends = key, Direction(key)

    def send_raw(self, destination: tuple[str, int], datagram: bytes) -> None:
        """Send a packet, protected."""
        self.last_sent = self._sends.protect(datagram)
        self._sends.sent(datagram)
        self.send_as_it_is(destination, self.last_sent)

    def send_as_it_is(self, destination: tuple[str, int], datagram: bytes) -> None:
        """Send bytes as they are."""
        super().send_raw(destination, datagram)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Keep a datagram that can be read (called by asyncio)."""
        plain = self._hears.unprotect(data) if self._hears is not None else None
        if plain is None:
            self.unreadable.append(data)
        else:
            super().datagram_received(plain, address)


def _ssrc(packet: bytes) -> int:
    return int.from_bytes(packet[8:12], "big")


def _rtcp_index(word: bytes) -> int:
    """Return the index in the last word of SRTCP; its first bit says that it is encrypted."""
    return int.from_bytes(word, "big") & 0x7FFFFFFF


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _label(salt: bytes, label: int) -> bytes:
    """Return the initialisation vector of the key derivation; a short salt is padded behind."""
    value = bytearray(salt.ljust(14, b"\0"))
    value[7] ^= label
    return bytes(value) + b"\0\0"


def _stream(key: bytes, iv: bytes, size: int) -> bytes:
    """Return the key stream of AES in counter mode."""
    return Cipher(AES(key), CTR(iv)).encryptor().update(bytes(size))
