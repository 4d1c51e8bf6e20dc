"""Kazoo's shapes: options in, events and CDRs out."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.control.kazoo import (
    Switch,
    cdr,
    channel_event,
    parse_quickcall,
    quickcall_end,
    record_of_attempts,
    snake_case,
)
from engine.control.kazoo_keys import address
from engine.control.kazoo_request import MAX_CAV_VALUE, MAX_CAVS
from engine.core.errors import RequestInvalid
from engine.core.events import ChannelNotice
from engine.core.values import (
    DialMethod,
    EndpointType,
    LegRole,
    LegState,
    MediaMode,
    OriginateRequest,
)
from tests.control.samples import ACCOUNT, DEVICE, outcome, request, snapshot

SWITCH = Switch("engine@node1", "192.0.2.1:5060")


def parse(
    query: dict[str, str] | None = None, data: dict[str, object] | None = None
) -> OriginateRequest:
    return parse_quickcall(ACCOUNT, EndpointType.DEVICE, DEVICE, "1002", query or {}, data, "r")


def test_defaults() -> None:
    parsed = parse()
    assert parsed == OriginateRequest(ACCOUNT, EndpointType.DEVICE, DEVICE, "1002", request_id="r")
    assert (parsed.timeout, parsed.media, parsed.ignore_early_media) == (
        30,
        MediaMode.PROCESS,
        True,
    )


@pytest.mark.parametrize(
    ("query", "data"),
    [
        (
            {
                "auto_answer": "true",
                "cid-name": "Ann",
                "cid-number": "7",
                "ignore-early-media": "false",
                "media": "bypass",
                "number_filter": "(\\d+)",
                "target_call_id": "t",
                "timeout": "3",
                "custom_application_vars": '{"a": "b"}',
            },
            {},
        ),
        (
            {},
            {
                "auto_answer": True,
                "cid_name": "Ann",
                "cid_number": "7",
                "ignore_early_media": False,
                "media": "bypass",
                "number_filter": "(\\d+)",
                "target_call_id": "t",
                "timeout": 3,
                "custom_application_vars": {"a": "b"},
            },
        ),
    ],
    ids=["query", "body"],
)
def test_every_option_from_either_place(query: dict[str, str], data: dict[str, object]) -> None:
    parsed = parse(query, data)
    assert parsed.auto_answer is True
    assert (parsed.cid_name, parsed.cid_number) == ("Ann", "7")
    assert parsed.ignore_early_media is False
    assert parsed.media is MediaMode.BYPASS
    assert parsed.number_filter == "(\\d+)"
    assert parsed.target_call_id == "t"
    assert parsed.timeout == 3
    assert parsed.custom_application_vars == {"a": "b"}


def test_options_of_the_attempts() -> None:
    names = ("USER_BUSY", "CALL_REJECTED")
    asked = OriginateRequest(
        ACCOUNT,
        EndpointType.DEVICE,
        DEVICE,
        "1002",
        request_id="r",
        call_id="order-17@shop",
        dial_method=DialMethod.SINGLE,
        fail_on_single_reject=frozenset(names),
        ignore_completed_elsewhere=True,
        endpoint_delay=0.5,
        endpoint_timeout=10.0,
        progress_timeout=4.0,
        max_duration=3600.0,
        hide_number=True,
        ignore_early_media="ring_ready",
    )
    query = {
        "call_id": "order-17@shop",
        "dial-method": "single",
        "fail-on-single-reject": "USER_BUSY, CALL_REJECTED",
        "ignore-completed-elsewhere": "true",
        "endpoint-delay": "0.5",
        "endpoint-timeout": "10",
        "progress-timeout": "4",
        "max-duration": "3600",
        "privacy": "number",
        "ignore-early-media": "ring_ready",
    }
    data = {
        "outbound_call_id": "order-17@shop",
        "dial_endpoint_method": "single",
        "fail_on_single_reject": list(names),
        "ignore_completed_elsewhere": True,
        "endpoint_delay": 0.5,
        "endpoint_timeout": 10,
        "endpoint_progress_timeout": 4.0,
        "max_duration": 3600,
        "privacy": "number",
        "ignore_early_media": "ring_ready",
    }
    assert parse(query) == asked
    assert parse({}, data) == asked


def test_options_of_auto_answer_and_headers() -> None:
    parsed = parse(
        {"auto_answer": "force", "answer-after": "7", "custom_sip_headers": '{"X-A":""}'}
    )
    assert (parsed.auto_answer, parsed.answer_after) == ("force", 7)
    assert parsed.headers == (("X-A", ""),)
    parsed = parse({}, {"answer_after": 60, "custom_sip_headers": {"X-A": "1", "X-B": "2"}})
    assert (parsed.answer_after, parsed.headers) == (60, (("X-A", "1"), ("X-B", "2")))


def test_the_words_of_privacy() -> None:
    hidden = {"none": (0, 0), "name": (1, 0), "number": (0, 1), "full": (1, 1), "yes": (1, 1)}
    for word, flags in hidden.items():
        parsed = parse({"privacy": word})
        assert (parsed.hide_name, parsed.hide_number) == flags


def test_any_character_of_rfc_3261_may_stand_in_a_call_id() -> None:
    word = "aZ09-.!%*_+`'~()<>:\\\"/[]?{}"
    for call_id in (word, f"{word}@{word}", "x" * 128):
        assert parse({}, {"call_id": call_id}).call_id == call_id


def test_every_reject_or_none_ends_the_ringing() -> None:
    assert parse({"fail_on_single_reject": "true"}).fail_on_single_reject is True
    assert parse({}, {"fail_on_single_reject": False}).fail_on_single_reject is False
    one = parse({"fail_on_single_reject": "USER_BUSY"}).fail_on_single_reject
    assert one == frozenset({"USER_BUSY"})


def test_the_body_wins_over_the_query() -> None:
    assert parse({"timeout": "10", "cid-name": "q"}, {"timeout": 20, "cid_name": "b"}).timeout == 20
    assert parse({"cid-name": "q"}, {"cid_name": "b"}).cid_name == "b"
    assert parse({"timeout": "10"}, {"timeout": None}).timeout == 30


def test_number_filter_values() -> None:
    assert parse({"number_filter": "true"}).number_filter is True
    assert parse({}, {"number_filter": False}).number_filter is False
    assert parse().number_filter is None


@pytest.mark.parametrize(
    ("data", "field", "code"),
    [
        ({"timeout": 2}, "timeout", "minimum"),
        ({"timeout": 86401}, "timeout", "maximum"),
        ({"timeout": True}, "timeout", "type"),
        ({"timeout": 3.5}, "timeout", "type"),
        ({"timeout": "-5"}, "timeout", "type"),
        ({"timeout": "٣"}, "timeout", "type"),
        ({"timeout": []}, "timeout", "type"),
        ({"auto_answer": "yes"}, "auto_answer", "type"),
        ({"auto_answer": 1}, "auto_answer", "type"),
        ({"answer_after": 61}, "answer_after", "maximum"),
        ({"answer_after": "1.5"}, "answer_after", "type"),
        ({"answer_after": True}, "answer_after", "type"),
        ({"custom_sip_headers": "X-A: 1"}, "custom_sip_headers", "type"),
        ({"custom_sip_headers": {"Via": "1"}}, "custom_sip_headers", "propertyNames"),
        ({"custom_sip_headers": {"X-A": 1}}, "custom_sip_headers.X-A", "type"),
        ({"custom_sip_headers": {"X-A": "1\n"}}, "custom_sip_headers.X-A", "pattern"),
        (
            {"custom_sip_headers": {f"X-{n}": "" for n in range(33)}},
            "custom_sip_headers",
            "maxProperties",
        ),
        ({"ignore-early-media": {}}, "ignore-early-media", "enum"),
        ({"ignore_early_media": "yes"}, "ignore_early_media", "enum"),
        ({"media": "auto"}, "media", "enum"),
        ({"media": []}, "media", "enum"),
        ({"number_filter": ""}, "number_filter", "type"),
        ({"number_filter": 1}, "number_filter", "type"),
        ({"cid_name": 5}, "cid_name", "type"),
        ({"cid-number": "1\n2"}, "cid-number", "pattern"),
        ({"target_call_id": "x" * 257}, "target_call_id", "maxLength"),
        ({"call_id": ""}, "call_id", "pattern"),
        ({"call_id": "a b"}, "call_id", "pattern"),
        ({"call_id": "a@b@c"}, "call_id", "pattern"),
        ({"call_id": "a\r\nVia: x"}, "call_id", "pattern"),
        ({"call_id": "é"}, "call_id", "pattern"),
        ({"call_id": "x" * 129}, "call_id", "maxLength"),
        ({"call_id": 7}, "call_id", "type"),
        ({"outbound-call-id": "a;b"}, "outbound-call-id", "pattern"),
        ({"dial_method": "parallel"}, "dial_method", "enum"),
        ({"dial_endpoint_method": []}, "dial_endpoint_method", "enum"),
        ({"fail_on_single_reject": "USER_BUSY,BUSY"}, "fail_on_single_reject", "enum"),
        ({"fail_on_single_reject": ["SUCCESS"]}, "fail_on_single_reject", "enum"),
        ({"fail_on_single_reject": [1]}, "fail_on_single_reject", "enum"),
        ({"fail_on_single_reject": []}, "fail_on_single_reject", "minItems"),
        ({"fail_on_single_reject": ""}, "fail_on_single_reject", "enum"),
        ({"fail_on_single_reject": {}}, "fail_on_single_reject", "enum"),
        ({"ignore_completed_elsewhere": "1"}, "ignore_completed_elsewhere", "type"),
        ({"endpoint_delay": -1}, "endpoint_delay", "minimum"),
        ({"endpoint-delay": "-1"}, "endpoint-delay", "type"),
        ({"endpoint_timeout": 86401}, "endpoint_timeout", "maximum"),
        ({"endpoint_timeout": float("nan")}, "endpoint_timeout", "type"),
        ({"endpoint_timeout": float("inf")}, "endpoint_timeout", "maximum"),
        ({"progress_timeout": True}, "progress_timeout", "type"),
        ({"endpoint-progress-timeout": "1e3"}, "endpoint-progress-timeout", "type"),
        ({"max_duration": 604801}, "max_duration", "maximum"),
        ({"max-duration": "soon"}, "max-duration", "type"),
        ({"privacy": "id"}, "privacy", "enum"),
        ({"privacy": True}, "privacy", "enum"),
        ({"custom_application_vars": []}, "custom_application_vars", "type"),
        ({"custom_application_vars": "x"}, "custom_application_vars", "type"),
        ({"custom_application_vars": {"": 1}}, "custom_application_vars", "propertyNames"),
        (
            {"custom_application_vars": {"k": "x" * MAX_CAV_VALUE}},
            "custom_application_vars.k",
            "maxLength",
        ),
    ],
)
def test_a_bad_value_is_refused_by_name(data: dict[str, object], field: str, code: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        parse({}, data)
    assert (caught.value.field, caught.value.code) == (field, code)


def test_query_keys_become_application_variables() -> None:
    parsed = parse(
        {"foo": "query", "Owner-ID": "x", "timeout": "9", "cid_name": "n", "auth_token": "t"},
        {"custom_application_vars": {"foo": "body", "bar": {"deep": [1]}, "Realm": "r"}},
    )
    assert parsed.custom_application_vars == {"foo": "query", "bar": {"deep": [1]}}


def test_application_variables_are_bounded() -> None:
    query = {f"k{index}": "v" for index in range(MAX_CAVS)}
    assert len(parse(query).custom_application_vars) == MAX_CAVS
    with pytest.raises(RequestInvalid, match="at most 64"):
        parse(query | {"one": "more"})


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=8))
def test_any_query_is_parsed_or_refused(query: dict[str, str]) -> None:
    with suppress(RequestInvalid):
        found = parse(query | {"auth_token": "t"}).custom_application_vars
        assert found.keys() <= query.keys() - {"auth_token"}


def test_snake_case_is_recursive_but_leaves_application_variables() -> None:
    assert snake_case(
        {
            "Call-ID": "c",
            "Custom-Channel-Vars": {"Account-ID": "a"},
            "Endpoints": [{"Custom-SIP-Headers": {"X-KAZOO-AOR": "s"}}],
            "Custom-Application-Vars": {"My-Key": {"Sub-Key": 1}},
        }
    ) == {
        "call_id": "c",
        "custom_channel_vars": {"account_id": "a"},
        "endpoints": [{"custom_sip_headers": {"x_kazoo_aor": "s"}}],
        "custom_application_vars": {"My-Key": {"Sub-Key": 1}},
    }


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:a@b", "a@b"),
        ('"x <y>" <sips:a@[::1]:5061;transport=tls>;tag=1', "a@[::1]:5061"),
        ("<sip:b>", "b"),
        ("a@b", "a@b"),
        ("", ""),
    ],
)
def test_address(uri: str, expected: str) -> None:
    assert address(uri) == expected


def test_events_say_what_came_of_auto_answer() -> None:
    def said(**fields: Any) -> dict[str, object]:
        event = channel_event(ChannelNotice("CHANNEL_ANSWER", 1.0, snapshot(**fields)), SWITCH)
        return {name: value for name, value in event.items() if name.startswith("Auto-Answer")}

    assert said() == {}
    assert said(auto_answer_reason="multiple_endpoints") == {
        "Auto-Answer-Applied": False,
        "Auto-Answer-Reason": "multiple_endpoints",
    }
    asked = {"auto_answer": True, "auto_answer_latency_ms": 40, "auto_answer_honoured": True}
    assert said(**asked) == {
        "Auto-Answer-Applied": True,
        "Auto-Answer-Latency-MS": 40,
        "Auto-Answer-Honoured": True,
    }
    assert said(auto_answer=True) == {"Auto-Answer-Applied": True}


def test_channel_destroy_has_the_documented_fields() -> None:
    event = channel_event(ChannelNotice("CHANNEL_DESTROY", 1443672788.9, snapshot()), SWITCH)
    expected = {
        "Event-Category": "call_event",
        "Event-Name": "CHANNEL_DESTROY",
        "Node": "engine@node1",
        "Msg-ID": "1443672788900000",
        "Timestamp": 1443672789 + 62167219200,
        "Call-ID": "0123-quickcall",
        "Call-Direction": "outbound",
        "Channel-Created-Time": 1443672756990000,
        "Channel-Call-State": "HANGUP",
        "Caller-ID-Name": "Device QuickCall",
        "Caller-ID-Number": "1002",
        "Request": "alice@127.0.0.1:5070",
        "To": "alice@example.org",
        "From": "1002@example.org",
        "Presence-ID": "alice@example.org",
        "Media-Server": "node1",
        "Switch-URI": "sip:192.0.2.1:5060",
        "Other-Leg-Call-ID": "4567-quickcall",
        "Duration-Seconds": 32,
        "Ringing-Seconds": 1,
        "Billing-Seconds": 31,
        "Hangup-Cause": "NORMAL_CLEARING",
        "Hangup-Code": "sip:200",
        "Disposition": "ANSWER",
        "Custom-Application-Vars": {"foo": "bar", "Order-ID": "7"},
    }
    assert {key: event.get(key) for key in expected} == expected
    assert event["Custom-Channel-Vars"]["Ecallmgr-Node"] == "engine@node1"  # type: ignore[index]
    assert str(event["Local-SDP"]).startswith("v=0")


@pytest.mark.parametrize(
    ("name", "state", "call_state"),
    [
        ("CHANNEL_CREATE", LegState.DIALING, "DOWN"),
        ("CHANNEL_PROGRESS", LegState.RINGING, "RINGING"),
        ("CHANNEL_PROGRESS_MEDIA", LegState.EARLY, "EARLY"),
        ("CHANNEL_ANSWER", LegState.ANSWERED, "ACTIVE"),
        ("CHANNEL_BRIDGE", LegState.ANSWERED, "ACTIVE"),
        ("CHANNEL_UNBRIDGE", LegState.ANSWERED, "ACTIVE"),
    ],
)
def test_every_event_carries_the_variables(name: str, state: LegState, call_state: str) -> None:
    event = channel_event(ChannelNotice(name, 1.0, snapshot(state=state)), SWITCH)
    assert event["Channel-Call-State"] == call_state
    assert event["Custom-Application-Vars"] == {"foo": "bar", "Order-ID": "7"}
    assert "Hangup-Cause" not in event
    assert "" not in event.values()
    assert ("Bridge-B-Unique-ID" in event) is ("BRIDGE" in name)


def test_a_leg_that_was_never_answered() -> None:
    leg = snapshot(answered_at=None, cause="USER_BUSY", sip_status=486, other_leg_call_id="")
    event = channel_event(ChannelNotice("CHANNEL_DESTROY", 1.0, leg), SWITCH)
    assert event["Disposition"] == "USER_BUSY"
    assert event["Billing-Seconds"] == 0
    assert event["Ringing-Seconds"] == 32
    assert event["Hangup-Code"] == "sip:486"
    assert "Other-Leg-Call-ID" not in event


def test_the_terminal_event_tells_every_attempt() -> None:
    end = replace(
        outcome(), final=True, cause="NO_ANSWER", answered=False, sip_status=0, call_id=""
    )
    event = quickcall_end(end, request(custom_application_vars={"foo": "bar"}), 1.0, SWITCH)
    assert event["Event-Name"] == "QUICKCALL_END"
    assert event["Hangup-Cause"] == "NO_ANSWER"
    assert event["Custom-Application-Vars"] == {"foo": "bar"}
    assert event["Attempts"] == [
        {
            "Role": "a",
            "Call-ID": "0123-quickcall",
            "Endpoint-ID": DEVICE,
            "Contact": "sip:alice@127.0.0.1:5070",
            "Cause": "SUCCESS",
            "SIP-Status": 200,
            "Reason": "OK",
            "Ringing-Seconds": 1.0,
            "Started-Time": 0,
        }
    ]
    assert "Hangup-Code" not in event
    assert "Call-ID" not in event


def test_a_cdr_is_a_kazoo_document() -> None:
    record = cdr(snapshot(), SWITCH)
    assert record["duration_seconds"] == 32
    assert record["timestamp"] == 1443672789 + 62167219200
    assert record["other_leg_destination_number"] == "1002"
    assert record["custom_channel_vars"]["account_id"] == ACCOUNT  # type: ignore[index]
    assert record["custom_application_vars"] == {"foo": "bar", "Order-ID": "7"}
    assert all(key == key.lower() and "-" not in key for key in record)


def test_an_attempt_says_where_it_was_sent_and_when() -> None:
    (attempt,) = outcome().attempts
    sent = replace(attempt, next_hop="sip:192.0.2.1:5060", started_at=1.5, ended_at=2.0)
    unsent = replace(attempt, role=LegRole.B, started_at=None)
    whole = replace(outcome(), attempts=(sent, unsent))
    told: Any = record_of_attempts(whole)["attempts"]
    first, second = told
    when = {"started_time": 1_500_000, "ended_time": 2_000_000}
    assert first.items() >= {"next_hop": "sip:192.0.2.1:5060", "role": "a", **when}.items()
    assert not {"next_hop", "started_time", "ended_time"} & set(second)
    assert second["role"] == "b"


def test_hold_and_transfer_are_told() -> None:
    leg = snapshot(state=LegState.ANSWERED, held=True)
    details = {"Transfer-Type": "attended", "Transfer-To": "1003"}
    event = channel_event(ChannelNotice("CHANNEL_TRANSFEROR", 1.0, leg, details), SWITCH)
    assert event.items() >= details.items()
    assert (event["Channel-State"], event["Channel-Call-State"]) == ("EXCHANGE_MEDIA", "HELD")
    free = ChannelNotice("CHANNEL_UNHOLD", 1.0, replace(leg, held=False))
    assert channel_event(free, SWITCH)["Channel-Call-State"] == "UNHELD"
    bridged = ChannelNotice("CHANNEL_BRIDGE", 1.0, replace(leg, held=False))
    assert channel_event(bridged, SWITCH)["Channel-Call-State"] == "ACTIVE"
