"""Attempts in order, in time, and what stands in for one that failed."""

from typing import Any

import pytest

from engine.core.attempts import Target, chained
from engine.core.errors import Conflict
from engine.core.events import HopsFound
from engine.core.limits import Limits
from engine.core.redirects import redirect_contacts
from engine.core.values import DialMethod, LegId, Party, Refusal
from tests.unit.core.rig import START, Rig, carrier, device

ALICE = device("alice", "10.0.0.1", "10.0.0.2")
DESK = device("desk", "10.0.0.3")


def one_after_the_other(**changes: Any) -> Rig:
    rig = Rig()
    rig.originate(ALICE, DESK, dial_method=DialMethod.SINGLE, **changes)
    return rig


# --- hunting ------------------------------------------------------------------------------------


def test_one_after_the_other_until_somebody_answers() -> None:
    rig = one_after_the_other()
    assert rig.orders() == ["dial 1"]
    rig.ends(1, 486)
    assert rig.orders() == ["dial 1", "dial 2"]
    rig.ends(2, 404)
    rig.answers(3)
    assert rig.names()[-2:] == ["ANSWER 3", "answered"]
    assert [(a.sip_status, a.cause) for a in rig.answered().attempts] == [
        (486, "USER_BUSY"),
        (404, "UNALLOCATED_NUMBER"),
        (200, "SUCCESS"),
    ]
    assert rig.hangups() == {}


def test_a_hunt_that_nobody_answers_has_the_most_telling_cause() -> None:
    rig = one_after_the_other()
    for leg, status in ((1, 503), (2, 486), (3, 404)):
        rig.ends(leg, status)
    outcome = rig.outcome()
    assert (outcome.cause, outcome.sip_status) == ("USER_BUSY", 486)
    assert len(outcome.attempts) == 3
    assert rig.is_empty()


def test_what_is_planned_is_known_before_it_is_dialled() -> None:
    rig = one_after_the_other(call_id="mine")
    planned = rig.control.planned(rig.control.originate_of("mine"))  # type: ignore[arg-type]
    assert [p.call_id for p in planned] == ["mine", "mine-2", "mine-3"]
    assert rig.control.originate_of("mine-3") is not None
    assert [d.call_id for d in rig.dials()] == ["mine"]
    rig.hangs_up()
    rig.ends(1, 487, party=Party.LOCAL)
    assert rig.control.originate_of("mine") is None
    assert [a.call_id for a in rig.outcome().attempts] == ["mine"], "the others were not tried"


def test_a_chosen_call_id_belongs_to_one_call_at_a_time() -> None:
    rig = Rig()
    rig.originate(ALICE, call_id="mine")
    with pytest.raises(Conflict, match="call_id: 'mine-2'"):
        rig.originate(DESK, originate_id="req-2", call_id="mine-2")
    rig.originate(DESK, originate_id="req-3", call_id="other")
    assert [d.call_id for d in rig.dials()] == ["mine", "mine-2", "other"]


@pytest.mark.parametrize(
    ("rule", "status", "goes_on"),
    [
        (True, 486, False),
        (True, 603, False),
        (True, 404, True),
        (True, 503, True),
        (False, 603, True),
        (frozenset({"USER_BUSY"}), 486, False),
        (frozenset({"USER_BUSY"}), 603, True),
    ],
)
def test_fail_on_single_reject(rule: Any, status: int, goes_on: bool) -> None:
    rig = Rig()
    rig.originate(ALICE, fail_on_single_reject=rule)
    rig.ends(1, status)
    assert (rig.hangups() == {}) is goes_on
    if not goes_on:
        rig.ends(2, 487, party=Party.LOCAL)
        assert rig.outcome().sip_status == status


# --- time ---------------------------------------------------------------------------------------


def test_a_delayed_attempt_is_dialled_later() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), device("desk", "10.0.0.3", delay=5.0))
    assert rig.orders() == ["dial 1"]
    assert rig.control.snapshots()[-1].leg == 1, "who waits is no channel yet"
    rig.waits(4.9)
    assert rig.orders() == ["dial 1"]
    rig.waits(0.1)
    assert rig.orders() == ["dial 1", "dial 2"]
    assert rig.channel("CREATE", 2).leg.created_at == START + 5


def test_an_answer_before_its_turn_leaves_a_delayed_phone_in_peace() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), device("desk", "10.0.0.3", delay=5.0))
    rig.answers(1)
    rig.waits(6)
    rig.ends(1)
    assert "CREATE 2" not in rig.names()
    assert [(a.cause, a.started_at) for a in rig.outcome().attempts] == [
        ("SUCCESS", START),
        ("LOSE_RACE", None),
    ]
    assert rig.is_empty()


def test_a_call_that_only_waits_can_be_cancelled() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), endpoint_delay=5.0, call_id="mine")
    assert rig.orders() == []
    assert rig.control.originate_of("mine") is not None
    rig.hangs_up()
    assert rig.names() == ["ended ORIGINATOR_CANCEL"]
    assert rig.is_empty()


def test_a_delay_beyond_the_ring_timeout_is_never_dialled() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), endpoint_delay=50.0, timeout=10)
    rig.waits(10)
    assert rig.orders() == []
    assert rig.outcome().cause == "NO_ANSWER"
    assert rig.is_empty()


def test_an_attempt_has_a_time_of_its_own_and_the_hunt_goes_on() -> None:
    rig = one_after_the_other(endpoint_timeout=8.0)
    rig.rings(1)
    rig.waits(8)
    assert rig.orders() == ["dial 1", "hangup 1", "dial 2"]
    rig.ends(1, 487, party=Party.LOCAL)
    assert rig.destroyed(1) == ("ALLOTTED_TIMEOUT", 19, 487, Party.TIMEOUT)
    rig.answers(2)
    rig.ends(2)
    assert rig.outcome().attempts[0].cause == "ALLOTTED_TIMEOUT"


def test_early_media_does_not_stop_the_time_of_an_attempt() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", timeout=8.0))
    rig.waits(7)
    rig.early(1)
    rig.waits(1)
    assert rig.orders() == ["dial 1", "hangup 1"]
    rig.ends(1, 487, party=Party.LOCAL)
    assert rig.outcome().cause == "ALLOTTED_TIMEOUT"


def test_early_media_that_counts_does_not_stop_it_either() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", timeout=8.0), ignore_early_media=False)
    rig.early(1)
    assert rig.answered().answered
    rig.waits(8)
    rig.ends(1, 487, party=Party.LOCAL)
    assert rig.outcome().cause == "ALLOTTED_TIMEOUT"
    assert rig.is_empty()


def test_progress_timeout_ends_what_does_not_ring() -> None:
    rig = Rig()
    rig.originate(ALICE, progress_timeout=3.0)
    rig.waits(2)
    rig.rings(2)
    rig.waits(1)
    assert rig.orders()[2:] == ["hangup 1"], "who rings is not concerned"
    rig.ends(1, 0, party=Party.LOCAL)
    assert rig.destroyed(1)[0] == "PROGRESS_TIMEOUT"
    rig.answers(2)
    assert rig.answered().call_id == "call-2"


def test_what_an_endpoint_says_goes_before_the_request() -> None:
    rig = Rig()
    patient = device("alice", "10.0.0.1", timeout=0.0, progress_timeout=0.0, delay=0.0)
    rig.originate(patient, timeout=60, endpoint_timeout=5, progress_timeout=2, endpoint_delay=3)
    rig.waits(59)
    assert rig.orders() == ["dial 1"]
    rig.waits(1)
    assert rig.orders() == ["dial 1", "hangup 1"]


@pytest.mark.parametrize(
    ("limits", "alerted", "deadline", "cause"),
    [
        (Limits(0, 0, 0), False, None, "ALLOTTED_TIMEOUT"),
        (Limits(0, 9, 0), False, 109, "ALLOTTED_TIMEOUT"),
        (Limits(0, 0, 4), False, 104, "PROGRESS_TIMEOUT"),
        (Limits(0, 0, 4), True, None, "ALLOTTED_TIMEOUT"),
        (Limits(0, 9, 4), False, 104, "PROGRESS_TIMEOUT"),
        (Limits(0, 9, 4), True, 109, "ALLOTTED_TIMEOUT"),
        (Limits(0, 4, 9), False, 104, "ALLOTTED_TIMEOUT"),
        (Limits(7, 4, 4), False, 104, "ALLOTTED_TIMEOUT"),
    ],
)
def test_the_calculator(limits: Limits, alerted: bool, deadline: float | None, cause: str) -> None:
    assert limits.deadline(100, alerted=alerted) == deadline
    assert limits.cause(alerted=alerted) == cause


# --- early media modes --------------------------------------------------------------------------


def test_ring_ready_reports_early_media_as_ringing() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), ignore_early_media="ring_ready")
    rig.early(1)
    rig.rings(1)
    assert rig.names() == ["CREATE 1", "PROGRESS 1"]


@pytest.mark.parametrize("mode", [True, "consume"])
def test_ignored_early_media_is_reported_and_is_no_answer(mode: Any) -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), ignore_early_media=mode)
    rig.early(1)
    rig.rings(1)
    assert rig.names() == ["CREATE 1", "PROGRESS_MEDIA 1", "PROGRESS 1"], "180 after 183 is seen"


# --- completed elsewhere ------------------------------------------------------------------------


def test_a_phone_may_be_left_to_show_a_missed_call() -> None:
    rig = Rig()
    missed = device("alice", "10.0.0.1", ignore_completed_elsewhere=True)
    told = device("bob", "10.0.0.2", ignore_completed_elsewhere=False)
    rig.originate(missed, told, DESK, ignore_completed_elsewhere=True)
    rig.answers(3)
    assert rig.hangups() == {1: "", 2: 'SIP;cause=200;text="Call completed elsewhere"'}


# --- what stands in for an attempt --------------------------------------------------------------


@pytest.mark.parametrize(("status", "party"), [(503, Party.REMOTE), (0, Party.TIMEOUT)])
def test_the_next_hop_is_tried_when_the_first_is_not_reached(status: int, party: Party) -> None:
    rig = Rig()
    rig.originate(device("alice", "pbx.example.org"))
    rig.takes(HopsFound(LegId(1), ("sip:10.1.1.1", "sip:10.1.1.2", "sip:10.1.1.3")))
    rig.ends(1, status, party=party)
    assert rig.dials()[1].next_hop == "sip:10.1.1.2"
    assert rig.dials()[1].request_uri == rig.dials()[0].request_uri
    rig.ends(2, status, party=party)
    rig.answers(3)
    assert [a.next_hop for a in rig.answered().attempts] == [f"sip:10.1.1.{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("status", [486, 404, 500, 603])
def test_an_answer_of_the_first_hop_is_final(status: int) -> None:
    rig = Rig()
    rig.originate(device("alice", "pbx.example.org"))
    rig.takes(HopsFound(LegId(1), ("sip:10.1.1.1", "sip:10.1.1.2")))
    rig.ends(1, status)
    assert len(rig.dials()) == 1
    assert rig.outcome().sip_status == status


def test_a_hop_that_rang_was_reached() -> None:
    rig = Rig()
    rig.originate(device("alice", "pbx.example.org"))
    rig.takes(HopsFound(LegId(1), ("sip:10.1.1.1", "sip:10.1.1.2")))
    rig.rings(1)
    rig.ends(1, 503)
    assert len(rig.dials()) == 1


def test_a_fallback_is_tried_when_an_endpoint_is_not_reached() -> None:
    rig = Rig()
    first = device("alice", "10.0.0.1", fallbacks=(carrier("west"), carrier("east")))
    rig.originate(first)
    rig.ends(1, 503)
    rig.ends(2, 502)
    assert [d.request_uri.split("@")[-1] for d in rig.dials()[1:]] == [
        "west.example.net:5080",
        "east.example.net:5080",
    ]
    rig.ends(3, 486)
    assert rig.outcome().cause == "USER_BUSY"
    assert len(rig.outcome().attempts) == 3


def test_a_busy_endpoint_needs_no_fallback() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", fallbacks=(carrier("west"),)))
    rig.ends(1, 486)
    assert rig.outcome().cause == "USER_BUSY"
    assert len(rig.dials()) == 1


def test_chained_keeps_the_order_of_a_hunt() -> None:
    west, east = (Target(carrier(n), carrier(n).contacts[0]) for n in ("west", "east"))
    (first,) = chained([(west,), (east,)])
    assert first.endpoint.id == "west"
    assert [e.id for e in first.endpoint.fallbacks] == ["east"]
    assert chained([]) == []


# --- redirects ----------------------------------------------------------------------------------


def test_contacts_of_a_3xx_in_their_order() -> None:
    headers = (
        "<sip:a@h;transport=tcp?Subject=x>;q=0.5",
        '"B; <b>" <sip:b@h>;expires=3;q=0.75',
        "sip:c@h;q=0.1",
        "<sip:d@h>",
        "<tel:+1>",
        "*",
        "<sip:bad uri@h>",
    )
    assert [(c.uri, c.q) for c in redirect_contacts(headers)] == [
        ("sip:d@h", 1.0),
        ("sip:a@h;transport=tcp", 0.5),
        ("sip:c@h", 0.1),
    ]


def test_a_device_that_moved_is_dialled_where_it_says() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    rig.ends(1, 302, contacts=("<sip:alice@10.0.0.8>;q=0.5", "<sip:alice@10.0.0.9>"))
    assert [d.request_uri for d in rig.dials()[1:]] == ["sip:alice@10.0.0.9"]
    rig.ends(2, 503)
    assert rig.dials()[-1].request_uri == "sip:alice@10.0.0.8", "the next best when it fails"
    rig.answers(3)
    assert [a.sip_status for a in rig.answered().attempts] == [302, 503, 200]


def test_redirects_may_fork() -> None:
    rig = Rig(redirects="fork")
    rig.originate(device("alice", "10.0.0.1"))
    rig.ends(1, 302, contacts=("<sip:alice@10.0.0.8>;q=0.5", "<sip:alice@10.0.0.9>"))
    assert len(rig.dials()) == 3
    rig.answers(3)
    assert list(rig.hangups()) == [2]


def test_redirects_may_be_refused() -> None:
    rig = Rig(redirects="refuse")
    rig.originate(device("alice", "10.0.0.1"))
    rig.ends(1, 302, contacts=("<sip:alice@10.0.0.9>",))
    assert len(rig.dials()) == 1
    assert (rig.outcome().sip_status, rig.outcome().party) == (302, Party.REMOTE)


def test_a_number_that_a_device_redirects_to_goes_through_the_dial_plan() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    rig.ends(1, 302, contacts=("<sip:%2B15551234@evil.example.com>",))
    assert rig.orders() == ["dial 1", "resolve +15551234"]
    rig.resolves(carrier("west", number="+15551234"), carrier("east"), for_leg=1)
    assert "evil" not in rig.dials()[1].request_uri
    rig.ends(2, 503)
    rig.answers(3)
    assert rig.answered().answered


def test_a_number_that_may_not_be_dialled_is_not_redirected_to() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    rig.ends(1, 302, contacts=("<sip:911@example.org>",))
    rig.resolves(refusal=Refusal("OUTGOING_CALL_BARRED", "emergency"), for_leg=1)
    assert len(rig.dials()) == 1
    assert rig.outcome().final
    assert rig.is_empty()


def test_phones_that_redirect_to_each_other_end() -> None:
    rig = Rig(max_redirects=3)
    rig.originate(device("alice", "10.0.0.1"))
    for leg in range(1, 10):
        rig.ends(leg, 302, contacts=(f"<sip:alice@10.0.0.{100 + leg}>", "<sip:alice@10.0.0.1>"))
    assert len(rig.dials()) == 4
    assert rig.outcome().sip_status == 302
    assert rig.is_empty()


def test_an_answer_to_a_redirect_that_comes_too_late_rings_nobody() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), DESK)
    rig.ends(1, 302, contacts=("<sip:3001@example.org>",))
    rig.answers(2)
    rig.resolves(carrier("west"), for_leg=1)
    assert len(rig.dials()) == 2
    rig.resolves(device("bob", "10.0.0.2"))
    assert len(rig.dials()) == 3


def test_a_carrier_says_where_else_the_number_is() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("west"))
    rig.ends(2, 302, contacts=("<sip:+1800@10.7.7.7:5090>",))
    assert rig.dials()[2].request_uri == "sip:+1800@10.7.7.7:5090"
    rig.answers(3)
    assert rig.orders()[-1] == "join 1 3"
