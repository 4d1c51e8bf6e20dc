"""The table of causes against the lists of FreeSWITCH and Kazoo."""

import pytest

from engine.core.causes import (
    CAUSES,
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
    worth_another_try,
)
from engine.core.values import Party

STATUS_TO_CAUSE = {
    "NORMAL_CLEARING": [200],
    "CALL_REJECTED": [401, 402, 403, 407, 603, 608],
    "UNWANTED": [607],
    "UNALLOCATED_NUMBER": [404],
    "RECOVERY_ON_TIMER_EXPIRE": [408, 504],
    "NUMBER_CHANGED": [410],
    "INTERWORKING": [413, 414, 416, 420, 421, 423, 505, 513],
    "NO_USER_RESPONSE": [480],
    "NORMAL_TEMPORARY_FAILURE": [400, 481, 500, 503],
    "USER_BUSY": [486, 600],
    "NO_ROUTE_DESTINATION": [485, 604],
    "INVALID_NUMBER_FORMAT": [484],
    "INCOMPATIBLE_DESTINATION": [488, 606],
    "NETWORK_OUT_OF_ORDER": [502],
    "SERVICE_UNAVAILABLE": [405],
    "SERVICE_NOT_IMPLEMENTED": [406, 415, 501],
    "EXCHANGE_ROUTING_ERROR": [482, 483],
    "ORIGINATOR_CANCEL": [487],
    "NO_IDENTITY": [428],
    "BAD_IDENTITY_INFO": [429],
    "UNSUPPORTED_CERTIFICATE": [437],
    "INVALID_IDENTITY": [438],
}

CAUSE_TO_STATUS = {
    404: ["UNALLOCATED_NUMBER", "NO_ROUTE_TRANSIT_NET", "NO_ROUTE_DESTINATION"],
    486: ["USER_BUSY"],
    408: ["NO_USER_RESPONSE"],
    480: ["NO_ANSWER", "SUBSCRIBER_ABSENT", "NORMAL_UNSPECIFIED", "LOSE_RACE", "INTERWORKING"],
    603: ["CALL_REJECTED", "DECLINE", "REJECT_ALL", "NUMBER_BLOCKED"],
    410: ["NUMBER_CHANGED", "REDIRECTION_TO_NEW_DESTINATION"],
    502: ["DESTINATION_OUT_OF_ORDER", "INVALID_PROFILE"],
    484: ["INVALID_NUMBER_FORMAT", "INVALID_URL", "INVALID_GATEWAY"],
    501: ["FACILITY_REJECTED", "FACILITY_NOT_IMPLEMENTED", "SERVICE_NOT_IMPLEMENTED"],
    503: [
        "REQUESTED_CHAN_UNAVAIL",
        "NORMAL_CIRCUIT_CONGESTION",
        "NETWORK_OUT_OF_ORDER",
        "NORMAL_TEMPORARY_FAILURE",
        "SWITCH_CONGESTION",
        "GATEWAY_DOWN",
        "BEARERCAPABILITY_NOTAVAIL",
    ],
    403: [
        "OUTGOING_CALL_BARRED",
        "INCOMING_CALL_BARRED",
        "BEARERCAPABILITY_NOTAUTH",
        "STALE_DATE",
    ],
    488: ["BEARERCAPABILITY_NOTIMPL", "INCOMPATIBLE_DESTINATION"],
    504: ["RECOVERY_ON_TIMER_EXPIRE"],
    487: ["ORIGINATOR_CANCEL"],
    483: ["EXCHANGE_ROUTING_ERROR"],
    600: ["BUSY_EVERYWHERE"],
    604: ["DOES_NOT_EXIST_ANYWHERE"],
    606: ["NOT_ACCEPTABLE"],
    607: ["UNWANTED"],
    428: ["NO_IDENTITY"],
    429: ["BAD_IDENTITY_INFO"],
    437: ["UNSUPPORTED_CERTIFICATE"],
    438: ["INVALID_IDENTITY"],
}


def test_every_status_has_its_cause() -> None:
    expected = {status: name for name, all_ in STATUS_TO_CAUSE.items() for status in all_}
    for status in range(300, 700):
        assert cause_of_status(status) == expected.get(status, "NORMAL_UNSPECIFIED")
    assert cause_of_status(200) == "NORMAL_CLEARING"


@pytest.mark.parametrize(
    ("status", "name"), [(s, name) for s, names in CAUSE_TO_STATUS.items() for name in names]
)
def test_every_cause_has_its_status(status: int, name: str) -> None:
    assert status_of_cause(name) == status


def test_q850_both_ways() -> None:
    for row in CAUSES.values():
        if 0 < row.number <= 127:
            assert (row.q850, cause_of_q850(row.q850)) == (row.number, row.name)
        assert 0 <= row.q850 <= 127
        assert row.q850 == q850_of_cause(row.name)
    assert cause_of_q850(26) == "NORMAL_UNSPECIFIED"
    assert [c.name for c in CAUSES.values() if c.q850 == 0] == ["NONE", "SUCCESS"]


def test_names_and_numbers_are_unique_and_complete() -> None:
    numbers = [row.number for row in CAUSES.values()]
    assert len(set(numbers)) == len(numbers) == 83
    assert {c.number for c in CAUSES.values() if c.number >= 800} == {*range(800, 826), 900}


def test_a_blocked_number_has_its_own_cause() -> None:
    ending = ending_by_us("NUMBER_BLOCKED", Party.POLICY, "on a list")
    assert (ending.q850, ending.sip_status, ending.reason) == (21, 603, "on a list")
    assert result_of_cause("NUMBER_BLOCKED") is Result.REJECTED
    assert reason_header("NUMBER_BLOCKED") == 'SIP;cause=603;text="NUMBER_BLOCKED"'


def test_an_unknown_cause_is_named() -> None:
    with pytest.raises(ValueError, match="'NO_SUCH' is not a cause name"):
        status_of_cause("NO_SUCH")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NO_ANSWER", 'Q.850;cause=19;text="NO_ANSWER"'),
        ("USER_BUSY", 'Q.850;cause=17;text="USER_BUSY", SIP;cause=486;text="USER_BUSY"'),
        ("ORIGINATOR_CANCEL", 'SIP;cause=487;text="ORIGINATOR_CANCEL"'),
        ("LOSE_RACE", 'SIP;cause=200;text="Call completed elsewhere"'),
    ],
)
def test_reason_header(name: str, value: str) -> None:
    assert reason_header(name) == value


@pytest.mark.parametrize(
    ("answered", "status", "q850", "party", "name"),
    [
        (False, 486, 0, Party.REMOTE, "USER_BUSY"),
        (False, 503, 17, Party.REMOTE, "USER_BUSY"),
        (False, 503, 300, Party.REMOTE, "NORMAL_TEMPORARY_FAILURE"),
        (False, 0, 0, Party.TIMEOUT, "RECOVERY_ON_TIMER_EXPIRE"),
        (False, 0, 0, Party.POLICY, "SWITCH_CONGESTION"),
        (False, 0, 0, Party.LOCAL, "NORMAL_UNSPECIFIED"),
        (False, 200, 0, Party.LOCAL, "INCOMPATIBLE_DESTINATION"),
        (True, 200, 0, Party.REMOTE, "NORMAL_CLEARING"),
        (True, 200, 31, Party.REMOTE, "NORMAL_UNSPECIFIED"),
        (True, 0, 0, Party.TIMEOUT, "RECOVERY_ON_TIMER_EXPIRE"),
        (True, 488, 0, Party.POLICY, "INCOMPATIBLE_DESTINATION"),
    ],
)
def test_the_peers_reason_wins_then_the_status_then_the_party(
    *, answered: bool, status: int, q850: int, party: Party, name: str
) -> None:
    ending = ending_by_peer(answered=answered, sip_status=status, q850=q850, reason="", party=party)
    assert ending.cause == name
    assert ending.q850
    assert ending.reason == name
    assert (ending.sip_status, ending.party) == (status, party)


@pytest.mark.parametrize(
    ("honour", "q850", "sip_cause", "name"),
    [
        (RemoteReason.BOTH, 17, 603, "USER_BUSY"),
        (RemoteReason.BOTH, 0, 603, "CALL_REJECTED"),
        (RemoteReason.Q850, 17, 603, "USER_BUSY"),
        (RemoteReason.Q850, 0, 603, "NO_USER_RESPONSE"),
        (RemoteReason.SIP, 17, 603, "CALL_REJECTED"),
        (RemoteReason.SIP, 17, 0, "NO_USER_RESPONSE"),
        (RemoteReason.NONE, 17, 603, "NO_USER_RESPONSE"),
    ],
)
def test_reason_headers_count_as_far_as_they_are_honoured(
    honour: RemoteReason, q850: int, sip_cause: int, name: str
) -> None:
    ending = ending_by_peer(
        answered=False,
        sip_status=480,
        q850=q850,
        reason="",
        party=Party.REMOTE,
        sip_cause=sip_cause,
        honour=honour,
    )
    assert ending.cause == name
    assert ending.q850 == q850_of_cause(name)


@pytest.mark.parametrize(
    ("answered", "sip_cause", "name"),
    [
        (False, 200, "LOSE_RACE"),
        (True, 200, "NORMAL_CLEARING"),
        (True, 408, "RECOVERY_ON_TIMER_EXPIRE"),
        (True, 486, "USER_BUSY"),
        (True, 100, "NORMAL_CLEARING"),
        (True, 7000, "NORMAL_CLEARING"),
    ],
)
def test_what_a_sip_reason_says(*, answered: bool, sip_cause: int, name: str) -> None:
    status = 200 if answered else 487
    ending = ending_by_peer(
        answered=answered,
        sip_status=status,
        q850=0,
        reason="",
        party=Party.REMOTE,
        sip_cause=sip_cause,
    )
    assert (ending.cause, ending.sip_status) == (name, status)


def test_a_q850_code_we_have_no_name_for_is_kept() -> None:
    ending = ending_by_peer(answered=False, sip_status=503, q850=47, reason="x", party=Party.REMOTE)
    assert (ending.cause, ending.q850) == ("NORMAL_UNSPECIFIED", 47)


def test_ending_by_us_has_the_status_of_its_cause() -> None:
    assert ending_by_us("NO_ANSWER", Party.TIMEOUT).sip_status == 480
    assert ending_by_us("NORMAL_CLEARING", Party.LOCAL).sip_status == 200


def endings(*names: str) -> list[Ending]:
    return [ending_by_us(name, Party.REMOTE) for name in names]


@pytest.mark.parametrize(
    ("names", "winner"),
    [
        (["RECOVERY_ON_TIMER_EXPIRE", "NO_USER_RESPONSE", "CALL_REJECTED", "USER_BUSY"], 3),
        (["RECOVERY_ON_TIMER_EXPIRE", "NO_USER_RESPONSE", "CALL_REJECTED"], 2),
        (["INCOMPATIBLE_DESTINATION", "RECOVERY_ON_TIMER_EXPIRE", "NO_USER_RESPONSE"], 2),
        (["UNALLOCATED_NUMBER", "RECOVERY_ON_TIMER_EXPIRE"], 1),
        (["INCOMPATIBLE_DESTINATION", "UNALLOCATED_NUMBER"], 1),
        (["ORIGINATOR_CANCEL", "INCOMPATIBLE_DESTINATION"], 1),
        (["BUSY_EVERYWHERE", "USER_BUSY"], 1),
    ],
)
def test_what_a_person_did_tells_most(names: list[str], winner: int) -> None:
    assert most_telling(endings(*names)).cause == names[winner]


def test_a_peer_tells_more_than_policy_and_the_earliest_of_equals_is_named() -> None:
    barred = ending_by_us("CALL_REJECTED", Party.POLICY)
    declined = [ending_by_us("DECLINE", Party.REMOTE, reason) for reason in ("first", "second")]
    assert most_telling([barred, *declined]) is declined[0]


def test_no_ending_has_no_most_telling_one() -> None:
    with pytest.raises(ValueError, match="at least one"):
        most_telling([])


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 505, 408, 488])
def test_a_hunt_goes_on(status: int) -> None:
    assert worth_another_try(cause_of_status(status))


@pytest.mark.parametrize("status", [486, 600, 603, 404, 484, 480, 604, 410])
def test_a_hunt_stops(status: int) -> None:
    assert not worth_another_try(cause_of_status(status))


def test_results() -> None:
    assert result_of_cause("DECLINE") is Result.REJECTED
    assert {row.result for row in CAUSES.values()} == set(Result)
