"""The rung side: fork, winner, losers, early media, timeouts, failures, hang-ups."""

from typing import Any

import pytest

from engine.core.errors import RequestInvalid
from engine.core.values import Contact, LegState, MediaMode, Party, Refusal
from tests.unit.core.rig import ORIGINATE, START, Rig, device


def test_nobody_registered_ends_at_once() -> None:
    rig = Rig()
    rig.originate(device("alice"))
    assert rig.names() == ["ended DESTINATION_OUT_OF_ORDER"]
    outcome = rig.outcome()
    assert (outcome.answered, outcome.final, outcome.call_id) == (False, True, "")
    assert (outcome.q850, outcome.sip_status, outcome.party) == (27, 502, Party.POLICY)
    assert outcome.attempts == ()
    assert rig.orders() == []
    assert rig.is_empty()


def test_no_endpoint_at_all_ends_the_same() -> None:
    rig = Rig()
    rig.originate()
    assert rig.outcome().cause == "DESTINATION_OUT_OF_ORDER"


def test_a_refused_number_rings_nobody_and_ends_at_once() -> None:
    rig = Rig()
    refusal = Refusal("NUMBER_BLOCKED", "2001 is on the blocklist Main")
    rig.originate(device("alice", "10.0.0.1"), refusal=refusal)
    assert rig.names() == ["ended NUMBER_BLOCKED"]
    outcome = rig.outcome()
    assert (outcome.answered, outcome.final, outcome.attempts) == (False, True, ())
    assert (outcome.q850, outcome.sip_status, outcome.reason) == (21, 603, refusal.reason)
    assert outcome.party is Party.POLICY
    assert rig.orders() == []
    assert rig.is_empty()


def test_every_outcome_has_the_number_and_the_note_of_its_filter() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), filter_note="no match")
    rig.answers(1)
    rig.ends(1)
    for outcome in (rig.answered(), rig.outcome()):
        assert (outcome.number, outcome.filter_note) == ("2001", "no match")


def test_a_phone_rings_and_answers() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), cid_name=None, media=MediaMode.BYPASS)
    rig.dialed(1)
    rig.now += 1
    rig.rings(1)
    rig.now += 4
    rig.answers(1)
    assert rig.names() == ["CREATE 1", "PROGRESS 1", "ANSWER 1", "answered"]
    assert rig.orders() == ["dial 1", "resolve 2001"]
    leg = rig.channel("ANSWER", 1).leg
    assert (leg.created_at, leg.ringing_at, leg.answered_at) == (START, START + 1, START + 5)
    assert (leg.state, leg.codec, leg.user_agent) == (LegState.ANSWERED, "PCMU/8000", "phone/1")
    assert (leg.from_tag, leg.to_tag) == ("tag-1", "to-1")
    assert (leg.local_sdp, leg.remote_sdp) == ("v=0 us", "v=0 them")
    assert leg.media is MediaMode.PROCESS, "every leg is anchored"
    outcome = rig.answered()
    assert (outcome.answered, outcome.final, outcome.cause) == (True, False, "SUCCESS")
    assert (outcome.call_id, outcome.sip_status) == ("call-1", 200)
    (attempt,) = outcome.attempts
    assert (attempt.cause, attempt.ringing_seconds) == ("SUCCESS", 4.0)


def test_an_auto_answering_phone_answers_first_of_all() -> None:
    rig = Rig()
    rig.rings_and_answers()
    assert rig.names() == ["CREATE 1", "ANSWER 1", "answered"]
    assert rig.channel("ANSWER", 1).leg.ringing_at is None


def test_the_first_answer_wins_and_the_losers_hear_why() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", "10.0.0.2"), device("desk", "10.0.0.3"))
    rig.rings(1)
    rig.rings(3)
    rig.now += 2
    rig.answers(3)
    assert rig.hangups() == {
        1: 'SIP;cause=200;text="Call completed elsewhere"',
        2: 'SIP;cause=200;text="Call completed elsewhere"',
    }
    rig.answers(1)  # its 200 crossed our CANCEL
    rig.ends(1, 200, party=Party.LOCAL)
    rig.ends(2, 487, party=Party.LOCAL)
    assert rig.destroyed(1) == ("LOSE_RACE", 26, 200, Party.LOCAL)
    assert rig.destroyed(2) == ("LOSE_RACE", 26, 487, Party.LOCAL)
    assert rig.names().count("answered") == 1
    outcome = rig.answered()
    assert outcome.call_id == "call-3"
    causes = [(a.call_id, a.endpoint_id, a.cause) for a in outcome.attempts]
    assert causes == [
        ("call-1", "id-alice", "LOSE_RACE"),
        ("call-2", "id-alice", "LOSE_RACE"),
        ("call-3", "id-desk", "SUCCESS"),
    ]


@pytest.mark.parametrize(
    ("statuses", "cause", "status"),
    [
        ((486,), "USER_BUSY", 486),
        ((603,), "CALL_REJECTED", 603),
        ((480,), "NO_USER_RESPONSE", 480),
        ((408, 486, 603), "USER_BUSY", 486),
        ((408, 603, 480), "CALL_REJECTED", 603),
        ((410, 488), "NUMBER_CHANGED", 410),
    ],
)
def test_all_attempts_fail(statuses: tuple[int, ...], cause: str, status: int) -> None:
    rig = Rig()
    rig.originate(device("alice", *(f"10.0.0.{n}" for n in range(len(statuses)))))
    for leg, answer in enumerate(statuses, start=1):
        assert not any(name.startswith("ended") for name in rig.names())
        rig.ends(leg, answer)
    outcome = rig.outcome()
    assert (outcome.cause, outcome.sip_status, outcome.answered) == (cause, status, False)
    assert outcome.party is Party.REMOTE
    assert [a.sip_status for a in outcome.attempts] == list(statuses)
    assert "answered" not in rig.names()
    assert rig.hangups() == {}
    assert rig.is_empty()


def test_an_unreachable_phone() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    rig.ends(1, 0, party=Party.TIMEOUT)
    assert rig.destroyed(1) == ("RECOVERY_ON_TIMER_EXPIRE", 102, 0, Party.TIMEOUT)
    assert rig.outcome().party is Party.TIMEOUT


def test_the_reason_of_the_phone_wins_over_its_status() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    rig.ends(1, 503, q850=17)
    assert rig.destroyed(1)[:3] == ("USER_BUSY", 17, 503)


def test_nobody_answers_in_time() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", "10.0.0.2"), timeout=3)
    rig.rings(1)
    assert rig.control.next_deadline() == START + 3
    rig.waits(2.9)
    assert rig.hangups() == {}
    rig.waits(0.1)
    assert rig.hangups() == dict.fromkeys((1, 2), 'Q.850;cause=19;text="NO_ANSWER"')
    assert rig.names()[-1] == "failed NO_ANSWER", "known before the phones confirm it"
    rig.ends(1, 487, party=Party.LOCAL)
    rig.ends(2, 487, party=Party.LOCAL)
    assert rig.destroyed(1) == ("NO_ANSWER", 19, 487, Party.TIMEOUT)
    outcome = rig.outcome()
    assert (outcome.cause, outcome.q850, outcome.sip_status) == ("NO_ANSWER", 19, 480)
    assert outcome.party is Party.TIMEOUT
    assert [a.ringing_seconds for a in outcome.attempts] == [3.0, 0.0]
    assert rig.is_empty()


def test_early_media_does_not_stop_the_ring_timeout() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), timeout=3, ignore_early_media=False)
    rig.early(1)
    rig.waits(3)
    rig.ends(1, 487, party=Party.LOCAL)
    outcome = rig.outcome()
    assert (outcome.cause, outcome.answered) == ("NO_ANSWER", True)


def test_ignored_early_media_is_told_and_wins_nothing() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", "10.0.0.2"))
    rig.early(1)
    rig.rings(1)
    rig.rings(1)
    assert rig.names() == ["CREATE 1", "CREATE 2", "PROGRESS_MEDIA 1", "PROGRESS 1"]
    assert rig.orders() == ["dial 1", "dial 2"]


def test_early_media_that_counts_wins_but_b_waits_for_the_answer() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", "10.0.0.2"), ignore_early_media=False)
    rig.early(2)
    assert rig.answered().call_id == "call-2"
    assert rig.orders() == ["dial 1", "dial 2", "hangup 1"]
    rig.ends(1, 487, party=Party.LOCAL)
    rig.answers(2)
    assert rig.orders()[-1] == "resolve 2001"
    assert rig.names().count("answered") == 1


@pytest.mark.parametrize(("of_device", "of_request"), [(False, True), (True, False)])
def test_the_device_decides_on_early_media_before_the_request(
    *, of_device: bool, of_request: bool
) -> None:
    rig = Rig()
    phone = device("alice", "10.0.0.1", ignore_early_media=of_device)
    rig.originate(phone, ignore_early_media=of_request)
    rig.early(1)
    assert ("answered" in rig.names()) is not of_device


def test_a_winner_by_early_media_that_fails_gives_its_own_cause() -> None:
    rig = Rig()
    rig.originate(device("a", "10.0.0.1", "10.0.0.2", "10.0.0.3"), ignore_early_media=False)
    rig.ends(1, 486)
    rig.early(2)
    rig.ends(2, 404)
    rig.ends(3, 487, party=Party.LOCAL)
    outcome = rig.outcome()
    assert (outcome.cause, outcome.answered) == ("UNALLOCATED_NUMBER", True)
    causes = [a.cause for a in outcome.attempts]
    assert causes == ["USER_BUSY", "UNALLOCATED_NUMBER", "LOSE_RACE"]


def test_hang_up_by_order_while_ringing() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    rig.hangs_up()
    rig.hangs_up()
    assert rig.hangups() == {1: 'SIP;cause=487;text="ORIGINATOR_CANCEL"'}
    rig.dialed(1)
    rig.rings(1)
    rig.answers(1)
    rig.ends(1, 200, party=Party.LOCAL)
    assert rig.names() == [
        "CREATE 1",
        "failed ORIGINATOR_CANCEL",
        "DESTROY 1",
        "ended ORIGINATOR_CANCEL",
    ]
    assert rig.destroyed(1) == ("ORIGINATOR_CANCEL", 16, 200, Party.LOCAL)
    assert rig.channel("DESTROY", 1).leg.from_tag == "tag-1"
    outcome = rig.outcome()
    assert (outcome.answered, outcome.party) == (False, Party.LOCAL)
    assert rig.hangs_up().notices == ()


def test_a_leg_whose_end_is_never_told_ends_by_its_guard() -> None:
    rig = Rig(cancel_guard_s=40.0)
    rig.originate(device("alice", "10.0.0.1"))
    rig.hangs_up()
    rig.waits(39.9)
    assert rig.names() == ["CREATE 1", "failed ORIGINATOR_CANCEL"]
    rig.waits(0.1)
    assert rig.destroyed(1) == ("RECOVERY_ON_TIMER_EXPIRE", 102, 0, Party.TIMEOUT)
    assert rig.outcome().cause == "ORIGINATOR_CANCEL"
    assert rig.is_empty()
    assert rig.ends(1).notices == ()


def test_one_bad_contact_does_not_keep_the_others_from_ringing() -> None:
    rig = Rig()
    phone = device("alice", contacts=(Contact("tel:+1"), Contact("sip:alice@10.0.0.2")))
    rig.originate(phone, auto_answer=True)
    (dial,) = rig.dials()
    assert dial.request_uri == "sip:alice@10.0.0.2"
    rig.ends(dial.leg, 408)
    outcome = rig.outcome()
    assert outcome.cause == "RECOVERY_ON_TIMER_EXPIRE"
    assert [(a.call_id, a.cause) for a in outcome.attempts] == [
        ("call-2", "RECOVERY_ON_TIMER_EXPIRE"),
        ("", "INVALID_URL"),
    ]


def test_only_bad_contacts() -> None:
    rig = Rig()
    rig.originate(device("alice", contacts=(Contact("tel:+1"),)))
    outcome = rig.outcome()
    assert (outcome.cause, outcome.party) == ("INVALID_URL", Party.POLICY)
    assert "endpoint.contact" in outcome.reason
    assert len(outcome.attempts) == 1
    assert rig.is_empty()


def test_identities_and_variables_of_the_a_leg() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), custom_application_vars={"foo": "bar"})
    leg = rig.channel("CREATE", 1).leg
    assert (leg.caller_id.name, leg.caller_id.number) == ("Device QuickCall", "2001")
    assert (leg.callee_id.name, leg.callee_id.number) == ("alice name", "alice-number")
    assert (leg.account_id, leg.endpoint_id, leg.owner_id) == ("acct", "id-alice", "owner-1")
    assert (leg.state, leg.originate_id, leg.interaction_id) == (
        LegState.DIALING,
        ORIGINATE,
        "inter-1",
    )
    assert leg.channel_vars == {
        "Account-ID": "acct",
        "Authorizing-ID": "id-alice",
        "Authorizing-Type": "device",
        "Owner-ID": "owner-1",
        "Call-Interaction-ID": "inter-1",
        "Realm": "example.org",
        "Username": "alice",
        "Retain-CID": "true",
    }
    assert leg.application_vars == {"foo": "bar"}


def test_the_request_sets_the_caller_id_the_device_shows() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), cid_name='Joe "J"', cid_number="555")
    assert rig.dials()[0].from_uri == '"Joe \\"J\\"" <sip:555@example.org>'


@pytest.mark.parametrize(("phones", "applied"), [(1, True), (2, False)])
def test_auto_answer_is_asked_of_one_phone_only(*, phones: int, applied: bool) -> None:
    rig = Rig()
    rig.originate(device("a", *(f"10.0.0.{n}" for n in range(phones))), auto_answer=True)
    for dial in rig.dials():
        assert ("Answer-Mode" in dict(dial.headers)) is applied
    assert rig.channel("CREATE", 1).leg.auto_answer is applied


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": ""}, "number"),
        ({"number": "1\r\nX: y"}, "number"),
        ({"cid_name": "a\nb"}, "cid_name"),
        ({"cid_number": "9" * 257}, "cid_number"),
        ({"headers": (("X-A", "1\r\nX-B: 2"),)}, "headers.X-A"),
        ({"headers": (("Via", "1"),)}, "headers"),
        ({"headers": (("X-A", "1"),) * 33}, "headers"),
    ],
)
def test_a_bad_request_leaves_nothing_behind(changes: dict[str, Any], field: str) -> None:
    rig = Rig()
    with pytest.raises(RequestInvalid) as caught:
        rig.originate(device("alice", "10.0.0.1"), **changes)
    assert caught.value.field == field
    assert rig.is_empty()
