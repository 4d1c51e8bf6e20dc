"""The dialled side: routing, hunting, early media, the bridge, and every way a call ends."""

from typing import Any

import pytest

from engine.core.causes import reason_header
from engine.core.values import CallerId, Contact, Endpoint, LegRole, Outcome, Party, Refusal
from tests.unit.core.rig import Rig, carrier, device

NORMAL = 'Q.850;cause=16;text="NORMAL_CLEARING"'


def test_a_whole_call_in_order() -> None:
    rig = Rig()
    rig.talks()
    rig.ends(2)
    rig.ends(1, party=Party.LOCAL)
    assert rig.names() == [
        "CREATE 1",
        "ANSWER 1",
        "answered",
        "CREATE 2",
        "ANSWER 2",
        "BRIDGE 1",
        "BRIDGE 2",
        "UNBRIDGE 1",
        "UNBRIDGE 2",
        "DESTROY 2",
        "DESTROY 1",
        "ended NORMAL_CLEARING",
    ]
    assert rig.orders() == [
        "dial 1",
        "resolve 2001",
        "dial 2",
        "join 1 2",
        "split 1 2",
        "hangup 1",
    ]
    assert rig.hangups() == {1: NORMAL}
    outcome = rig.outcome()
    assert (outcome.answered, outcome.call_id, outcome.party) == (True, "call-1", Party.REMOTE)
    assert [a.cause for a in outcome.attempts] == ["SUCCESS", "SUCCESS"]
    assert rig.is_empty()


def test_two_may_talk_as_long_as_they_like() -> None:
    rig = Rig()
    rig.talks()
    assert rig.control.next_deadline() is None
    rig.waits(86_400)
    assert rig.hangups() == {}


def test_each_leg_tells_of_the_other() -> None:
    rig = Rig()
    rig.talks()
    a, b = rig.channel("BRIDGE", 1).leg, rig.channel("BRIDGE", 2).leg
    assert (a.other_leg_call_id, a.other_leg_number) == ("call-2", "2001")
    assert a.other_leg_caller_id == CallerId("alice name", "alice-number")
    assert (b.other_leg_call_id, b.other_leg_number) == ("call-1", "alice")
    assert b.other_leg_caller_id == CallerId("Device QuickCall", "2001")
    assert (b.role, b.endpoint_id, b.callee_id) == (LegRole.B, "id-bob", CallerId("", "2001"))
    assert a.interaction_id == b.interaction_id
    assert a.channel_vars["Bridge-ID"] == b.channel_vars["Bridge-ID"] == "call-1"
    assert b.channel_vars["Authorizing-ID"] == "id-bob"
    assert "Bridge-ID" not in rig.channel("CREATE", 1).leg.channel_vars


def test_a_hangs_up_and_b_is_released() -> None:
    rig = Rig()
    rig.talks()
    rig.ends(1, q850=16)
    assert rig.hangups() == {2: NORMAL}
    rig.ends(2, party=Party.LOCAL)
    assert rig.destroyed(1) == ("NORMAL_CLEARING", 16, 200, Party.REMOTE)
    assert rig.destroyed(2) == ("NORMAL_CLEARING", 16, 200, Party.LOCAL)
    assert rig.outcome().party is Party.REMOTE


def test_the_cause_of_one_side_goes_to_the_other() -> None:
    rig = Rig()
    rig.talks()
    rig.ends(2, q850=31)
    assert rig.hangups() == {1: 'Q.850;cause=31;text="NORMAL_UNSPECIFIED"'}
    rig.ends(1, party=Party.LOCAL)
    assert rig.outcome().cause == "NORMAL_UNSPECIFIED"


def test_both_sides_hang_up_at_once() -> None:
    rig = Rig()
    rig.talks()
    rig.ends(1)
    rig.ends(2)
    assert rig.names().count("UNBRIDGE 1") == rig.names().count("UNBRIDGE 2") == 1
    assert rig.outcome().cause == "NORMAL_CLEARING"
    assert rig.is_empty()


def test_hang_up_by_order_while_talking() -> None:
    rig = Rig()
    rig.talks()
    rig.hangs_up()
    assert rig.hangups() == {1: NORMAL, 2: NORMAL}
    assert rig.orders()[-3:] == ["split 1 2", "hangup 1", "hangup 2"]
    rig.ends(1, party=Party.LOCAL)
    rig.ends(2, party=Party.LOCAL)
    outcome = rig.outcome()
    assert (outcome.cause, outcome.sip_status, outcome.party) == (
        "NORMAL_CLEARING",
        200,
        Party.LOCAL,
    )


def test_a_hears_bs_early_media_before_b_answers() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(device("bob", "10.0.0.2"))
    rig.early(2)
    assert rig.orders()[-1] == "join 1 2"
    assert not any("BRIDGE" in name for name in rig.names())
    rig.answers(2)
    assert rig.orders().count("join 1 2") == 1
    assert rig.names()[-2:] == ["BRIDGE 1", "BRIDGE 2"]


def test_an_announcement_before_a_failure_is_heard_and_not_a_bridge() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(device("bob", "10.0.0.2"))
    rig.early(2)
    rig.ends(2, 404)
    assert rig.orders()[-3:] == ["join 1 2", "split 1 2", "hangup 1"]
    assert rig.hangups() == {1: reason_header("UNALLOCATED_NUMBER")}
    rig.ends(1, party=Party.LOCAL)
    assert not any("BRIDGE" in name for name in rig.names())
    outcome = rig.outcome()
    assert (outcome.cause, outcome.sip_status, outcome.party) == (
        "UNALLOCATED_NUMBER",
        404,
        Party.REMOTE,
    )
    assert rig.destroyed(1)[0] == "UNALLOCATED_NUMBER"


def test_another_fork_of_b_answers_than_the_one_heard() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(device("bob", "10.0.0.2", "10.0.0.3"))
    rig.early(2)
    rig.early(3)
    rig.answers(3)
    assert rig.orders()[-4:] == ["join 1 2", "split 1 2", "join 1 3", "hangup 2"]
    assert rig.hangups() == {2: 'SIP;cause=200;text="Call completed elsewhere"'}
    assert rig.names()[-2:] == ["BRIDGE 1", "BRIDGE 3"]
    rig.ends(2, 487, party=Party.LOCAL)
    rig.ends(3)
    rig.ends(1, party=Party.LOCAL)
    causes = [a.cause for a in rig.outcome().attempts]
    assert causes == ["SUCCESS", "LOSE_RACE", "SUCCESS"]


def test_a_fork_of_b_fails_only_when_all_have() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(device("bob", "10.0.0.2"), device("ben", "10.0.0.3"))
    rig.ends(2, 486)
    assert rig.hangups() == {}
    rig.ends(3, 408)
    assert rig.hangups() == {1: reason_header("USER_BUSY")}


@pytest.mark.parametrize("status", [503, 500, 408])
def test_the_next_carrier_is_tried(status: int) -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("west"), carrier("east"), number="+14155550100")
    assert len(rig.dials()) == 2
    rig.ends(2, status)
    assert [dial.request_uri for dial in rig.dials()[1:]] == [
        "sip:+14155550100@west.example.net:5080",
        "sip:+14155550100@east.example.net:5080",
    ]
    assert all(dial.codec_of == 1 for dial in rig.dials()[1:])
    rig.answers(3)
    assert rig.names()[-2:] == ["BRIDGE 1", "BRIDGE 3"]
    assert rig.hangups() == {}


@pytest.mark.parametrize("status", [486, 600, 603, 404, 484])
def test_the_answer_of_the_called_side_stops_the_hunt(status: int) -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("west"), carrier("east"))
    rig.ends(2, status)
    assert len(rig.dials()) == 2
    assert list(rig.hangups()) == [1]


def test_a_hunt_that_finds_nobody_ends_with_the_last_cause() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("west"), carrier("east"))
    rig.ends(2, 503)
    rig.ends(3, 502)
    rig.ends(1, party=Party.LOCAL)
    outcome = rig.outcome()
    assert outcome.cause == "NETWORK_OUT_OF_ORDER"
    assert [a.endpoint_id for a in outcome.attempts] == ["id-alice", "west", "east"]


def test_a_carrier_that_cannot_be_dialled_is_passed_over() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("bad", contacts=(Contact("fax:1"),)), carrier("east"))
    assert rig.dials()[-1].request_uri == "sip:2001@east.example.net:5080"
    rig.ends(rig.dials()[-1].leg, 486)
    assert [a.cause for a in _ended(rig).attempts] == ["SUCCESS", "USER_BUSY", "INVALID_URL"]


def _ended(rig: Rig) -> Outcome:
    rig.ends(1, party=Party.LOCAL)
    return rig.outcome()


def test_no_carrier_can_be_dialled() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("west"), number="")
    assert rig.hangups() == {1: reason_header("INVALID_NUMBER_FORMAT")}
    outcome = _ended(rig)
    assert (outcome.cause, outcome.party) == ("INVALID_NUMBER_FORMAT", Party.POLICY)


@pytest.mark.parametrize(
    ("endpoints", "refusal", "cause", "reason"),
    [
        ((), None, "NO_ROUTE_DESTINATION", "no route for 2001"),
        ((), Refusal("OUTGOING_CALL_BARRED", "barred"), "OUTGOING_CALL_BARRED", "barred"),
        (
            (carrier("west"),),
            Refusal("NUMBER_BLOCKED", "on the list"),
            "NUMBER_BLOCKED",
            "on the list",
        ),
        ((device("bob"),), None, "DESTINATION_OUT_OF_ORDER", "nobody is registered"),
    ],
)
def test_no_way_to_b(
    endpoints: tuple[Endpoint, ...], refusal: Refusal | None, cause: str, reason: str
) -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(*endpoints, refusal=refusal)
    assert list(rig.hangups()) == [1]
    assert cause in rig.hangups()[1]
    outcome = _ended(rig)
    assert (outcome.cause, outcome.reason, outcome.party) == (cause, reason, Party.POLICY)
    a_leg = rig.channel("DESTROY", 1).leg
    assert (a_leg.cause, a_leg.reason) == (cause, reason)
    assert rig.is_empty()


def test_each_carrier_is_asked_for_its_own_number() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("west", number="0012001"), carrier("east"))
    rig.ends(2, 503)
    assert [dial.request_uri for dial in rig.dials()[1:]] == [
        "sip:0012001@west.example.net:5080",
        "sip:2001@east.example.net:5080",
    ]
    assert rig.channel("CREATE", 2).leg.callee_id.number == "0012001"


def test_b_does_not_answer_in_time() -> None:
    rig = Rig(b_ring_s=20)
    rig.rings_and_answers()
    rig.waits(2)
    rig.resolves(carrier("west"), carrier("east"))
    rig.waits(20)
    assert rig.hangups() == dict.fromkeys((1, 2), 'Q.850;cause=19;text="NO_ANSWER"')
    rig.ends(2, 487, party=Party.LOCAL)
    assert rig.destroyed(2) == ("NO_ANSWER", 19, 487, Party.TIMEOUT)
    assert _ended(rig).party is Party.TIMEOUT
    assert len(rig.dials()) == 2


def test_a_silent_router_does_not_hold_a() -> None:
    rig = Rig(route_s=5)
    rig.rings_and_answers()
    rig.waits(5)
    assert rig.resolves(device("bob", "10.0.0.2")).commands == ()
    outcome = _ended(rig)
    assert (outcome.cause, outcome.reason) == (
        "NORMAL_TEMPORARY_FAILURE",
        "the router did not answer",
    )


def test_a_hangs_up_before_the_router_answers() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.ends(1)
    outcome = rig.outcome()
    assert (outcome.cause, outcome.party) == ("ORIGINATOR_CANCEL", Party.REMOTE)
    assert rig.destroyed(1)[0] == "NORMAL_CLEARING"
    assert rig.resolves(device("bob", "10.0.0.2")).commands == ()
    assert rig.is_empty()


def test_a_hangs_up_while_b_rings() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(device("bob", "10.0.0.2"))
    rig.rings(2)
    rig.early(2)
    rig.ends(1)
    assert rig.hangups() == {2: 'SIP;cause=487;text="ORIGINATOR_CANCEL"'}
    rig.answers(2)  # its 200 crossed our CANCEL
    rig.ends(2, 200, party=Party.LOCAL)
    assert rig.destroyed(2) == ("ORIGINATOR_CANCEL", 16, 200, Party.LOCAL)
    assert not any("BRIDGE" in name for name in rig.names())
    assert rig.orders().count("split 1 2") == 1
    outcome = rig.outcome()
    assert (outcome.cause, outcome.answered, outcome.party) == (
        "ORIGINATOR_CANCEL",
        True,
        Party.REMOTE,
    )


@pytest.mark.parametrize("routed", [False, True])
def test_hang_up_by_order_before_b_answers(*, routed: bool) -> None:
    rig = Rig()
    rig.rings_and_answers()
    if routed:
        rig.resolves(device("bob", "10.0.0.2"))
    rig.hangs_up()
    cancelled = {2: 'SIP;cause=487;text="ORIGINATOR_CANCEL"'} if routed else {}
    assert rig.hangups() == {1: NORMAL, **cancelled}
    for leg in rig.hangups():
        rig.ends(leg, party=Party.LOCAL)
    assert rig.outcome().cause == "ORIGINATOR_CANCEL"
    assert rig.is_empty()


def test_a_loser_that_lingers_delays_only_the_terminal_event() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", "10.0.0.9"))
    rig.answers(1)
    rig.resolves(device("bob", "10.0.0.2"))
    rig.answers(3)
    rig.ends(3)
    rig.ends(1, party=Party.LOCAL)
    assert not any(name.startswith("ended") for name in rig.names())
    rig.ends(2, 487, party=Party.LOCAL)
    assert rig.names()[-1] == "ended NORMAL_CLEARING"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, ("alice name", "alice-number")),
        ({"cid_name": "Joe", "cid_number": "555"}, ("Joe", "555")),
        ({"cid_number": ""}, ("alice name", "")),
    ],
)
def test_the_dialled_party_sees_the_request_or_the_device(
    changes: dict[str, Any], shown: tuple[str, str]
) -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), **changes)
    rig.answers(1)
    rig.resolves(carrier("west"))
    leg = rig.channel("CREATE", 2).leg
    assert (leg.caller_id.name, leg.caller_id.number) == shown
    user = f"{shown[1]}@" if shown[1] else ""
    assert leg.from_uri == f'"{shown[0]}" <sip:{user}198.51.100.1>'


@pytest.mark.parametrize(
    ("own", "shown"),
    [
        (CallerId(), CallerId("Owner", "owner-number")),
        (CallerId("", "100"), CallerId("Owner", "100")),
    ],
)
def test_a_device_without_a_caller_id_shows_its_owners(own: CallerId, shown: CallerId) -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", caller_id=own))
    assert rig.channel("CREATE", 1).leg.callee_id == shown


def test_the_dialled_leg_never_answers_by_itself() -> None:
    rig = Rig()
    custom = (("X-Desk", "7"),)
    rig.originate(device("alice", "10.0.0.1"), auto_answer="force", headers=custom)
    rig.answers(1)
    rig.resolves(device("bob", "10.0.0.2"))
    assert {"Answer-Mode", "X-Desk"} <= set(dict(rig.dials()[0].headers))
    assert not {"Answer-Mode", "X-Desk"} & set(dict(rig.dials()[1].headers))
    assert rig.channel("CREATE", 2).leg.auto_answer is False


def test_a_carrier_leg_names_the_device_that_authorizes_it() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("west"))
    variables = rig.channel("CREATE", 2).leg.channel_vars
    assert (variables["Resource-ID"], variables["Authorizing-ID"]) == ("west", "id-alice")
    assert variables["Account-ID"] == "acct"
