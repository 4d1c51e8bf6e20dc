"""Codecs made by others than us: FFmpeg decodes what the engine sends, and must find the tone."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import av
from av.audio.resampler import AudioResampler

RATE = 8000
TONE_HZ = 1000
PACKET_S = 0.02


@dataclass(frozen=True, slots=True)
class Spoken:
    """A codec as a test speaks it."""

    name: str
    """As rtpmap has it."""
    payload_type: int
    step: int
    """Ticks of its clock in 20 ms."""
    ffmpeg: str
    """FFmpeg's decoder."""
    decoded_rate: int


SPOKEN = {
    spoken.name.partition("/")[0]: spoken
    for spoken in (
        Spoken("PCMU/8000", 0, 160, "pcm_mulaw", 8000),
        Spoken("PCMA/8000", 8, 160, "pcm_alaw", 8000),
        Spoken("G722/8000", 9, 160, "g722", 16000),
        Spoken("opus/48000/2", 96, 960, "opus", 48000),
        Spoken("GSM/8000", 3, 160, "gsm", 8000),
        Spoken("speex/8000", 97, 160, "speex", 8000),
        Spoken("G729/8000", 18, 160, "g729", 8000),
        Spoken("AMR/8000", 98, 160, "amrnb", 8000),
        Spoken("AMR-WB/16000", 99, 320, "amrwb", 16000),
    )
}


def mu_law(sample: int) -> int:
    """Return the G.711 octet of a sample (ITU-T G.711, mu-law)."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def tone(packets: int, hz: int = TONE_HZ) -> list[bytes]:
    """Return that many PCMU payloads of 20 ms of a tone."""
    samples = (
        mu_law(round(8000 * math.sin(2 * math.pi * hz * i / RATE))) for i in range(packets * 160)
    )
    octets = bytes(samples)
    return [octets[i : i + 160] for i in range(0, len(octets), 160)]


def frames_of(spoken: Spoken, payload: bytes) -> list[bytes]:
    """Return what the decoder takes of a payload."""
    if spoken.ffmpeg.startswith("amr"):
        # RFC 4867 4.3, bandwidth-efficient: CMR (4 bits), F, type (4 bits), Q, then the frame.
        length = 8 * len(payload)
        bits = int.from_bytes(payload)
        kind = bits >> length - 9 & 0x0F
        frame = (bits << 10) & (1 << length) - 1
        return [bytes([kind << 3 | 4]) + frame.to_bytes(len(payload))[: -(-(length - 10) // 8)]]
    if spoken.ffmpeg == "g729":
        return [payload[i : i + 10] for i in range(0, len(payload), 10)]
    return [payload]


def decoded(spoken: Spoken, payloads: list[bytes]) -> array[int]:
    """Return the samples of the payloads, mono, at `RATE`."""
    codec = av.CodecContext.create(spoken.ffmpeg, "r")
    codec.sample_rate = spoken.decoded_rate  # type: ignore[attr-defined]
    codec.layout = "mono"  # type: ignore[attr-defined]
    resampler = AudioResampler("s16", "mono", RATE)
    samples: array[int] = array("h")
    for payload in payloads:
        for data in frames_of(spoken, payload):
            for frame in codec.decode(av.Packet(data)):  # type: ignore[attr-defined]
                for made in resampler.resample(frame):
                    samples.frombytes(bytes(made.planes[0])[: made.samples * 2])
    return samples


def share_of(hz: float, samples: array[int]) -> float:
    """Return which share of the energy of the sound is at a frequency, 0 to 1."""
    energy = sum(sample * sample for sample in samples)
    turn = 2 * math.pi * hz / RATE
    real = sum(sample * math.cos(turn * i) for i, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * i) for i, sample in enumerate(samples))
    return 2 * (real**2 + imaginary**2) / (energy * len(samples)) if energy else 0.0


def level_of(samples: array[int]) -> float:
    """Return the root mean square of the samples."""
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))
