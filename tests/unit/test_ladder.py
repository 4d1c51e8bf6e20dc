"""SIP messages drawn as a ladder."""

import pytest

from engine.control.ladder import draw_ladder
from engine.core.events import SipMessageSeen

ALICE, ENGINE, BOB = "127.0.0.1:40001", "127.0.0.1:5060", "127.0.0.1:40002"
NAMES = {ALICE: "alice", ENGINE: "engine", BOB: "bob"}


def message(at: float, source: str, destination: str, first: str, body: str = "") -> SipMessageSeen:
    text = f"{first}\r\nCSeq: 1 INVITE\r\n\r\n{body}"
    return SipMessageSeen(at, source == ENGINE, source, destination, "udp", "id", text)


CALL = [
    message(100.0, ENGINE, ALICE, "INVITE sip:alice@h SIP/2.0", "v=0\r\n"),
    message(100.25, ALICE, ENGINE, "SIP/2.0 200 OK", "v=0\r\n"),
    message(100.5, ENGINE, BOB, "INVITE sip:bob@h SIP/2.0", "v=0\r\n"),
    message(112.0, BOB, ENGINE, "SIP/2.0 487 Request Terminated By Someone With Many Words"),
]


def test_arrows_point_from_sender_to_receiver() -> None:
    lines = draw_ladder(CALL, NAMES, 80)
    assert lines[0].split() == ["alice", "engine", "bob"]
    assert lines[1].split() == [ALICE, ENGINE, BOB]
    assert [line[:9].strip() for line in lines[2:]] == ["+00.000", "+00.250", "+00.500", "+12.000"]
    left, right = lines[2].split("│")[1], lines[2].split("│")[2]
    assert left.startswith("<─")
    assert " INVITE +SDP " in left
    assert not right.strip()
    assert lines[3].split("│")[1].endswith("─>")
    assert " 200 OK (INVITE) +SDP " in lines[3]
    assert lines[4].split("│")[2].endswith("─>")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_asked(width: int) -> None:
    lines = draw_ladder(CALL, NAMES, width)
    assert max(map(len, lines)) <= width
    assert len({line.rindex("│") for line in lines[2:]}) == 1


def test_long_labels_are_cut_with_a_sign() -> None:
    assert "…" in draw_ladder(CALL, NAMES, 80)[5]
    assert "Many Words (INVITE)" in draw_ladder(CALL, NAMES, 160)[5]


def test_addresses_without_a_name_get_their_own_column() -> None:
    lines = draw_ladder(CALL, {ENGINE: "engine", ALICE: "alice"}, 80)
    assert lines[0].split() == ["engine", "alice", BOB]


def test_message_across_a_column_keeps_its_ends() -> None:
    direct = [message(1.0, ALICE, BOB, "BYE sip:bob@h SIP/2.0"), *CALL]
    line = draw_ladder(direct, NAMES, 80)[2]
    assert line.count("│") == 2
    assert line.endswith(">│")


def test_nothing_seen_draws_nothing() -> None:
    assert draw_ladder([], NAMES) == []
