"""Kazoo's endpoint objects into endpoints of call control."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.media_values import Encryption
from engine.core.values import (
    CallerId,
    Contact,
    Credentials,
)
from tests.control.originates import (
    CALL_ID,
    DEVICE,
    crossbar_endpoint,
    one,
    parsed,
    rung,
)


def test_elements_without_a_format_and_those_named_twice_are_left_out() -> None:
    again = crossbar_endpoint(**{"Outbound-Call-ID": "other"})
    bob = crossbar_endpoint("bob", "r.test", "bobs")
    without = {"To-User": "carol"}
    found = rung(crossbar_endpoint(), again, without, bob)
    assert [endpoint.call_id for endpoint in found] == [CALL_ID, "bobs"]


def test_whose_answer_must_be_confirmed_is_left_out() -> None:
    confirms = crossbar_endpoint("bob", **{"Custom-Channel-Vars": {"Confirm-Key": "1"}})
    assert [endpoint.user for endpoint in rung(confirms, crossbar_endpoint())] == ["alice"]


def test_of_several_endpoints_those_answer_by_themselves_that_say_so() -> None:
    bob = crossbar_endpoint("bob", "r.test", "b", **{"Custom-Channel-Vars": {}})
    order = parsed(Endpoints=[crossbar_endpoint(), bob])
    assert order.request.auto_answer == "force"
    assert [endpoint.may_auto_answer for endpoint in order.request.endpoints] == [True, False]
    assert parsed(Endpoints=[bob]).request.auto_answer is False


@pytest.mark.parametrize(
    ("changes", "contact", "proxy"),
    [
        ({"Invite-Format": "route", "Route": "sip:b@192.0.2.1"}, "sip:b@192.0.2.1", ""),
        ({"Invite-Format": "route", "Route": "b@192.0.2.1:5080"}, "sip:b@192.0.2.1:5080", ""),
        (
            {"Invite-Format": "route", "Route": "sip:b@r.test;fs_path=sip%3A192.0.2.7%3A5060"},
            "sip:b@r.test",
            "sip:192.0.2.7:5060",
        ),
        ({"To-IP": "192.0.2.4:5070"}, "sip:1002@192.0.2.4:5070", ""),
        ({"To-IP": "sip:x@192.0.2.4"}, "sip:x@192.0.2.4", ""),
        (
            {"To-IP": "192.0.2.4", "SIP-Transport": "tcp"},
            "sip:1002@192.0.2.4;transport=tcp",
            "",
        ),
        ({"Proxy-IP": "192.0.2.8"}, "", "sip:192.0.2.8"),
        ({"Forward-IP": "sip:192.0.2.8", "Proxy-IP": "192.0.2.9"}, "", "sip:192.0.2.8"),
        (
            {"Proxy-IP": "192.0.2.8", "SIP-Transport": "tls"},
            "",
            "sip:192.0.2.8;transport=tls",
        ),
    ],
)
def test_where_an_endpoint_is(changes: dict[str, Any], contact: str, proxy: str) -> None:
    endpoint = one(**changes)
    assert endpoint.contacts == ((Contact(contact),) if contact else ())
    assert endpoint.proxy == proxy


def test_version_5_names_the_address_of_record() -> None:
    (endpoint,) = rung({"Invite-Format": "endpoint", "Endpoint-URI": "bob@r.test"})
    assert (endpoint.user, endpoint.realm, endpoint.invite_format) == ("bob", "r.test", "contact")


def test_a_carrier_is_asked_for_the_number_of_its_route() -> None:
    (endpoint,) = rung(
        {
            "Invite-Format": "route",
            "Route": "sip:+14155550100@192.0.2.1",
            "Custom-Channel-Vars": {"Resource-ID": "gw"},
            "Auth-User": "me",
            "Auth-Password": "secret",
        }
    )
    assert (endpoint.kind, endpoint.id, endpoint.user) == ("resource", "gw", "")
    assert endpoint.number == "+14155550100"
    assert endpoint.credentials == Credentials("me", "secret", "*")


def test_a_loopback_goes_through_the_dial_plan() -> None:
    away = crossbar_endpoint(**{"Invite-Format": "route", "Route": "loopback/+14155550100"})
    (found,) = rung(away)
    assert (found.id, found.forwarded_by) == ("first", DEVICE)
    assert [behind.id for behind in found.fallbacks] == ["second"]
    assert found.call_id == CALL_ID
    assert rung({**away, "Route": "loopback/999/context_2"}) == ()
    assert rung({**away, "Invite-Format": "loopback", "Route": "+14155550100"}) == (found,)


def test_failover_stands_behind_its_endpoint() -> None:
    behind = crossbar_endpoint(
        "bob", "r.test", "b", Failover=crossbar_endpoint("carol", "r.test", "c")
    )
    endpoint = one(Failover=behind)
    (second,) = endpoint.fallbacks
    (third,) = second.fallbacks
    assert [endpoint.user, second.user, third.user] == ["alice", "bob", "carol"]


def test_failovers_end() -> None:
    nested: dict[str, Any] = crossbar_endpoint()
    for _ in range(50):
        nested = crossbar_endpoint(Failover=nested)
    (endpoint,) = rung(nested)
    depth = 0
    while endpoint.fallbacks:
        (endpoint,) = endpoint.fallbacks
        depth += 1
    assert depth == 4


def test_more_of_an_endpoint() -> None:
    endpoint = one(
        **{
            "Endpoint-Delay": 2,
            "Endpoint-Timeout": "15",
            "Endpoint-Progress-Timeout": 0,
            "Ignore-Early-Media": "false",
            "Bypass-Media": True,
            "Caller-ID-Type": "pid",
            "Outbound-Caller-ID-Name": "Boss",
            "Custom-SIP-Headers": {"Diversions": ["<sip:1@a>;reason=unconditional"], "X-A": 7},
            "Custom-Channel-Vars": {
                "Owner-ID": "owner",
                "RTP-Secure-Media": "true",
                "Media-Encryption-Enforce-Security": "true",
            },
        }
    )
    assert (endpoint.delay, endpoint.timeout, endpoint.progress_timeout) == (2, 15, None)
    assert endpoint.ignore_early_media is False
    assert endpoint.media.bypass
    assert endpoint.media.encryption is Encryption.MANDATORY
    assert endpoint.cid_type == "pid"
    assert endpoint.shown == CallerId("Boss", "1002")
    assert endpoint.headers == (("X-A", "7"),)
    assert endpoint.diversions == ("<sip:1@a>;reason=unconditional",)
    assert endpoint.owner_id == "owner"
    assert endpoint.channel_vars == (
        ("Owner-ID", "owner"),
        ("Presence-ID", "alice@test.local"),
    )


def test_who_may_not_be_seen_is_not_shown() -> None:
    assert one(**{"Privacy-Hide-Number": True}).shown == CallerId("Anonymous", "anonymous")
    assert one(**{"Privacy-Hide-Name": "true"}).shown == CallerId("Anonymous", "1002")
