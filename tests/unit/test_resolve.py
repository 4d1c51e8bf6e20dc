"""From directory documents to endpoints, on a real directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.core.commands import ResolveDestination
from engine.core.errors import NotFound
from engine.core.events import DestinationResolved
from engine.core.media_values import Encryption
from engine.core.values import (
    CallerId,
    Contact,
    Credentials,
    Endpoint,
    EndpointType,
    OriginateId,
    OriginateRequest,
)
from engine.numbers.dialplan import DialPlan
from engine.numbers.route_table import RouteRow, RouteTable
from engine.runtime.plans import Plans
from engine.runtime.resolve import Resolver
from engine.sip.bindings import Binding
from engine.store.database import Database
from engine.store.directory import Directory
from engine.store.location import Location

NOW = 1_800_000_000.0


class House:
    """A directory with one account, bindings, and the resolver on top."""

    def __init__(self, directory: Directory, location: Location) -> None:
        self.directory = directory
        self.location = location
        self.table: RouteTable | None = None
        self.draws: list[int] = []
        self.plans = Plans(directory, lambda _: self.table)
        self.resolver = Resolver(directory, location, self.plans, self._draw)
        self.account = ""

    def _draw(self, total: int) -> int:
        """Take what the test has laid down, else the first."""
        return self.draws.pop(0) if self.draws else 0

    def plan_of(self, device_id: str) -> DialPlan | None:
        return self.plans.plan_for(self.account, EndpointType.DEVICE, device_id)

    async def put(self, kind: Any, document: dict[str, Any], endpoint_id: str) -> None:
        await self.directory.put(kind, self.account, document, endpoint_id)

    async def device(self, endpoint_id: str, **fields: Any) -> None:
        sip = {"username": endpoint_id, "password": "x", **fields.pop("sip", {})}
        await self.put("device", {"name": endpoint_id, "sip": sip, **fields}, endpoint_id)

    async def carrier(
        self, endpoint_id: str, rule: str, weight: int, *gateways: dict[str, Any]
    ) -> None:
        document = {
            "name": endpoint_id,
            "rules": [rule],
            "weight_cost": weight,
            "gateways": list(gateways),
        }
        await self.put("resource", document, endpoint_id)

    def bind(self, user: str, *contacts: str, expires: float = NOW + 60) -> None:
        aor = f"{user}@acme.test"
        bindings = tuple(
            Binding(aor, Contact(uri), expires, NOW - place, "c", 1)
            for place, uri in enumerate(contacts)
        )
        self.location.replace(aor, bindings)

    def request(
        self, endpoint_id: str, kind: str = "device", number: str = "1002"
    ) -> OriginateRequest:
        return OriginateRequest(self.account, EndpointType(kind), endpoint_id, number)

    def rung(
        self, endpoint_id: str, kind: str = "device", number: str = "1002"
    ) -> tuple[Endpoint, ...]:
        return self.resolver.endpoints_for(self.request(endpoint_id, kind, number), number, NOW)

    def dialled(
        self, number: str, endpoint_id: str = "d1", kind: str = "device"
    ) -> DestinationResolved:
        asked = ResolveDestination(
            OriginateId("o"), self.request(endpoint_id, kind, number), number
        )
        return self.resolver.destination(asked, NOW)


def cause(found: DestinationResolved) -> str:
    """Why nobody is dialled, empty: somebody is."""
    return found.refusal.cause if found.refusal else ""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    location = await Location.open(database)
    made = House(await Directory.open(database), location)
    account = {"name": "Acme", "realm": "acme.test"}
    made.account = str((await made.directory.put("account", "", account))["id"])
    yield made
    await location.close()
    await database.close()


# --- the rung side ---


async def test_a_device_is_found_where_it_registered(house: House) -> None:
    await house.device("d1", media={"audio": {"codecs": ["PCMA"]}, "ignore_early_media": False})
    house.bind("d1", "sip:d1@192.0.2.1", "sip:d1@192.0.2.2")
    (endpoint,) = house.rung("d1")
    assert (endpoint.id, endpoint.kind, endpoint.aor) == ("d1", "device", "sip:d1@acme.test")
    assert [c.uri for c in endpoint.contacts] == ["sip:d1@192.0.2.1", "sip:d1@192.0.2.2"]
    assert endpoint.codecs == ("PCMA",)
    assert endpoint.ignore_early_media is False


@pytest.mark.parametrize(("own", "offered"), [([], ("G722", "PCMU")), (["PCMA"], ("PCMA",))])
async def test_a_device_without_codecs_takes_those_of_its_account(
    house: House, own: list[str], offered: tuple[str, ...]
) -> None:
    account = {
        "name": "Acme",
        "realm": "acme.test",
        "media": {"audio": {"codecs": ["G722", "PCMU"]}},
    }
    await house.directory.put("account", "", account, house.account)
    await house.device("d1", media={"audio": {"codecs": own}})
    house.bind("d1", "sip:d1@192.0.2.1")
    (endpoint,) = house.rung("d1")
    assert endpoint.codecs == offered


async def test_the_media_of_devices_and_carriers_are_as_their_documents_say(house: House) -> None:
    secure = {"encryption": {"methods": ["srtp"], "enforce_security": True}}
    await house.device("d1", media=secure)
    await house.carrier("r1", r"^\d{9,}$", 1, {"server": "carrier.test", "media": secure})
    (rung,), (dialled,) = house.rung("d1"), house.dialled("4930123456").endpoints
    assert rung.media.encryption is dialled.media.encryption is Encryption.MANDATORY


async def test_an_expired_binding_is_nowhere(house: House) -> None:
    await house.device("d1")
    house.bind("d1", "sip:d1@192.0.2.1", expires=NOW)
    assert house.rung("d1")[0].contacts == ()


async def test_a_device_behind_a_proxy_needs_no_binding_here(house: House) -> None:
    await house.device("d1", sip={"proxy": "edge.test:5070"})
    (endpoint,) = house.rung("d1")
    assert endpoint.proxy == "edge.test:5070"
    assert [contact.uri for contact in endpoint.contacts] == ["sip:d1@acme.test"]
    house.bind("d1", "sip:d1@192.0.2.1")
    assert [contact.uri for contact in house.rung("d1")[0].contacts] == ["sip:d1@192.0.2.1"]


async def test_the_engines_proxy_stands_in_for_that_of_a_device_or_gateway(house: House) -> None:
    house.resolver = Resolver(
        house.directory, house.location, house.plans, lambda _: 0, outbound_proxy="sip:e.test;lr"
    )
    await house.device("d1")
    await house.device("d2", sip={"proxy": "own.test"})
    own, none = {"server": "192.0.2.3", "proxy": "sip:own.test;lr"}, {"server": "192.0.2.4"}
    await house.carrier("r1", r"^(\d{6})$", 1, own, none)
    assert [contact.uri for contact in house.rung("d1")[0].contacts] == ["sip:d1@acme.test"]
    assert [house.rung(name)[0].proxy for name in ("d1", "d2")] == ["sip:e.test;lr", "own.test"]
    proxies = [endpoint.proxy for endpoint in house.dialled("123456").endpoints]
    assert proxies == ["sip:own.test;lr", "sip:e.test;lr"]


async def test_a_device_with_an_address_needs_no_registration(house: House) -> None:
    await house.device("d1", sip={"method": "ip", "ip": "192.0.2.7"})
    await house.device("d2", sip={"invite_format": "route", "route": "sip:x@192.0.2.8:5070"})
    assert house.rung("d1")[0].contacts[0].uri == "sip:d1@192.0.2.7"
    assert house.rung("d2")[0].contacts[0].uri == "sip:x@192.0.2.8:5070"


async def test_a_user_is_every_device_that_may_ring(house: House) -> None:
    await house.put("user", {"first_name": "U", "last_name": "X"}, "u1")
    await house.device("d1", owner_id="u1")
    await house.device("d2", owner_id="u1", enabled=False)
    await house.device("d3", owner_id="u1", do_not_disturb={"enabled": True})
    await house.device("d4", owner_id="u1")
    await house.device("d5")
    assert [endpoint.id for endpoint in house.rung("u1", "user")] == ["d1", "d4"]
    assert {endpoint.owner_id for endpoint in house.rung("u1", "user")} == {"u1"}


@pytest.mark.parametrize("kind", ["device", "user", "account"])
async def test_what_is_disabled_rings_nothing(house: House, kind: Any) -> None:
    await house.put("user", {"first_name": "U", "last_name": "X"}, "u1")
    await house.device("d1", owner_id="u1")
    which = {"device": "d1", "user": "u1", "account": house.account}[kind]
    await house.directory.patch(kind, house.account, which, {"enabled": False})
    assert house.rung("u1", "user") == ()


@pytest.mark.parametrize(
    ("endpoint_id", "kind"), [("nobody", "device"), ("nobody", "user"), ("d1", "user")]
)
async def test_an_unknown_endpoint_is_named(house: House, endpoint_id: str, kind: str) -> None:
    await house.device("d1")
    with pytest.raises(NotFound) as caught:
        house.rung(endpoint_id, kind)
    assert (caught.value.kind, caught.value.name) == (kind, endpoint_id)


async def test_caller_id_follows_the_dialled_number(house: House) -> None:
    ids = {
        "internal": {"name": "In", "number": "101"},
        "external": {"name": "Out", "number": "+14155550100"},
    }
    await house.device("d1", caller_id=ids)
    assert house.rung("d1", number="1002")[0].caller_id == CallerId("In", "101")
    assert house.rung("d1", number="4155550111")[0].caller_id == CallerId("Out", "+14155550100")


async def test_owner_and_account_lend_their_caller_id(house: House) -> None:
    await house.put("user", {"first_name": "U", "last_name": "X"}, "u1")
    await house.device("d1", owner_id="u1")
    number = {"caller_id": {"external": {"number": "+14155550199"}}}
    request = house.request("d1")
    assert house.resolver.owner_caller_id(request, "1").number == ""
    await house.directory.patch("account", house.account, house.account, number)
    assert house.resolver.owner_caller_id(request, "1").number == "+14155550199"
    own = {"caller_id": {"internal": {"number": "77"}}}
    await house.directory.patch("user", house.account, "u1", own)
    assert house.resolver.owner_caller_id(request, "1").number == "77"


# --- the dialled side ---


async def test_an_extension_rings_its_device(house: House) -> None:
    await house.device("d1")
    await house.device("1002")
    house.bind("1002", "sip:1002@192.0.2.2")
    found = house.dialled("1002")
    assert (found.number, found.refusal) == ("1002", None)
    assert [c.uri for e in found.endpoints for c in e.contacts] == ["sip:1002@192.0.2.2"]
    assert "1002" in found.rule


async def test_an_extension_of_a_user_rings_every_device(house: House) -> None:
    await house.device("d1")
    await house.put("user", {"first_name": "U", "last_name": "X", "presence_id": "2000"}, "u1")
    await house.device("d2", owner_id="u1")
    await house.device("d3", owner_id="u1")
    assert [endpoint.id for endpoint in house.dialled("2000").endpoints] == ["d2", "d3"]


async def test_an_extension_that_may_not_ring_is_still_a_destination(house: House) -> None:
    await house.device("d1")
    await house.device("1002", enabled=False)
    found = house.dialled("1002")
    assert found.refusal is None
    assert [endpoint.contacts for endpoint in found.endpoints] == [()]


async def test_no_rule_is_no_route(house: House) -> None:
    await house.device("d1")
    found = house.dialled("5551234")
    assert (found.endpoints, cause(found)) == ((), "NO_ROUTE_DESTINATION")


async def test_who_rang_may_be_gone(house: House) -> None:
    assert cause(house.dialled("1002", endpoint_id="gone")) == "NO_ROUTE_DESTINATION"


async def test_dial_plans_apply_in_order_device_user_account(house: House) -> None:
    account = {"dial_plan": {r"^(\d)$": {"prefix": "A"}, r"^(\d{2})$": {"prefix": "A"}}}
    await house.directory.patch("account", house.account, house.account, account)
    plan = {
        r"^(\d)$": {"prefix": "U"},
        r"^(\d{2})$": {"prefix": "U"},
        r"^(\d{3})$": {"prefix": "U"},
    }
    await house.put("user", {"first_name": "U", "last_name": "X", "dial_plan": plan}, "u1")
    await house.device("d1", owner_id="u1", dial_plan={r"^(\d)$": {"prefix": "D"}})
    await house.carrier("r1", "^[A-Z].*$", 1, {"server": "192.0.2.9"})
    assert [house.dialled(n).number for n in ("1", "12", "123")] == ["D1", "U12", "U123"]
    assert [house.dialled(n, "u1", "user").number for n in ("1", "12")] == ["U1", "U12"]
    await house.device("d2")
    assert house.dialled("1", "d2").number == "A1"


async def test_carriers_are_hunted_by_weight_with_their_own_numbers(house: House) -> None:
    await house.device("d1")
    await house.carrier("dear", r"^(\d+)$", 90, {"server": "192.0.2.3", "prefix": "9"})
    await house.carrier(
        *("cheap", r"^0(\d+)$", 10),
        {"server": "192.0.2.1", "port": 5070, "transport": "tcp", "suffix": "#"},
        {"server": "off.test", "enabled": False},
        {"server": "[2001:db8::1]", "username": "me", "password": "pw", "realm": "carrier.test"},
    )
    found = house.dialled("0123")
    assert [endpoint.id for endpoint in found.endpoints] == ["cheap", "cheap", "dear"]
    assert [c.uri for e in found.endpoints for c in e.contacts] == [
        "sip:123%23@192.0.2.1:5070;transport=tcp",
        "sip:123@[2001:db8::1]",
        "sip:90123@192.0.2.3",
    ]
    assert {endpoint.kind for endpoint in found.endpoints} == {"resource"}
    assert found.endpoints[1].credentials == Credentials("me", "pw", "carrier.test")
    assert found.endpoints[0].credentials is None


async def test_a_disabled_carrier_is_passed_over(house: House) -> None:
    await house.device("d1")
    await house.carrier("r1", "^.*$", 1, {"server": "192.0.2.3"})
    await house.directory.patch("resource", house.account, "r1", {"enabled": False})
    assert cause(house.dialled("123")) == "NO_ROUTE_DESTINATION"


async def test_what_a_gateway_makes_of_a_number_is_refused_too(house: House) -> None:
    await house.device("d1")
    for name, prefix in (("r1", "91"), ("r2", "+1415555"), ("r3", "9" * 64)):
        await house.carrier(name, "^never$", 1, {"server": "192.0.2.3", "prefix": prefix})
    await house.put("blocklist", {"name": "Main", "numbers": {"+14155550001": {}}}, "b1")
    house.table = RouteTable.compile(
        [
            RouteRow("prefix", "1", "resource", "r1"),
            RouteRow("prefix", "0001", "resource", "r2"),
            RouteRow("prefix", "2", "resource", "r3"),
        ]
    )
    assert cause(house.dialled("1")) == "OUTGOING_CALL_BARRED"
    assert cause(house.dialled("0001")) == "NUMBER_BLOCKED"
    assert [each.number for each in house.dialled("12").endpoints] == ["9112"]
    # Longer than any number that may be typed.
    long = "2" * 128
    assert [each.number for each in house.dialled(long).endpoints] == ["9" * 64 + "+" + long]


async def test_a_change_of_the_directory_is_seen_by_the_next_call(house: House) -> None:
    await house.device("d1")
    assert cause(house.dialled("1002")) == "NO_ROUTE_DESTINATION"
    await house.device("1002")
    assert [endpoint.id for endpoint in house.dialled("1002").endpoints] == ["1002"]
    await house.directory.delete("device", house.account, "1002")
    assert cause(house.dialled("1002")) == "NO_ROUTE_DESTINATION"


async def test_plans_are_compiled_once_and_shared(house: House) -> None:
    for device in ("d1", "d2"):
        await house.device(device)
    await house.device("d3", dial_plan={"^1$": {"prefix": "x"}})
    plans = [house.plan_of(d) for d in ("d1", "d2", "d3", "d1")]
    assert plans[0] is plans[1] is plans[3]
    assert plans[2] is not plans[0]


async def test_compiled_plans_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runtime.plans.PLANS_PER_ACCOUNT", 2)
    for place in range(3):
        await house.device(f"d{place}", dial_plan={f"^{place}$": {"prefix": "x"}})
    plans = [house.plan_of(f"d{place}") for place in range(3)]
    assert house.plan_of("d2") is plans[2]
    assert house.plan_of("d0") is not plans[0]
