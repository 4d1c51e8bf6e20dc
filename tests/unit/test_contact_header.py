"""Contact and Path values as phones, proxies and attackers send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.contact_header import CONTACT_LIMIT, parse_contact, split_path
from engine.sip.uri import parse_uri


def test_a_contact_with_everything() -> None:
    contact = parse_contact(
        '"Ann \\"A\\" <desk>" <sip:ann@10.0.0.7:5062;transport=TCP;ob>;q=0.7 ; expires=120'
        ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>";reg-id=1;audio'
    )
    assert contact.text == "sip:ann@10.0.0.7:5062;transport=TCP;ob"
    assert (contact.uri.user, contact.uri.host, contact.uri.port) == ("ann", "10.0.0.7", 5062)
    assert contact.uri.transport == "tcp"
    assert (contact.q, contact.expires) == (0.7, 120)
    assert contact.instance == '"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>";1'


@pytest.mark.parametrize(
    ("header", "uri", "expires"),
    [
        ("sip:ann@h;expires=5", "sip:ann@h", 5),
        ("<sip:ann@h>", "sip:ann@h", None),
        ("Ann <sip:[2001:db8::1]:5061>;EXPIRES=0", "sip:[2001:db8::1]:5061", 0),
        ("<sips:%61nn@h;x=y>;expires=soon", "sips:%61nn@h;x=y", 3600),
        ("<sip:ann@h>;expires=-1", "sip:ann@h", 3600),
        ("<sip:ann@h>;expires=99999999999999999999999", "sip:ann@h", 2**32 - 1),
        ("<sip:+1*2#@h>;expires=", "sip:+1*2#@h", 3600),
    ],
)
def test_shapes_of_contacts(header: str, uri: str, expires: int | None) -> None:
    contact = parse_contact(header)
    assert (contact.text, contact.expires) == (uri, expires)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "ann",
        "*",
        "<>",
        "<sip:>",
        "<sip:ann@h",
        "<sip:ann@h>>",
        "<sip:ann@h> junk",
        "<sip:ann@h>;q=2",
        "<sip:ann@h>;q=x",
        "<sip:ann@h>;=1",
        "<sip:ann@h:0>",
        "<sip:ann@h:99999>",
        "<sip:a nn@h>",
        "<sip:ann@h\r\nVia: x>",
        "<sip:ann@h\x00>",
        "<sip:änn@h>",
        "<tel:+1>",
        "<mailto:ann@h>",
        "<sip:a@b@c>",
        "<sip:ann@h>, <sip:bob@h>",
        f"<sip:{'a' * CONTACT_LIMIT}@h>",
    ],
)
def test_broken_contacts_are_refused(header: str) -> None:
    with pytest.raises(ValueError, match=r"Contact|SIP URI"):
        parse_contact(header)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for header in (text, f"<sip:{text}>", f"<sip:a@h>;{text}", f'"{text}" <sip:a@h>'):
        try:
            contact = parse_contact(header)
        except ValueError:
            continue
        assert contact.text.isprintable()
        assert contact.text.isascii()
        assert not set(contact.text) & set('<>"')


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:ann@h", "SIP:ann@H", True),
        ("sip:%61nn@h", "sip:ann@h", True),
        ("sip:ann@h;transport=UDP", "sip:ann@h;transport=udp", True),
        ("sip:ann@h;x=1", "sip:ann@h", True),
        ("sip:ann@h", "sip:Ann@h", False),
        ("sip:ann@h", "sips:ann@h", False),
        ("sip:ann@h", "sip:ann@h:5060", False),
        ("sip:ann@h;transport=tcp", "sip:ann@h", False),
        ("sip:ann@h", "sip:ann@h2", False),
    ],
)
def test_which_uris_name_one_contact(one: str, other: str, same: bool) -> None:
    assert (parse_uri(one).key == parse_uri(other).key) is same


def test_a_path_is_split_into_hops_in_order() -> None:
    assert split_path(" <sip:p1;lr;x=1>;y , <sip:p2;lr>") == ["<sip:p1;lr;x=1>;y", "<sip:p2;lr>"]


@pytest.mark.parametrize(
    "header", ["", "sip:p1", "<sip:p1>,", "<http://x>", "<sip:p>\r\nX: y", "<sip:p>,<>", "x" * 2000]
)
def test_a_broken_path_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match=r"broken Path|SIP URI"):
        split_path(header)
