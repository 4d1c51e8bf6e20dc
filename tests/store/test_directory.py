"""The directory: what can be looked up, what clashes, what the next process finds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.core.errors import Conflict, NotFound, RequestInvalid
from engine.store.database import Database
from engine.store.directory import SHARED, Directory
from engine.store.documents import Kind


def sip(username: str, **more: Any) -> dict[str, Any]:
    return {"sip": {"username": username, "password": "secret", **more}}


def number(internal: str) -> dict[str, Any]:
    return {"caller_id": {"internal": {"number": internal}}}


@pytest.fixture
async def directory(database: Database) -> Directory:
    opened = await Directory.open(database)
    await opened.put("account", "", {"name": "Acme", "realm": "acme.example"}, "acme")
    await opened.put("account", "", {"name": "Beta", "realm": "beta.example"}, "beta")
    return opened


async def test_what_was_put_is_there_for_the_next_process(url: str) -> None:
    database = await Database.open(url)
    first = await Directory.open(database)
    await first.put("account", "", {"name": "Acme", "realm": "acme.example"}, "acme")
    user = await first.put("user", "acme", {"first_name": "Ann", "odd": [1]} | number("1001"))
    device = await first.put("device", "acme", {"owner_id": user["id"]} | sip("ann"))
    gateways = [{"server": "192.0.2.1"}]
    carrier = await first.put("resource", "acme", {"name": "R", "gateways": gateways})
    await first.patch("device", "acme", device["id"], {"name": "Desk", "sip": {"number": "7"}})
    seen = (first.accounts(), first.users("acme"), first.devices("acme"), first.resources("acme"))
    await database.close()

    database = await Database.open(url)
    second = await Directory.open(database)
    again = (
        second.accounts(),
        second.users("acme"),
        second.devices("acme"),
        second.resources("acme"),
    )
    assert again == seen
    assert second.document("user", "acme", user["id"])["odd"] == [1]
    assert second.device("acme", device["id"]).sip.number == "7"
    assert second.resource("acme", carrier["id"]).name == "R"
    assert second.device_by_sip("ACME.example", "ann") == ("acme", second.devices("acme")[0])
    assert second.extensions("acme") == first.extensions("acme")
    await database.close()


async def test_new_ids_are_32_hex_digits(directory: Directory) -> None:
    made = await directory.put("user", "acme", {"id": "ignored"})
    assert len(made["id"]) == 32
    assert int(made["id"], 16) >= 0


async def test_what_is_missing_is_named(directory: Directory) -> None:
    await directory.put("user", "acme", {}, "ann")
    cases: list[tuple[Any, str, str]] = [
        (lambda: directory.account("x"), "account", "x"),
        (lambda: directory.user("x", "ann"), "account", "x"),
        (lambda: directory.user("beta", "ann"), "user", "ann"),
        (lambda: directory.device("acme", "d"), "device", "d"),
        (lambda: directory.resource("acme", "r"), "resource", "r"),
        (lambda: directory.devices_of("acme", "bob"), "user", "bob"),
        (lambda: directory.document("device", "acme", "d"), "device", "d"),
        (lambda: directory.revision("x"), "account", "x"),
    ]
    for ask, kind, missing in cases:
        with pytest.raises(NotFound) as caught:
            ask()
        assert (caught.value.kind, caught.value.name) == (kind, missing)
    for change in (
        directory.put("user", "x", {}),
        directory.patch("user", "acme", "bob", {}),
        directory.delete("device", "acme", "d"),
    ):
        with pytest.raises(NotFound):
            await change


async def test_a_refused_change_changes_nothing(directory: Directory) -> None:
    made = await directory.put("device", "acme", sip("ann"), "d1")
    revision = directory.revision("acme")
    with pytest.raises(RequestInvalid):
        await directory.patch("device", "acme", "d1", {"sip": {"invite_format": "?"}})
    with pytest.raises(RequestInvalid) as caught:
        await directory.put("device", "acme", {"owner_id": "nobody"})
    assert caught.value.field == "owner_id"
    assert directory.document("device", "acme", "d1") == made
    assert directory.revision("acme") == revision


async def test_the_revision_of_one_account_grows_with_its_changes(directory: Directory) -> None:
    other = directory.revision("beta")
    seen = [directory.revision("acme")]
    await directory.put("device", "acme", sip("ann"), "d1")
    seen.append(directory.revision("acme"))
    await directory.patch("device", "acme", "d1", {"name": "x"})
    seen.append(directory.revision("acme"))
    await directory.delete("device", "acme", "d1")
    seen.append(directory.revision("acme"))
    await directory.delete("account", "acme", "acme")
    await directory.put("account", "", {"name": "Acme", "realm": "acme.example"}, "acme")
    seen.append(directory.revision("acme"))
    assert seen == sorted(set(seen))
    assert directory.revision("beta") == other


async def test_an_aor_belongs_to_one_device(directory: Directory) -> None:
    await directory.put("device", "acme", sip("ann"), "d1")
    await directory.put("device", "beta", sip("ann"), "d2")
    with pytest.raises(Conflict) as caught:
        await directory.put("device", "acme", sip("ann", realm="ACME.EXAMPLE"))
    assert caught.value.field == "sip.username"
    assert "d1" in caught.value.holder
    await directory.put("device", "acme", sip("ann", number="1"), "d1")
    await directory.patch("device", "acme", "d1", {"sip": {"username": "bob"}})
    assert directory.device_by_sip("acme.example", "ann") is None
    await directory.put("device", "acme", sip("ann"), "d3")
    found = directory.device_by_sip("Acme.Example", "ann")
    assert found is not None
    assert found[1].id == "d3"
    await directory.delete("device", "acme", "d3")
    assert directory.device_by_sip("acme.example", "ann") is None


async def test_a_realm_belongs_to_one_account(directory: Directory) -> None:
    with pytest.raises(Conflict) as caught:
        await directory.put("account", "", {"name": "C", "realm": "BETA.example"})
    assert (caught.value.field, caught.value.holder) == ("realm", "account beta")
    with pytest.raises(Conflict, match=r"sip\.realm"):
        await directory.put("device", "acme", sip("ann", realm="beta.example"))
    await directory.put("device", "acme", sip("ann", realm="own.example"), "d1")
    with pytest.raises(Conflict, match="device d1"):
        await directory.put("account", "", {"name": "C", "realm": "own.example"})


async def test_devices_move_with_the_realm_of_their_account(directory: Directory) -> None:
    await directory.put("user", "acme", {}, "u")
    await directory.put("device", "acme", {"owner_id": "u"} | sip("ann"), "d1")
    await directory.put("device", "acme", {"owner_id": "u"} | sip("ann", realm="own.example"), "d2")
    with pytest.raises(Conflict, match=r"sip\.username"):
        await directory.patch("account", "acme", "acme", {"realm": "own.example"})
    await directory.patch("account", "acme", "acme", {"realm": "new.example"})
    assert directory.device_by_sip("acme.example", "ann") is None
    moved = directory.device_by_sip("new.example", "ann")
    assert moved is not None
    assert directory.realm_of("acme", moved[1]) == "new.example"
    await directory.put("account", "", {"name": "C", "realm": "acme.example"}, "free")


async def test_extensions_come_from_numbers_presence_and_usernames(directory: Directory) -> None:
    await directory.put("user", "acme", number("1001"), "ann")
    await directory.put(
        "device", "acme", {"owner_id": "ann"} | sip("phone1") | number("1001"), "d1"
    )
    await directory.put(
        "device", "acme", {"presence_id": "1002@acme.example"} | sip("phone2"), "d2"
    )
    await directory.put("device", "beta", sip("phone1") | number("1001"), "d3")
    assert directory.extensions("acme") == (
        ("1001", "user", "ann"),
        ("1002", "device", "d2"),
        ("phone1", "device", "d1"),
        ("phone2", "device", "d2"),
    )
    await directory.delete("device", "acme", "d2")
    assert [each.number for each in directory.extensions("acme")] == ["1001", "phone1"]


async def test_a_number_two_devices_of_a_user_share_means_the_user(directory: Directory) -> None:
    await directory.put("user", "acme", {}, "ann")
    for one in ("d1", "d2"):
        await directory.put("device", "acme", {"owner_id": "ann"} | sip(one) | number("7"), one)
    assert ("7", "user", "ann") in directory.extensions("acme")
    await directory.delete("device", "acme", "d1")
    assert ("7", "device", "d2") in directory.extensions("acme")


@pytest.mark.parametrize(
    ("kind", "document", "field"),
    [
        ("device", number("1001"), "caller_id.internal.number"),
        ("device", {"presence_id": "1001@elsewhere"}, "presence_id"),
        ("device", sip("1001"), "sip.username"),
        ("user", number("1001"), "caller_id.internal.number"),
        ("device", {"owner_id": "bob"} | number("1001"), "caller_id.internal.number"),
    ],
)
async def test_a_taken_extension_is_a_conflict(
    directory: Directory, kind: Kind, document: dict[str, Any], field: str
) -> None:
    await directory.put("user", "acme", number("1001"), "ann")
    await directory.put("user", "acme", {}, "bob")
    with pytest.raises(Conflict) as caught:
        await directory.put(kind, "acme", document)
    assert (caught.value.field, caught.value.holder) == (field, "user ann")


async def test_who_may_register(directory: Directory) -> None:
    await directory.put("device", "acme", sip("ann"), "d1")
    await directory.put("device", "acme", sip("off") | {"enabled": False}, "d2")
    await directory.put("device", "acme", sip("fixed", method="ip", ip="192.0.2.7"), "d3")
    await directory.put("device", "acme", {"sip": {"username": "open"}}, "d4")
    passwords = {
        user: directory.sip_password("Acme.example", user)
        for user in ("ann", "ANN", "off", "fixed", "open", "nobody")
    }
    assert passwords == dict.fromkeys(passwords) | {"ann": "secret"}
    await directory.patch("account", "acme", "acme", {"enabled": False})
    assert directory.sip_password("acme.example", "ann") is None


async def test_a_user_who_owns_devices_stays(directory: Directory) -> None:
    await directory.put("user", "acme", {}, "ann")
    await directory.put("device", "acme", {"owner_id": "ann"}, "d1")
    assert [device.id for device in directory.devices_of("acme", "ann")] == ["d1"]
    with pytest.raises(Conflict, match="d1"):
        await directory.delete("user", "acme", "ann")
    await directory.delete("device", "acme", "d1")
    await directory.delete("user", "acme", "ann")
    assert directory.users("acme") == ()


async def test_devices_follow_their_owner(directory: Directory) -> None:
    for user in ("ann", "bob"):
        await directory.put("user", "acme", {}, user)
    for device in ("d2", "d1"):
        await directory.put("device", "acme", {"owner_id": "ann"}, device)
    assert [device.id for device in directory.devices_of("acme", "ann")] == ["d1", "d2"]
    await directory.patch("device", "acme", "d1", {"owner_id": "bob"})
    await directory.patch("device", "acme", "d2", {"owner_id": None})
    assert directory.devices_of("acme", "ann") == ()
    assert [device.id for device in directory.devices_of("acme", "bob")] == ["d1"]


async def test_an_account_goes_with_everything_in_it(directory: Directory, url: str) -> None:
    await directory.put("user", "acme", number("1"), "ann")
    await directory.put("device", "acme", {"owner_id": "ann"} | sip("ann"), "d1")
    await directory.put("device", "beta", sip("eve"), "d2")
    await directory.delete("account", "acme", "acme")
    assert directory.device_by_sip("acme.example", "ann") is None
    database = await Database.open(url)
    again = await Directory.open(database)
    assert [account.id for account in again.accounts()] == ["beta"]
    assert [device.id for device in again.devices("beta")] == ["d2"]
    with pytest.raises(NotFound):
        again.document("device", "acme", "d1")
    await database.close()


async def test_carriers_are_listed_as_they_are_tried(directory: Directory) -> None:
    for name, weight in (("b", 50), ("a", 50), ("cheap", 1), ("dear", 100)):
        document = {"name": name, "gateways": [{"server": "h"}], "weight_cost": weight}
        await directory.put("resource", "acme", document, name)
    listed = [resource.id for resource in directory.resources("acme")]
    assert listed == ["cheap", "a", "b", "dear"]


async def test_of_two_changes_at_once_only_one_gets_the_name(directory: Directory) -> None:
    both = await asyncio.gather(
        *(directory.put("device", "acme", sip("ann")) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(one, Conflict) for one in both) == 4
    assert len(directory.devices("acme")) == 1


# --- numbers: blocklists, shared dial plans


async def test_blocklists_and_shared_plans_are_there_for_the_next_process(url: str) -> None:
    database = await Database.open(url)
    first = await Directory.open(database)
    await first.put("account", "", {"name": "Acme", "realm": "acme.example"}, "acme")
    await first.put("blocklist", "acme", {"name": "Main", "numbers": {"+1": {}}}, "b1")
    await first.put("dial_plan", SHARED, {"^9(.*)$": {"prefix": "+"}}, "us")
    seen = (first.blocklists("acme"), first.shared_dial_plans())
    await database.close()

    database = await Database.open(url)
    second = await Directory.open(database)
    assert (second.blocklists("acme"), second.shared_dial_plans()) == seen
    assert second.shared_dial_plan("us").dial_plan["^9(.*)$"].prefix == "+"
    await database.close()


async def test_every_enabled_list_applies_unless_the_account_names_some(
    directory: Directory,
) -> None:
    for list_id, enabled in (("b1", True), ("b2", False), ("b3", True)):
        await directory.put("blocklist", "acme", {"name": list_id, "enabled": enabled}, list_id)

    def applied() -> list[str]:
        return [one.id for one in directory.applied_blocklists("acme")]

    assert applied() == ["b1", "b3"]
    await directory.patch("account", "acme", "acme", {"blacklists": ["b3", "b2"]})
    assert applied() == ["b3"]
    await directory.patch("account", "acme", "acme", {"blocklists": []})
    assert applied() == []
    await directory.patch("account", "acme", "acme", {"blocklists": None, "blacklists": None})
    assert applied() == ["b1", "b3"]
    assert directory.applied_blocklists("beta") == ()


@pytest.mark.parametrize("field", ["blocklists", "blacklists"])
async def test_an_account_names_only_lists_of_its_own(directory: Directory, field: str) -> None:
    await directory.put("blocklist", "beta", {"name": "theirs"}, "b1")
    with pytest.raises(RequestInvalid) as caught:
        await directory.patch("account", "acme", "acme", {field: ["b1"]})
    assert (caught.value.field, caught.value.value) == (field, "b1")


async def test_a_list_its_account_names_cannot_be_deleted(directory: Directory) -> None:
    await directory.put("blocklist", "acme", {"name": "Main"}, "b1")
    await directory.patch("account", "acme", "acme", {"blocklists": ["b1"]})
    with pytest.raises(Conflict, match="account acme"):
        await directory.delete("blocklist", "acme", "b1")
    await directory.patch("account", "acme", "acme", {"blocklists": None})
    await directory.delete("blocklist", "acme", "b1")
    assert directory.blocklists("acme") == ()


@pytest.mark.parametrize("kind", ["account", "user", "device"])
async def test_a_dial_plan_names_only_shared_plans_there_are(
    directory: Directory, kind: Kind
) -> None:
    names: dict[str, Any] = {"dial_plan": {"system": ["us"]}}
    document: dict[str, Any] = {"name": "x", "realm": "gamma.example"} | names
    with pytest.raises(RequestInvalid) as caught:
        await directory.put(kind, "acme", document, "x1")
    assert (caught.value.field, caught.value.value) == ("dial_plan.system", "us")
    await directory.put("dial_plan", SHARED, {}, "us")
    await directory.put(kind, "acme", document, "x1")
    with pytest.raises(Conflict, match=f"{kind} x1"):
        await directory.delete("dial_plan", SHARED, "us")
    await directory.delete(kind, "x1" if kind == "account" else "acme", "x1")
    await directory.delete("dial_plan", SHARED, "us")
    with pytest.raises(NotFound):
        directory.shared_dial_plan("us")


async def test_a_change_of_a_shared_plan_is_a_change_of_every_account(
    directory: Directory,
) -> None:
    before = [directory.revision(account) for account in ("acme", "beta")]
    await directory.put("dial_plan", SHARED, {}, "us")
    after = [directory.revision(account) for account in ("acme", "beta")]
    assert all(new > old for new, old in zip(after, before, strict=True))


async def test_the_blocklists_of_an_account_go_with_it(directory: Directory) -> None:
    await directory.put("blocklist", "acme", {"name": "Main"}, "b1")
    await directory.delete("account", "acme", "acme")
    await directory.put("account", "", {"name": "Acme", "realm": "acme.example"}, "acme")
    assert directory.blocklists("acme") == ()
    with pytest.raises(NotFound):
        directory.document("blocklist", "acme", "b1")
