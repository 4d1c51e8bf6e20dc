"""A phone or the API hands a call on: who is joined with whom, who is told what, who leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage

pytestmark = pytest.mark.sip

CAROL = "sip:1003@pbx.invalid"
"""What phones put into Refer-To: the engine looks at the number, the host may be anything."""


def refers(scenario: str = "uas-refer", to: str = f"<{CAROL}>") -> Sipp:
    """A phone that answers and transfers: the dialled one, for when it answers the two talk."""
    return Sipp(scenario, keys={"refer_to": to}, options=("-d", "100"))


def told(messages: list[SippMessage]) -> list[str]:
    """What a transferor was told of its transfer, the status lines of the NOTIFYs."""
    notified = (m.text for m in messages if m.method == "NOTIFY")
    return [text.split("\n\n", 1)[1].strip() for text in notified]


async def talk(engine: EngineUnderTest, alice: Sipp, bob: Sipp) -> None:
    """Let the phones of alice and bob talk; carol is extension 1003 already."""
    device = await engine.device("alice", "1001", alice.uri)
    await engine.device("bob", "1002", bob.uri)
    assert (await engine.quickcall(device, "1002")).status_code == 202


async def test_the_dialled_phone_transfers(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        refers() as bob,
        Sipp("uas-ring-answer-bye", options=("-d", "300")) as carol,
    ):
        await engine.device("carol", "1003", carol.uri)
        await talk(engine, alice, bob)
        end = await engine.end()
        notified = told(await bob.succeeded())
        await alice.succeeded()
        invite = (await carol.succeeded())[0]
    # Between the two it may have been told that the target rings; a later word overtakes that one.
    assert (notified[0], notified[-1]) == ("SIP/2.0 100 Trying", "SIP/2.0 200 OK")
    assert invite.header("Referred-By") == "<sip:alice@test.local>"
    assert [attempt["Cause"] for attempt in end["Attempts"]] == ["SUCCESS"] * 3
    a, b, c = engine.legs()
    cdrs = await engine.cdrs()
    causes = [cdrs[leg]["hangup_cause"] for leg in (a, b, c)]
    assert causes == ["NORMAL_CLEARING", "BLIND_TRANSFER", "NORMAL_CLEARING"]
    asked = (await engine.event("CHANNEL_TRANSFEROR", b)).payload
    assert (asked["Transfer-Type"], asked["Transfer-To"]) == ("blind", "1003")
    assert (await engine.event("CHANNEL_TRANSFEREE", a)).payload["Target-Call-ID"] == c
    assert cdrs[c]["other_leg_call_id"] == a


async def test_a_transfer_to_who_is_busy_leaves_the_two_together(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        refers("uas-refer-failed") as bob,
        Sipp("uas-busy-486") as carol,
    ):
        await engine.device("carol", "1003", carol.uri)
        await talk(engine, alice, bob)
        end = await engine.end()
        assert told(await bob.succeeded()) == ["SIP/2.0 100 Trying", "SIP/2.0 486 USER_BUSY"]
        await alice.succeeded()
        await carol.succeeded()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    assert engine.names(engine.legs()[0]).count("CHANNEL_BRIDGE") == 2, "joined again"


async def test_a_transfer_to_nowhere(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, refers("uas-refer-failed") as bob:
        await talk(engine, alice, bob)
        await engine.end()
        assert told(await bob.succeeded())[-1].startswith("SIP/2.0 404 ")
        await alice.succeeded()
    assert engine.names(engine.legs()[0]).count("CHANNEL_BRIDGE") == 1, "never taken apart"


async def test_a_barred_number_is_not_transferred_to(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        refers("uas-refer-failed", "<sip:911@pbx.invalid>") as bob,
        Sipp("uas-answer") as trunk,
    ):
        gateway = {"server": trunk.host, "port": trunk.port}
        document = {"name": "trunk", "rules": ["^(.+)$"], "gateways": [gateway]}
        await engine.put("resources", document)
        await talk(engine, alice, bob)
        await engine.end()
        assert told(await bob.succeeded())[-1].startswith("SIP/2.0 403 ")
        await alice.succeeded()
        await trunk.never_called()


async def test_a_carrier_may_not_transfer(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        refers("uas-carrier-refer") as trunk,
        Sipp("uas-answer") as carol,
    ):
        await engine.device("carol", "1003", carol.uri)
        device = await engine.device("alice", "1001", alice.uri)
        await engine.carrier(trunk)
        await engine.quickcall(device, "14158867900")
        await engine.end()
        assert told(await trunk.succeeded())[-1].startswith("SIP/2.0 603 ")
        await alice.succeeded()
        await carol.never_called()


async def test_a_transferor_that_hangs_up_while_the_target_rings(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        refers("uas-refer-leaves") as bob,
        Sipp("uas-ring-answer") as carol,
    ):
        await engine.device("carol", "1003", carol.uri)
        await talk(engine, alice, bob)
        await engine.event("CHANNEL_BRIDGE", count=4)
        path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
        assert (await engine.http.delete(path)).is_success
        end = await engine.end()
        for phone in (alice, bob, carol):
            await phone.succeeded()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    cdrs = await engine.cdrs()
    assert {cdr["hangup_cause"] for cdr in cdrs.values()} == {"NORMAL_CLEARING"}


async def test_a_target_that_nobody_answers_ends_a_call_whose_transferor_left(
    tmp_path: Path,
) -> None:
    async with (
        EngineUnderTest(tmp_path, b_timeout=3) as engine,
        Sipp("uas-ring-answer") as alice,
        refers("uas-refer-leaves") as bob,
        Sipp("uas-no-answer") as carol,
    ):
        await engine.device("carol", "1003", carol.uri)
        await talk(engine, alice, bob)
        end = await engine.end()
        for phone in (alice, bob, carol):
            await phone.succeeded()
    assert end["Hangup-Cause"] == "NO_ANSWER"


async def test_a_transfer_by_the_api(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-ring-answer") as bob,
        Sipp("uas-ring-answer-bye", options=("-d", "300")) as carol,
    ):
        await engine.device("carol", "1003", carol.uri)
        await talk(engine, alice, bob)
        b = (await engine.event("CHANNEL_BRIDGE", count=2)).call_id
        channel = f"/v2/accounts/{engine.account}/channels/{b}"
        asked = {"data": {"action": "transfer", "target": "1003"}}
        assert (await engine.http.post(channel, json=asked)).status_code == 202
        await engine.end()
        for phone in (alice, bob, carol):
            await phone.succeeded()
    a = engine.legs()[0]
    assert (await engine.cdrs())[a]["hangup_cause"] == "BLIND_TRANSFER", "its partner leaves"
