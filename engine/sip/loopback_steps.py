"""What the phones and carriers of `engine.sip.loopback` can be told to do."""

from __future__ import annotations

import msgspec

from engine.core.media_values import DtmfMethod, LegMedia


class Ring(msgspec.Struct, frozen=True):
    """The peer sends a 18x without SDP."""

    status: int = 180
    reason: str = "Ringing"
    talk: bool = False


class Early(msgspec.Struct, frozen=True):
    """The peer sends a 1xx with SDP."""

    status: int = 183
    reason: str = "Session Progress"
    codec: str = "PCMU/8000"
    sdp: str = "v=0"
    talk: bool = False
    media: LegMedia | None = None
    """As of `Answer`."""


class Answer(msgspec.Struct, frozen=True):
    """The peer answers with 200 and SDP."""

    codec: str = "PCMU/8000"
    user_agent: str = "loopback phone"
    sdp: str = "v=0"
    media: LegMedia | None = None
    """Where it wants its media, None: at an address of its own in 192.0.2.0/24, in the clear, with
    `codec` and telephone-event."""


class Refuse(msgspec.Struct, frozen=True):
    """The peer refuses the INVITE with a final status.

    `q850` and `sip_cause` are its Reason, 0 for none; `contacts` those of a 3xx.
    """

    status: int = 486
    reason: str = "Busy Here"
    q850: int = 0
    contacts: tuple[str, ...] = ()
    sip_cause: int = 0


class Bye(msgspec.Struct, frozen=True):
    """The peer hangs up an answered leg; `q850` and `sip_cause` are its Reason, 0 for none."""

    q850: int = 0
    sip_cause: int = 0


class Refer(msgspec.Struct, frozen=True):
    """The peer of an answered leg asks for a transfer."""

    refer_to: str
    replaces: str = ""
    referred_by: str = ""


class Digit(msgspec.Struct, frozen=True):
    """The peer sends a DTMF digit."""

    digit: str
    duration_ms: int = 0
    method: DtmfMethod = DtmfMethod.INFO
    carried: bool = False
    """The media have taken it to the leg this one is joined with."""


class Renegotiate(msgspec.Struct, frozen=True):
    """The peer offers its media anew, by re-INVITE or UPDATE.

    Refused, and with that not reported, when it bypasses us and the other peer lacks the codec.
    """

    held: bool = False
    codec: str = "PCMU/8000"
    sdp: str = "v=0"
    media: LegMedia | None = None
    """Where it wants its media from now on, None: where it had them."""


class RefuseOffers(msgspec.Struct, frozen=True):
    """From now on the peer refuses every offer of ours inside the dialog; 200: it takes them."""

    status: int = 488
    reason: str = "Not Acceptable Here"
    times: int = 0
    """How many of them, 0: all."""


class AnswerOffers(msgspec.Struct, frozen=True):
    """From now on the peer answers offers of ours with these, in turn; the last one stays.

    Their formats count as they are, whatever was offered: a peer may have numbers of its own.
    """

    media: tuple[LegMedia, ...]


class HoldAnswers(msgspec.Struct, frozen=True):
    """From now on offers of ours are left without an answer, until `GiveAnswers`."""


class GiveAnswers(msgspec.Struct, frozen=True):
    """The peer answers what waits since `HoldAnswers`, and what comes later at once."""


class HearOut(msgspec.Struct, frozen=True):
    """What is played to the peer comes to its end."""


class Vanish(msgspec.Struct, frozen=True):
    """Nothing comes back any more: the stack gives the leg up by its timers."""


Step = (
    Ring
    | Early
    | Answer
    | Refuse
    | Renegotiate
    | RefuseOffers
    | AnswerOffers
    | HoldAnswers
    | GiveAnswers
    | Bye
    | Refer
    | Digit
    | HearOut
    | Vanish
)
