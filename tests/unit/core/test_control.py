"""The door of call control: ids, look-ups, deadlines, closing."""

import pytest

from engine.core.control import CallControl, CallSettings
from engine.core.deadlines import Deadlines
from engine.core.errors import EngineUnavailable
from engine.core.events import DestinationResolved, LegRang
from engine.core.leg import Leg
from engine.core.machine import MachineError
from engine.core.values import LegId, OriginateId, Party
from tests.unit.core.rig import ORIGINATE, START, Rig, device


def test_what_it_knows_of_a_live_call() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", "10.0.0.2"))
    planned = rig.control.planned(ORIGINATE)
    assert [(p.call_id, p.contact.uri, p.endpoint.id) for p in planned] == [
        ("call-1", "sip:alice@10.0.0.1", "id-alice"),
        ("call-2", "sip:alice@10.0.0.2", "id-alice"),
    ]
    rig.answers(1)
    rig.resolves(device("bob", "10.0.0.3"))
    assert rig.control.planned(ORIGINATE) == planned
    assert rig.control.originate_of("call-3") == ORIGINATE
    assert rig.control.originate_of("call-9") is None
    assert (rig.control.legs, rig.control.originates) == (3, 1)
    assert [leg.call_id for leg in rig.control.snapshots()] == ["call-1", "call-2", "call-3"]
    assert [leg.call_id for leg in rig.control.snapshots("acct")] == ["call-1", "call-2", "call-3"]
    assert rig.control.snapshots("other") == ()


def test_nothing_is_known_of_a_call_that_ended() -> None:
    rig = Rig()
    rig.talks()
    rig.ends(1)
    rig.ends(2)
    assert rig.control.planned(ORIGINATE) == ()
    assert rig.control.originate_of("call-1") is None
    assert rig.control.snapshots() == ()
    assert rig.control.next_deadline() is None


def test_late_and_unknown_events_have_no_effect() -> None:
    rig = Rig()
    rig.talks()
    rig.ends(1)
    rig.ends(2)
    for event in (
        LegRang(LegId(1), 180, "Ringing"),
        LegRang(LegId(99), 180, "Ringing"),
        DestinationResolved(ORIGINATE, "2", (), ""),
        DestinationResolved(OriginateId("unknown"), "2", (), ""),
    ):
        effects = rig.control.handle(event, START)
        assert (effects.commands, effects.notices) == ((), ())


def test_an_id_in_use_is_refused() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    with pytest.raises(ValueError, match="originate_id: 'req-1'"):
        rig.originate(device("alice", "10.0.0.1"))
    assert rig.control.originates == 1


def test_a_call_id_in_use_is_refused() -> None:
    control = CallControl(CallSettings(host="h"), lambda: "same")
    rig = Rig()
    rig.control = control
    with pytest.raises(ValueError, match="call_id: 'same'"):
        rig.originate(device("alice", "10.0.0.1", "10.0.0.2"))


def test_leg_ids_count_up_from_the_given_one_and_are_not_reused() -> None:
    rig = Rig()
    rig.control = CallControl(CallSettings(host="h"), rig._call_id, first_leg=41)
    rig.originate(device("alice", "10.0.0.1"))
    rig.ends(41, 486)
    rig.originate(device("alice", "10.0.0.1"))
    assert [dial.leg for dial in rig.dials()] == [41, 42]
    with pytest.raises(ValueError, match="first_leg: 0"):
        CallControl(CallSettings(host="h"), rig._call_id, first_leg=0)


def test_the_router_may_answer_once() -> None:
    rig = Rig()
    rig.talks()
    with pytest.raises(MachineError, match="in state talking cannot take routed"):
        rig.resolves(device("bob", "10.0.0.2"))


def test_close_hangs_everything_up_and_takes_nothing_more() -> None:
    rig = Rig()
    rig.talks()
    rig.originate(device("carol", "10.0.0.5"), originate_id="req-2")
    rig.closes()
    shutdown = 'SIP;cause=480;text="SYSTEM_SHUTDOWN"'
    assert rig.hangups() == dict.fromkeys((1, 2, 3), shutdown)
    for leg in (1, 2, 3):
        rig.ends(leg, party=Party.LOCAL)
    assert rig.names().count("ended SYSTEM_SHUTDOWN") == 2
    assert rig.is_empty()
    with pytest.raises(EngineUnavailable):
        rig.originate(device("alice", "10.0.0.1"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b_ring_s": 0}, "b_ring_s: 0"),
        ({"route_s": float("nan")}, "route_s: nan"),
        ({"cancel_guard_s": -1}, "cancel_guard_s: -1"),
        ({"max_attempts": 0}, "max_attempts: 0"),
        ({"host": ""}, "host: ''"),
    ],
)
def test_settings_out_of_bounds_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CallSettings(**{"host": "h", **changes})  # type: ignore[arg-type]


def test_no_more_attempts_than_the_setting_says() -> None:
    rig = Rig(max_attempts=2)
    rig.originate(device("alice", *(f"10.0.0.{n}" for n in range(5))))
    assert len(rig.dials()) == 2


def test_deadlines_in_order_moved_and_cleared() -> None:
    deadlines = Deadlines()
    a, b, c = ((OriginateId(name), None) for name in "abc")
    deadlines.set(a, 10)
    deadlines.set(b, 20)
    deadlines.set(c, 30)
    deadlines.set(a, 40)
    deadlines.clear(b)
    deadlines.clear(b)
    assert (deadlines.next(), len(deadlines)) == (30, 2)
    assert deadlines.pop_due(29.9) is None
    assert [deadlines.pop_due(50) for _ in range(3)] == [c, a, None]
    assert (deadlines.next(), len(deadlines)) == (None, 0)


def test_cleared_deadlines_do_not_pile_up() -> None:
    deadlines = Deadlines()
    live = (OriginateId("live"), None)
    deadlines.set(live, 1e9)
    for number in range(10_000):
        owner = (OriginateId(str(number)), LegId(number))
        deadlines.set(owner, 1e9 + number)
        deadlines.clear(owner)
    assert len(deadlines._heap) < 1000
    assert deadlines.pop_due(2e9) == live


def test_a_bridge_is_used_once() -> None:
    rig = Rig()
    rig.talks()
    call = rig.control._originates[ORIGINATE]
    a, b = call.legs[LegId(1)], call.legs[LegId(2)]
    with pytest.raises(MachineError, match="bridge of legs 1 and 2 in state up cannot take answer"):
        call._talking()._bridge.connect(a, b, rig.control._turn(START))


def test_a_leg_is_dialled_once() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    leg: Leg = rig.control._originates[ORIGINATE].legs[LegId(1)]
    with pytest.raises(
        MachineError, match=r"leg 1 \(a, call-1\) in state dialing cannot take dial"
    ):
        leg.start(rig.control._turn(START))
