"""The far end of a leg of `engine.sip.loopback`, and the media it has agreed on."""

from __future__ import annotations

from msgspec.structs import replace

from engine.core.commands import Dial, Reoffer
from engine.core.media_values import NO_MEDIA, LegMedia
from engine.core.values import LegId
from engine.sip.loopback_steps import Answer, Early, RefuseOffers, Renegotiate

ENGINE_HOST = "192.0.2.254"
"""Address of the engine's own media."""

_PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9}
"""Static ones (RFC 3551 6)."""
_FIRST_DYNAMIC = 96
_EVENT = ("telephone-event/8000", 101)


def formats_of(codec: str) -> tuple[tuple[str, int], ...]:
    """Return the codec with its usual payload type, and telephone-event."""
    name = codec.partition("/")[0].upper()
    return ((codec, _PAYLOAD_TYPES.get(name, _FIRST_DYNAMIC)), _EVENT)


def media_at(host: str, leg: LegId, codec: str) -> LegMedia:
    """Return the media of a leg at a host, each leg on a port of its own."""
    return LegMedia(f"{host}:{30000 + leg % 10000 * 2}", host, formats=formats_of(codec))


class Peer:
    """The far end of a live leg."""

    __slots__ = (
        "answered",
        "answers",
        "bypasses",
        "dial",
        "has_ports",
        "held",
        "media",
        "refusal",
        "refusals_left",
        "terms",
        "thinks",
        "told",
        "unanswered",
    )

    def __init__(self, dial: Dial) -> None:
        """Begin before its answer."""
        self.dial = dial
        self.answered = False
        self.held = False
        """Its end is not reported."""
        self.refusal = RefuseOffers(200)
        self.refusals_left = 0
        self.terms = Renegotiate()
        """The media as agreed on last."""
        self.media = NO_MEDIA
        """Where it wants its media, as it said last."""
        self.told = NO_MEDIA
        """Where we want ours, as it was told last."""
        self.bypasses: LegId | None = None
        """The leg whose peer it sends to."""
        self.has_ports = True
        self.answers: tuple[LegMedia, ...] = ()
        self.thinks = False
        """It leaves offers without an answer."""
        self.unanswered: list[Reoffer] = []
        """The one under way, and the last of those that came meanwhile."""

    @property
    def leg(self) -> LegId:
        """Its leg."""
        return self.dial.leg

    def agree(self, step: Early | Answer | Renegotiate) -> None:
        """Note what it wants from now on."""
        if step.media is not None:
            self.media = step.media
        elif not self.media.address:
            self.media = media_at(f"192.0.2.{self.leg % 250 + 1}", self.leg, step.codec)
        elif step.codec.upper() != self.terms.codec.upper():
            self.media = replace(self.media, formats=formats_of(step.codec))
        held = step.held if isinstance(step, Renegotiate) else False
        self.terms = Renegotiate(held, step.codec, step.sdp, self.media)

    def tell(self, other: Peer | None, codec: str) -> None:
        """Name the address of another peer to it, with one codec; None: ours."""
        self.bypasses = None if other is None else other.leg
        if other is None:
            self.told = media_at(ENGINE_HOST, self.leg, codec)
            return
        wanted = tuple(
            each for each in other.media.formats if _is(codec, each[0]) or _is(_EVENT[0], each[0])
        )
        self.told = LegMedia(other.media.address, formats=wanted)

    def takes(self, codec: str) -> bool:
        """Return whether it can be sent this codec."""
        return any(_is(codec, name) for name, _ in self.media.formats)

    def refuses(self) -> bool:
        """Return whether it refuses the offer it gets now."""
        if self.refusal.status < 300:
            return False
        if self.refusal.times:
            self.refusals_left -= 1
            return self.refusals_left >= 0
        return True

    def answer_offer(self, codec: str) -> None:
        """Note what it answers to an offer of this codec, with the numbers of the offer."""
        media = replace(self.media, formats=self.told.formats)
        if self.answers:
            media, self.answers = self.answers[0], self.answers[1:] or self.answers
        self.agree(Renegotiate(self.terms.held, codec, self.terms.sdp, media))

    def keep(self, offer: Reoffer) -> None:
        """Leave an offer without an answer; the last one that waits for its turn wins."""
        del self.unanswered[1:]
        self.unanswered.append(offer)


def _is(codec: str, name: str) -> bool:
    return codec.upper() == name.upper()
