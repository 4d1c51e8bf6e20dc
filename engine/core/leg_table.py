"""The transition table of a leg; the theory stands in `engine.core.leg`."""

from __future__ import annotations

from enum import StrEnum

from engine.core.machine import Table, Transition, ignore, refuse
from engine.core.values import LegState


class LegInput(StrEnum):
    """What can happen to a leg."""

    DIAL = "dial"
    DIALED = "dialed"
    RANG = "rang"
    EARLY_MEDIA = "early_media"
    ANSWERED = "answered"
    RENEGOTIATED = "renegotiated"
    HOPS = "hops"
    HANG_UP = "hang_up"
    ENDED = "ended"
    GONE = "gone"
    """As ENDED, of a leg whose recording is not complete."""
    RECORDED = "recorded"
    DEADLINE = "deadline"


_S, _I = LegState, LegInput
_ONCE = refuse("a leg is dialled once", _I.DIAL)
_END = Transition(_S.ENDED, "end")
_RELEASE = Transition(_S.ENDING, "release")
_EXPIRE = Transition(_S.ENDING, "expire_attempt")
_NOT_ANSWERED = ignore("early offers and answers change nothing that is bridged", _I.RENEGOTIATED)
_LIVES = ignore("the leg lives on when its recording is over", _I.RECORDED)
_NOT_RECORDED = refuse("only an answered leg is recorded", _I.GONE)
_WRITE = Transition(_S.WRITING, "keep_end")
_KNOWN = ignore("the INVITE has been answered, whichever hop it took", _I.HOPS)

LEG_TABLE: Table[LegState, LegInput] = Table(
    "leg",
    LegState,
    LegInput,
    {
        _S.IDLE: {
            _I.DIAL: Transition(_S.DIALING, "dial"),
            **refuse(
                "the stack has never heard of this leg",
                *(_I.DIALED, _I.RANG, _I.EARLY_MEDIA, _I.ANSWERED, _I.RENEGOTIATED, _I.HOPS),
                *(_I.ENDED, _I.GONE, _I.RECORDED),
            ),
            _I.HANG_UP: Transition(_S.ENDED, "drop"),
            _I.DEADLINE: Transition(_S.DIALING, "dial"),
        },
        _S.DIALING: {
            **_ONCE,
            _I.DIALED: Transition(_S.DIALING, "note_dialed"),
            _I.RANG: Transition(_S.RINGING, "ring"),
            _I.EARLY_MEDIA: Transition(_S.EARLY, "hear"),
            _I.ANSWERED: Transition(_S.ANSWERED, "answer"),
            **_NOT_ANSWERED,
            _I.HOPS: Transition(_S.DIALING, "note_hops"),
            _I.HANG_UP: _RELEASE,
            _I.ENDED: _END,
            **_NOT_RECORDED,
            **_LIVES,
            _I.DEADLINE: _EXPIRE,
        },
        _S.RINGING: {
            **_ONCE,
            _I.DIALED: Transition(_S.RINGING, "note_dialed"),
            **ignore("a repeated 18x tells nothing new", _I.RANG),
            _I.EARLY_MEDIA: Transition(_S.EARLY, "hear"),
            _I.ANSWERED: Transition(_S.ANSWERED, "answer"),
            **_NOT_ANSWERED,
            **_KNOWN,
            _I.HANG_UP: _RELEASE,
            _I.ENDED: _END,
            **_NOT_RECORDED,
            **_LIVES,
            _I.DEADLINE: _EXPIRE,
        },
        _S.EARLY: {
            **_ONCE,
            _I.DIALED: Transition(_S.EARLY, "note_dialed"),
            _I.RANG: Transition(_S.EARLY, "ring"),
            **ignore(
                "only the first SDP of a dialog is the answer (RFC 3261 13.2.1)", _I.EARLY_MEDIA
            ),
            _I.ANSWERED: Transition(_S.ANSWERED, "answer"),
            **_NOT_ANSWERED,
            **_KNOWN,
            _I.HANG_UP: _RELEASE,
            _I.ENDED: _END,
            **_NOT_RECORDED,
            **_LIVES,
            _I.DEADLINE: _EXPIRE,
        },
        _S.ANSWERED: {
            **_ONCE,
            _I.DIALED: Transition(_S.ANSWERED, "note_dialed"),
            **ignore(
                "a provisional response overtaken by the 200 on its way", _I.RANG, _I.EARLY_MEDIA
            ),
            **ignore("a repeated 200; the stack has acknowledged it again", _I.ANSWERED),
            _I.RENEGOTIATED: Transition(_S.ANSWERED, "renegotiate"),
            **_KNOWN,
            _I.HANG_UP: _RELEASE,
            _I.ENDED: _END,
            _I.GONE: _WRITE,
            **_LIVES,
            **refuse("the deadline was cleared by the answer", _I.DEADLINE),
        },
        _S.ENDING: {
            **_ONCE,
            _I.DIALED: Transition(_S.ENDING, "note_dialed"),
            **ignore("a provisional response crossed our CANCEL", _I.RANG, _I.EARLY_MEDIA),
            **ignore(
                "a 200 crossed our CANCEL; the stack acknowledges it and sends BYE", _I.ANSWERED
            ),
            **ignore("the leg is being released", _I.RENEGOTIATED, _I.HOPS, _I.HANG_UP),
            _I.ENDED: _END,
            _I.GONE: _WRITE,
            **_LIVES,
            _I.DEADLINE: Transition(_S.ENDED, "give_up"),
        },
        _S.WRITING: {
            **_ONCE,
            **ignore(
                "the dialog is over",
                *(_I.DIALED, _I.RANG, _I.EARLY_MEDIA, _I.ANSWERED, _I.RENEGOTIATED, _I.HOPS),
                *(_I.ENDED, _I.GONE),
            ),
            _I.HANG_UP: Transition(_S.WRITING, "note_release"),
            _I.RECORDED: Transition(_S.ENDED, "end_as_kept"),
            _I.DEADLINE: Transition(_S.ENDED, "end_as_kept"),
        },
        _S.ENDED: {
            **_ONCE,
            **ignore(
                "late: the leg is over",
                *(_I.DIALED, _I.RANG, _I.EARLY_MEDIA, _I.ANSWERED, _I.RENEGOTIATED, _I.HOPS),
                *(_I.HANG_UP, _I.ENDED, _I.GONE, _I.RECORDED),
            ),
            **refuse("the deadline was cleared when the leg ended", _I.DEADLINE),
        },
    },
)
