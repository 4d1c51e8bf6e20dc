"""Every status, every Q.850 code, every set of failed attempts has its cause."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from engine.core.causes import (
    CAUSES,
    TELLING,
    Ending,
    RemoteReason,
    Result,
    cause_of_q850,
    cause_of_status,
    ending_by_peer,
    ending_by_us,
    most_telling,
    q850_of_cause,
    reason_header,
    result_of_cause,
    status_of_cause,
)
from engine.core.values import Party

STATUSES = st.integers(300, 699)
NAMES = st.sampled_from(sorted(CAUSES))
ENDINGS = st.builds(ending_by_us, NAMES, st.sampled_from(Party))
_VALUE = re.compile(r'(Q\.850|SIP);cause=(\d+);text="[^"]+"')


@given(
    st.booleans(),
    st.integers(-1, 800),
    st.integers(-1, 300),
    st.integers(-1, 800),
    st.sampled_from(Party),
    st.sampled_from(RemoteReason),
)
def test_every_ending_of_a_peer_is_explained(
    answered: bool,
    status: int,
    q850: int,
    sip_cause: int,
    party: Party,
    honour: RemoteReason,
) -> None:
    ending = ending_by_peer(
        answered=answered,
        sip_status=status,
        q850=q850,
        reason="",
        party=party,
        sip_cause=sip_cause,
        honour=honour,
    )
    assert ending.cause in CAUSES
    assert 1 <= ending.q850 <= 127
    assert ending.reason


@given(STATUSES)
def test_a_status_has_a_cause_that_has_a_status(status: int) -> None:
    name = cause_of_status(status)
    assert 300 <= status_of_cause(name) < 700
    assert 1 <= q850_of_cause(name) <= 127


@given(st.integers(1, 127))
def test_a_q850_code_comes_back_as_itself_or_as_unspecified(code: int) -> None:
    name = cause_of_q850(code)
    assert q850_of_cause(name) == code or name == "NORMAL_UNSPECIFIED"


@given(NAMES)
def test_what_we_tell_a_peer_means_the_same_to_an_engine_like_this(name: str) -> None:
    told = {protocol: int(code) for protocol, code in _VALUE.findall(reason_header(name))}
    assert reason_header(name).count(";cause=") == len(told)
    heard = ending_by_peer(
        answered=False,
        sip_status=480,
        q850=told.get("Q.850", 0),
        reason="",
        party=Party.REMOTE,
        sip_cause=told.get("SIP", 0),
    )
    if "Q.850" in told:
        assert heard.cause == name
    if len(told) == 2:
        assert cause_of_status(told["SIP"]) == name


@given(st.lists(ENDINGS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_cause_of_several_attempts_does_not_depend_on_their_order(
    endings: list[Ending], random: object
) -> None:
    shuffled = list(endings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    best = most_telling(endings)
    assert best in endings
    assert most_telling(shuffled).cause == best.cause
    rank = TELLING.index(result_of_cause(best.cause))
    assert all(rank <= TELLING.index(result_of_cause(e.cause)) for e in endings)


def test_every_result_class_has_a_rank() -> None:
    assert set(TELLING) == set(Result)
    assert len(TELLING) == len(Result)
