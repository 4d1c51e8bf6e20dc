"""What an INVITE says on the wire, and which way it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.engine import PASSWORD, REALM, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def test_a_device_behind_a_proxy_is_asked_for_by_its_aor(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-proxy-answer") as proxy,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        sip = {"username": "alice", "password": PASSWORD, "proxy": proxy.address}
        device = str((await engine.put("devices", {"name": "alice", "sip": sip}))["id"])
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        end = await engine.end()
        invite = (await proxy.succeeded())[0]
        await bob.succeeded()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    assert invite.request_uri == f"sip:alice@{REALM}"
    assert invite.header("X-KAZOO-AOR") == f"sip:alice@{REALM}"
    assert invite.header("X-KAZOO-INVITE-FORMAT") == "contact"
    assert invite.headers("Route") == []


async def test_the_engines_loose_proxy_sees_itself_in_route(tmp_path: Path) -> None:
    proxy = Sipp("uas-proxy-answer")
    outbound = f"sip:{proxy.address};lr"
    async with EngineUnderTest(tmp_path, outbound_proxy=outbound) as engine, proxy:
        device = await engine.device("alice", "1001")
        await engine.quickcall(device, "no-such-number")
        end = await engine.end()
        invite = (await proxy.succeeded())[0]
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
    assert invite.request_uri == f"sip:alice@{REALM}"
    assert invite.header("Route") == f"<{outbound}>"


async def test_a_carrier_behind_a_proxy(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-not-found-404") as proxy:
        device = await engine.device("alice", "1001", alice.uri)
        gateway = {"server": "carrier.invalid", "proxy": f"sip:{proxy.address};lr"}
        document = {"name": "far", "rules": [r"^(\d{6,})$"], "gateways": [gateway]}
        await engine.put("resources", document)
        await engine.quickcall(device, "4930123456")
        end = await engine.end()
        await alice.succeeded()
        invite = (await proxy.succeeded())[0]
    assert end["Hangup-Cause"] == "UNALLOCATED_NUMBER"
    assert invite.request_uri == "sip:4930123456@carrier.invalid"
    assert invite.header("Route") == f"<sip:{proxy.address};lr>"
