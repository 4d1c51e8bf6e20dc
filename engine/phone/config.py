"""What the softphone is told: one frozen value, checked when it is made."""

from __future__ import annotations

import wave
from dataclasses import dataclass, field
from pathlib import Path

from engine.phone.answering import AnswerPolicy
from engine.phone.tones import check_frequency

CODEC_RATES = {"PCMU": 8000, "PCMA": 8000, "G722": 16000, "opus": 48000}
"""Codecs the phone knows and their sampling rates in samples per second."""


class PhoneError(Exception):
    """The phone cannot do what it was told; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class PhoneConfig:
    """How the softphone behaves. Raises PhoneError naming a field whose value is not possible."""

    user: str = "phone"
    """SIP user of the phone; also the user name of digest authentication."""
    realm: str = "127.0.0.1"
    """SIP realm (domain) of the user."""
    password: str = field(default="", repr=False)
    """Secret of digest authentication (MD5 or SHA-256, as the registrar asks)."""
    server: str = ""
    """`host:port` of the registrar and proxy. Empty: do not register, only listen."""
    transport: str = "udp"
    """udp or tcp."""
    bind: str = "127.0.0.1"
    """Address SIP and RTP sockets bind to and announce."""
    port: int = 0
    """Port for SIP, 0 to 65535; 0 takes a free one."""
    expires_s: int = 300
    """Expiry asked for in REGISTER, in seconds, 10 to 7200."""
    answer: AnswerPolicy = field(default_factory=AnswerPolicy)
    """What to do with an incoming call."""
    call: str = ""
    """SIP URI to call when ready (registered, if a server is given). Empty: wait for calls."""
    tone: int = 0
    """Frequency in Hz to send while in a call, 300 to 3400; 0 sends no tone."""
    play: Path | None = None
    """WAV file to send in a loop instead: 16-bit, mono, at the rate of the codecs."""
    record: Path | None = None
    """WAV file for what is heard; a later call overwrites it. None: a temporary file, removed."""
    listen: tuple[int, ...] = ()
    """Frequencies in Hz whose level the report names, besides the dominant one."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    """Codecs offered, in order; all of one sampling rate, which is the rate of the recording."""
    srtp: str = "off"
    """Encryption of the media, by keys in SDP: off, optional or mandatory."""
    digits: str = ""
    """DTMF digits to send in each call once a tone of the other is heard, of 0-9, *, #, A-D."""
    digits_by: str = "rfc4733"
    """How: rfc4733 (telephone-event) or info (INFO with `application/dtmf-relay`)."""
    hang_up_after_s: float | None = None
    """Seconds after the answer at which the phone hangs up. None: it waits for the other side."""
    run_s: float | None = None
    """Seconds after which the phone stops. None: it runs until SIGTERM or SIGINT."""
    log: Path | None = None
    """File for the log of the SIP stack, with every message. None: no log."""

    def __post_init__(self) -> None:
        """Check every value."""
        _among("transport", self.transport, ("udp", "tcp"))
        _among("srtp", self.srtp, ("off", "optional", "mandatory"))
        self._check_digits()
        _between("port", self.port, 0, 65535)
        _between("expires_s", self.expires_s, 10, 7200)
        for name in ("hang_up_after_s", "run_s"):
            value = getattr(self, name)
            if value is not None:
                _between(name, value, 0, 86400)
        for name in ("user", "realm", "server", "bind", "call"):
            _one_line(name, getattr(self, name))
        for codec in self.codecs:
            _among("codecs", codec, tuple(CODEC_RATES))
        if not self.codecs:
            raise PhoneError(f"codecs: need at least one of {', '.join(CODEC_RATES)}")
        if len({CODEC_RATES[codec] for codec in self.codecs}) != 1:
            raise PhoneError(f"codecs {', '.join(self.codecs)}: need one sampling rate in common")
        try:
            for freq in (*((self.tone,) if self.tone else ()), *self.listen):
                check_frequency(freq)
        except ValueError as error:
            raise PhoneError(str(error)) from error
        if self.play is not None:
            self._check_wav(self.play)

    @property
    def rate(self) -> int:
        """Samples per second of everything the phone plays and records."""
        return CODEC_RATES[self.codecs[0]]

    @property
    def aor(self) -> str:
        """The phone's own SIP URI."""
        return f"sip:{self.user}@{self.realm}"

    def _check_digits(self) -> None:
        _among("digits_by", self.digits_by, ("rfc4733", "info"))
        if not set(self.digits) <= set("0123456789*#ABCD"):
            raise PhoneError(f"digits {self.digits!r}: must be of 0-9, *, #, A-D")

    def _check_wav(self, path: Path) -> None:
        if self.tone:
            raise PhoneError("play and tone: only one of them can be sent")
        try:
            with wave.open(str(path), "rb") as file:
                found = (file.getnchannels(), file.getsampwidth() * 8, file.getframerate())
        except (OSError, EOFError, wave.Error) as error:
            raise PhoneError(f"play {path}: not a readable WAV file ({error})") from error
        if found != (1, 16, self.rate):
            raise PhoneError(
                f"play {path}: has {found[0]} channels, {found[1]} bits, {found[2]} Hz;"
                f" must be 1 channel, 16 bits, {self.rate} Hz for {', '.join(self.codecs)}"
            )


def _among(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise PhoneError(f"{name} {value!r}: must be one of {', '.join(allowed)}")


def _between(name: str, value: float, low: int, high: int) -> None:
    if not low <= value <= high:
        raise PhoneError(f"{name} {value}: must be {low} to {high}")


def _one_line(name: str, value: str) -> None:
    if any(character.isspace() or character < " " for character in value):
        raise PhoneError(f"{name} {value!r}: must be without spaces and line ends")
