"""The location service: order, expiry, bounds, and what a restart finds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

from engine.core.values import Contact
from engine.sip.bindings import Binding
from engine.store.database import Database
from engine.store.document_rules import read_document
from engine.store.documents import Device
from engine.store.location import Location, static_contacts
from engine.store.tables import bindings as bindings_table

AOR = "ann@acme.example"
NOW = 1_700_000_000.0


def binding(
    host: str, *, q: float = 1.0, expires: float = 600, updated: float = 0, aor: str = AOR
) -> Binding:
    contact = Contact(f"sip:ann@{host}", f"sip:{host}:5060;transport=udp", "Phone", q, ("<sip:p>",))
    return Binding(aor, contact, NOW + expires, NOW + updated, "call", 7, '"<urn:uuid:1>";1')


@pytest.fixture
async def location(database: Database) -> AsyncIterator[Location]:
    opened = await Location.open(database)
    yield opened
    assert await opened.close() == 0


async def stored(database: Database) -> int:
    async with database.read() as connection:
        query = select(func.count()).select_from(bindings_table)
        return (await connection.execute(query)).scalar_one()


async def test_the_best_contact_is_first_then_the_newest(location: Location) -> None:
    location.replace(
        AOR,
        (
            binding("10.0.0.1", q=0.5, updated=9),
            binding("10.0.0.2", updated=1),
            binding("10.0.0.3", updated=2),
        ),
    )
    contacts = location.contacts(AOR, NOW)
    assert [contact.uri[-1] for contact in contacts] == ["3", "2", "1"]
    assert location.contacts("sip:ann@ACME.Example", NOW) == contacts
    assert location.contacts("Ann@acme.example", NOW) == ()


async def test_a_binding_ends_at_its_second(location: Location, database: Database) -> None:
    location.replace(AOR, (binding("10.0.0.1", expires=60), binding("10.0.0.2", expires=120)))
    assert len(location.contacts(AOR, NOW + 59.9)) == 2
    assert [contact.uri[-1] for contact in location.contacts(AOR, NOW + 60)] == ["2"]
    await location.flush()
    assert await stored(database) == 2
    assert [location.expire(NOW + after) for after in (59, 60, 61, 120, 500)] == [0, 1, 0, 1, 0]
    await location.flush()
    assert await stored(database) == 0


async def test_a_refreshed_binding_does_not_expire_with_its_old_time(location: Location) -> None:
    location.replace(AOR, (binding("10.0.0.1", expires=60),))
    location.replace(AOR, (binding("10.0.0.1", expires=600, updated=50),))
    assert location.expire(NOW + 61) == 0
    assert len(location.contacts(AOR, NOW + 61)) == 1
    assert location.expire(NOW + 600) == 1


async def test_bindings_survive_a_restart_with_everything_they_know(url: str) -> None:
    database = await Database.open(url)
    first = await Location.open(database)
    kept = binding("10.0.0.1", q=0.7)
    first.replace(AOR, (kept, binding("10.0.0.2")))
    await first.flush()
    first.replace(AOR, (kept,))
    other = binding("10.0.0.3", aor="bob@acme.example")
    first.replace("bob@acme.example", (other,))
    await first.close()
    await database.close()

    database = await Database.open(url)
    second = await Location.open(database)
    assert second.bindings(AOR, NOW) == (kept,)
    assert second.bindings("bob@acme.example", NOW) == (other,)
    assert second.expire(NOW + 600) == 2
    await second.close()
    assert await stored(database) == 0
    await database.close()


async def test_an_aor_has_a_bounded_number_of_bindings(database: Database) -> None:
    location = await Location.open(database, max_bindings=3)
    four = tuple(binding(f"10.0.0.{index}", updated=index) for index in range(4))
    with pytest.raises(ValueError, match="4 bindings"):
        location.replace(AOR, four)
    with pytest.raises(ValueError, match="1 different"):
        location.replace(AOR, (four[0], four[0]))
    location.replace(AOR, four[1:])
    await location.close()

    lowered = await Location.open(database, max_bindings=2)
    assert [contact.uri[-1] for contact in lowered.contacts(AOR, NOW)] == ["3", "2"]
    await lowered.close()
    assert await stored(database) == 2


async def test_what_waits_for_the_disk_is_bounded_too(database: Database) -> None:
    location = await Location.open(database, backlog_limit=2)
    location.replace(AOR, (binding("10.0.0.1"),))
    seen = [location.full]
    location.replace(AOR, (binding("10.0.0.2"),))
    seen.append(location.full)
    await location.flush()
    seen.append(location.full)
    assert seen == [False, True, False]
    await location.close()


@pytest.mark.parametrize(
    ("sip", "uris"),
    [
        ({"username": "u"}, []),
        ({"method": "ip", "ip": "192.0.2.7"}, ["sip:192.0.2.7"]),
        (
            {"username": "u", "method": "ip", "ip": "2001:db8::7", "transport": "tcp"},
            ["sip:u@[2001:db8::7];transport=tcp"],
        ),
        ({"invite_format": "route", "route": "sip:x@192.0.2.8:5080"}, ["sip:x@192.0.2.8:5080"]),
        ({"username": "u", "route": "sip:192.0.2.8"}, []),
    ],
)
def test_a_device_that_does_not_register_has_its_address(
    sip: dict[str, Any], uris: list[str]
) -> None:
    device, _ = read_document("device", {"sip": sip}, "d")
    assert isinstance(device, Device)
    assert [contact.uri for contact in static_contacts(device)] == uris
