"""originate_req into what call control understands, and the replies to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.kapi_originate import parse_originate
from engine.control.kapi_originate_replies import (
    error_reply,
    ready_reply,
    refusal_of,
    started_reply,
    success_reply,
    uuid_reply,
)
from engine.core.errors import (
    ConcurrencyExceeded,
    Conflict,
    EngineError,
    EngineUnavailable,
    Overloaded,
    RateLimited,
    RequestInvalid,
)
from engine.core.values import (
    Application,
    CallerId,
    Contact,
    DialMethod,
    Endpoint,
    EndpointType,
    MediaMode,
)
from tests.control.originates import (
    ACCOUNT,
    CALL_ID,
    DEVICE,
    crossbar_endpoint,
    crossbar_request,
    dialled,
    parsed,
    refused,
)

# --- the whole request -------------------------------------------------------------------------


def test_the_message_of_crossbar() -> None:
    order = parsed()
    request = order.request
    assert order.call_id == "made-1"
    assert order.immediate
    assert not order.started
    assert request.account_id == ACCOUNT
    assert (request.endpoint_type, request.endpoint_id) == (EndpointType.DEVICE, DEVICE)
    assert request.number == "1002"
    assert request.number_filter is False
    assert request.application is Application.TRANSFER
    assert request.auto_answer is True
    assert request.custom_application_vars == {"foo": "bar"}
    assert request.ignore_early_media is True
    assert request.media is MediaMode.PROCESS
    assert request.timeout == 30
    assert request.request_id == "request-1"
    assert request.dial_method is DialMethod.SIMULTANEOUS
    assert request.target_call_id is None
    assert request.channel_vars == {
        "Account-ID": ACCOUNT,
        "Retain-CID": "true",
        "Authorizing-Type": "device",
        "Authorizing-ID": DEVICE,
    }
    assert "Outbound-Callee-ID-Name" in request.exported_vars
    assert request.endpoints == (
        Endpoint(
            id=DEVICE,
            kind="device",
            contacts=(),
            user="alice",
            realm="test.local",
            invite_format="contact",
            codecs=("PCMU", "PCMA"),
            headers=(
                ("X-KAZOO-AOR", "sip:alice@test.local"),
                ("X-KAZOO-INVITE-FORMAT", "contact"),
            ),
            caller_id=CallerId("Alice", "1001"),
            number="1002",
            ignore_completed_elsewhere=False,
            request_user="alice",
            shown=CallerId("Device QuickCall", "1002"),
            call_id=CALL_ID,
            channel_vars=(
                ("Account-ID", ACCOUNT),
                ("Authorizing-ID", DEVICE),
                ("Authorizing-Type", "device"),
                ("Presence-ID", "alice@test.local"),
            ),
        ),
    )


def test_what_a_request_that_says_little_means() -> None:
    message: dict[str, object] = {
        "App-Name": "x",
        "App-Version": "1",
        "Event-Category": "resource",
        "Event-Name": "originate_req",
        "Msg-ID": "m",
        "Application-Name": "park",
        "Endpoints": [{"Invite-Format": "username", "To-User": "bob", "To-Realm": "r.test"}],
    }
    order = parse_originate(message, lambda: "made", dialled)
    request = order.request
    assert (request.account_id, request.endpoint_id) == ("", "bob")
    assert request.application is Application.PARK
    assert request.number == ""
    assert request.ignore_early_media is False
    assert request.dial_method is DialMethod.SINGLE
    assert request.timeout == 60
    assert request.auto_answer is False
    assert not order.immediate
    (endpoint,) = request.endpoints
    assert (endpoint.user, endpoint.invite_format, endpoint.call_id) == ("bob", "username", "made")


@pytest.mark.parametrize(
    ("changes", "immediate"),
    [
        ({}, True),
        ({"Originate-Immediate": False}, False),
        ({"Application-Name": "park"}, False),
        ({"Application-Name": "park", "Originate-Immediate": "true"}, True),
        ({"Application-Name": "bridge", "Application-Data": crossbar_endpoint()}, True),
    ],
)
def test_who_waits_for_an_execute(changes: dict[str, Any], immediate: bool) -> None:
    assert parsed(**changes).immediate is immediate


def test_started_is_for_those_that_control_the_channel_themselves() -> None:
    own = {"Start-Control-Process": False}
    assert not parsed(**own).started
    assert parsed(**own, **{"Application-Name": "park"}).started
    assert not parsed(**{"Application-Name": "park"}).started


def test_options_of_the_request() -> None:
    request = parsed(
        **{
            "Outbound-Call-ID": "chosen@host",
            "Existing-Call-ID": "another",
            "Fail-On-Single-Reject": "USER_BUSY",
            "Privacy-Hide-Number": "true",
            "Media": "bypass",
            "Timeout": "20",
            "Ignore-Early-Media": "ring_ready",
            "Custom-SIP-Headers": {"X-Note": "1"},
            "Progress-Timeout": 4,
        }
    ).request
    assert request.target_call_id == "another"
    assert request.fail_on_single_reject == frozenset({"USER_BUSY"})
    assert (request.hide_name, request.hide_number) == (False, True)
    assert request.media is MediaMode.BYPASS
    assert request.timeout == 20
    assert request.ignore_early_media == "ring_ready"
    assert request.headers == (("X-Note", "1"),)
    assert request.progress_timeout == 4
    assert request.channel_vars["Origination-Call-ID"] == "chosen@host"
    assert parsed(**{"Outbound-Call-ID": "chosen@host"}).call_id == "chosen@host"


def test_bridge_connects_to_its_endpoint() -> None:
    route = {"Invite-Format": "route", "Route": "sip:desk@192.0.2.9:5070"}
    request = parsed(**{"Application-Name": "bridge", "Application-Data": route}).request
    assert request.application is Application.BRIDGE
    (to,) = request.bridge_to
    assert to.contacts == (Contact("sip:desk@192.0.2.9:5070"),)
    listed = {"Application-Name": "bridge", "Application-Data": {"Endpoints": [route, route]}}
    assert len(parsed(**listed).request.bridge_to) == 1


def test_bridge_to_a_call_needs_no_endpoint() -> None:
    request = parsed(
        **{"Application-Name": "bridge", "Application-Data": None, "Existing-Call-ID": "that"}
    ).request
    assert (request.bridge_to, request.target_call_id) == ((), "that")


def test_variables_are_texts_and_objects_are_left_out() -> None:
    given = {"A": True, "B": 5, "C": "x", "D": {"no": 1}, "E": ["no"], "F": None, "G": 1.5}
    assert parsed(**{"Custom-Channel-Vars": given}).request.channel_vars == {
        "A": "true",
        "B": "5",
        "C": "x",
        "G": "1.5",
    }


def test_reserved_names_are_no_application_variables() -> None:
    given = {"foo": {"deep": [1]}, "Account-ID": "stolen"}
    request = parsed(**{"Custom-Application-Vars": given}).request
    assert request.custom_application_vars == {"foo": {"deep": [1]}}


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"Application-Name": None}, "Application-Name", "required"),
        ({"Endpoints": None}, "Endpoints", "required"),
        ({"Msg-ID": None}, "Msg-ID", "required"),
        ({"App-Name": None}, "App-Name", "required"),
        ({"Event-Name": "originate_resp"}, "Event-Name", "enum"),
        ({"Application-Name": "dance"}, "Application-Name", "enum"),
        ({"Application-Name": "eavesdrop"}, "Application-Name", "unsupported"),
        ({"Application-Name": "fax"}, "Application-Name", "unsupported"),
        ({"Dial-Endpoint-Method": "all"}, "Dial-Endpoint-Method", "enum"),
        ({"Media": "carrier pigeon"}, "Media", "enum"),
        ({"Continue-On-Fail": "maybe"}, "Continue-On-Fail", "type"),
        ({"Custom-Channel-Vars": []}, "Custom-Channel-Vars", "type"),
        ({"Endpoints": {}}, "Endpoints", "type"),
        ({"Endpoints": ["alice"]}, "Endpoints.0", "type"),
        ({"Endpoints": [{}] * 129}, "Endpoints", "maxItems"),
        ({"Application-Data": None}, "Application-Data.Route", "minLength"),
        ({"Application-Data": {"Route": "1\r\n2"}}, "Application-Data.Route", "pattern"),
        ({"Application-Name": "bridge", "Application-Data": {}}, "Application-Data", "required"),
        ({"Timeout": 2}, "Timeout", "minimum"),
        ({"Timeout": "soon"}, "Timeout", "type"),
        ({"Outbound-Call-ID": "two words"}, "Outbound-Call-ID", "pattern"),
        ({"Outbound-Caller-ID-Name": "a\nb"}, "Outbound-Caller-ID-Name", "pattern"),
        (
            {"Custom-Application-Vars": {str(n): n for n in range(65)}},
            "Custom-Application-Vars",
            "maxProperties",
        ),
        (
            {"Custom-Channel-Vars": {"big": "x" * 5000}},
            "Custom-Channel-Vars.big",
            "maxLength",
        ),
        ({"Custom-SIP-Headers": {"Via": "me"}}, "Custom-SIP-Headers", "propertyNames"),
    ],
)
def test_what_is_not_allowed_is_named(changes: dict[str, Any], field: str, code: str) -> None:
    error = refused(**changes)
    assert (error.field, error.code) == (field, code)
    assert error.allowed


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"Invite-Format": "smoke"}, "Invite-Format"),
        ({"To-User": "a\r\nb", "To-Username": ""}, "To-User"),
        ({"To-Realm": "not a host"}, "To-Realm"),
        ({"Outbound-Call-ID": "a b"}, "Outbound-Call-ID"),
        ({"Invite-Format": "route", "Route": "sip:a b@c"}, "Route"),
        ({"To-IP": "<here>"}, "To-IP"),
        ({"Proxy-IP": "nowhere at all"}, "Proxy-IP"),
        ({"SIP-Transport": "sctp"}, "SIP-Transport"),
        ({"Codecs": "PCMU"}, "Codecs"),
        ({"Endpoint-Delay": -1}, "Endpoint-Delay"),
        ({"Custom-SIP-Headers": {"X": "a\nb"}}, "Custom-SIP-Headers.X"),
        ({"Custom-Channel-Vars": "none"}, "Custom-Channel-Vars"),
        ({"Ignore-Early-Media": "perhaps"}, "Ignore-Early-Media"),
    ],
)
def test_what_is_not_allowed_in_an_endpoint_is_named(changes: dict[str, Any], field: str) -> None:
    error = refused(Endpoints=[crossbar_endpoint(**changes)])
    assert error.field == f"Endpoints.0.{field}"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
_KEYS = sorted(
    {
        *crossbar_request(),
        *("Existing-Call-ID", "Originate-Immediate", "Outbound-Call-ID", "Fail-On-Single-Reject"),
        *("Custom-SIP-Headers", "Start-Control-Process", "Account-ID", "Caller-ID-Type"),
    }
)
_ENDPOINT_KEYS = sorted(
    {
        *crossbar_endpoint(),
        *("Route", "To-IP", "Proxy-IP", "Forward-IP", "SIP-Transport", "Failover", "Auth-User"),
        *("Endpoint-URI", "Endpoint-Delay", "Endpoint-Timeout", "Caller-ID-Type", "Bypass-Media"),
    }
)
_ENDPOINTS = st.lists(
    st.dictionaries(st.sampled_from(_ENDPOINT_KEYS), _JSON, max_size=5).map(
        lambda changes: {**crossbar_endpoint(), **changes}
    ),
    max_size=3,
)


@given(
    st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=4),
    st.sampled_from(["transfer", "bridge", "park"]),
    _ENDPOINTS,
)
def test_whatever_comes_is_taken_or_refused_by_name(
    changes: dict[str, Any], application: str, endpoints: list[dict[str, Any]]
) -> None:
    base = crossbar_request(**{"Application-Name": application, "Endpoints": endpoints})
    message = {**base, **changes}
    error = None
    try:
        order = parse_originate(message, lambda: "made", dialled)
    except RequestInvalid as caught:
        error = caught
    else:
        assert order.call_id
        assert all(endpoint.call_id for endpoint in order.request.endpoints)
        assert all(isinstance(value, str) for value in order.request.channel_vars.values())
    if error is not None:
        assert error.field.split(".")[0] in message.keys() | {"Application-Data"}
        reply = error_reply(message, "text", "id", refusal_of(error)[1])
        assert msgspec.json.decode(msgspec.json.encode(reply))["Error-Detail"]["Field"]


# --- replies -----------------------------------------------------------------------------------


def test_success_repeats_what_an_event_may_tell() -> None:
    message = crossbar_request()
    assert success_reply(message, CALL_ID, "control") == {
        "Event-Category": "resource",
        "Event-Name": "originate_resp",
        "Application-Response": "SUCCESS",
        "Call-ID": CALL_ID,
        "Control-Queue": "control",
        "Application-Name": "transfer",
        "Application-Data": {"Route": "1002"},
        "Custom-Channel-Vars": message["Custom-Channel-Vars"],
        "Custom-Application-Vars": {"foo": "bar"},
        "Server-ID": "crossbar-replies",
        "System-Log-ID": "log-1",
    }


def test_an_error_repeats_the_whole_request() -> None:
    message = crossbar_request()
    assert error_reply(message, "USER_BUSY", "global") == {
        "Event-Category": "error",
        "Event-Name": "originate_resp",
        "Msg-ID": "request-1",
        "Error-Message": "USER_BUSY",
        "Call-ID": "global",
        "Request": message,
    }


def test_the_other_replies() -> None:
    assert uuid_reply("id", "control") == {
        "Event-Category": "resource",
        "Event-Name": "originate_uuid",
        "Outbound-Call-ID": "id",
        "Outbound-Call-Control-Queue": "control",
    }
    assert ready_reply("id", "control", "mine") == {
        "Event-Category": "dialplan",
        "Event-Name": "originate_ready",
        "Call-ID": "id",
        "Control-Queue": "control",
        "Server-ID": "mine",
    }
    assert started_reply("id", "control") == {
        "Event-Category": "resource",
        "Event-Name": "originate_started",
        "Call-ID": "id",
        "Control-Queue": "control",
    }


NOT_VALID = "originate failed to execute as JObj did not validate"


@pytest.mark.parametrize(
    ("error", "text", "detail"),
    [
        (
            RequestInvalid("Timeout", 1, "3 or more", "minimum"),
            NOT_VALID,
            {"Field": "Timeout", "Value": "1", "Allowed": "3 or more", "Code": "minimum"},
        ),
        (
            RateLimited("limits.burst", 6, "5", 0.5),
            "rate_limited",
            {
                "Field": "limits.burst",
                "Value": "6",
                "Allowed": "5",
                "Code": "rate_limited",
                "Retry-After": 0.5,
            },
        ),
        (
            ConcurrencyExceeded("limits.calls", 2, "1", 3.0),
            "concurrency_exceeded",
            {
                "Field": "limits.calls",
                "Value": "2",
                "Allowed": "1",
                "Code": "concurrency_exceeded",
                "Retry-After": 3.0,
            },
        ),
        (
            Overloaded(2.0),
            "SWITCH_CONGESTION",
            {"Reason": "the engine is offered more calls than it can make", "Retry-After": 2.0},
        ),
        (EngineUnavailable("full"), "SWITCH_CONGESTION", {"Reason": "full"}),
        (
            Conflict("call_id", "x", "a call"),
            NOT_VALID,
            {"Reason": "call_id: 'x' is already used by a call"},
        ),
    ],
)
def test_what_is_said_of_a_refusal(error: EngineError, text: str, detail: object) -> None:
    assert refusal_of(error) == (text, detail)


def test_a_long_value_is_told_in_part() -> None:
    _, detail = refusal_of(RequestInvalid("x", "y" * 5000, "less"))
    assert len(str(detail["Value"])) == 128


def test_the_interaction_of_the_request_is_kept() -> None:
    given = {"Call-Interaction-ID": "63610891956-0a1b2c3d"}
    assert parsed(**{"Custom-Channel-Vars": given}).request.channel_vars == given
    error = refused(**{"Custom-Channel-Vars": {"Call-Interaction-ID": "x" * 200}})
    assert error.field == "Custom-Channel-Vars.Call-Interaction-ID"
