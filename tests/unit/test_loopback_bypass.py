"""Bypass media over the SIP stack in memory: what its phones are told, answer and refuse."""

from collections.abc import Iterator

import pytest

from engine.core.commands import Dial, FreeMedia, Join, Reoffer, TakeStock
from engine.core.events import LegAnswered, LegRenegotiated, LegReofferFailed, StockTaken
from engine.core.media_values import LegMedia
from engine.core.values import LegId
from engine.sip.loopback import (
    Answer,
    AnswerOffers,
    Bye,
    GiveAnswers,
    HoldAnswers,
    LoopbackSip,
    RefuseOffers,
    Renegotiate,
)

A, B = LegId(1), LegId(2)
A_MEDIA = LegMedia("192.0.2.2:30002", "192.0.2.2", formats=(("PCMU/8000", 0),))
B_MEDIA = LegMedia(
    "192.0.2.3:30004", "192.0.2.3", formats=(("PCMU/8000", 0), ("telephone-event/8000", 97))
)
MOVED = LegMedia("192.0.2.9:4000", "192.0.2.2", formats=A_MEDIA.formats)


@pytest.fixture
def sip() -> Iterator[LoopbackSip]:
    """Two answered legs that are joined."""
    stack = LoopbackSip()
    stack.script("sip:a@192.0.2.1", Answer())
    stack.script("sip:b@192.0.2.1", Answer(media=B_MEDIA))
    stack.submit([dial(A, "a"), dial(B, "b"), Join(A, B)])
    stack.drain()
    yield stack
    stack.begin_close()
    assert stack.stats().media_ports == 0
    stack.close()


def dial(leg: LegId, user: str, media_of: LegId | None = None) -> Dial:
    """An INVITE; the Call-ID is the user's name."""
    uri = f"sip:{user}@192.0.2.1"
    return Dial(leg, user, uri, f"<{uri}>", "<sip:100@example.org>", media_of=media_of)


def shift(sip: LoopbackSip) -> None:
    """Have the two send to each other."""
    sip.submit([Reoffer(A, False, media_of=B), Reoffer(B, False, media_of=A)])


def renegotiated(sip: LoopbackSip) -> list[LegRenegotiated]:
    """What was agreed on anew since the last look."""
    return [event for event in sip.drain() if isinstance(event, LegRenegotiated)]


def failed(sip: LoopbackSip) -> list[tuple[LegId, int]]:
    """Whose offers came to nothing, and the status, since the last look."""
    events = sip.drain()
    return [(e.leg, e.sip_status) for e in events if isinstance(e, LegReofferFailed)]


def ports(sip: LoopbackSip) -> int:
    """Media ports in the stock."""
    sip.drain()
    sip.submit([TakeStock()])
    (stock,) = sip.drain()
    assert isinstance(stock, StockTaken)
    return stock.media_ports


def test_phones_answer_with_addresses_of_their_own(sip: LoopbackSip) -> None:
    sip.script("sip:c@192.0.2.1", Answer(codec="opus/48000"))
    sip.submit([dial(LegId(3), "c")])
    answer = sip.drain()[1]
    assert isinstance(answer, LegAnswered)
    assert answer.media.address == "192.0.2.4:30006"
    assert answer.media.formats == (("opus/48000", 96), ("telephone-event/8000", 101))
    assert sip.told("c").address == "192.0.2.254:30006"


def test_a_shift_tells_each_the_address_of_the_other_and_frees_the_ports(sip: LoopbackSip) -> None:
    shift(sip)
    first, second = renegotiated(sip)
    assert (first.leg, first.media.address, first.by_us) == (A, A_MEDIA.address, True)
    assert first.media.formats == B_MEDIA.formats  # an answer keeps the numbers of its offer
    assert (second.leg, second.media.address) == (B, B_MEDIA.address)
    assert sip.told("a") == LegMedia(B_MEDIA.address, formats=B_MEDIA.formats)
    assert sip.told("b").address == A_MEDIA.address
    assert ports(sip) == 2
    sip.submit([FreeMedia(A, B)])
    assert (ports(sip), sip.joined) == (0, {A: B, B: A})


def test_ports_are_kept_while_one_side_sends_to_us(sip: LoopbackSip) -> None:
    sip.submit([Reoffer(A, False, media_of=B), FreeMedia(A, B)])
    assert (ports(sip), sip.joined) == (2, {A: B, B: A})


def test_the_way_back_takes_ports_again_while_there_are_any(sip: LoopbackSip) -> None:
    shift(sip)
    sip.submit([FreeMedia(A, B)])
    sip.out_of_ports = True
    sip.drain()
    sip.submit([Reoffer(A, False)])
    assert failed(sip) == [(A, 0)]
    sip.out_of_ports = False
    sip.submit([Reoffer(A, False), Reoffer(B, False)])
    assert [event.leg for event in renegotiated(sip)] == [A, B]
    assert ports(sip) == 2
    assert sip.told("a").address == "192.0.2.254:30002"


def test_a_phone_answers_differently_each_time(sip: LoopbackSip) -> None:
    sip.play("a", AnswerOffers((MOVED, A_MEDIA)))
    for _ in range(3):
        sip.submit([Reoffer(A, False, media_of=B)])
    said = [event.media.address for event in renegotiated(sip)]
    assert said == [MOVED.address, A_MEDIA.address, A_MEDIA.address]


def test_a_phone_refuses_once_or_for_good(sip: LoopbackSip) -> None:
    sip.play("a", RefuseOffers(491, "Request Pending", times=1))
    sip.play("b", RefuseOffers())
    shift(sip)
    shift(sip)
    assert failed(sip) == [(A, 491), (B, 488), (B, 488)]


def test_the_other_leg_must_live(sip: LoopbackSip) -> None:
    sip.play("b", Bye())
    sip.submit([Reoffer(A, False, media_of=B)])
    assert failed(sip) == [(A, 0)]


def test_an_offer_waits_for_its_answer_and_the_last_of_the_others_wins(sip: LoopbackSip) -> None:
    sip.play("a", HoldAnswers())
    sip.submit([Reoffer(A, False, media_of=B), Reoffer(A, True), Reoffer(A, False)])
    assert sip.drain() == []
    sip.play("a", GiveAnswers())
    assert [event.leg for event in renegotiated(sip)] == [A, A]
    assert sip.told("a").address == "192.0.2.254:30002"


def test_a_phone_in_bypass_holds_moves_and_asks_for_what_the_other_lacks(sip: LoopbackSip) -> None:
    shift(sip)
    sip.drain()
    sip.play("a", Renegotiate(held=True), Renegotiate(media=MOVED), Renegotiate(codec="opus/48000"))
    holds, moves = renegotiated(sip)
    assert (holds.held, holds.by_us, moves.held) == (True, False, False)
    assert moves.media == MOVED
    assert sip.told("a").address == B_MEDIA.address
    sip.submit([Reoffer(B, False, media_of=A)])
    assert sip.told("b").address == MOVED.address


def test_an_invite_may_name_the_other_phone_at_once(sip: LoopbackSip) -> None:
    sip.script("sip:c@192.0.2.1", Answer())
    sip.submit([dial(LegId(3), "c", media_of=B)])
    assert sip.told("c").address == B_MEDIA.address
