"""Media past the engine: the shift, everything that stands against it, and the way back."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from engine.core.events import ChannelNotice, LegEnded, LegHeard
from engine.core.media_values import Encryption, LegMedia, MediaPolicy
from engine.core.values import BypassFlow, LegId, MediaMode, Party
from tests.unit.core.rig import Rig, device, media

BYPASS: dict[str, object] = {"media": MediaMode.BYPASS}


def talking(**settings: object) -> Rig:
    """Legs 1 and 2 talk and want to bypass us."""
    rig = Rig(transcoding=True, **settings)
    rig.talks(**BYPASS)
    return forget(rig)


def bypassed(**settings: object) -> Rig:
    """Legs 1 and 2 send to each other."""
    rig = Rig(transcoding=True, **settings)
    rig.talks(**BYPASS)
    rig.agrees(1)
    rig.agrees(2)
    assert modes(rig) == ["bypass", "bypass"]
    return forget(rig)


def forget(rig: Rig) -> Rig:
    rig.commands.clear()
    rig.notices.clear()
    return rig


def modes(rig: Rig) -> list[str]:
    return [snapshot.media.value for snapshot in rig.control.snapshots()]


def told(rig: Rig) -> list[dict[str, object]]:
    """What CALL_UPDATE said about leg 1."""
    return [
        dict(notice.details)
        for notice in rig.notices
        if isinstance(notice, ChannelNotice)
        and notice.name == "CALL_UPDATE"
        and notice.leg.leg == 1
    ]


# --- the shift ----------------------------------------------------------------------------------


def test_the_two_are_told_of_each_other_one_after_the_other() -> None:
    rig = Rig(transcoding=True)
    rig.talks(**BYPASS)
    assert rig.orders()[-2:] == ["join 1 2", "send 1 to 2"]
    rig.agrees(1)
    assert rig.orders()[-1] == "send 2 to 1"
    assert modes(rig) == ["process", "process"], "the engine relays until both have agreed"
    rig.agrees(2)
    assert rig.orders()[-1] == "free 1 2"
    assert modes(rig) == ["bypass", "bypass"]
    assert told(rig) == [{"Media": "bypass"}]


def test_nothing_is_shifted_unless_it_is_wanted() -> None:
    rig = Rig()
    rig.talks()
    assert rig.orders()[-1] == "join 1 2"
    assert told(rig) == []


@pytest.mark.parametrize("both", [True, False])
def test_two_devices_that_say_so_bypass_us(*, both: bool) -> None:
    alice, bob = device("alice", "10.0.0.1"), device("bob", "10.0.0.2")
    wants = replace(alice.media, bypass=True)
    rig = Rig()
    rig.originate(replace(alice, media=wants))
    rig.answers(1)
    rig.resolves(replace(bob, media=wants) if both else bob)
    rig.answers(2)
    assert (rig.orders()[-1] == "send 1 to 2") is both


def test_an_answer_from_elsewhere_costs_one_corrective_round() -> None:
    rig = talking()
    rig.agrees(1)
    rig.agrees(2, media(2, port=5000))
    assert rig.orders() == ["send 2 to 1", "send 1 to 2"]
    rig.agrees(1)
    assert rig.orders()[2:] == ["free 1 2"]


def test_two_that_never_agree_stay_anchored() -> None:
    rig = talking()
    for round_ in range(5):
        leg = 1 + round_ % 2
        if rig.orders() and not rig.orders()[-1].startswith("send"):
            break
        rig.agrees(leg, media(leg, port=5000 + round_))
    rig.agrees(1)
    rig.agrees(2)
    assert rig.orders()[-2:] == ["talk 1", "talk 2"]
    assert told(rig) == [{"Media": "process", "Bypass-Failed-Reason": "the two peers never agree"}]
    assert modes(rig) == ["process", "process"]


def test_the_direct_profile_saves_a_reinvite() -> None:
    rig = Rig(transcoding=True)
    direct = {"bypass_flow": BypassFlow.DIRECT, "ignore_early_media": False}
    rig.talks(**BYPASS, **direct)
    assert rig.dials()[1].media_of == 1
    assert rig.orders()[-1] == "send 1 to 2"
    rig.agrees(1)
    assert rig.orders()[-1] == "free 1 2"


def test_an_encrypted_device_is_not_offered_directly() -> None:
    rig = Rig(transcoding=True)
    rig.originate(
        device("alice", "10.0.0.1"),
        media=MediaMode.BYPASS,
        bypass_flow=BypassFlow.DIRECT,
        ignore_early_media=False,
    )
    rig.answers(1, media(1, security="AES_CM_128_HMAC_SHA1_80"))
    rig.resolves(device("bob", "10.0.0.2"))
    assert rig.dials()[1].media_of is None


@pytest.mark.parametrize(
    "wanted", [MediaPolicy(Encryption.MANDATORY), MediaPolicy(webrtc=True)], ids=["srtp", "webrtc"]
)
def test_who_wants_encryption_is_not_offered_an_address_without_keys(wanted: MediaPolicy) -> None:
    rig = Rig(transcoding=True)
    rig.rings_and_answers(**BYPASS, bypass_flow=BypassFlow.DIRECT, ignore_early_media=False)
    rig.resolves(device("bob", "10.0.0.2", media=wanted))
    assert rig.dials()[1].media_of is None


# --- what stands against it ---------------------------------------------------------------------

OBSTACLES: list[tuple[LegMedia, str]] = [
    (media(2, address=""), "an address is not known"),
    (media(2, formats=()), "an address is not known"),
    (media(2, ice=True), "a side uses ICE"),
    (media(2, security="DTLS-SRTP"), "a side is encrypted"),
    (media(2, source="203.0.114.7"), "a side is behind NAT"),
    (media(2, address="203.0.114.7:4000"), "one address is private, the other public"),
    (media(2, address="[fd00::2]:4000", source="fd00::2"), "the address families differ"),
    (media(2, formats=(("GSM/8000", 3), ("telephone-event/8000", 101))), "the codecs differ"),
    (media(2, formats=(("PCMU/8000", 0),)), "DTMF must be translated"),
]


@pytest.mark.parametrize(("answer", "reason"), OBSTACLES)
def test_an_obstacle_keeps_the_call_anchored_and_says_why(answer: LegMedia, reason: str) -> None:
    rig = Rig(transcoding=True)
    rig.rings_and_answers(**BYPASS)
    rig.resolves(device("bob", "10.0.0.2"))
    rig.answers(2, answer)
    assert rig.orders()[-1] == "join 1 2"
    assert told(rig) == [{"Media": "process", "Bypass-Failed-Reason": reason}]


def test_media_that_come_from_elsewhere_betray_nat() -> None:
    rig = Rig(transcoding=True)
    rig.rings_and_answers(**BYPASS)
    rig.takes(LegHeard(LegId(1), "10.0.0.1:61000"))
    rig.resolves(device("bob", "10.0.0.2"))
    rig.answers(2)
    assert told(rig) == [{"Media": "process", "Bypass-Failed-Reason": "a side is behind NAT"}]


@pytest.mark.parametrize("first", [True, False])
def test_a_refusal_brings_back_who_was_told(*, first: bool) -> None:
    rig = talking()
    if first:
        rig.refuses(1)
    else:
        rig.agrees(1)
        rig.refuses(2)
        assert rig.orders()[-1] == "talk 1"
        rig.agrees(1)
    assert told(rig) == [{"Media": "process", "Bypass-Failed-Reason": "Not Acceptable Here"}]
    assert "free 1 2" not in rig.orders()
    count = len(rig.orders())
    rig.offers(1, held=True)
    rig.offers(1)
    assert len(rig.orders()) == count, "it is not tried again"


# --- while they bypass us -----------------------------------------------------------------------


def test_a_new_port_of_one_is_told_to_the_other() -> None:
    rig = bypassed()
    rig.offers(1, media(1, port=6000))
    assert rig.orders() == ["send 2 to 1"]
    rig.agrees(2)
    assert rig.orders() == ["send 2 to 1"]
    assert modes(rig) == ["bypass", "bypass"]


def test_hold_by_a_peer_is_passed_on_and_told() -> None:
    rig = bypassed()
    rig.offers(2, held=True)
    assert rig.orders() == ["send 1 to 2"]
    assert rig.names() == ["HOLD 2"]
    rig.agrees(1)
    rig.offers(2)
    assert rig.orders() == ["send 1 to 2"] * 2
    rig.agrees(1)
    assert modes(rig) == ["bypass", "bypass"]


def test_both_change_at_once() -> None:
    rig = bypassed()
    rig.offers(1, media(1, port=6000))
    rig.offers(2, media(2, port=6000))
    rig.agrees(2, media(2, port=6000))
    assert rig.orders() == ["send 2 to 1", "send 1 to 2"]
    rig.agrees(1, media(1, port=6000))
    assert modes(rig) == ["bypass", "bypass"]


def test_a_peer_that_refuses_what_the_other_changed_comes_back_too() -> None:
    rig = bypassed()
    rig.offers(1, media(1, port=6000))
    rig.refuses(2)
    assert rig.orders() == ["send 2 to 1", "talk 1"]
    rig.agrees(1)
    assert rig.orders()[2:] == ["talk 2"]
    rig.agrees(2)
    assert rig.orders()[3:] == ["join 1 2"]
    assert modes(rig) == ["process", "process"]


def test_hold_by_us_pulls_the_media_back_and_resume_shifts_them_again() -> None:
    rig = bypassed(hold_music="moh.wav")
    rig.holds(1)
    assert rig.orders() == ["hold 1", "split 1 2", "play 1 moh.wav again"]
    rig.agrees(1)
    assert rig.orders()[3:] == ["talk 2"]
    rig.agrees(2)
    assert rig.orders()[4:] == [], "nobody is joined while one is on hold"
    rig.holds(1, on=False)
    assert rig.orders()[4:] == ["talk 1", "join 1 2", "quiet 1"]
    rig.agrees(1)
    assert rig.orders()[7:] == ["send 1 to 2"]
    rig.agrees(1)
    rig.agrees(2)
    assert modes(rig) == ["bypass", "bypass"]


def test_a_resume_that_overtakes_the_way_back() -> None:
    rig = bypassed()
    rig.holds(2)
    assert rig.orders() == ["talk 1", "split 1 2"]
    rig.holds(2, on=False)
    rig.agrees(1)
    assert rig.orders()[2:] == ["join 1 2", "talk 2"]
    rig.agrees(2)
    assert rig.orders()[4:] == ["join 1 2", "send 1 to 2"]


@pytest.mark.parametrize(
    ("act", "order"),
    [
        (lambda rig: rig.control.play("call-1", "beep.wav", rig.now), "play 1 beep.wav"),
        (lambda rig: rig.control.record("call-1", "a.wav", rig.now), "record 1 a.wav"),
    ],
)
def test_what_needs_the_media_here_waits_for_them(act: Callable[[Rig], object], order: str) -> None:
    rig = bypassed()
    rig.commands += act(rig).commands  # type: ignore[attr-defined]
    assert rig.orders() == ["talk 1"]
    rig.agrees(1)
    rig.agrees(2)
    assert rig.orders()[1:] == ["talk 2", "join 1 2", order]
    assert modes(rig) == ["process", "process"]
    assert told(rig) == [{"Media": "process"}]


# --- transfers and ends -------------------------------------------------------------------------


def test_a_transfer_brings_the_media_back_and_shifts_those_of_the_new_pair() -> None:
    rig = bypassed()
    rig.transfers(1, "3001")
    rig.resolves(device("carol", "10.0.0.3"), number="3001", for_leg=1)
    assert rig.orders() == ["resolve 3001", "talk 1", "split 1 2", "dial 3"]
    rig.agrees(1)
    assert rig.orders()[4:] == ["talk 2"]
    rig.answers(3)
    assert rig.orders()[5:7] == ["join 1 3", 'hangup 2 Q.850;cause=16;text="BLIND_TRANSFER"'] or (
        rig.orders()[5] == "join 1 3"
    )
    assert rig.orders()[-1] == "send 1 to 3"
    rig.agrees(1)
    rig.agrees(3)
    assert rig.orders()[-1] == "free 1 3"


def test_a_transfer_that_fails_lets_them_bypass_us_again() -> None:
    rig = bypassed()
    rig.transfers(1, "3001")
    rig.resolves(device("carol", "10.0.0.3"), number="3001", for_leg=1)
    rig.agrees(1)
    rig.agrees(2)
    rig.ends(3, 486)
    assert rig.orders()[-2:] == ["join 1 2", "send 1 to 2"]


def test_a_transferor_that_leaves_on_the_way_back() -> None:
    rig = bypassed()
    rig.transfers(1, "3001")
    rig.resolves(device("carol", "10.0.0.3"), number="3001", for_leg=1)
    rig.agrees(1)
    rig.ends(2)
    rig.answers(3)
    assert rig.orders()[-2:] == ["join 1 3", "send 1 to 3"]


@pytest.mark.parametrize("leg", [1, 2])
@pytest.mark.parametrize("shifting", [True, False])
def test_a_hangup_ends_the_call_and_nothing_is_offered_any_more(
    leg: int, *, shifting: bool
) -> None:
    rig = talking() if shifting else bypassed()
    rig.takes(LegEnded(LegId(leg), 200, "OK", Party.REMOTE, 16))
    assert [order for order in rig.orders() if order.startswith(("send", "talk", "hold"))] == []
    rig.ends(3 - leg, party=Party.LOCAL)
    assert rig.outcome().cause == "NORMAL_CLEARING"
    assert rig.is_empty()
