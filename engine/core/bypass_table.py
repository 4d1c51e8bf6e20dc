"""The transition table of a bypass; the theory stands in `engine.core.bypass`."""

from __future__ import annotations

from enum import StrEnum

from engine.core.machine import Table, Transition, ignore, refuse


class BypassState(StrEnum):
    """Where the media of two joined legs go."""

    ANCHORED = "anchored"
    SETTLING = "settling"
    DIRECT = "direct"
    RETURNING = "returning"


class BypassInput(StrEnum):
    """What can happen to the media of two joined legs."""

    START = "start"
    AGREED = "agreed"
    REFUSED = "refused"
    CHANGED = "changed"
    SETTLED = "settled"
    PULL_BACK = "pull_back"
    RETURNED = "returned"


_S, _I = BypassState, BypassInput
_NOBODY_ASKED = refuse("no peer has been asked", _I.AGREED, _I.REFUSED)
_NOT_SETTLING = refuse("nothing is being settled", _I.SETTLED)
_NOT_RETURNING = refuse("nobody is on the way back", _I.RETURNED)
_ONCE = refuse("media that go past the engine, or are about to, are not sent there again", _I.START)

BYPASS_TABLE: Table[BypassState, BypassInput] = Table(
    "bypass",
    BypassState,
    BypassInput,
    {
        _S.ANCHORED: {
            _I.START: Transition(_S.SETTLING, "settle"),
            **_NOBODY_ASKED,
            **ignore("the peers send to the engine", _I.CHANGED, _I.PULL_BACK),
            **_NOT_SETTLING,
            **_NOT_RETURNING,
        },
        _S.SETTLING: {
            **_ONCE,
            _I.AGREED: Transition(_S.SETTLING, "settle"),
            _I.REFUSED: Transition(_S.RETURNING, "bring_back"),
            **ignore("looked at when the peer that was asked has answered", _I.CHANGED),
            _I.SETTLED: Transition(_S.DIRECT, "free"),
            _I.PULL_BACK: Transition(_S.RETURNING, "bring_back"),
            **_NOT_RETURNING,
        },
        _S.DIRECT: {
            **_ONCE,
            **_NOBODY_ASKED,
            _I.CHANGED: Transition(_S.SETTLING, "settle"),
            **_NOT_SETTLING,
            _I.PULL_BACK: Transition(_S.RETURNING, "bring_back"),
            **_NOT_RETURNING,
        },
        _S.RETURNING: {
            **_ONCE,
            _I.AGREED: Transition(_S.RETURNING, "bring_back"),
            _I.REFUSED: Transition(_S.RETURNING, "bring_back"),
            **ignore("the peer is told to come back, or has come", _I.CHANGED),
            **_NOT_SETTLING,
            **ignore("both are on the way back", _I.PULL_BACK),
            _I.RETURNED: Transition(_S.ANCHORED, "rejoin"),
        },
    },
)
