"""The registrar by RFC 3261 10.3: who may, in what order, for how long, and from where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.core.commands import Respond
from engine.core.events import RegisterReceived
from engine.sip.bindings import Binding
from engine.sip.digest import DigestCredentials, DigestServer, digest_response
from engine.sip.registrar import Registrar, RegistrarSettings

NOW = 1_700_000_000.0
AOR = "ann@acme.example"
PASSWORDS = {("acme.example", "ann"): "secret", ("acme.example", "bob"): "hush"}


class Memory:
    """Bindings in a dict, newest first, without expiry of its own."""

    def __init__(self, max_bindings: int = 3) -> None:
        self.max_bindings = max_bindings
        self.full = False
        self.kept: dict[str, tuple[Binding, ...]] = {}

    def bindings(self, aor: str, now: float) -> tuple[Binding, ...]:
        return tuple(each for each in self.kept.get(aor, ()) if each.expires_at > now)

    def replace(self, aor: str, bindings: tuple[Binding, ...]) -> None:
        assert len(bindings) <= self.max_bindings
        assert len({each.contact.uri for each in bindings}) == len(bindings)
        self.kept[aor] = bindings


class Phone:
    """Sends REGISTERs to a registrar of its own and answers challenges as phones do."""

    def __init__(self, settings: RegistrarSettings | None = None, max_bindings: int = 3) -> None:
        random = iter(range(10**9))
        digest = DigestServer(b"k" * 16, lambda size: next(random).to_bytes(size, "big"))
        self.store = Memory(max_bindings)
        self.registrar = Registrar(
            lambda realm, user: PASSWORDS.get((realm, user)), self.store, digest, settings
        )
        self.cseq = 0
        self.algorithm = "SHA-256"

    def request(
        self,
        contacts: Sequence[str] = ("<sip:ann@10.0.0.7:5060>",),
        *,
        user: str = "ann",
        cseq: int | None = None,
        call_id: str = "call-1",
        expires: int | None = None,
        source: str = "10.0.0.7:5060",
    ) -> RegisterReceived:
        self.cseq = self.cseq + 1 if cseq is None else cseq
        return RegisterReceived(
            transaction=self.cseq,
            request_uri="sip:acme.example",
            to_uri=f"sip:{user}@acme.example",
            from_uri=f"sip:{user}@acme.example",
            call_id=call_id,
            cseq=self.cseq,
            contacts=tuple(contacts),
            expires=expires,
            authorization=(),
            path=(),
            user_agent="Phone/1",
            source=source,
            transport="udp",
        )

    def challenge(self, now: float = NOW) -> str:
        answer = self.registrar.handle(self.request(()), now)
        assert answer.status == 401
        return next(value for _, value in answer.headers if self.algorithm in value)

    def authorized(
        self,
        event: RegisterReceived,
        *,
        password: str = "secret",
        username: str = "ann",
        realm: str = "acme.example",
        uri: str = "sip:acme.example",
        now: float = NOW,
    ) -> RegisterReceived:
        cseq = self.cseq
        found = re.search(r'nonce="(.*?)"', self.challenge(now))
        self.cseq = max(cseq, event.cseq)
        assert found is not None
        c = DigestCredentials(username, realm, found[1], uri, "", self.algorithm, "auth", 1, "c")
        header = (
            f'Digest username="{username}", realm="{realm}", nonce="{c.nonce}", uri="{uri}",'
            f' algorithm={self.algorithm}, qop=auth, nc=00000001, cnonce="c",'
            f' response="{digest_response(c, "REGISTER", password)}"'
        )
        return replace(event, authorization=(header,))

    def register(
        self, event: RegisterReceived, *, now: float = NOW, password: str = "secret"
    ) -> Respond:
        return self.registrar.handle(self.authorized(event, now=now, password=password), now)

    def uris(self, now: float = NOW) -> list[str]:
        return [each.contact.uri for each in self.store.bindings(AOR, now)]


def contacts_of(answer: Respond) -> list[str]:
    return [value for name, value in answer.headers if name == "Contact"]


# --- who may -------------------------------------------------------------------------------------


def test_a_phone_without_credentials_is_challenged_twice() -> None:
    answer = Phone().registrar.handle(Phone().request(), NOW)
    assert (answer.status, answer.reason, answer.transaction) == (401, "Unauthorized", 1)
    assert [name for name, _ in answer.headers] == ["WWW-Authenticate"] * 2
    assert ["SHA-256" in value for _, value in answer.headers] == [True, False]
    assert all('realm="acme.example"' in value for _, value in answer.headers)


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_the_right_password_registers(algorithm: str) -> None:
    phone = Phone()
    phone.algorithm = algorithm
    answer = phone.register(phone.request())
    assert (answer.status, answer.reason) == (200, "OK")
    assert contacts_of(answer) == ["<sip:ann@10.0.0.7:5060>;expires=600"]
    assert ("Date", "Tue, 14 Nov 2023 22:13:20 GMT") in answer.headers


def test_wrong_password_wrong_user_and_another_users_password_look_the_same() -> None:
    phone = Phone()
    wrong = phone.register(phone.request(), password="guess")
    nobody = phone.registrar.handle(
        phone.authorized(phone.request(user="eve"), username="eve", password="guess"), NOW
    )
    other = phone.registrar.handle(
        phone.authorized(phone.request(user="ann"), username="bob", password="hush"), NOW
    )
    assert [wrong.status, nobody.status, other.status] == [403, 403, 403]
    assert wrong.reason == nobody.reason == other.reason
    assert wrong.headers == nobody.headers == other.headers
    assert phone.store.kept == {}


def test_the_username_may_carry_the_realm() -> None:
    phone = Phone()
    event = phone.authorized(phone.request(), username="ann@acme.example")
    assert phone.registrar.handle(event, NOW).status == 200


def test_an_old_nonce_is_stale_and_a_forged_one_is_not() -> None:
    phone = Phone()
    event = phone.authorized(phone.request())
    late = phone.registrar.handle(event, NOW + 3600)
    assert late.status == 401
    assert all("stale=true" in value for _, value in late.headers)
    forged = replace(event, authorization=(event.authorization[0].replace('nonce="', 'nonce="x'),))
    again = phone.registrar.handle(forged, NOW)
    assert again.status == 401
    assert not any("stale" in value for _, value in again.headers)


def test_a_replayed_request_is_challenged_again() -> None:
    phone = Phone()
    event = phone.authorized(phone.request())
    assert phone.registrar.handle(event, NOW).status == 200
    replayed = phone.registrar.handle(replace(event, contacts=("<sip:evil@192.0.2.66>",)), NOW)
    assert replayed.status == 401
    assert phone.uris() == ["sip:ann@10.0.0.7:5060"]


def test_credentials_for_other_realms_and_schemes_are_passed_over() -> None:
    phone = Phone()
    event = phone.authorized(phone.request())
    others = (
        "Basic YTpi",
        event.authorization[0].replace("acme.example", "beta.example"),
        event.authorization[0].replace("SHA-256", "SHA-512-256"),
    )
    assert phone.registrar.handle(replace(event, authorization=others), NOW).status == 401
    with_ours = replace(event, authorization=(*others, *event.authorization))
    assert phone.registrar.handle(with_ours, NOW).status == 200


def test_a_digest_for_another_host_is_refused() -> None:
    phone = Phone()
    event = phone.authorized(phone.request(), uri="sip:elsewhere.example")
    assert phone.registrar.handle(event, NOW).status == 400
    for same in ("sip:ACME.example:5060;transport=udp", "sip:192.0.2.1:5060"):
        event = phone.authorized(phone.request(), uri=same)
        assert phone.registrar.handle(event, NOW).status == 200


def test_a_phone_that_knows_only_an_address_gets_the_default_realm() -> None:
    phone = Phone(RegistrarSettings(realm="Acme.Example"))
    event = replace(phone.request(), to_uri="sip:ann@127.0.0.1", request_uri="sip:127.0.0.1:5060")
    answer = phone.registrar.handle(phone.authorized(event, uri="sip:127.0.0.1"), NOW)
    assert answer.status == 200
    assert phone.uris() == ["sip:ann@10.0.0.7:5060"]
    elsewhere = Phone().registrar.handle(event, NOW)
    assert 'realm="127.0.0.1"' in elsewhere.headers[0][1]


# --- for how long --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "parameter", "granted"),
    [
        (None, None, 600),
        (60, None, 60),
        (300, None, 300),
        (300, 120, 120),
        (None, 3600, 3600),
        (86400, None, 3600),
        (None, 2**40, 3600),
    ],
)
def test_how_long_a_binding_is_kept(
    header: int | None, parameter: int | None, granted: int
) -> None:
    phone = Phone()
    contact = "<sip:ann@10.0.0.7>" + ("" if parameter is None else f";expires={parameter}")
    answer = phone.register(phone.request([contact], expires=header))
    assert contacts_of(answer) == [f"<sip:ann@10.0.0.7>;expires={granted}"]
    assert phone.uris(NOW + granted - 1) == ["sip:ann@10.0.0.7"]
    assert phone.uris(NOW + granted) == []


def test_too_short_a_time_is_refused_with_the_least() -> None:
    phone = Phone()
    answer = phone.register(phone.request(expires=59))
    assert (answer.status, answer.headers) == (423, (("Min-Expires", "60"),))
    two = ["<sip:a@10.0.0.7>;expires=300", "<sip:b@10.0.0.7>;expires=1"]
    assert phone.register(phone.request(two)).status == 423
    assert phone.store.kept == {}


@pytest.mark.parametrize("bounds", [(0, 600, 3600), (700, 600, 3600), (60, 600, 500)])
def test_bounds_must_be_in_order(bounds: tuple[int, int, int]) -> None:
    least, default, most = bounds
    with pytest.raises(ValueError, match="does not hold"):
        RegistrarSettings(min_expires=least, default_expires=default, max_expires=most)


# --- what changes --------------------------------------------------------------------------------


def test_several_contacts_are_all_kept_and_all_answered() -> None:
    phone = Phone()
    two = ["<sip:a@10.0.0.7>;q=0.5", "sip:b@10.0.0.8;expires=120"]
    answer = phone.register(phone.request(two))
    assert contacts_of(answer) == [
        "<sip:a@10.0.0.7>;expires=600;q=0.5",
        "<sip:b@10.0.0.8>;expires=120",
    ]
    more = phone.register(phone.request(["<sip:c@10.0.0.9>"], call_id="call-2"))
    assert len(contacts_of(more)) == 3


def test_asking_changes_nothing() -> None:
    phone = Phone()
    phone.register(phone.request())
    before = dict(phone.store.kept)
    answer = phone.register(phone.request(()), now=NOW + 100)
    assert contacts_of(answer) == ["<sip:ann@10.0.0.7:5060>;expires=500"]
    assert phone.store.kept == before


def test_zero_removes_one_and_star_removes_all() -> None:
    phone = Phone()
    phone.register(phone.request(["<sip:a@10.0.0.7>", "<sip:b@10.0.0.8>"]))
    answer = phone.register(phone.request(["<SIP:a@10.0.0.7>;expires=0"]))
    assert contacts_of(answer) == ["<sip:b@10.0.0.8>;expires=600"]
    answer = phone.register(phone.request(["*"], expires=0))
    assert (answer.status, contacts_of(answer)) == (200, [])
    assert phone.uris() == []


@pytest.mark.parametrize(
    ("contacts", "expires"),
    [(["*"], None), (["*"], 60), (["*", "<sip:a@10.0.0.7>"], 0), (["<sip:a@10.0.0.7>", "*"], 0)],
)
def test_a_star_needs_zero_and_no_company(contacts: list[str], expires: int | None) -> None:
    phone = Phone()
    phone.register(phone.request())
    assert phone.register(phone.request(contacts, expires=expires)).status == 400
    assert phone.uris() == ["sip:ann@10.0.0.7:5060"]


def test_a_request_from_the_past_is_refused_and_changes_nothing() -> None:
    phone = Phone()
    phone.register(phone.request(cseq=10))
    for contacts, expires in ((["<sip:ann@10.0.0.7:5060>"], 0), (["*"], 0)):
        for cseq in (10, 9):
            stale = phone.request(contacts, expires=expires, cseq=cseq)
            assert phone.register(stale).status == 400
    two = phone.request(["<sip:new@10.0.0.9>", "<sip:ann@10.0.0.7:5060>"], cseq=10)
    assert phone.register(two).status == 400
    assert phone.uris() == ["sip:ann@10.0.0.7:5060"]
    other_call = phone.request(cseq=1, call_id="call-2", expires=0)
    assert phone.register(other_call).status == 200
    assert phone.uris() == []


def test_a_phone_under_a_new_address_replaces_its_old_one() -> None:
    phone = Phone()
    instance = ';+sip.instance="<urn:uuid:1>";reg-id=1'
    phone.register(phone.request([f"<sip:ann@10.0.0.7>{instance}"]))
    answer = phone.register(phone.request([f"<sip:ann@10.0.0.8>{instance}"], call_id="call-2"))
    assert contacts_of(answer) == [f"<sip:ann@10.0.0.8>;expires=600{instance}"]
    second_flow = instance.replace("reg-id=1", "reg-id=2")
    phone.register(phone.request([f"<sip:ann@10.0.0.9>{second_flow}"]))
    assert len(phone.uris()) == 2


def test_beyond_the_limit_the_oldest_binding_goes() -> None:
    phone = Phone(max_bindings=3)
    for index in range(5):
        answer = phone.register(phone.request([f"<sip:ann@10.0.0.{index}>"]), now=NOW + index)
        assert answer.status == 200
    assert sorted(phone.uris(NOW + 5)) == [f"sip:ann@10.0.0.{index}" for index in (2, 3, 4)]
    four = [f"<sip:ann@10.0.1.{index}>" for index in range(4)]
    assert phone.register(phone.request(four)).status == 400


def test_a_full_store_takes_no_changes_and_still_answers() -> None:
    phone = Phone()
    phone.register(phone.request())
    phone.store.full = True
    refused = phone.register(phone.request())
    assert (refused.status, refused.headers) == (503, (("Retry-After", "10"),))
    assert len(contacts_of(phone.register(phone.request(())))) == 1


# --- from where ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "source", "transport", "received"),
    [
        ("sip:ann@10.0.0.7", "10.0.0.7:5060", "udp", ""),
        ("sip:ann@10.0.0.7:5060", "10.0.0.7:5060", "udp", ""),
        ("sips:ann@10.0.0.7", "10.0.0.7:5061", "tls", ""),
        ("sip:ann@[2001:DB8:0::7]:5070", "[2001:db8::7]:5070", "udp", ""),
        ("sip:ann@10.0.0.7", "198.51.100.1:1024", "udp", "sip:198.51.100.1:1024;transport=udp"),
        ("sip:ann@10.0.0.7", "10.0.0.7:5062", "udp", "sip:10.0.0.7:5062;transport=udp"),
        ("sip:ann@10.0.0.7;transport=tcp", "10.0.0.7:41", "tcp", "sip:10.0.0.7:41;transport=tcp"),
        ("sip:ann@x.invalid", "[2001:db8::7]:9", "tls", "sip:[2001:db8::7]:9;transport=tls"),
    ],
)
def test_a_contact_that_is_not_where_the_request_came_from(
    contact: str, source: str, transport: str, received: str
) -> None:
    phone = Phone()
    event = replace(phone.request([f"<{contact}>"], source=source), transport=transport)
    assert phone.register(event).status == 200
    kept = phone.store.kept[AOR][0].contact
    assert (kept.uri, kept.received) == (contact, received)


def test_a_path_is_kept_and_shown_to_those_who_know_of_it() -> None:
    phone = Phone()
    path = ("<sip:edge1;lr>, <sip:edge2;lr>", "<sip:edge3;lr>")
    event = replace(phone.request(source="192.0.2.9:5060"), path=path)
    plain = phone.register(event)
    kept = phone.store.kept[AOR][0].contact
    assert kept.path == ("<sip:edge1;lr>", "<sip:edge2;lr>", "<sip:edge3;lr>")
    assert kept.received == ""
    assert "Path" not in dict(plain.headers)
    knowing = replace(phone.request(), path=path, supported=("outbound", "Path"))
    shown = [value for name, value in phone.register(knowing).headers if name == "Path"]
    assert shown == list(path)


# --- malformed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        {"to_uri": "sip:acme.example"},
        {"to_uri": "tel:+1"},
        {"to_uri": "sip:ann@acme.example\r\nX: y"},
        {"to_uri": 'sip:ann@"acme'},
        {"request_uri": "nonsense"},
        {"call_id": ""},
        {"call_id": "x" * 300},
        {"call_id": "a\nb"},
        {"authorization": ("Digest broken",)},
        {"authorization": ("Digest " + "x" * 5000,)},
    ],
)
def test_a_malformed_request_is_refused(damage: dict[str, Any]) -> None:
    phone = Phone()
    assert phone.registrar.handle(replace(phone.request(), **damage), NOW).status == 400


@pytest.mark.parametrize("user", ["a" * 200, "null-%00-null"])
def test_a_name_that_nobody_can_have_is_not_found(user: str) -> None:
    phone = Phone()
    event = replace(phone.request(), to_uri=f"sip:{user}@acme.example")
    assert phone.registrar.handle(event, NOW).status == 404


@pytest.mark.parametrize(
    "damage",
    [
        {"contacts": ("<sip:ann@h", "<sip:bob@h>")},
        {"contacts": ("<sip:ann@h>;q=9",)},
        {"contacts": (f"<sip:{'a' * 2000}@h>",)},
        {"contacts": ("<sip:ann@h\udcff>",)},
        {"path": ("<http://x>",)},
        {"path": ("<sip:p>\r\nEvil: y",)},
    ],
)
def test_a_broken_contact_or_path_changes_nothing(damage: dict[str, Any]) -> None:
    phone = Phone()
    assert phone.register(replace(phone.request(), **damage)).status == 400
    assert phone.store.kept == {}


def test_a_user_agent_is_cleaned_and_cut() -> None:
    phone = Phone()
    agent = "Phone\r\n\udcff\x00é" + "x" * 500
    phone.register(replace(phone.request(), user_agent=agent))
    assert phone.store.kept[AOR][0].contact.user_agent == "Phone" + "x" * (128 - 10)


# --- any order -----------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["call-1", "call-2"]),
        st.integers(1, 6),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([0, 60, 600]),
        st.sampled_from([0.0, 30.0, 100.0]),
    ),
    max_size=12,
)


@given(STEPS)
def test_requests_in_any_order_leave_what_the_rules_say(
    steps: list[tuple[str, int, str, int, float]],
) -> None:
    """Compare with the rules written down plainly: one dict, one condition."""
    phone = Phone(max_bindings=10)
    model: dict[str, tuple[str, int, float]] = {}
    now = NOW
    for call_id, cseq, host, expires, pause in steps:
        now += pause
        model = {name: kept for name, kept in model.items() if kept[2] > now}
        event = phone.request([f"<sip:ann@{host}>"], cseq=cseq, call_id=call_id, expires=expires)
        answer = phone.register(event, now=now)
        old = model.get(host)
        if old is not None and old[0] == call_id and cseq <= old[1]:
            assert answer.status == 400
        else:
            assert answer.status == 200
            model.pop(host, None)
            if expires:
                model[host] = (call_id, cseq, now + expires)
        kept = {
            each.contact.uri.partition("@")[2]: (each.call_id, each.cseq, each.expires_at)
            for each in phone.store.bindings(AOR, now)
        }
        assert kept == model
