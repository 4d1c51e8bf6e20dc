"""Values of the media of a leg: what an endpoint wants, what was agreed on, how it went."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Encryption(StrEnum):
    """Whether the media of a leg are encrypted (SRTP, RFC 3711)."""

    OFF = "off"
    OPTIONAL = "optional"
    """Offered beside plain RTP; the peer chooses."""
    MANDATORY = "mandatory"
    """A peer that refuses it is not talked to."""


SRTP_SUITES = (
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_32",
)
"""SRTP suites by their SDES names (RFC 4568 6.2, RFC 6188, RFC 7714), the preferred one first."""


class DtmfMethod(StrEnum):
    """How a leg is sent DTMF digits."""

    AUTO = "auto"
    """As telephone-event when it was negotiated, else as tones."""
    RFC4733 = "rfc4733"
    INFO = "info"
    INBAND = "inband"


class MediaPolicy(msgspec.Struct, frozen=True):
    """What an endpoint wants of its media, beside the codecs."""

    encryption: Encryption = Encryption.OFF
    suites: tuple[str, ...] = ()
    """SDES suites (RFC 4568 6.2, RFC 6188) in order of preference, empty: all that are known."""
    webrtc: bool = False
    """ICE, DTLS-SRTP and RTCP on the port of RTP (RFC 8834, RFC 8842); wins over `encryption`."""
    dtmf: DtmfMethod = DtmfMethod.AUTO
    inherit_codec: bool = False
    """As the dialled side: it is offered exactly what the answered device uses, so that nothing is
    transcoded."""
    bypass: bool = False
    """Its media may go past the engine, when the other side wants that too."""


PLAIN_MEDIA = MediaPolicy()


class LegMedia(msgspec.Struct, frozen=True):
    """What an offer and its answer settled for the media of a leg."""

    address: str = ""
    """`ip:port` where the peer wants its RTP, as its SDP says; empty: nowhere."""
    source: str = ""
    """IP address its answer came from."""
    security: str = ""
    """SDES suite or `DTLS-SRTP`, empty: in the clear."""
    ice: bool = False
    formats: tuple[tuple[str, int], ...] = ()
    """Codecs (`NAME/RATE`, telephone-event too) that both sides take, the preferred one first, each
    with the payload type the peer wants it with."""


NO_MEDIA = LegMedia()


class MediaReport(msgspec.Struct, frozen=True):
    """How the media of a leg went, from its first packet until now or its end."""

    packets_received: int = 0
    packets_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    lost: int = 0
    """Packets of the peer that never came (RFC 3550 A.3)."""
    lost_by_peer: int = 0
    """Packets of ours that the peer did not get, by its RTCP."""
    jitter_ms: float = 0.0
    """Interarrival jitter of what the peer sends (RFC 3550 A.8)."""
    round_trip_ms: float | None = None
    """By RTCP (RFC 3550 6.4.1), None: the peer sent no report of ours."""
    mos: float | None = None
    """Estimated listening quality, 1 to 4.5 (ITU-T G.107), None: nothing was heard."""
