"""What is said of the end of an originate and of its legs."""

from __future__ import annotations

from engine.core.causes import Ending
from engine.core.leg import Leg
from engine.core.leg_plans import Subject
from engine.core.ringing import Ringing
from engine.core.values import Outcome, Party

_LIVES = Ending("SUCCESS", 0, 200, "OK", Party.REMOTE)


def outcome_of(
    subject: Subject,
    sides: list[Ringing],
    a: Leg | None,
    ending: Ending | None,
    now: float,
    *,
    answered: bool,
    final: bool,
) -> Outcome:
    """Return what became of an originate, every attempt included; no `ending`: it lives."""
    ending = ending or _LIVES
    attempts = (leg.attempt(now) for side in sides for leg in side.tried)
    unsent = (attempt for side in sides for attempt, _ in side.unsent)
    return Outcome(
        subject.id,
        subject.request.account_id,
        answered,
        a.invite.call_id if a else "",
        ending.cause,
        ending.q850,
        ending.sip_status,
        ending.reason,
        ending.party,
        (*attempts, *unsent),
        final,
        subject.number,
        subject.filter_note,
    )


def cause_for(leg: Leg, ending: Ending) -> str:
    """Return why a leg is released when the call ends so.

    A leg that has not answered is cancelled, unless it rang too long or everything is shut down;
    one that has is told why the call ended, but not that it cancelled itself.
    """
    if leg.answered_at is None:
        told = ending.cause in ("NO_ANSWER", "SYSTEM_SHUTDOWN")
        return ending.cause if told else "ORIGINATOR_CANCEL"
    return "NORMAL_CLEARING" if ending.cause == "ORIGINATOR_CANCEL" else ending.cause
