"""Where a URI says that a request goes."""

from __future__ import annotations

import pytest

from engine.core.commands import Dial
from engine.core.errors import RequestInvalid
from engine.core.values import LegId
from engine.sip.target import Target, destination_of, goes_straight, target_of


@pytest.mark.parametrize(
    "uri",
    [
        "sip:192.0.2.1",
        "sip:bob@192.0.2.1:5070;transport=tcp",
        "SIPS:bob:secret@192.0.2.1",
        "sip:[2001:db8::1]:5060",
        "<sip:192.0.2.1;lr>",
        "sip:a;b=c@192.0.2.1?x=y",
    ],
)
def test_an_address_goes_straight(uri: str) -> None:
    assert goes_straight(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "sip:example.com",
        "sip:192.0.2.1@example.com",
        "sip:192.0.2.1.example.com",
        "sip:bob@192.0.2.1;maddr=example.com",
        "sip:bob@192.0.2.1;MADDR=192.0.2.2",
        "sip:192.0.2.1-a.example",
        "tel:192",
        "",
    ],
)
def test_everything_else_is_looked_at(uri: str) -> None:
    assert not goes_straight(uri)


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:example.com", Target("sip", "example.com", None, "")),
        ("sip:bob@Example.COM.:5070", Target("sip", "example.com", 5070, "")),
        ("sips:example.com;transport=TCP", Target("sips", "example.com", None, "tcp")),
        ("<sip:p.example;transport=tls;lr>", Target("sip", "p.example", None, "tls")),
        ('"P" <sip:p.example:5061;lr>;x=y', Target("sip", "p.example", 5061, "")),
        ("sip:192.0.2.1:5062;maddr=m.example", Target("sip", "m.example", 5062, "")),
        ("sip:[::1];maddr=[::2]", Target("sip", "[::2]", None, "")),
        ("sip:[::1]", Target("sip", "[::1]", None, "")),
    ],
)
def test_the_target_of_a_uri(uri: str, target: Target) -> None:
    assert target_of(uri) == target


@pytest.mark.parametrize("uri", ["tel:+4930", "sip:", "sip:exa mple.com", "<>", "sip:a\r\nb"])
def test_what_is_no_sip_uri(uri: str) -> None:
    with pytest.raises(RequestInvalid):
        target_of(uri)


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_out_of_bounds(port: str) -> None:
    with pytest.raises(ValueError, match=f"port {port} is not allowed"):
        target_of(f"sip:example.com:{port}")


@pytest.mark.parametrize(
    ("uri", "transports"),
    [
        ("sip:example.com", ("udp", "tcp", "tls")),
        ("sip:example.com;transport=tcp", ("tcp",)),
        ("sip:example.com;transport=ws", ()),
        ("sips:example.com", ("tls",)),
        ("sips:example.com;transport=tcp", ("tls",)),
        ("sips:example.com;transport=udp", ()),
    ],
)
def test_the_transports_a_uri_allows(uri: str, transports: tuple[str, ...]) -> None:
    assert target_of(uri).transports == transports


def test_the_next_hop_comes_before_routes_and_those_before_the_request_uri() -> None:
    dial = Dial(LegId(1), "c", "sip:uri.example", "<sip:t>", "<sip:f>")
    routed = Dial(LegId(1), "c", "sip:uri.example", "<sip:t>", "<sip:f>", "", ("<sip:r.example>",))
    both = Dial(LegId(1), "c", "sip:u", "<sip:t>", "<sip:f>", "sip:h.example", ("<sip:r.example>",))
    assert destination_of(dial) == "sip:uri.example"
    assert destination_of(routed) == "<sip:r.example>"
    assert destination_of(both) == "sip:h.example"
