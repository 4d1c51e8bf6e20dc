"""Kazoo's answers to where a number goes, and who is asked for which channels."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.kapi_channels import Wanted, fields_of, judged, whose
from engine.control.kapi_route import RouteAnswer, no_answer, route_answer, route_req
from engine.control.kazoo_events import Switch
from engine.core.commands import ResolveDestination
from engine.core.errors import RequestInvalid
from engine.core.values import Contact, Endpoint, OriginateId
from tests.control.samples import ACCOUNT, request, snapshot

ASKED = ResolveDestination(OriginateId("o"), request(), "4711")
SWITCH = Switch("engine@node.example.org", "192.0.2.1:5060")
BOB = Endpoint("bob", "device", (Contact("sip:bob@192.0.2.2"),), user="bob", realm="acme.test")


def answer(method: str, **keys: object) -> dict[str, Any]:
    """A `route_resp`; `Defer_Response` stands for `Defer-Response`."""
    return {
        "Event-Category": "dialplan",
        "Event-Name": "route_resp",
        "App-Name": "callflow",
        "App-Version": "4.0.0",
        "Msg-ID": "m",
        "Method": method,
        **{key.replace("_", "-"): value for key, value in keys.items()},
    }


def read(body: dict[str, Any]) -> RouteAnswer:
    return route_answer(body, ASKED, lambda account, number: (BOB,) if account == ACCOUNT else ())


def test_park() -> None:
    found = read(answer("park", Pre_Park="none")).found
    assert (found.originate_id, found.number, found.park) == ("o", "4711", True)
    assert found.refusal is None


def test_routes() -> None:
    loopback = {"Invite-Format": "loopback", "Route": "1002"}
    fixed = {"Invite-Format": "route", "Route": "sip:1003@192.0.2.3"}
    found = read(answer("bridge", Routes=[loopback, fixed])).found
    uris = [contact.uri for endpoint in found.endpoints for contact in endpoint.contacts]
    assert uris == ["sip:bob@192.0.2.2", "sip:1003@192.0.2.3"]
    assert not found.park


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("486", "USER_BUSY"),
        ("604 Nope", "NO_ROUTE_DESTINATION"),
        ("403", "CALL_REJECTED"),
        ("USER_BUSY", "USER_BUSY"),
        ("SUCCESS", "NO_ROUTE_DESTINATION"),
        ("", "NO_ROUTE_DESTINATION"),
        ("999", "NO_ROUTE_DESTINATION"),
    ],
)
def test_why_a_number_is_refused(code: str, cause: str) -> None:
    refused = read(answer("error", Route_Error_Code=code, Route_Error_Message="a\x00b" * 200))
    assert refused.found.refusal is not None
    assert refused.found.refusal.cause == cause
    assert "\x00" not in refused.found.refusal.reason
    assert len(refused.found.refusal.reason) <= 200
    assert not refused.controls


def test_an_answer_that_others_may_better() -> None:
    assert read(answer("error", Defer_Response=True)).waits
    assert read(answer("error", Defer_Response="true")).waits
    assert not read(answer("error")).waits


@pytest.mark.parametrize(
    "body",
    [
        answer("sms"),
        answer("plan"),
        answer("fly"),
        answer("bridge"),
        answer("bridge", Routes=[]),
        answer("bridge", Routes=["x"]),
        answer("bridge", Routes={"a": 1}),
        answer("park", Pre_Park="perhaps"),
        answer("error", Route_Error_Code=486),
        {**answer("park"), "Event-Name": "route_win"},
        {**answer("park"), "Msg-ID": ""},
        {},
    ],
)
def test_what_is_no_usable_answer(body: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid):
        read(body)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["Method", "Routes", "Route-Error-Code", "Route-Error-Message", "Defer-Response", "Pre-Park"]
)


@given(st.dictionaries(KEYS, json))
def test_no_answer_raises_anything_else(keys: dict[str, Any]) -> None:
    with contextlib.suppress(RequestInvalid):
        assert read({**answer("park"), **keys}).found.originate_id == "o"


def test_the_question_of_a_leg_without_a_user_or_realm() -> None:
    asked = route_req(ASKED, snapshot(user="", realm=""), SWITCH, "m", "q")
    assert asked["From"] == "1001@node.example.org"
    assert asked["Request"] == "4711@node.example.org"


def test_nobody_answered() -> None:
    found = no_answer(ASKED, "no answer within 3 s")
    assert found.refusal is not None
    assert found.refusal.reason == "NO_ROUTE_RESPONSE: no answer within 3 s"


# --- whose channels -----------------------------------------------------------------------------


def test_a_question_that_names_nobody_wants_nobody() -> None:
    wanted = whose({"Event-Name": "query_user_channels_req"})
    variables = {"Authorizing-ID": "d", "Username": "u", "Realm": "r"}
    assert not wanted.takes(variables)
    assert not wanted.takes({})


def test_users_count_in_their_realm_alone() -> None:
    wanted = Wanted(realm="r", usernames=frozenset({"u"}))
    assert wanted.takes({"Username": "u", "Realm": "R"})
    assert not wanted.takes({"Username": "u", "Realm": "s"})
    assert not wanted.takes({"Username": "v", "Realm": "r"})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [("all", None), ([], None), (["A", 5], frozenset({"A"})), ("Realm", frozenset({"Realm"}))],
)
def test_fields(fields: object, expected: frozenset[str] | None) -> None:
    assert fields_of({"Fields": fields}) == expected


@given(st.dictionaries(st.sampled_from(["Event-Name", "Event-Category", "Auth-ID"]), json))
def test_no_question_raises_anything_else(body: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid):
        judged(body)
