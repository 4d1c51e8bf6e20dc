"""Who answered waits for orders: is parked, bridged by order, joined with another channel."""

import pytest

from engine.core.errors import Conflict, WrongState
from engine.core.events import ChannelNotice
from engine.core.values import Application, CallerId, DialMethod, Party
from tests.unit.core.rig import Rig, device

BOB = device("bob", "10.0.0.2")
CAROL = device("carol", "10.0.0.9")


def parked(**settings: object) -> Rig:
    """Leg 1 has answered and waits for orders."""
    rig = Rig(**settings)
    rig.rings_and_answers()
    rig.resolves(park=True)
    rig.commands.clear()
    rig.notices.clear()
    return rig


def told(rig: Rig) -> list[tuple[int, object]]:
    """How the orders went, by the leg it was told on."""
    return [
        (notice.leg.leg, notice.details["Application-Response"])
        for notice in rig.notices
        if isinstance(notice, ChannelNotice) and notice.name == "CHANNEL_EXECUTE_COMPLETE"
    ]


def test_a_parked_leg_waits_and_is_hung_up_by_order() -> None:
    rig = parked()
    rig.waits(1000)
    assert (rig.orders(), rig.names()) == ([], [])
    rig.hangs_up()
    rig.ends(1, party=Party.LOCAL)
    assert rig.outcome().cause == "NORMAL_CLEARING"
    assert rig.outcome().answered
    assert rig.is_empty()


def test_a_parked_leg_that_leaves_ends_the_call() -> None:
    rig = parked()
    rig.ends(1, q850=16)
    assert (rig.outcome().cause, rig.outcome().party) == ("NORMAL_CLEARING", Party.REMOTE)
    assert rig.is_empty()


def test_waiting_has_an_end() -> None:
    rig = parked(max_call_s=60)
    rig.waits(59)
    assert rig.hangups() == {}
    rig.waits(1)
    assert set(rig.hangups()) == {1}
    rig.ends(1, party=Party.LOCAL)
    assert rig.outcome().cause == "ALLOTTED_TIMEOUT"


def test_an_order_bridges_a_parked_leg() -> None:
    rig = parked()
    rig.bridges(1, BOB, caller_id=CallerId("Shop", "5550100"))
    assert rig.orders() == ["dial 2"]
    assert rig.dials()[0].from_uri.startswith('"Shop" <sip:5550100@')
    rig.rings(2)
    rig.answers(2)
    assert "join 1 2" in rig.orders()
    assert [name for name in rig.names() if "BRIDGE" in name] == ["BRIDGE 1", "BRIDGE 2"]
    rig.ends(2)
    assert told(rig) == [(1, "SUCCESS")]
    assert set(rig.hangups()) == {1}
    rig.ends(1, party=Party.LOCAL)
    assert rig.outcome().cause == "NORMAL_CLEARING"
    assert rig.is_empty()


def test_an_order_that_goes_on_leaves_the_leg_waiting_for_the_next() -> None:
    rig = parked()
    rig.bridges(1, BOB, goes_on=True)
    rig.answers(2)
    rig.ends(2)
    assert rig.hangups() == {}
    assert told(rig) == [(1, "SUCCESS")]
    rig.bridges(1, CAROL, goes_on=True)
    rig.ends(3, status=486)
    assert told(rig)[1:] == [(1, "USER_BUSY")]
    assert rig.hangups() == {}
    rig.bridges(1, BOB)
    rig.answers(4)
    assert "join 1 4" in rig.orders()
    rig.ends(1)
    rig.ends(4, party=Party.LOCAL)
    assert rig.is_empty()


def test_an_order_that_reaches_nobody_ends_the_call_with_its_cause() -> None:
    rig = parked()
    rig.bridges(1, BOB)
    rig.ends(2, status=486)
    assert told(rig) == [(1, "USER_BUSY")]
    assert set(rig.hangups()) == {1}
    rig.ends(1, party=Party.LOCAL)
    assert rig.outcome().cause == "USER_BUSY"
    assert rig.is_empty()


@pytest.mark.parametrize("goes_on", [True, False])
def test_an_order_for_somebody_who_is_not_there(goes_on: bool) -> None:
    rig = parked()
    rig.bridges(1, device("away"), goes_on=goes_on)
    assert rig.dials() == []
    assert told(rig) == [(1, "DESTINATION_OUT_OF_ORDER")]
    assert set(rig.hangups()) == (set() if goes_on else {1})


def test_an_order_rings_for_its_own_time_and_no_longer() -> None:
    rig = parked(b_ring_s=60)
    rig.bridges(1, BOB, timeout=10, goes_on=True)
    rig.rings(2)
    rig.waits(9)
    assert rig.hangups() == {}
    rig.waits(1)
    assert set(rig.hangups()) == {2}
    assert told(rig) == [(1, "NO_ANSWER")]
    rig.ends(2, status=487, party=Party.LOCAL)
    rig.bridges(1, CAROL)
    rig.answers(3)
    assert "join 1 3" in rig.orders()


def test_endpoints_of_an_order_are_hunted_or_forked() -> None:
    rig = parked()
    rig.bridges(1, BOB, CAROL)
    assert [dial.leg for dial in rig.dials()] == [2]
    rig.ends(2, status=486)
    assert [dial.leg for dial in rig.dials()] == [2, 3]
    rig = parked()
    rig.bridges(1, BOB, CAROL, dial_method=DialMethod.SIMULTANEOUS)
    assert [dial.leg for dial in rig.dials()] == [2, 3]
    rig.answers(3)
    assert set(rig.hangups()) == {2}


def test_a_parked_leg_may_be_sent_to_a_number() -> None:
    rig = parked()
    rig.transfers(1, "3001")
    assert rig.orders() == ["resolve 3001"]
    rig.resolves(CAROL, number="3001")
    rig.answers(2)
    assert "join 1 2" in rig.orders()
    rig.ends(2)
    rig.ends(1, party=Party.LOCAL)
    assert rig.is_empty()


def test_who_talks_may_be_parked_and_the_other_leaves() -> None:
    rig = Rig()
    rig.talks()
    rig.parks(1)
    assert "UNBRIDGE 1" in rig.names()
    assert set(rig.hangups()) == {2}
    rig.ends(2, party=Party.LOCAL)
    rig.parks(1)
    rig.bridges(1, CAROL)
    rig.answers(3)
    assert "join 1 3" in rig.orders()


def test_the_dialled_side_may_be_parked_too() -> None:
    rig = Rig()
    rig.talks()
    rig.parks(2)
    assert set(rig.hangups()) == {1}
    rig.ends(1, party=Party.LOCAL)
    rig.bridges(2, CAROL)
    rig.answers(3)
    assert "join 2 3" in rig.orders()
    rig.ends(3)
    rig.ends(2, party=Party.LOCAL)
    assert rig.outcome().answered
    assert rig.is_empty()


def test_parking_gives_up_whom_the_dial_plan_rings() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(BOB)
    rig.rings(2)
    rig.parks(1)
    assert set(rig.hangups()) == {2}
    rig.ends(2, status=487, party=Party.LOCAL)
    assert rig.hangups().keys() == {2}


def test_who_has_not_answered_takes_no_orders() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    with pytest.raises(WrongState, match="answered, and waiting for orders"):
        rig.parks(1)
    with pytest.raises(WrongState, match="answered, and waiting for orders"):
        rig.bridges(1, BOB)
    rig.answers(1)
    with pytest.raises(WrongState):
        rig.parks(1)


def test_a_transfer_under_way_takes_no_orders() -> None:
    rig = Rig()
    rig.talks()
    rig.transfers(1, "3001")
    with pytest.raises(WrongState):
        rig.parks(1)


def two_calls(rig: Rig) -> None:
    """Legs 1 and 2 talk; leg 3 of another call waits for orders."""
    rig.talks()
    rig.originate(device("dave", "10.0.0.4"), originate_id="req-2")
    rig.answers(3)
    rig.resolves(park=True, originate_id="req-2")
    rig.commands.clear()
    rig.notices.clear()


def test_a_channel_is_intercepted_and_its_partner_leaves() -> None:
    rig = Rig()
    two_calls(rig)
    rig.intercepts(3, 2)
    assert rig.orders()[:1] == ["split 1 2"]
    assert "join 3 2" in rig.orders()
    assert set(rig.hangups()) == {1}
    assert rig.channel("INTERCEPTED", 2).details == {"Intercepted-By": "call-3"}
    rig.ends(1, party=Party.LOCAL)
    assert rig.outcome().cause == "PICKED_OFF"
    rig.ends(2)
    rig.ends(3, party=Party.LOCAL)
    assert rig.is_empty()


def test_two_that_wait_are_joined() -> None:
    rig = parked()
    rig.originate(device("dave", "10.0.0.4"), originate_id="req-2")
    rig.answers(2)
    rig.resolves(park=True, originate_id="req-2")
    rig.intercepts(2, 1)
    assert "join 2 1" in rig.orders()
    assert rig.outcome().cause == "PICKED_OFF"
    rig.ends(1)
    rig.ends(2, party=Party.LOCAL)
    assert rig.is_empty()


def test_a_channel_of_the_same_call_cannot_be_intercepted() -> None:
    rig = Rig()
    rig.talks()
    with pytest.raises(WrongState, match="of another call"):
        rig.intercepts(1, 2)


def test_a_request_may_ask_for_a_channel() -> None:
    rig = Rig()
    rig.talks()
    rig.originate(
        device("dave", "10.0.0.4"),
        originate_id="req-2",
        application=Application.BRIDGE,
        target_call_id="call-2",
    )
    rig.answers(3)
    rig.resolves(park=True, originate_id="req-2")
    assert "join 3 2" in rig.orders()


@pytest.mark.parametrize("target", ["call-99", "other-account"])
def test_a_channel_that_is_not_there_for_it_ends_the_request(target: str) -> None:
    rig = Rig()
    rig.talks()
    theirs = target == "other-account"
    rig.originate(
        device("dave", "10.0.0.4"),
        originate_id="req-2",
        account_id="acct-2" if theirs else "acct",
        application=Application.BRIDGE,
        target_call_id="call-2" if theirs else target,
    )
    rig.answers(3)
    rig.resolves(park=True, originate_id="req-2")
    assert set(rig.hangups()) == {3}
    rig.ends(3, party=Party.LOCAL)
    outcome = rig.outcome()
    assert outcome.cause == "DESTINATION_OUT_OF_ORDER"
    assert "not there" in outcome.reason


def test_endpoints_choose_call_ids_and_variables_of_their_legs() -> None:
    rig = Rig()
    alice = device(
        "alice",
        *("10.0.0.1", "10.0.0.3"),
        call_id="chosen-quickcall",
        channel_vars=(("Fetch-ID", "f1"),),
    )
    rig.originate(
        alice,
        endpoints=(alice,),
        channel_vars={"Retain-CID": "false", "Inherit-Codec": "false", "Account-ID": "stolen"},
        exported_vars=frozenset({"Retain-CID"}),
    )
    assert [dial.call_id for dial in rig.dials()] == ["chosen-quickcall", "chosen-quickcall-2"]
    variables = rig.channel("CREATE", 1).leg.channel_vars
    assert variables["Account-ID"] == "acct"
    assert (variables["Fetch-ID"], variables["Inherit-Codec"]) == ("f1", "false")
    rig.answers(1)
    rig.resolves(BOB)
    dialled = rig.channel("CREATE", 3).leg.channel_vars
    assert dialled["Retain-CID"] == "false"
    assert "Inherit-Codec" not in dialled
    assert "Fetch-ID" not in dialled


def test_a_call_id_of_an_endpoint_must_be_free() -> None:
    rig = Rig()
    rig.talks()
    alice = device("alice", "10.0.0.1", call_id="call-1")
    with pytest.raises(Conflict, match="call-1"):
        rig.originate(alice, originate_id="req-2", endpoints=(alice,))
