"""Numbers that leave through carriers: digest, hunting, what may not reach them."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

NUMBER = "4930123456"


async def _released_by_api(engine: EngineUnderTest) -> None:
    """Wait until the two legs talk, then end the call."""
    await engine.event("CHANNEL_BRIDGE", count=2)
    path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
    assert (await engine.http.delete(path)).is_success
    await engine.end()


async def test_a_number_goes_to_the_carrier(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-carrier-answer") as carrier:
        external = {"caller_id": {"external": {"name": "Test Inc", "number": "4930999"}}}
        device = await engine.device("alice", "1001", alice.uri, **external)
        await engine.carrier(carrier)
        await engine.quickcall(device, NUMBER)
        await _released_by_api(engine)
        await alice.succeeded()
        invite = (await carrier.succeeded())[0]
    assert invite.request_uri.startswith(f"sip:{NUMBER}@{carrier.host}:{carrier.port}")
    assert '"Test Inc" <sip:4930999@' in invite.header("From")
    b_leg = engine.legs()[1]
    assert engine.names(b_leg)[:4] == [
        "CHANNEL_CREATE",
        "CHANNEL_PROGRESS_MEDIA",
        "CHANNEL_ANSWER",
        "CHANNEL_BRIDGE",
    ]


async def test_prefix_and_suffix_of_the_gateway(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-not-found-404") as carrier:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.carrier(carrier, prefix="00", suffix="#")
        await engine.quickcall(device, NUMBER)
        end = await engine.end()
        await alice.succeeded()
        invite = (await carrier.succeeded())[0]
    assert invite.request_uri.split("@")[0] in (f"sip:00{NUMBER}#", f"sip:00{NUMBER}%23")
    assert end["Hangup-Cause"] == "UNALLOCATED_NUMBER"


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


def _digest_is_right(method: str, header: str, realm: str) -> bool:
    """Tell whether the response of an Authorization header fits the password (RFC 7616 3.4.1)."""
    said: dict[str, str] = dict(re.findall(r'(\w+)="?([^",]+)', header))
    a1 = _md5(said["username"], realm, "carrier-secret")
    a2 = _md5(method, said["uri"])
    middle = (said["nonce"], said["nc"], said["cnonce"], said["qop"])
    return said["response"] == _md5(a1, *middle, a2)


@pytest.mark.parametrize("status", ["401", "407"])
async def test_a_carrier_that_asks_for_a_digest(engine: EngineUnderTest, status: str) -> None:
    scenario = f"uas-carrier-auth-{status}"
    async with Sipp("uas-ring-answer") as alice, Sipp(scenario) as carrier:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.carrier(carrier, username="trunk", password="carrier-secret")
        await engine.quickcall(device, NUMBER)
        await _released_by_api(engine)
        await alice.succeeded()
        invites = [m for m in await carrier.succeeded() if m.method == "INVITE"]
    header = "Authorization" if status == "401" else "Proxy-Authorization"
    assert len(invites) == 2
    assert _digest_is_right("INVITE", invites[1].header(header), "carrier")


async def test_the_next_carrier_is_tried_after_503(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-service-unavailable-503") as first,
        Sipp("uas-carrier-answer") as second,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.carrier(second, weight=20)
        await engine.carrier(first, weight=10)
        await engine.quickcall(device, NUMBER)
        await _released_by_api(engine)
        await alice.succeeded()
        await first.succeeded()
        await second.succeeded()
    causes = [(await engine.cdrs())[leg]["hangup_cause"] for leg in engine.legs()[1:]]
    assert causes[0] == "NORMAL_TEMPORARY_FAILURE"
    assert [event.name for event in engine.events].count("QUICKCALL_END") == 1


async def test_a_number_that_does_not_exist_is_not_tried_elsewhere(
    engine: EngineUnderTest,
) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-early-media-183-404") as first,
        Sipp("uas-carrier-answer") as second,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.carrier(first, weight=10)
        await engine.carrier(second, weight=20)
        await engine.quickcall(device, NUMBER)
        end = await engine.end()
        await alice.succeeded()
        await first.succeeded()
        await second.never_called()
    assert end["Hangup-Cause"] == "UNALLOCATED_NUMBER"
