"""DTMF digits in call control: told once, and sent on to the leg that hears them."""

import pytest

from engine.core.commands import SendDigits
from engine.core.errors import RequestInvalid, WrongState
from engine.core.events import ChannelNotice, LegGaveEarlyMedia, LegSentDigit
from engine.core.media_values import DtmfMethod, MediaPolicy
from engine.core.values import LegId
from tests.unit.core.rig import Rig, device

RFC4733, INFO, INBAND = DtmfMethod.RFC4733, DtmfMethod.INFO, DtmfMethod.INBAND
METHODS = (RFC4733, INFO, INBAND)


def talking(own: DtmfMethod = DtmfMethod.AUTO) -> Rig:
    """Two that talk; leg 1 has this method of its own."""
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", media=MediaPolicy(dtmf=own)))
    rig.answers(1)
    rig.resolves(device("bob", "10.0.0.2"))
    rig.answers(2)
    rig.commands.clear()
    rig.notices.clear()
    return rig


def told(rig: Rig) -> list[tuple[object, ...]]:
    """Digits told: of which leg, which, how long, how it came."""
    names = ("DTMF-Digit", "DTMF-Duration", "DTMF-Method")
    return [
        (n.leg.leg, *(n.details[name] for name in names))
        for n in rig.notices
        if isinstance(n, ChannelNotice) and n.name == "DTMF"
    ]


def sent(rig: Rig) -> list[tuple[int, str, int]]:
    """Digits ordered: to which leg, which, how long."""
    return [(c.leg, c.digits, c.duration_ms) for c in rig.commands if isinstance(c, SendDigits)]


def press(rig: Rig, leg: int, digit: str, method: DtmfMethod, ms: int = 160) -> None:
    rig.takes(LegSentDigit(LegId(leg), digit, ms, method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("leg", "other"), [(1, 2), (2, 1)])
def test_what_the_media_did_not_carry_is_sent_to_the_other_leg(
    method: DtmfMethod, leg: int, other: int
) -> None:
    rig = talking()
    press(rig, leg, "5", method)
    assert told(rig) == [(leg, "5", 160, method.value)]
    assert sent(rig) == [(other, "5", 160)]


@pytest.mark.parametrize("method", METHODS)
def test_what_the_media_carried_is_only_told(method: DtmfMethod) -> None:
    rig = talking()
    rig.takes(LegSentDigit(LegId(1), "#", 80, method, carried=True))
    assert told(rig) == [(1, "#", 80, method.value)]
    assert sent(rig) == []


@pytest.mark.parametrize(("heard", "ordered"), [(0, 160), (10, 40), (40, 40), (9999, 2000)])
def test_a_digit_is_sent_on_as_long_as_a_receiver_takes_it(heard: int, ordered: int) -> None:
    rig = talking()
    press(rig, 1, "1", INFO, heard)
    assert told(rig) == [(1, "1", heard, "info")]
    assert sent(rig) == [(2, "1", ordered)]


@pytest.mark.parametrize("first", METHODS)
@pytest.mark.parametrize("second", METHODS)
def test_a_phone_that_sends_each_digit_in_two_ways(first: DtmfMethod, second: DtmfMethod) -> None:
    rig = talking()
    for digit in "55*":
        press(rig, 1, digit, first)
        rig.waits(0.3)
        press(rig, 1, digit, second)
        rig.waits(0.3)
    times = 2 if first is second else 1
    assert [digit for _, digit, _ in sent(rig)] == [d for d in "55*" for _ in range(times)]
    assert len(told(rig)) == 3 * times


def test_the_two_ways_of_one_press_may_overtake_each_other() -> None:
    rig = talking()
    for method in (INFO, INFO, RFC4733, RFC4733):
        press(rig, 1, "7", method)
    assert len(told(rig)) == 2


def test_a_long_press_is_one_digit_though_its_info_came_first() -> None:
    rig = talking()
    press(rig, 1, "0", INFO, 160)
    rig.waits(4)
    press(rig, 1, "0", RFC4733, 4000)
    assert len(told(rig)) == 1


def test_other_digits_legs_and_times_are_presses_of_their_own() -> None:
    rig = talking()
    press(rig, 1, "1", INFO)
    press(rig, 1, "2", RFC4733)
    press(rig, 2, "1", RFC4733)
    rig.waits(2)
    press(rig, 1, "1", RFC4733)
    assert [digit for _, digit, _, _ in told(rig)] == ["1", "2", "1", "1"]


@pytest.mark.parametrize("own", METHODS)
@pytest.mark.parametrize("method", METHODS)
def test_an_endpoint_with_a_method_is_listened_to_in_that_alone(
    own: DtmfMethod, method: DtmfMethod
) -> None:
    rig = talking(own)
    press(rig, 1, "3", method)
    assert len(told(rig)) == len(sent(rig)) == (own is method)
    press(rig, 2, "3", method)
    assert sent(rig)[-1:] == [(1, "3", 160)], "how a leg is sent digits is its stack's to know"


def test_on_hold_nobody_hears_a_digit() -> None:
    rig = talking()
    rig.holds(2)
    for leg in (1, 2):
        press(rig, leg, "4", INFO)
    assert len(told(rig)) == 2
    assert sent(rig) == []
    rig.holds(2, on=False)
    press(rig, 1, "4", INFO)
    assert sent(rig) == [(2, "4", 160)]


def test_digits_reach_an_announcement_before_the_answer() -> None:
    rig = Rig()
    rig.rings_and_answers()
    press(rig, 1, "1", INFO)
    assert sent(rig) == [], "nobody is there yet"
    rig.resolves(device("bob", "10.0.0.2"))
    rig.takes(LegGaveEarlyMedia(LegId(2), 183, "Session Progress", "PCMU/8000", "v=0"))
    press(rig, 1, "2", INFO)
    assert sent(rig) == [(2, "2", 160)]


# --- by order -----------------------------------------------------------------------------------


def test_digits_are_sent_by_order() -> None:
    rig = talking()
    effects = rig.control.send_digits("call-2", "12a#", rig.now, 80)
    assert effects.commands == (SendDigits(LegId(2), "12A#", 80),)
    assert effects.notices == ()


def test_a_leg_that_talks_to_nobody_may_be_sent_digits_once_it_answered() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    with pytest.raises(WrongState, match=r"leg 1 \(a, call-1\) is dialing; allowed: answered"):
        rig.control.send_digits("call-1", "1", rig.now, 160)
    rig.answers(1)
    assert rig.control.send_digits("call-1", "1", rig.now, 160).commands
    assert rig.control.send_digits("gone", "1", rig.now, 160).commands == ()


@pytest.mark.parametrize("digits", ["", "12 3", "1E", "w", "1" * 65, "\u0665", "1\r\n", "i"])
def test_what_is_no_digit_is_refused(digits: str) -> None:
    rig = talking()
    with pytest.raises(RequestInvalid) as caught:
        rig.control.send_digits("call-1", digits, rig.now, 160)
    assert caught.value.field == "digits"
    assert caught.value.allowed == "1 to 64 of 0-9, *, #, A-D"


@pytest.mark.parametrize("duration", [-1, 0, 39, 2001])
def test_digits_have_bounds_of_length(duration: int) -> None:
    rig = talking()
    with pytest.raises(RequestInvalid, match=r"duration: .*40 to 2000 ms"):
        rig.control.send_digits("call-1", "1", rig.now, duration)
