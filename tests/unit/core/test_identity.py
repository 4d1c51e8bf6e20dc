"""Who calls: From, Remote-Party-ID, P-Asserted-Identity, Privacy, Diversion."""

from __future__ import annotations

import pytest

from engine.core.errors import RequestInvalid
from engine.core.identity import ANONYMOUS, Identity, identity_of
from engine.core.values import CallerId, CidType
from tests.unit.core.rig import Rig, carrier, device

BOB = CallerId("Bob", "1002")
URI = "sip:1002@h"
RPID = f'"Bob" <{URI}>;party=calling;screen=yes'


@pytest.mark.parametrize(
    ("cid_type", "hide_name", "hide_number", "from_uri", "headers"),
    [
        ("rpid", False, False, f'"Bob" <{URI}>', [f"Remote-Party-ID: {RPID};privacy=off"]),
        ("rpid", True, False, f"<{URI}>", [f"Remote-Party-ID: {RPID};privacy=name"]),
        ("rpid", False, True, ANONYMOUS, [f"Remote-Party-ID: {RPID};privacy=uri", "Privacy"]),
        ("rpid", True, True, ANONYMOUS, [f"Remote-Party-ID: {RPID};privacy=full", "Privacy"]),
        ("pid", False, False, f'"Bob" <{URI}>', [f'P-Asserted-Identity: "Bob" <{URI}>']),
        ("pid", True, False, f"<{URI}>", [f"P-Asserted-Identity: <{URI}>"]),
        ("pid", False, True, ANONYMOUS, [f'P-Asserted-Identity: "Bob" <{URI}>', "Privacy"]),
        ("none", False, False, f'"Bob" <{URI}>', []),
        ("none", False, True, ANONYMOUS, ["Privacy"]),
    ],
)
def test_a_carrier_is_told_the_number_and_to_keep_it(
    cid_type: CidType, *, hide_name: bool, hide_number: bool, from_uri: str, headers: list[str]
) -> None:
    identity = Identity(BOB, hide_name, hide_number)
    told = identity_of(identity, "h", cid_type, trusted=True)
    wanted = ["Privacy: id;header" if line == "Privacy" else line for line in headers]
    assert told == (from_uri, tuple(tuple(line.split(": ", 1)) for line in wanted))


@pytest.mark.parametrize("cid_type", ["rpid", "pid", "none"])
def test_a_phone_is_not_told_a_hidden_number(cid_type: CidType) -> None:
    told = identity_of(Identity(BOB, False, True), "h", cid_type, trusted=False)
    assert told == (ANONYMOUS, (("Privacy", "id;header"),))


@pytest.mark.parametrize("cid_type", ["rpid", "pid", "none"])
def test_a_phone_is_not_told_a_hidden_name(cid_type: CidType) -> None:
    told = identity_of(Identity(BOB, True, False), "h", cid_type, trusted=False)
    assert told[0] == f"<{URI}>"
    assert "Bob" not in str(told)


def test_names_are_utf8_and_quoted() -> None:
    told = identity_of(Identity(CallerId('Żółw "Ann" \\ ☎', "1")), "h", "none", trusted=False)
    assert told[0] == '"Żółw \\"Ann\\" \\\\ ☎" <sip:1@h>'


@pytest.mark.parametrize("bad", ["a\x85b", "a\x9fb", "a\ud800b", "a\tb"])
def test_controls_of_any_kind_are_refused(bad: str) -> None:
    with pytest.raises(RequestInvalid, match="cid_name"):
        identity_of(Identity(CallerId(bad, "1")), "h", "none", trusted=False)


def test_only_the_dialled_party_is_kept_from_the_number() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), hide_number=True, hide_name=True)
    rig.answers(1)
    rig.resolves(device("bob", "10.0.0.2"))
    rung, dialled = rig.dials()
    assert rung.from_uri == '"Device QuickCall" <sip:2001@example.org>'
    assert dialled.from_uri == ANONYMOUS
    assert "alice" not in str((dialled.from_uri, dialled.headers))
    variables = rig.channel("CREATE", 2).leg.channel_vars
    assert (variables["Privacy-Hide-Name"], variables["Privacy-Hide-Number"]) == ("true", "true")


def test_a_carrier_that_wants_pai_gets_it() -> None:
    rig = Rig()
    rig.rings_and_answers()
    rig.resolves(carrier("west", cid_type="pid", realm="home.test"))
    assert dict(rig.dials()[1].headers) == {
        "P-Asserted-Identity": '"alice name" <sip:alice-number@home.test>'
    }


def test_a_forwarded_call_says_who_forwarded_it() -> None:
    rig = Rig()
    values = ("<sip:1001@acme.test>;reason=unconditional;counter=1", "<sip:1@acme.test>")
    away = carrier(
        "west",
        number="4930123456",
        diversions=values,
        forwarded_by="d1",
        shown=CallerId("Front", "4930999"),
    )
    rig.originate(device("alice", "10.0.0.1"), away)
    _, forwarded = rig.dials()
    assert forwarded.request_uri == "sip:4930123456@west.example.net:5080"
    assert forwarded.from_uri == '"Front" <sip:4930999@198.51.100.1>'
    assert tuple(value for name, value in forwarded.headers if name == "Diversion") == values
    variables = rig.channel("CREATE", 2).leg.channel_vars
    assert variables["Call-Forward"] == "true"
    assert (variables["Authorizing-ID"], variables["Authorizing-Type"]) == ("d1", "device")
    assert variables["Resource-ID"] == "west"


def test_a_diversion_cannot_add_headers() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", diversions=("<sip:1@a>\r\nX: y",)))
    assert rig.dials() == []
    assert "endpoint.diversions" in rig.outcome().reason
