"""What an INVITE says: Request-URI, next hop, identity, headers; and what may not get into one."""

import pytest

from engine.core.attempts import Target, fork, hunt
from engine.core.auto_answer import DEFAULT_PROFILE, NOT_ASKED, AutoAnswer
from engine.core.commands import Dial
from engine.core.errors import RequestInvalid
from engine.core.formats import e164, npan, one_npan, strip_plus
from engine.core.headers import Headers
from engine.core.identity import Identity
from engine.core.invite import dial_carrier, dial_device
from engine.core.settings import CallSettings
from engine.core.uri import header_text, name_addr, next_hop_of, parse_uri, sip_uri
from engine.core.values import CallerId, Contact, Credentials, Endpoint, LegId
from tests.unit.core.rig import carrier, device

SETTINGS = CallSettings(host="198.51.100.1", codecs=("PCMU", "PCMA"))
CALLER = CallerId("Device QuickCall", "2001")
AUTO = AutoAnswer(DEFAULT_PROFILE)


def to_device(
    endpoint: Endpoint,
    *,
    number: str = "2001",
    caller: CallerId = CALLER,
    auto_answer: AutoAnswer = NOT_ASKED,
    headers: Headers = (),
    codec_of: LegId | None = None,
    hide_name: bool = False,
    hide_number: bool = False,
) -> Dial:
    """The INVITE to the first contact of a device."""
    target = Target(endpoint, endpoint.contacts[0])
    identity = Identity(caller, hide_name, hide_number)
    return dial_device(
        *(LegId(7), "call-7", target, number, identity, SETTINGS),
        auto_answer=auto_answer,
        headers=headers,
        codec_of=codec_of,
    )


def to_carrier(
    endpoint: Endpoint,
    number: str = "+14155550100",
    *,
    hide_name: bool = False,
    hide_number: bool = False,
) -> Dial:
    """The INVITE to a carrier."""
    target = Target(endpoint, endpoint.contacts[0])
    identity = Identity(CALLER, hide_name, hide_number)
    return dial_carrier(LegId(7), "call-7", target, number, identity, SETTINGS)


def test_a_device_gets_its_own_contact_back() -> None:
    dial = to_device(device("alice", "10.0.0.1:5062;transport=tcp"))
    assert dial.request_uri == "sip:alice@10.0.0.1:5062;transport=tcp"
    assert dial.next_hop == ""
    assert dial.to_uri == "<sip:alice@example.org>"
    assert dial.from_uri == '"Device QuickCall" <sip:2001@example.org>'
    assert dial.codecs == ("PCMU", "PCMA")
    assert dict(dial.headers) == {
        "X-KAZOO-AOR": "sip:alice@example.org",
        "X-KAZOO-INVITE-FORMAT": "contact",
        "Remote-Party-ID": '"Device QuickCall" <sip:2001@example.org>;'
        "party=calling;screen=yes;privacy=off",
    }


@pytest.mark.parametrize(
    ("invite_format", "request_uri"),
    [
        ("contact", "sip:alice@10.0.0.1:5062;transport=TCP"),
        ("forward", "sip:alice@10.0.0.1:5062;transport=TCP"),
        ("route", "sip:alice@10.0.0.1:5062;transport=TCP"),
        ("username", "sip:alice@example.org"),
        ("e164", "sip:+14155550100@example.org"),
        ("npan", "sip:4155550100@example.org"),
        ("1npan", "sip:14155550100@example.org"),
        ("strip_plus", "sip:14155550100@example.org"),
    ],
)
def test_the_invite_format_makes_the_request_uri(invite_format: str, request_uri: str) -> None:
    phone = device("alice", "10.0.0.1:5062;transport=TCP", invite_format=invite_format)
    dial = to_device(phone, number="+14155550100")
    assert dial.request_uri == request_uri
    moved = "sip:10.0.0.1:5062;transport=tcp"
    as_reached = invite_format in ("contact", "route", "forward")
    assert dial.next_hop == ("" if as_reached else moved)
    assert dial.to_uri == ("<sip:alice@example.org>" if as_reached else f"<{request_uri}>")
    assert dict(dial.headers)["X-KAZOO-INVITE-FORMAT"] == invite_format


def test_a_device_may_have_another_user_in_the_request_uri() -> None:
    phone = device("alice", "10.0.0.1", invite_format="username", request_user="line1")
    dial = to_device(phone)
    assert dial.request_uri == "sip:line1@example.org"
    assert dict(dial.headers)["X-KAZOO-AOR"] == "sip:alice@example.org"


def test_a_phone_behind_nat_is_sent_to_where_it_registered_from() -> None:
    contact = Contact("sip:alice@192.168.1.5", received="sip:203.0.113.9:40000;transport=udp")
    dial = to_device(device("alice", contacts=(contact,)))
    assert dial.request_uri == "sip:alice@192.168.1.5"
    assert dial.next_hop == "sip:203.0.113.9:40000;transport=udp"


def test_a_path_goes_before_the_source_of_the_register() -> None:
    contact = Contact(
        "sip:a@192.168.1.5", received="sip:203.0.113.9:40000", path=("<sip:edge;lr>",)
    )
    dial = to_device(device("alice", contacts=(contact,)))
    assert (dial.next_hop, dial.routes) == ("", ("<sip:edge;lr>",))


@pytest.mark.parametrize(
    ("proxy", "next_hop", "routes"),
    [
        ("edge.test:5070", "sip:edge.test:5070", ()),
        ("sip:edge.test;transport=TCP", "sip:edge.test;transport=tcp", ()),
        ("sip:edge.test;lr", "", ("<sip:edge.test;lr>",)),
        ("sips:edge.test;transport=tls;lr=on", "", ("<sips:edge.test;transport=tls;lr=on>",)),
    ],
)
def test_an_outbound_proxy_goes_before_path_and_source(
    proxy: str, next_hop: str, routes: tuple[str, ...]
) -> None:
    nat = Contact("sip:a@192.168.1.5", received="sip:203.0.113.9:40000")
    dial = to_device(device("alice", contacts=(nat,), proxy=proxy))
    assert (dial.request_uri, dial.next_hop, dial.routes) == (nat.uri, next_hop, routes)
    path = "<sip:p1;lr>"
    dial = to_device(device("alice", contacts=(Contact(nat.uri, path=(path,)),), proxy=proxy))
    assert (dial.request_uri, dial.next_hop, dial.routes) == (nat.uri, next_hop, (*routes, path))


def test_a_carrier_may_stand_behind_a_proxy() -> None:
    dial = to_carrier(carrier("west", proxy="sip:edge.test;lr"))
    assert dial.request_uri == "sip:+14155550100@west.example.net:5080"
    assert dial.routes == ("<sip:edge.test;lr>",)


@pytest.mark.parametrize(
    "bad", ["a b", "sip:edge>,<sip:x", "sip:edge?Route=x", "e\r\nX: 1", "tel:+1"]
)
def test_a_proxy_that_is_none_is_named(bad: str) -> None:
    with pytest.raises(RequestInvalid, match=r"endpoint\.proxy"):
        to_device(device("alice", "10.0.0.1", proxy=bad))


def test_a_device_without_a_user_has_no_aor_header() -> None:
    static = device("alice", "10.0.0.1", user="")
    headers = dict(to_device(static).headers)
    assert "X-KAZOO-AOR" not in headers


def test_a_devices_own_header_replaces_ours() -> None:
    phone = device("alice", "10.0.0.1", headers=(("alert-info", "Ring Answer"), ("X-Own", "1")))
    headers = to_device(phone, auto_answer=AUTO).headers
    assert [value for name, value in headers if name.lower() == "alert-info"] == ["Ring Answer"]
    assert ("X-Own", "1") in headers
    headers = to_device(phone, auto_answer=AUTO, headers=(("x-own", "2"), ("X-More", "3"))).headers
    assert headers[-3:] == (("alert-info", "Ring Answer"), ("x-own", "2"), ("X-More", "3"))


def test_a_carrier_gets_the_number_in_its_own_format() -> None:
    gateway = carrier(
        "west",
        contacts=(Contact("sip:gw.example.net:5080;transport=tls"),),
        credentials=Credentials("u", "p"),
        codecs=("G722",),
        realm="home.example.net",
    )
    dial = to_carrier(gateway, "+1415#2")
    assert dial.request_uri == "sip:+1415%232@gw.example.net:5080;transport=tls"
    assert dial.to_uri == "<sip:+1415%232@gw.example.net:5080>"
    assert dial.from_uri == '"Device QuickCall" <sip:2001@home.example.net>'
    assert dial.credentials == Credentials("u", "p")
    assert dial.codecs == ("G722",)
    assert [name for name, _ in dial.headers] == ["Remote-Party-ID"]


def test_a_carrier_may_ask_for_a_number_format_and_tls() -> None:
    gateway = carrier("w", contacts=(Contact("sips:gw.example.net"),), invite_format="strip_plus")
    assert to_carrier(gateway).request_uri == "sips:14155550100@gw.example.net"


def test_a_b_leg_offers_what_a_uses() -> None:
    assert to_device(device("bob", "10.0.0.2"), codec_of=LegId(1)).codec_of == 1


@pytest.mark.parametrize("bad", ["a\r\nEvil: 1", "a\nb", "a\x00b", "x" * 257])
@pytest.mark.parametrize(
    "where", ["cid_name", "cid_number", "endpoint.user", "endpoint.realm", "endpoint.headers.X-A"]
)
def test_nothing_gets_a_line_break_or_too_much_into_a_header(where: str, bad: str) -> None:
    endpoint = device("alice", "10.0.0.1")
    caller = CALLER
    if where == "cid_name":
        caller = CallerId(bad, "1")
    elif where == "cid_number":
        caller = CallerId("", bad)
    elif where == "endpoint.headers.X-A":
        endpoint = device("alice", "10.0.0.1", headers=(("X-A", bad),))
    else:
        endpoint = device("alice", "10.0.0.1", **{where.partition(".")[2]: bad})
    with pytest.raises(RequestInvalid) as caught:
        to_device(endpoint, caller=caller)
    assert caught.value.field == where


def test_a_realm_that_is_no_host_is_named() -> None:
    with pytest.raises(RequestInvalid, match=r"endpoint\.realm: 'a b'"):
        to_device(device("alice", "10.0.0.1", realm="a b"))


@pytest.mark.parametrize(
    "contact",
    [
        "",
        "tel:+1415",
        "sip:",
        "sip:a@b@c",
        "sip:a@b c",
        "sip:a@b>,<sip:c",
        'sip:a@b"',
        "sip:a@[::g]",
    ],
)
def test_a_contact_that_is_no_sip_uri_is_named(contact: str) -> None:
    with pytest.raises(RequestInvalid, match=r"endpoint\.contact"):
        to_device(device("alice", contacts=(Contact(contact),)))


@pytest.mark.parametrize(
    "name", ["Via", "call-id", "ROUTE", "Content-Length", "f", "X A", "X:A", ""]
)
def test_a_custom_header_may_not_be_the_stacks(name: str) -> None:
    with pytest.raises(RequestInvalid, match=r"header names|SIP stack"):
        to_device(device("alice", "10.0.0.1", headers=((name, "1"),)))


def test_an_unknown_invite_format_is_named() -> None:
    with pytest.raises(RequestInvalid, match="e164, forward, npan"):
        to_device(device("alice", "10.0.0.1", invite_format="fax"))


def test_a_carrier_cannot_be_asked_for_nothing() -> None:
    with pytest.raises(RequestInvalid, match="number: ''"):
        to_carrier(carrier("west"), "")


def test_uris() -> None:
    uri = parse_uri("x", "SIPS:a%20b:pw@[2001:db8::1]:5061;transport=TLS;lr?Subject=hi")
    assert (uri.scheme, uri.user, uri.address) == ("sips", "a%20b:pw", "[2001:db8::1]:5061")
    assert uri.parameters == ";transport=TLS;lr"
    assert next_hop_of(uri) == "sips:[2001:db8::1]:5061;transport=tls"
    assert sip_uri("", "host") == "sip:host"
    assert sip_uri("a b@c", "host") == "sip:a%20b%40c@host"
    assert name_addr("", "sip:a") == "<sip:a>"
    assert name_addr('a"b\\', "sip:a") == '"a\\"b\\\\" <sip:a>'
    assert header_text("x", "é" * 256) == "é" * 256


@pytest.mark.parametrize(
    ("number", "forms"),
    [
        ("4155550100", ("+14155550100", "4155550100", "14155550100")),
        ("14155550100", ("+14155550100", "4155550100", "14155550100")),
        ("+14155550100", ("+14155550100", "4155550100", "14155550100")),
        ("01144123456", ("+44123456", "01144123456", "01144123456")),
        ("0044123456", ("+44123456", "0044123456", "0044123456")),
        ("4412345678", ("+14412345678", "4412345678", "14412345678")),
        ("44123456789", ("+44123456789", "44123456789", "44123456789")),
        ("1001", ("1001", "1001", "1001")),
    ],
)
def test_number_formats(number: str, forms: tuple[str, str, str]) -> None:
    assert (e164(number), npan(number), one_npan(number)) == forms
    assert strip_plus(f"+{number}").lstrip("+") == number.lstrip("+")


def test_a_fork_is_every_contact_by_q_then_directory_order() -> None:
    low, high = Contact("sip:a@1", q=0.2), Contact("sip:a@2", q=0.9)
    one = device("one", contacts=(low, high, low))
    two = device("two", "10.0.0.2", "10.0.0.3")
    found = [target.contact.uri for target in fork((one, two, device("none")), 10)]
    assert found == ["sip:two@10.0.0.2", "sip:two@10.0.0.3", "sip:a@2", "sip:a@1"]
    assert len(fork((one, two), 3)) == 3


def test_a_hunt_forks_devices_and_takes_carriers_in_order() -> None:
    two_gateways = carrier("west", contacts=(Contact("sip:g1"), Contact("sip:g2")))
    devices = (device("one", "10.0.0.1"), device("two", "10.0.0.2"))
    away = carrier("mobile", forwarded_by="id-one")
    groups = hunt((devices[0], away, carrier("west")), 10)
    assert [[target.endpoint.id for target in group] for group in groups] == [
        ["id-one", "mobile"],
        ["west"],
    ]
    groups = hunt((*devices, two_gateways, carrier("east"), carrier("gone", contacts=())), 10)
    assert [[target.contact.uri for target in group] for group in groups] == [
        ["sip:one@10.0.0.1", "sip:two@10.0.0.2"],
        ["sip:g1"],
        ["sip:g2"],
        ["sip:east.example.net:5080"],
    ]
