"""The transition table of an originate; the theory stands in `engine.core.originate`."""

from __future__ import annotations

from enum import StrEnum

from engine.core.machine import Ignore, Refuse, Table, Transition, ignore, refuse


class OriginateState(StrEnum):
    """States of an originate."""

    NEW = "new"
    RINGING = "ringing"
    EARLY = "early"
    ROUTING = "routing"
    CONNECTING = "connecting"
    TALKING = "talking"
    TRANSFERRING = "transferring"
    ANNOUNCING = "announcing"
    PARKED = "parked"
    ENDING = "ending"
    ENDED = "ended"


class OriginateInput(StrEnum):
    """What can happen to an originate.

    A: the rung side, B: the dialled side. Once two legs talk, A_LEFT and B_LEFT are the ends of the
    near and the far one of them, whoever they are after transfers.
    """

    START = "start"
    NOBODY = "nobody"
    REFUSED = "refused"
    A_EARLY_MEDIA = "a_early_media"
    A_ANSWERED = "a_answered"
    ATTEMPT_FAILED = "attempt_failed"
    A_GROUP_FAILED = "a_group_failed"
    RINGING_FAILED = "ringing_failed"
    A_LEFT = "a_left"
    ROUTED = "routed"
    UNROUTABLE = "unroutable"
    B_EARLY_MEDIA = "b_early_media"
    B_ANSWERED = "b_answered"
    B_ATTEMPT_FAILED = "b_attempt_failed"
    B_GROUP_FAILED = "b_group_failed"
    B_FAILED = "b_failed"
    B_LEFT = "b_left"
    TRANSFER = "transfer"
    TRANSFER_FAILED = "transfer_failed"
    TRANSFEROR_LEFT = "transferor_left"
    TAKE_OVER = "take_over"
    GIVE_AWAY = "give_away"
    PARK = "park"
    BRIDGE = "bridge"
    ROUTE = "route"
    JOIN = "join"
    NEAR_STAYS = "near_stays"
    ANNOUNCE = "announce"
    ANNOUNCED = "announced"
    LEG_GONE = "leg_gone"
    LAST_LEG_GONE = "last_leg_gone"
    TIMEOUT = "timeout"
    HANG_UP = "hang_up"


_S, _I = OriginateState, OriginateInput
Row = dict[OriginateInput, Transition[OriginateState] | Ignore | Refuse]

_STARTED: Row = {**refuse("an originate starts once", _I.START, _I.NOBODY, _I.REFUSED)}
_NO_B: Row = {
    **refuse(
        "nobody has been dialled yet",
        *(
            _I.B_EARLY_MEDIA,
            _I.B_ANSWERED,
            _I.B_ATTEMPT_FAILED,
            _I.B_GROUP_FAILED,
            _I.B_FAILED,
            _I.B_LEFT,
        ),
    )
}
_NOT_ASKED: Row = {**refuse("the router has not been asked", _I.ROUTED, _I.UNROUTABLE)}
_ANSWERED_ONCE: Row = {
    **refuse(
        "A has answered and its other attempts were given up",
        *(_I.A_EARLY_MEDIA, _I.A_ANSWERED, _I.ATTEMPT_FAILED, _I.A_GROUP_FAILED),
        _I.RINGING_FAILED,
    )
}
_NO_TRANSFER: Row = {
    **refuse(
        "only two who talk are transferred",
        *(_I.TRANSFER, _I.TRANSFER_FAILED, _I.TRANSFEROR_LEFT, _I.TAKE_OVER, _I.GIVE_AWAY),
    )
}
_NOT_PARKED: Row = {
    **refuse("only who waits for orders gets one", _I.BRIDGE, _I.ROUTE, _I.JOIN),
}
_NO_ORDER: Row = {
    **_NOT_PARKED,
    **refuse("nobody has answered who could wait for orders", _I.PARK, _I.NEAR_STAYS),
}
_PARK: Row = {**_NOT_PARKED, _I.PARK: Transition(_S.PARKED, "wait_for_orders")}
_NEAR_STAYS = Transition(_S.PARKED, "wait_again")
_NOBODY_LEFT: Row = {**refuse("nobody is bridged by order", _I.NEAR_STAYS)}
_NOT_ANNOUNCING: Row = {
    **refuse("only who waits for a side that failed is told so", _I.ANNOUNCE, _I.ANNOUNCED)
}
_ANNOUNCE: Row = {
    _I.ANNOUNCE: Transition(_S.ANNOUNCING, "announce"),
    **refuse("nothing is announced", _I.ANNOUNCED),
}
_ANNOUNCED = Transition(_S.ENDING, "release_announced")
_RESOLVED: Row = {**refuse("the router answers once", _I.ROUTED, _I.UNROUTABLE)}
_LOSER_GONE: Row = {**ignore("a loser has gone, it was given up before", _I.LEG_GONE)}
_STILL_ALIVE: Row = {**refuse("the last leg is counted only while ending", _I.LAST_LEG_GONE)}

ORIGINATE_TABLE: Table[OriginateState, OriginateInput] = Table(
    "originate",
    OriginateState,
    OriginateInput,
    {
        _S.NEW: {
            **_NO_ORDER,
            **_NOT_ANNOUNCING,
            **_NO_TRANSFER,
            _I.START: Transition(_S.RINGING, "ring"),
            _I.NOBODY: Transition(_S.ENDED, "finish"),
            _I.REFUSED: Transition(_S.ENDED, "finish"),
            **refuse(
                "nothing has been dialled",
                *(_I.A_EARLY_MEDIA, _I.A_ANSWERED, _I.ATTEMPT_FAILED, _I.A_GROUP_FAILED),
                *(_I.RINGING_FAILED, _I.A_LEFT),
                *(_I.LEG_GONE, _I.LAST_LEG_GONE, _I.TIMEOUT, _I.HANG_UP),
            ),
            **_NOT_ASKED,
            **_NO_B,
        },
        _S.RINGING: {
            **_NO_ORDER,
            **_NOT_ANNOUNCING,
            **_NO_TRANSFER,
            **_STARTED,
            _I.A_EARLY_MEDIA: Transition(_S.EARLY, "win_early"),
            _I.A_ANSWERED: Transition(_S.ROUTING, "win"),
            **ignore("other attempts go on", _I.ATTEMPT_FAILED),
            _I.A_GROUP_FAILED: Transition(_S.RINGING, "ring_next"),
            _I.RINGING_FAILED: Transition(_S.ENDING, "release"),
            **refuse("no attempt has won", _I.A_LEFT),
            **_NOT_ASKED,
            **_NO_B,
            **ignore("an attempt that nobody answered in time has gone", _I.LEG_GONE),
            **_STILL_ALIVE,
            _I.TIMEOUT: Transition(_S.ENDING, "release"),
            _I.HANG_UP: Transition(_S.ENDING, "release"),
        },
        _S.EARLY: {
            **_NO_ORDER,
            **_NOT_ANNOUNCING,
            **_NO_TRANSFER,
            **_STARTED,
            **refuse("one early stream wins, its rivals were given up", _I.A_EARLY_MEDIA),
            _I.A_ANSWERED: Transition(_S.ROUTING, "ask"),
            **refuse("the rivals of the winner were given up", _I.ATTEMPT_FAILED),
            **refuse("the groups after that of the winner were left alone", _I.A_GROUP_FAILED),
            _I.RINGING_FAILED: Transition(_S.ENDING, "release"),
            **refuse("the winner has not answered", _I.A_LEFT),
            **_NOT_ASKED,
            **_NO_B,
            **_LOSER_GONE,
            **_STILL_ALIVE,
            _I.TIMEOUT: Transition(_S.ENDING, "release"),
            _I.HANG_UP: Transition(_S.ENDING, "release"),
        },
        _S.ROUTING: {
            **_PARK,
            **_NOBODY_LEFT,
            **_ANNOUNCE,
            **_NO_TRANSFER,
            **_STARTED,
            **_ANSWERED_ONCE,
            _I.A_LEFT: Transition(_S.ENDING, "release"),
            _I.ROUTED: Transition(_S.CONNECTING, "dial_next"),
            _I.UNROUTABLE: Transition(_S.ENDING, "release"),
            **_NO_B,
            **_LOSER_GONE,
            **_STILL_ALIVE,
            _I.TIMEOUT: Transition(_S.ENDING, "release"),
            _I.HANG_UP: Transition(_S.ENDING, "release"),
        },
        _S.CONNECTING: {
            **_PARK,
            _I.NEAR_STAYS: _NEAR_STAYS,
            **_ANNOUNCE,
            **_NO_TRANSFER,
            **_STARTED,
            **_ANSWERED_ONCE,
            _I.A_LEFT: Transition(_S.ENDING, "release"),
            **_RESOLVED,
            _I.B_EARLY_MEDIA: Transition(_S.CONNECTING, "hear"),
            _I.B_ANSWERED: Transition(_S.TALKING, "connect"),
            **ignore("other attempts of the group go on", _I.B_ATTEMPT_FAILED),
            _I.B_GROUP_FAILED: Transition(_S.CONNECTING, "dial_next"),
            _I.B_FAILED: Transition(_S.ENDING, "release"),
            **refuse("B has not answered", _I.B_LEFT),
            **_LOSER_GONE,
            **_STILL_ALIVE,
            _I.TIMEOUT: Transition(_S.ENDING, "release"),
            _I.HANG_UP: Transition(_S.ENDING, "release"),
        },
        _S.TALKING: {
            **_PARK,
            _I.NEAR_STAYS: _NEAR_STAYS,
            **_NOT_ANNOUNCING,
            **_STARTED,
            **_ANSWERED_ONCE,
            _I.A_LEFT: Transition(_S.ENDING, "release"),
            **_RESOLVED,
            **refuse(
                "B has answered and its other attempts were given up",
                *(
                    _I.B_EARLY_MEDIA,
                    _I.B_ANSWERED,
                    _I.B_ATTEMPT_FAILED,
                    _I.B_GROUP_FAILED,
                    _I.B_FAILED,
                ),
            ),
            _I.B_LEFT: Transition(_S.ENDING, "release"),
            _I.TRANSFER: Transition(_S.TRANSFERRING, "dial_transfer"),
            **refuse("no transfer is under way", _I.TRANSFER_FAILED, _I.TRANSFEROR_LEFT),
            _I.TAKE_OVER: Transition(_S.TALKING, "take_over_leg"),
            _I.GIVE_AWAY: Transition(_S.ENDING, "release"),
            **_LOSER_GONE,
            **_STILL_ALIVE,
            _I.TIMEOUT: Transition(_S.ENDING, "release"),
            _I.HANG_UP: Transition(_S.ENDING, "release"),
        },
        _S.TRANSFERRING: {
            **_NO_ORDER,
            **_ANNOUNCE,
            **_STARTED,
            **_ANSWERED_ONCE,
            _I.A_LEFT: Transition(_S.ENDING, "release"),
            **_RESOLVED,
            _I.B_EARLY_MEDIA: Transition(_S.TRANSFERRING, "hear"),
            _I.B_ANSWERED: Transition(_S.TALKING, "complete_transfer"),
            **ignore("other attempts of the group go on", _I.B_ATTEMPT_FAILED),
            _I.B_GROUP_FAILED: Transition(_S.TRANSFERRING, "dial_next"),
            _I.B_FAILED: Transition(_S.ENDING, "release"),
            **refuse("who is transferred is the near leg", _I.B_LEFT),
            **refuse("one transfer at a time", _I.TRANSFER, _I.TAKE_OVER, _I.GIVE_AWAY),
            _I.TRANSFER_FAILED: Transition(_S.TALKING, "abandon_transfer"),
            _I.TRANSFEROR_LEFT: Transition(_S.TRANSFERRING, "go_on_without_transferor"),
            **_LOSER_GONE,
            **_STILL_ALIVE,
            **refuse("it ends the attempts of the transfer, which fails then", _I.TIMEOUT),
            _I.HANG_UP: Transition(_S.ENDING, "release"),
        },
        _S.PARKED: {
            **_NOT_ANNOUNCING,
            **_STARTED,
            **_ANSWERED_ONCE,
            _I.A_LEFT: Transition(_S.ENDING, "release"),
            **_RESOLVED,
            **refuse(
                "nobody is rung and nobody is talked to",
                *(_I.B_EARLY_MEDIA, _I.B_ANSWERED, _I.B_ATTEMPT_FAILED, _I.B_GROUP_FAILED),
                *(_I.B_FAILED, _I.B_LEFT),
            ),
            **refuse(
                "only two who talk are transferred",
                *(_I.TRANSFER, _I.TRANSFER_FAILED, _I.TRANSFEROR_LEFT, _I.TAKE_OVER),
            ),
            _I.GIVE_AWAY: Transition(_S.ENDING, "release"),
            **ignore("it waits for orders already", _I.PARK),
            _I.BRIDGE: Transition(_S.CONNECTING, "dial_next"),
            _I.ROUTE: Transition(_S.ROUTING, "ask_anew"),
            _I.JOIN: Transition(_S.TALKING, "join"),
            **_NOBODY_LEFT,
            **_LOSER_GONE,
            **_STILL_ALIVE,
            _I.TIMEOUT: Transition(_S.ENDING, "release"),
            _I.HANG_UP: Transition(_S.ENDING, "release"),
        },
        _S.ANNOUNCING: {
            **_NO_ORDER,
            **_NO_TRANSFER,
            **_STARTED,
            **_ANSWERED_ONCE,
            **refuse("one announcement ends the call", _I.ANNOUNCE),
            _I.ANNOUNCED: _ANNOUNCED,
            _I.A_LEFT: _ANNOUNCED,
            **ignore("the router answered after the call had failed", _I.ROUTED, _I.UNROUTABLE),
            **refuse(
                "every attempt has failed",
                *(_I.B_EARLY_MEDIA, _I.B_ANSWERED, _I.B_ATTEMPT_FAILED, _I.B_GROUP_FAILED),
                *(_I.B_FAILED, _I.B_LEFT),
            ),
            **_LOSER_GONE,
            **_STILL_ALIVE,
            _I.TIMEOUT: _ANNOUNCED,
            _I.HANG_UP: _ANNOUNCED,
        },
        _S.ENDING: {
            **_NO_ORDER,
            **_NOT_ANNOUNCING,
            **_NO_TRANSFER,
            **_STARTED,
            **_ANSWERED_ONCE,
            **ignore("the router answered after the call had ended", _I.ROUTED, _I.UNROUTABLE),
            **refuse(
                "every leg has been given up",
                *(_I.A_LEFT, _I.B_EARLY_MEDIA, _I.B_ANSWERED, _I.B_ATTEMPT_FAILED),
                *(_I.B_GROUP_FAILED, _I.B_FAILED, _I.B_LEFT),
            ),
            **ignore("legs of it are left", _I.LEG_GONE),
            _I.LAST_LEG_GONE: Transition(_S.ENDED, "finish"),
            **refuse("the deadline was cleared", _I.TIMEOUT),
            **ignore("the call is ending already", _I.HANG_UP),
        },
        _S.ENDED: {
            **_NO_ORDER,
            **_NOT_ANNOUNCING,
            **_NO_TRANSFER,
            **ignore("the router answered after the call had ended", _I.ROUTED, _I.UNROUTABLE),
            **ignore("the call is over", _I.HANG_UP),
            **_STARTED,
            **refuse(
                "the terminal event has been told and no leg is left",
                *(_I.A_EARLY_MEDIA, _I.A_ANSWERED, _I.ATTEMPT_FAILED, _I.A_GROUP_FAILED),
                *(_I.RINGING_FAILED, _I.A_LEFT),
                *(
                    _I.B_EARLY_MEDIA,
                    _I.B_ANSWERED,
                    _I.B_ATTEMPT_FAILED,
                    _I.B_GROUP_FAILED,
                    _I.B_FAILED,
                ),
                *(_I.B_LEFT, _I.LEG_GONE, _I.LAST_LEG_GONE, _I.TIMEOUT),
            ),
        },
    },
)
