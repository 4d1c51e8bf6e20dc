"""The one table of causes: name, FreeSWITCH number, Q.850 code, SIP status both ways, result class.

Names, numbers and both SIP mappings are those of FreeSWITCH (switch_types.h, sofia_glue.c,
mod_sofia.c), which Kazoo passes through unchanged. Causes above 127 are no Q.850 codes; their
`q850` is the nearest code of ITU-T Q.850, so that an ending always has one.

docs/causes.md is written from this module (`make docs`): the table, and the rules below it.

One row is ours: NUMBER_BLOCKED, a number on a blocklist of the account. FreeSWITCH has no word for
it; CALL_REJECTED, whose Q.850 code and whose SIP status (that of Kazoo's own blacklists) it has,
would say that a person declined. Its number, 900, is out of reach of FreeSWITCH's.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.core.values import Party


class Result(StrEnum):
    """What a cause means to somebody who asked for a call."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    INVALID = "invalid"
    CANCELLED = "cancelled"
    FAILED = "failed"


class RemoteReason(StrEnum):
    """Which Reason headers (RFC 3326) of a peer decide the cause of an ending.

    Q.850 goes before SIP, and SIP before the SIP status: a gateway knows the cause better than the
    status that had to stand for it. FreeSWITCH honours Q.850 alone.
    """

    BOTH = "both"
    Q850 = "q850"
    SIP = "sip"
    NONE = "none"


class Cause(msgspec.Struct, frozen=True):
    """One row of the table."""

    name: str
    number: int
    """FreeSWITCH's number: the Q.850 code up to 127, its own above."""
    q850: int
    """Q.850 code, 0 only for NONE and SUCCESS, which end nothing."""
    sip_status: int
    """Final SIP status that says this to a peer."""
    result: Result


_A, _B, _N, _R = Result.ANSWERED, Result.BUSY, Result.NO_ANSWER, Result.REJECTED
_U, _I, _C, _F = Result.UNREACHABLE, Result.INVALID, Result.CANCELLED, Result.FAILED

_ROWS: tuple[tuple[str, int, int, int, Result], ...] = (
    ("NONE", 0, 0, 480, _F),
    ("UNALLOCATED_NUMBER", 1, 1, 404, _I),
    ("NO_ROUTE_TRANSIT_NET", 2, 2, 404, _I),
    ("NO_ROUTE_DESTINATION", 3, 3, 404, _I),
    ("CHANNEL_UNACCEPTABLE", 6, 6, 480, _F),
    ("CALL_AWARDED_DELIVERED", 7, 7, 480, _A),
    ("NORMAL_CLEARING", 16, 16, 480, _A),
    ("USER_BUSY", 17, 17, 486, _B),
    ("NO_USER_RESPONSE", 18, 18, 408, _N),
    ("NO_ANSWER", 19, 19, 480, _N),
    ("SUBSCRIBER_ABSENT", 20, 20, 480, _U),
    ("CALL_REJECTED", 21, 21, 603, _R),
    ("NUMBER_CHANGED", 22, 22, 410, _I),
    ("REDIRECTION_TO_NEW_DESTINATION", 23, 23, 410, _I),
    ("EXCHANGE_ROUTING_ERROR", 25, 25, 483, _F),
    ("DESTINATION_OUT_OF_ORDER", 27, 27, 502, _U),
    ("INVALID_NUMBER_FORMAT", 28, 28, 484, _I),
    ("FACILITY_REJECTED", 29, 29, 501, _R),
    ("RESPONSE_TO_STATUS_ENQUIRY", 30, 30, 480, _F),
    ("NORMAL_UNSPECIFIED", 31, 31, 480, _F),
    ("NORMAL_CIRCUIT_CONGESTION", 34, 34, 503, _F),
    ("NETWORK_OUT_OF_ORDER", 38, 38, 503, _U),
    ("NORMAL_TEMPORARY_FAILURE", 41, 41, 503, _F),
    ("SWITCH_CONGESTION", 42, 42, 503, _F),
    ("ACCESS_INFO_DISCARDED", 43, 43, 480, _F),
    ("REQUESTED_CHAN_UNAVAIL", 44, 44, 503, _F),
    ("PRE_EMPTED", 45, 45, 480, _C),
    ("FACILITY_NOT_SUBSCRIBED", 50, 50, 480, _R),
    ("OUTGOING_CALL_BARRED", 52, 52, 403, _R),
    ("INCOMING_CALL_BARRED", 54, 54, 403, _R),
    ("BEARERCAPABILITY_NOTAUTH", 57, 57, 403, _R),
    ("BEARERCAPABILITY_NOTAVAIL", 58, 58, 503, _F),
    ("SERVICE_UNAVAILABLE", 63, 63, 480, _F),
    ("BEARERCAPABILITY_NOTIMPL", 65, 65, 488, _F),
    ("CHAN_NOT_IMPLEMENTED", 66, 66, 480, _F),
    ("FACILITY_NOT_IMPLEMENTED", 69, 69, 501, _F),
    ("SERVICE_NOT_IMPLEMENTED", 79, 79, 501, _F),
    ("INVALID_CALL_REFERENCE", 81, 81, 480, _F),
    ("INCOMPATIBLE_DESTINATION", 88, 88, 488, _F),
    ("INVALID_MSG_UNSPECIFIED", 95, 95, 480, _F),
    ("MANDATORY_IE_MISSING", 96, 96, 480, _F),
    ("MESSAGE_TYPE_NONEXIST", 97, 97, 480, _F),
    ("WRONG_MESSAGE", 98, 98, 480, _F),
    ("IE_NONEXIST", 99, 99, 480, _F),
    ("INVALID_IE_CONTENTS", 100, 100, 480, _F),
    ("WRONG_CALL_STATE", 101, 101, 480, _F),
    ("RECOVERY_ON_TIMER_EXPIRE", 102, 102, 504, _U),
    ("MANDATORY_IE_LENGTH_ERROR", 103, 103, 480, _F),
    ("PROTOCOL_ERROR", 111, 111, 480, _F),
    ("INTERWORKING", 127, 127, 480, _F),
    ("SUCCESS", 142, 0, 200, _A),
    ("ORIGINATOR_CANCEL", 487, 16, 487, _C),
    ("CRASH", 700, 41, 480, _F),
    ("SYSTEM_SHUTDOWN", 701, 41, 480, _C),
    ("LOSE_RACE", 702, 26, 480, _C),
    ("MANAGER_REQUEST", 703, 16, 480, _C),
    ("BLIND_TRANSFER", 800, 16, 480, _A),
    ("ATTENDED_TRANSFER", 801, 16, 480, _A),
    ("ALLOTTED_TIMEOUT", 802, 19, 480, _N),
    ("USER_CHALLENGE", 803, 21, 480, _R),
    ("MEDIA_TIMEOUT", 804, 102, 480, _F),
    ("PICKED_OFF", 805, 26, 480, _C),
    ("USER_NOT_REGISTERED", 806, 20, 480, _U),
    ("PROGRESS_TIMEOUT", 807, 18, 480, _N),
    ("INVALID_GATEWAY", 808, 3, 484, _I),
    ("GATEWAY_DOWN", 809, 38, 503, _U),
    ("INVALID_URL", 810, 28, 484, _I),
    ("INVALID_PROFILE", 811, 27, 502, _I),
    ("NO_PICKUP", 812, 26, 480, _C),
    ("SRTP_READ_ERROR", 813, 41, 480, _F),
    ("BOWOUT", 814, 16, 480, _C),
    ("BUSY_EVERYWHERE", 815, 17, 600, _B),
    ("DECLINE", 816, 21, 603, _R),
    ("DOES_NOT_EXIST_ANYWHERE", 817, 1, 604, _I),
    ("NOT_ACCEPTABLE", 818, 88, 606, _F),
    ("UNWANTED", 819, 21, 607, _R),
    ("NO_IDENTITY", 820, 21, 428, _R),
    ("BAD_IDENTITY_INFO", 821, 21, 429, _R),
    ("UNSUPPORTED_CERTIFICATE", 822, 21, 437, _R),
    ("INVALID_IDENTITY", 823, 21, 438, _R),
    ("STALE_DATE", 824, 21, 403, _R),
    ("REJECT_ALL", 825, 21, 603, _R),
    ("NUMBER_BLOCKED", 900, 21, 603, _R),
)

CAUSES: dict[str, Cause] = {row[0]: Cause(*row) for row in _ROWS}
"""Every cause by name."""

_OF_Q850 = {c.number: c.name for c in CAUSES.values() if 0 < c.number <= 127}

_STATUSES: dict[str, tuple[int, ...]] = {
    "NORMAL_CLEARING": (200,),
    "CALL_REJECTED": (401, 402, 403, 407, 603, 608),
    "UNWANTED": (607,),
    "UNALLOCATED_NUMBER": (404,),
    "RECOVERY_ON_TIMER_EXPIRE": (408, 504),
    "NUMBER_CHANGED": (410,),
    "INTERWORKING": (413, 414, 416, 420, 421, 423, 505, 513),
    "NO_USER_RESPONSE": (480,),
    "NORMAL_TEMPORARY_FAILURE": (400, 481, 500, 503),
    "USER_BUSY": (486, 600),
    "NO_ROUTE_DESTINATION": (485, 604),
    "INVALID_NUMBER_FORMAT": (484,),
    "INCOMPATIBLE_DESTINATION": (488, 606),
    "NETWORK_OUT_OF_ORDER": (502,),
    "SERVICE_UNAVAILABLE": (405,),
    "SERVICE_NOT_IMPLEMENTED": (406, 415, 501),
    "EXCHANGE_ROUTING_ERROR": (482, 483),
    "ORIGINATOR_CANCEL": (487,),
    "NO_IDENTITY": (428,),
    "BAD_IDENTITY_INFO": (429,),
    "UNSUPPORTED_CERTIFICATE": (437,),
    "INVALID_IDENTITY": (438,),
}

_OF_STATUS = {status: name for name, statuses in _STATUSES.items() for status in statuses}

COMPLETED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
"""Reason of the CANCEL to the losers of a fork (RFC 3326 2): phones then show no missed call."""


def cause(name: str) -> Cause:
    """Return the row of a cause. Raises `ValueError` for a name that is not in the table."""
    try:
        return CAUSES[name]
    except KeyError:
        raise ValueError(
            f"cause: {name!r} is not a cause name; engine.core.causes.CAUSES has them all"
        ) from None


def cause_of_status(status: int) -> str:
    """Return the cause name of a final SIP status, NORMAL_UNSPECIFIED for one not in the table.

    >>> cause_of_status(486), cause_of_status(699)
    ('USER_BUSY', 'NORMAL_UNSPECIFIED')
    """
    return _OF_STATUS.get(status, "NORMAL_UNSPECIFIED")


def cause_of_q850(code: int) -> str:
    """Return the cause name of a Q.850 code, NORMAL_UNSPECIFIED for one not in the table."""
    return _OF_Q850.get(code, "NORMAL_UNSPECIFIED")


def status_of_cause(name: str) -> int:
    """Return the SIP status that refuses a leg with this cause. Raises `ValueError`."""
    return cause(name).sip_status


def q850_of_cause(name: str) -> int:
    """Return the Q.850 code of a cause, the nearest one above 127. Raises `ValueError`."""
    return cause(name).q850


def result_of_cause(name: str) -> Result:
    """Return the result class of a cause. Raises `ValueError` for an unknown name."""
    return cause(name).result


def reason_header(name: str) -> str:
    """Return the value of the Reason header (RFC 3326) that tells a peer this cause.

    Q.850 codes as such, the others by their SIP status; losing a fork has its own text. A cause
    whose SIP status means just that cause is told by both, one value for each protocol as RFC 3326
    2 allows, Q.850 first because FreeSWITCH reads the first value only. Raises `ValueError`.

    >>> reason_header("NORMAL_CLEARING")
    'Q.850;cause=16;text="NORMAL_CLEARING"'
    >>> reason_header("USER_BUSY")
    'Q.850;cause=17;text="USER_BUSY", SIP;cause=486;text="USER_BUSY"'
    """
    row = cause(name)
    if row.name == "LOSE_RACE":
        return COMPLETED_ELSEWHERE
    q850 = f'Q.850;cause={row.number};text="{row.name}"'
    sip = f'SIP;cause={row.sip_status};text="{row.name}"'
    if not 0 < row.number <= 127:
        return sip
    return f"{q850}, {sip}" if cause_of_status(row.sip_status) == row.name else q850


class Ending(msgspec.Struct, frozen=True):
    """Why a leg or an originate ended. Every field is always filled in."""

    cause: str
    q850: int
    sip_status: int
    """0 when nothing came from the wire."""
    reason: str
    party: Party


def ending_by_us(name: str, party: Party, reason: str = "") -> Ending:
    """Return the ending of a call that this side ended.

    Its SIP status is the one the cause maps to, but 200 for those that end only what
    was answered.
    """
    row = cause(name)
    status = 200 if row.result is Result.ANSWERED else row.sip_status
    return Ending(name, row.q850, status, reason or name, party)


def ending_by_peer(
    *,
    answered: bool,
    sip_status: int,
    q850: int,
    reason: str,
    party: Party,
    sip_cause: int = 0,
    honour: RemoteReason = RemoteReason.BOTH,
) -> Ending:
    """Return the ending of a leg that this side did not end.

    `q850` and `sip_cause` are those of the peer's Reason headers, 0 for none; what `honour` leaves
    of them wins over the SIP status. Without any the party decides: nothing came back
    (RECOVERY_ON_TIMER_EXPIRE), or the stack did not start the leg (SWITCH_CONGESTION). A 200 that
    ended an unanswered leg had no usable SDP (INCOMPATIBLE_DESTINATION); where the stack gave an
    answered one up, the status says why.
    """
    # What this side's policy says is no word of a peer that somebody may not want to believe.
    believed = party is Party.POLICY or honour in (RemoteReason.BOTH, RemoteReason.Q850)
    if 0 < q850 <= 127 and believed:
        name = cause_of_q850(q850)
        return Ending(name, q850, sip_status, reason or name, party)
    told = _told_by(sip_cause, answered=answered)
    if told and honour in (RemoteReason.BOTH, RemoteReason.SIP):
        name = told
    elif answered and party is Party.POLICY and sip_status >= 300:
        name = cause_of_status(sip_status)
    elif answered:
        name = "RECOVERY_ON_TIMER_EXPIRE" if party is Party.TIMEOUT else "NORMAL_CLEARING"
    elif 200 <= sip_status < 300:
        name = "INCOMPATIBLE_DESTINATION"
    elif sip_status:
        name = cause_of_status(sip_status)
    elif party is Party.TIMEOUT:
        name = "RECOVERY_ON_TIMER_EXPIRE"
    elif party is Party.POLICY:
        name = "SWITCH_CONGESTION"
    else:
        name = "NORMAL_UNSPECIFIED"
    return Ending(name, CAUSES[name].q850, sip_status, reason or name, party)


def _told_by(sip_cause: int, *, answered: bool) -> str:
    """Return what a `Reason: SIP` says: a final status, or 200, "Call completed elsewhere"."""
    if sip_cause == 200:
        return "NORMAL_CLEARING" if answered else "LOSE_RACE"
    return cause_of_status(sip_cause) if 300 <= sip_cause < 700 else ""


TELLING = (
    Result.BUSY,
    Result.REJECTED,
    Result.NO_ANSWER,
    Result.UNREACHABLE,
    Result.INVALID,
    Result.FAILED,
    Result.CANCELLED,
    Result.ANSWERED,
)
"""Result classes of failed attempts, the one that says most first."""


def most_telling(endings: list[Ending]) -> Ending:
    """Return the ending that stands for several failed attempts.

    What a person did (busy, rejected, no answer) says more than that a phone could not be reached,
    and that more than a fault. Of one result class a peer says more than this side's policy, then
    the cause that stands first in the table; so the cause does not depend on the order of the
    endings. Of one cause: the earliest. Raises `ValueError` when there is none.
    """
    if not endings:
        raise ValueError("endings: [] is not allowed; allowed: at least one ending")
    return min(endings, key=_silence)


def _silence(ending: Ending) -> tuple[int, bool, int]:
    row = cause(ending.cause)
    return TELLING.index(row.result), ending.party is Party.POLICY, row.number


def is_reject(name: str, rule: bool | frozenset[str]) -> bool:
    """Return whether one attempt that failed so ends the ringing of all.

    `rule` False: never. True: when somebody refused the call (busy, declined). Names: when it is
    one of those causes.
    """
    if isinstance(rule, frozenset):
        return name in rule
    return rule and result_of_cause(name) in (Result.BUSY, Result.REJECTED)


def worth_another_try(name: str) -> bool:
    """Return whether the next carrier of a hunt may do better.

    So after 5xx, 408 and carriers that could not be reached. Busy, rejected, unanswered and invalid
    numbers are the answer of the called side and stay so.
    """
    return result_of_cause(name) in (Result.UNREACHABLE, Result.FAILED)
