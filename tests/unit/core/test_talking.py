"""Two that talk: how long, hold, one codec for both, transfers."""

from collections.abc import Callable

import pytest

from engine.core.errors import WrongState
from engine.core.events import (
    LegRenegotiated,
    LegReofferFailed,
    TransferRequested,
)
from engine.core.transfer import parse_replaces, transfer_number
from engine.core.values import LegId, Party, Refusal
from tests.unit.core.rig import Rig, carrier, device

CAROL = device("carol", "10.0.0.9")


def talking() -> Rig:
    rig = Rig()
    rig.talks()
    rig.commands.clear()
    rig.notices.clear()
    return rig


def refers(
    leg: int, to: str = "sip:3001@pbx", replaces: str = "", by: str = ""
) -> Callable[[Rig], None]:
    def play(rig: Rig) -> None:
        rig.takes(TransferRequested(LegId(leg), to, replaces, by))

    return play


# --- how long -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("engine", "asked", "longest"), [(0, 90, 90), (60, 0, 60), (60, 90, 90)])
def test_a_talk_ends_when_its_time_is_over(engine: float, asked: float, longest: float) -> None:
    rig = Rig(max_call_s=engine)
    rig.originate(device("alice", "10.0.0.1"), max_duration=asked)
    rig.answers(1)
    rig.resolves(device("bob", "10.0.0.2"))
    rig.waits(30)
    rig.answers(2)
    rig.waits(longest - 1)
    assert rig.hangups() == {}
    rig.waits(1)
    assert set(rig.hangups()) == {1, 2}
    rig.ends(1, party=Party.LOCAL)
    rig.ends(2, party=Party.LOCAL)
    assert (rig.outcome().cause, rig.outcome().party) == ("ALLOTTED_TIMEOUT", Party.TIMEOUT)
    assert rig.is_empty()


# --- hold ---------------------------------------------------------------------------------------


def test_a_peer_that_holds_us_is_reported_once() -> None:
    rig = talking()
    for held in (True, True, False, False):
        rig.takes(LegRenegotiated(LegId(1), held, "PCMU/8000", "v=0"))
    assert rig.names() == ["HOLD 1", "UNHOLD 1"]
    assert rig.channel("HOLD", 1).leg.held
    assert rig.orders() == [], "the other leg hears nothing of it"


def test_holding_a_peer() -> None:
    rig = talking()
    rig.holds(2)
    rig.holds(2)
    assert rig.orders() == ["hold 2", "split 1 2"]
    rig.holds(2, on=False)
    assert rig.orders()[2:] == ["talk 2", "join 1 2"]
    assert rig.names() == ["HOLD 2", "UNHOLD 2"]


def test_a_peer_that_refuses_to_be_held_talks_on() -> None:
    rig = talking()
    rig.holds(1)
    rig.takes(LegReofferFailed(LegId(1), 488, "Not Acceptable Here"))
    assert rig.orders() == ["hold 1", "split 1 2", "join 1 2"]
    assert rig.names() == ["HOLD 1", "UNHOLD 1"]


def test_only_who_talks_is_held_or_transferred() -> None:
    rig = Rig()
    rig.rings_and_answers()
    with pytest.raises(WrongState, match=r"leg 1 \(a, call-1\) is answered"):
        rig.holds(1)
    with pytest.raises(WrongState):
        rig.transfers(1, "3001")
    assert rig.control.hold("gone", rig.now, on=True).commands == ()


# --- one codec for both -------------------------------------------------------------------------


def test_the_other_leg_follows_to_another_codec() -> None:
    rig = talking()
    rig.takes(LegRenegotiated(LegId(1), False, "PCMA/8000", "v=0"))
    assert rig.orders() == ["talk 2 like 1"]
    rig.takes(LegRenegotiated(LegId(2), False, "PCMA/8000", "v=0"))
    assert rig.orders() == ["talk 2 like 1"]


def test_a_leg_whose_partner_cannot_follow_is_asked_back() -> None:
    rig = talking()
    rig.takes(LegRenegotiated(LegId(1), False, "PCMA/8000", "v=0"))
    rig.takes(LegReofferFailed(LegId(2), 488, "Not Acceptable Here"))
    assert rig.orders() == ["talk 2 like 1", "talk 1 like 2"]
    rig.takes(LegRenegotiated(LegId(1), False, "PCMU/8000", "v=0"))
    assert len(rig.orders()) == 2


def test_a_codec_in_other_letters_is_the_same() -> None:
    rig = talking()
    rig.takes(LegRenegotiated(LegId(1), False, "pcmu/8000", "v=0"))
    assert rig.orders() == []


# --- blind transfers ----------------------------------------------------------------------------


def test_a_blind_transfer() -> None:
    rig = talking()
    refers(1, "sip:%2B1555;phone-context=x@pbx", by="<sip:alice@example.org>")(rig)
    assert rig.orders() == ["resolve +1555"]
    rig.resolves(CAROL, number="+1555", for_leg=1)
    assert rig.orders()[1:] == ["split 1 2", "dial 3"]
    invite = rig.dials()[0]
    assert invite.codec_of == 2, "it will talk to leg 2"
    assert ("Referred-By", "<sip:alice@example.org>") in invite.headers
    rig.rings(3)
    rig.answers(3)
    rig.rings(3)
    assert rig.orders()[3:] == ["progress 1 180", "join 2 3", "progress 1 200", "hangup 1"]
    rig.ends(1, party=Party.LOCAL)
    assert rig.destroyed(1)[0] == "BLIND_TRANSFER"
    transferor = rig.channel("TRANSFEROR", 1)
    assert transferor.details == {"Transfer-Type": "blind", "Transfer-To": "+1555"}
    assert rig.channel("TRANSFEREE", 2).details == {"Target-Call-ID": "call-3"}
    rig.ends(3)
    rig.ends(2, party=Party.LOCAL)
    assert (rig.outcome().cause, rig.outcome().call_id) == ("NORMAL_CLEARING", "call-1")
    assert [a.role for a in rig.outcome().attempts] == ["a", "b", "b"]
    assert rig.is_empty()


def test_a_transfer_that_fails_joins_the_two_again() -> None:
    rig = talking()
    refers(2)(rig)
    rig.resolves(CAROL, for_leg=2)
    rig.early(3)
    rig.ends(3, 486)
    assert rig.orders()[-3:] == ["split 1 3", "progress 2 486", "join 1 2"]
    assert rig.names()[-2:] == ["BRIDGE 1", "BRIDGE 2"]
    refers(2)(rig)
    assert rig.orders()[-1] == "resolve 3001", "and it may be tried again"


def test_a_transfer_that_nobody_answers() -> None:
    rig = Rig(b_ring_s=20, max_call_s=100)
    rig.talks()
    refers(1)(rig)
    rig.resolves(CAROL, for_leg=1)
    rig.rings(3)
    rig.waits(20)
    assert rig.orders()[-3:] == ["hangup 3", "progress 1 480", "join 2 1"]
    rig.ends(3, 487, party=Party.LOCAL)
    rig.waits(80)
    assert set(rig.hangups()) == {1, 2, 3}, "the time of the talk goes on through it"


def test_a_transferor_may_hang_up_at_once() -> None:
    rig = talking()
    refers(1)(rig)
    rig.resolves(CAROL, for_leg=1)
    rig.ends(1)
    assert rig.hangups() == {}
    rig.answers(3)
    assert rig.orders()[-1] == "join 2 3"
    assert "progress" not in " ".join(rig.orders())


def test_a_transfer_that_fails_when_the_transferor_has_left_ends_the_call() -> None:
    rig = talking()
    refers(1)(rig)
    rig.resolves(CAROL, for_leg=1)
    rig.ends(1)
    rig.ends(3, 486)
    rig.ends(2, party=Party.LOCAL)
    assert rig.outcome().cause == "USER_BUSY"
    assert rig.is_empty()


def test_who_is_transferred_may_hang_up() -> None:
    rig = talking()
    refers(1)(rig)
    rig.resolves(CAROL, for_leg=1)
    rig.ends(2)
    assert set(rig.hangups()) == {1, 3}
    assert "progress 1 480" in rig.orders() or "progress 1 200" not in rig.orders()
    rig.ends(1, party=Party.LOCAL)
    rig.ends(3, 487, party=Party.LOCAL)
    assert rig.is_empty()


def test_a_number_that_leads_nowhere_is_not_transferred_to() -> None:
    rig = talking()
    refers(1, "sip:911@pbx")(rig)
    rig.resolves(refusal=Refusal("OUTGOING_CALL_BARRED", "emergency"), for_leg=1)
    assert rig.orders() == ["resolve 911", "progress 1 403"]
    assert "UNBRIDGE 1" not in rig.names()


@pytest.mark.parametrize("to", ["sip:pbx", "tel:+1", "nonsense", "sip:\r\nX: y@pbx"])
def test_a_refer_that_names_no_number_is_declined(to: str) -> None:
    rig = talking()
    refers(1, to)(rig)
    assert rig.orders() == ["progress 1 603"]


def test_carriers_do_not_transfer() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("west"))
    rig.answers(2)
    refers(2)(rig)
    assert rig.orders()[-1] == "progress 2 603"


def test_one_transfer_at_a_time() -> None:
    rig = talking()
    refers(1)(rig)
    refers(2)(rig)
    assert rig.orders()[-1] == "progress 2 603"
    rig.resolves(CAROL, for_leg=1)
    refers(1)(rig)
    assert rig.orders()[-1] == "progress 1 603"


def test_a_transfer_by_order() -> None:
    rig = talking()
    rig.transfers(2, "3001")
    rig.resolves(CAROL, for_leg=2)
    rig.answers(3)
    assert rig.orders()[-2:] == ["join 2 3", "hangup 1"], "nobody asked to be told"
    assert rig.dials()[0].codec_of == 2


def test_a_hunt_goes_on_in_a_transfer() -> None:
    rig = talking()
    refers(1)(rig)
    rig.resolves(carrier("west"), carrier("east"), for_leg=1)
    rig.ends(3, 503)
    rig.answers(4)
    assert rig.orders()[-3:] == ["join 2 4", "progress 1 200", "hangup 1"]


# --- attended transfers -------------------------------------------------------------------------


def two_calls() -> Rig:
    """Legs 1 and 2 talk, and so do 3 and 4."""
    rig = talking()
    rig.originate(device("alice", "10.0.0.1"), originate_id="req-2")
    rig.answers(3)
    rig.resolves(CAROL, originate_id="req-2")
    rig.answers(4)
    rig.dialed(3)
    rig.commands.clear()
    rig.notices.clear()
    return rig


def test_an_attended_transfer_joins_two_calls() -> None:
    rig = two_calls()
    refers(1, "sip:carol@pbx", "call-3;to-tag=tag-3;from-tag=to-3")(rig)
    assert rig.orders() == [
        "split 3 4",
        "hangup 3",
        "split 1 2",
        "join 2 4",
        "progress 1 200",
        "hangup 1",
    ]
    assert rig.channel("TRANSFEROR", 1).details["Transfer-Type"] == "attended"
    assert rig.channel("REPLACED", 3).details == {"Replaced-By": "call-4"}
    rig.ends(3, party=Party.LOCAL)
    assert rig.outcome().originate_id == "req-2"
    assert (rig.outcome().cause, rig.outcome().sip_status) == ("ATTENDED_TRANSFER", 200)
    rig.ends(1, party=Party.LOCAL)
    assert rig.control.originates == 1
    rig.ends(4)
    assert rig.channel("DESTROY", 4).leg.originate_id == "req-1"
    rig.ends(2, party=Party.LOCAL)
    assert rig.is_empty()


@pytest.mark.parametrize(
    "replaces",
    [
        "call-3;to-tag=tag-3;from-tag=other",
        "call-3;to-tag=to-3;from-tag=tag-3",
        "call-1;to-tag=tag-1;from-tag=to-1",
    ],
)
def test_a_dialog_that_is_not_there_is_not_replaced(replaces: str) -> None:
    rig = two_calls()
    rig.dialed(1)
    refers(1, "sip:carol@pbx", replaces)(rig)
    assert rig.orders() == ["progress 1 481"]


def test_calls_of_other_accounts_are_out_of_reach() -> None:
    rig = talking()
    rig.originate(device("eve", "10.0.0.6"), originate_id="req-2", account_id="other")
    rig.answers(3)
    rig.resolves(CAROL, originate_id="req-2")
    rig.answers(4)
    rig.dialed(3)
    refers(1, "sip:carol@pbx", "call-3;to-tag=tag-3;from-tag=to-3")(rig)
    assert rig.orders()[-1] == "progress 1 481"


def test_somebody_elses_dialog_is_replaced_by_them() -> None:
    rig = talking()
    refers(1, "sip:3001@pbx", "x@y;to-tag=1;from-tag=2;early-only")(rig)
    rig.resolves(CAROL, for_leg=1)
    assert ("Replaces", "x@y;to-tag=1;from-tag=2;early-only") in rig.dials()[0].headers
    assert ("Require", "replaces") in rig.dials()[0].headers
    assert rig.channel("TRANSFEROR", 1).details["Transfer-Type"] == "attended"


@pytest.mark.parametrize("value", ["", "a", "a;to-tag=1", "a b;to-tag=1;from-tag=2", ";to-tag=1"])
def test_what_is_no_replaces(value: str) -> None:
    assert parse_replaces(value) is None


def test_numbers_of_refer_to() -> None:
    assert transfer_number("sip:%2B1;x=y@h;user=phone") == "+1"
    assert transfer_number("sips:2002@h") == "2002"
    assert transfer_number("sip:h") == ""
