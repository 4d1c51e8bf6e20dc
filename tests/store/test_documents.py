"""What a document may hold, and how what it may not is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import RequestInvalid
from engine.store.document_checks import BLOCKED_NUMBERS_LIMIT
from engine.store.document_rules import (
    BLOCKLIST_LIMIT,
    DOCUMENT_LIMIT,
    merged,
    read_document,
    without_secrets,
)
from engine.store.documents import (
    Account,
    Blocklist,
    Device,
    Kind,
    Resource,
    SharedDialPlan,
)

GATEWAY = {"server": "sip.carrier.example"}


def test_a_device_of_kazoo_is_read_and_kept_whole() -> None:
    raw = {
        "name": "Desk",
        "owner_id": "u1",
        "sip": {
            "username": "user_x",
            "password": "s3cret",
            "invite_format": "contact",
            "expire_seconds": 300,
            "custom_sip_headers": {"X-Top": "1", "in": {"X-In": "2"}, "out": {"X-Out": "3"}},
        },
        "media": {"audio": {"codecs": ["OPUS", "G7221@32000h", "PCMU"]}, "bypass_media": "auto"},
        "call_forward": {"enabled": False, "number": None},
        "do_not_disturb": {"enabled": True},
    }
    device, whole = read_document("device", raw, "d1")
    assert isinstance(device, Device)
    assert device.sip.invite_headers() == (("X-Top", "1"), ("X-In", "2"))
    assert device.media.audio.codecs == ("OPUS", "G7221@32000h", "PCMU")
    assert not device.rings
    assert whole["sip"]["expire_seconds"] == 300
    assert whole["call_forward"] == {"enabled": False}
    assert whole["id"] == "d1"


def test_the_realm_of_an_account_is_in_lower_case() -> None:
    account, whole = read_document("account", {"name": "A", "realm": "Acme.Example"}, "a")
    assert isinstance(account, Account)
    assert account.realm == whole["realm"] == "acme.example"


def test_a_dial_plan_keeps_its_order_and_its_shared_plans() -> None:
    plan = {"^9(.*)$": {"prefix": "+"}, "system": ["us"], "^(.{4})$": {"suffix": "0"}}
    account, _ = read_document("account", {"name": "A", "realm": "a", "dial_plan": plan}, "a")
    assert isinstance(account, Account)
    assert list(account.dial_plan) == list(plan)


def test_a_list_of_a_hundred_thousand_numbers_is_taken_and_one_more_is_not() -> None:
    numbers: dict[str, Any] = {f"+1415{place:07}": {} for place in range(BLOCKED_NUMBERS_LIMIT)}
    blocklist, whole = read_document("blocklist", {"name": "Main", "numbers": numbers}, "b")
    assert isinstance(blocklist, Blocklist)
    assert len(blocklist.numbers) == len(whole["numbers"]) == 100_000
    numbers["one more"] = {}
    with pytest.raises(RequestInvalid, match="at most 100000 numbers in a list"):
        read_document("blocklist", {"name": "Main", "numbers": numbers}, "b")


def test_a_shared_dial_plan_is_its_rules() -> None:
    rules: dict[str, Any] = {"^9(.*)$": {"prefix": "+"}, "^(.{4})$": {"suffix": "0"}}
    plan, whole = read_document("dial_plan", rules, "us")
    assert isinstance(plan, SharedDialPlan)
    assert list(plan.dial_plan) == list(rules)
    assert whole == {**rules, "id": "us"}


def test_an_unknown_class_of_numbers_is_refused_with_those_there_are() -> None:
    with pytest.raises(RequestInvalid, match="tollfree_us, toll_us, emergency, caribbean"):
        read_document("user", {"call_restriction": {"premium": {}}}, "u")


INVALID: list[tuple[Kind, dict[str, Any], str]] = [
    ("account", {"realm": "a"}, "name"),
    ("account", {"name": "A"}, "realm"),
    ("account", {"name": "A", "realm": "no host"}, "realm"),
    ("account", {"name": "A", "realm": "a", "enabled": "yes"}, "enabled"),
    ("account", {"name": "A\r\nB: c", "realm": "a"}, "name"),
    ("account", {"name": "A" * 257, "realm": "a"}, "name"),
    ("account", {"name": "A", "realm": "a", "x": "\ud800"}, "data"),
    ("account", {"name": "A", "realm": "a", "x": "y" * DOCUMENT_LIMIT}, "data"),
    ("user", {"caller_id": {"external": {"name": "a\0b"}}}, "caller_id.external.name"),
    ("user", {"caller_id": {"internal": {"number": 1001}}}, "caller_id.internal.number"),
    ("user", {"presence_id": "10 01"}, "presence_id"),
    ("device", {"sip": {"username": "a@b"}}, "sip.username"),
    ("device", {"sip": {"username": 'a"b'}}, "sip.username"),
    ("device", {"sip": {"realm": "a;b"}}, "sip.realm"),
    ("device", {"sip": {"invite_format": "fax"}}, "sip.invite_format"),
    ("device", {"sip": {"method": "ip"}}, "sip.ip"),
    ("device", {"sip": {"method": "ip", "ip": "300.1.1.1"}}, "sip.ip"),
    ("device", {"sip": {"invite_format": "route"}}, "sip.route"),
    ("device", {"sip": {"route": "http://a"}}, "sip.route"),
    ("device", {"sip": {"proxy": "sip:a?Route=x"}}, "sip.proxy"),
    ("device", {"sip": {"forward": "a b"}}, "sip.forward"),
    ("device", {"sip": {"invite_format": "forward", "username": "a"}}, "sip.forward"),
    ("device", {"sip": {"invite_format": "forward", "forward": "a"}}, "sip.username"),
    ("device", {"sip": {"static_invite": "a b"}}, "sip.static_invite"),
    ("device", {"media": {"progress_timeout": 0}}, "media.progress_timeout"),
    ("device", {"call_forward": {"enabled": True}}, "call_forward.number"),
    (
        "user",
        {"call_forward": {"enabled": True, "number": "1", "require_keypress": True}},
        "call_forward.require_keypress",
    ),
    ("user", {"call_forward": {"number": "1\n2"}}, "call_forward.number"),
    ("user", {"do_not_disturb": {"enabled": "yes"}}, "do_not_disturb.enabled"),
    ("account", {"name": "A", "realm": "a", "allow_auto_answer": 1}, "allow_auto_answer"),
    (
        "account",
        {"name": "A", "realm": "a", "media": {"encryption": {"methods": ["zrtp"]}}},
        "media.encryption.methods",
    ),
    ("device", {"sip": {"static_route": "a b"}}, "sip.static_route"),
    ("device", {"sip": {"custom_sip_headers": {"Via": "x"}}}, "sip.custom_sip_headers"),
    ("device", {"sip": {"custom_sip_headers": {"X Y": "x"}}}, "sip.custom_sip_headers"),
    ("device", {"sip": {"custom_sip_headers": {"in": {"i": "x"}}}}, "sip.custom_sip_headers.in"),
    ("device", {"sip": {"custom_sip_headers": {"up": {"X-A": "x"}}}}, "sip.custom_sip_headers"),
    (
        "device",
        {"sip": {"custom_sip_headers": {"X-A": "b\r\nEvil: c"}}},
        "sip.custom_sip_headers.X-A",
    ),
    ("device", {"media": {"audio": {"codecs": ["a b"]}}}, "media.audio.codecs"),
    ("device", {"media": {"audio": {"codecs": [1]}}}, "media.audio.codecs[0]"),
    (
        "account",
        {"name": "A", "realm": "a", "media": {"audio": {"codecs": ["a b"]}}},
        "media.audio.codecs",
    ),
    ("device", {"media": {"bypass_media": "maybe"}}, "media.bypass_media"),
    ("device", {"media": {"encryption": {"methods": ["zrtp"]}}}, "media.encryption.methods"),
    ("device", {"media": {"encryption": {"methods": ["tls"]}}}, "media.encryption.methods[0]"),
    ("device", {"media": {"encryption": {"suites": ["AES"]}}}, "media.encryption.suites"),
    (
        "device",
        {"media": {"encryption": {"enforce_security": 1}}},
        "media.encryption.enforce_security",
    ),
    ("device", {"media": {"webrtc": "yes"}}, "media.webrtc"),
    ("device", {"media": {"dtmf": "rfc2833"}}, "media.dtmf"),
    ("device", {"dial_plan": {"^(": {}}}, "dial_plan"),
    ("device", {"dial_plan": {"^1": ["us"]}}, "dial_plan.^1"),
    ("account", {"name": "A", "realm": "a", "dial_plan": {"system": {}}}, "dial_plan.system"),
    ("user", {"call_restriction": {"premium": {"action": "deny"}}}, "call_restriction"),
    ("user", {"call_restriction": {"toll_us": {"action": "no"}}}, "call_restriction[...].action"),
    ("account", {"name": "A", "realm": "a", "blocklists": "x"}, "blocklists"),
    ("blocklist", {"numbers": {}}, "name"),
    ("blocklist", {"name": ""}, "name"),
    ("blocklist", {"name": "x" * 129}, "name"),
    ("blocklist", {"name": "a\nb"}, "name"),
    ("blocklist", {"name": "x", "numbers": ["1"]}, "numbers"),
    ("blocklist", {"name": "x", "numbers": {"": {}}}, "numbers"),
    ("blocklist", {"name": "x", "numbers": {"1" * 129: {}}}, "numbers"),
    ("blocklist", {"name": "x", "numbers": {"1\r2": {}}}, "numbers"),
    ("blocklist", {"name": "x", "y": "y" * BLOCKLIST_LIMIT}, "data"),
    ("dial_plan", {"^(": {}}, "dial_plan"),
    ("dial_plan", {"^1": {"prefix": 1}}, "dial_plan[...].prefix"),
    ("dial_plan", {"system": {}}, "system"),
    ("dial_plan", {"system": ["us"]}, "system"),
    ("resource", {"name": "R", "gateways": []}, "gateways"),
    ("resource", {"name": "R", "gateways": [{}]}, "gateways[0].server"),
    ("resource", {"name": "R", "gateways": [{"server": "a", "port": 65536}]}, "gateways[0].port"),
    ("resource", {"name": "R", "gateways": [{"server": "a>b"}]}, "gateways[0].server"),
    ("resource", {"name": "R", "gateways": [GATEWAY | {"proxy": "a b"}]}, "gateways[0].proxy"),
    (
        "resource",
        {"name": "R", "gateways": [GATEWAY | {"invite_format": "forward"}]},
        "gateways[0].proxy",
    ),
    (
        "resource",
        {"name": "R", "gateways": [GATEWAY | {"sip_cid_type": "from"}]},
        "gateways[0].sip_cid_type",
    ),
    (
        "resource",
        {"name": "R", "gateways": [GATEWAY | {"progress_timeout": 3601}]},
        "gateways[0].progress_timeout",
    ),
    (
        "resource",
        {"name": "R", "gateways": [GATEWAY | {"media": {"encryption": {"suites": ["AES"]}}}]},
        "gateways[0].media.encryption.suites",
    ),
    ("resource", {"name": "R", "gateways": [GATEWAY], "weight_cost": 0}, "weight_cost"),
    ("resource", {"name": "R", "gateways": [GATEWAY], "weight_cost": 101}, "weight_cost"),
    ("resource", {"name": "R", "gateways": [GATEWAY], "rules": ["^1", "a++("]}, "rules[1]"),
]


@pytest.mark.parametrize(("kind", "raw", "field"), INVALID)
def test_a_bad_field_is_named_by_its_path(kind: Kind, raw: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_document(kind, raw, "x")
    assert caught.value.field == field
    assert caught.value.allowed


def test_a_bad_pattern_names_the_position() -> None:
    raw = {"name": "R", "gateways": [GATEWAY], "rules": ["^ab("]}
    with pytest.raises(RequestInvalid, match="at position 3"):
        read_document("resource", raw, "x")


@pytest.mark.parametrize("document_id", ["", "a/b", "a b", "x" * 65, "ä"])
def test_an_id_must_fit_a_path(document_id: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_document("user", {}, document_id)
    assert caught.value.field == "id"


@pytest.mark.parametrize("bad", [7, "line\nbreak", "x" * 300])
def test_a_bad_password_is_not_shown(bad: object) -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_document("device", {"sip": {"password": bad}}, "x")
    assert caught.value.field == "sip.password"
    assert caught.value.value == "***"


def test_passwords_show_neither_in_repr_nor_in_what_clients_read() -> None:
    device, whole = read_document("device", {"sip": {"username": "u", "password": "hush"}}, "d")
    gateways = [GATEWAY | {"username": "u", "password": "hush"}]
    resource, carrier = read_document("resource", {"name": "R", "gateways": gateways}, "r")
    assert isinstance(device, Device)
    assert isinstance(resource, Resource)
    assert device.sip.password == resource.gateways[0].password == "hush"
    assert "hush" not in repr(device) + repr(resource)
    assert "'u'" in repr(device)
    assert "hush" not in str(without_secrets(whole)) + str(without_secrets(carrier))
    assert without_secrets(whole)["sip"] == {"username": "u"}


def test_documents_without_end_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"x": deep}
    with pytest.raises(RequestInvalid, match="levels"):
        read_document("user", deep, "u")
    with pytest.raises(RequestInvalid, match="levels"):
        merged({}, deep)


# RFC 7396, appendix A, the cases whose patch is an object.
MERGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("document", "changes", "result"), MERGES)
def test_changes_merge_as_rfc_7396_says(
    document: dict[str, Any], changes: dict[str, Any], result: dict[str, Any]
) -> None:
    before = str(document)
    assert merged(document, changes) == result
    assert str(document) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["sip", "password", "username", "caller_id", "media", "audio", "codecs"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(raw=st.dictionaries(st.sampled_from(["sip", "caller_id", "media", "dial_plan", "x"]), JSON))
def test_any_json_is_read_or_refused(raw: dict[str, Any]) -> None:
    try:
        device, whole = read_document("device", raw, "d")
    except RequestInvalid:
        return
    assert read_document("device", whole, "d") == (device, whole)
