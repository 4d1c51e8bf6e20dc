"""Numbers on the wire: refused without an INVITE, filtered everywhere, hunted by a route table."""

from __future__ import annotations

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


@pytest.mark.parametrize(
    ("number", "cause", "code"),
    [
        ("415-484-6048", "NUMBER_BLOCKED", "sip:603"),
        ("911", "OUTGOING_CALL_BARRED", "sip:403"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_invite_is_sent_for_a_number_that_may_not_be_dialled(
    engine: EngineUnderTest, method: str, number: str, cause: str, code: str
) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-carrier-answer") as carrier:
        device = await engine.device("alice", "1001", alice.uri)
        everything = {
            "name": "everything",
            "rules": [".*"],
            "gateways": [{"server": carrier.host, "port": carrier.port}],
        }
        await engine.put("resources", everything)
        blocked = {"name": "Main Blacklist", "numbers": {"+14154846048": {}}}
        await engine.put("blocklists", blocked)
        response = await engine.quickcall(device, number, method=method)
        end = await engine.end()
        await alice.never_called()
        await carrier.never_called()
    if method == "GET":
        assert response.status_code == 202
    else:
        assert response.status_code == 500
        assert response.json()["data"]["error_message"] == cause
    assert (end["Hangup-Cause"], end["Hangup-Code"], end["Attempts"]) == (cause, code, [])
    assert end["Hangup-Reason"] != cause
    assert [event.name for event in engine.events] == ["QUICKCALL_END"]
    assert await engine.cdrs() == {}


async def test_the_next_carrier_of_a_prefix_is_tried_after_503(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-service-unavailable-503") as first,
        Sipp("uas-carrier-answer") as second,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        ids = []
        for peer in (first, second):
            gateway = {"server": peer.host, "port": peer.port}
            ids.append((await engine.put("resources", {"name": "c", "gateways": [gateway]}))["id"])
        table = (
            "kind,match,to,id,strip,prepend\n"
            f"prefix,49,resource,{ids[1]},0,\n"
            f"prefix,4930,resource,{ids[0]},2,0\n"
        )
        response = await engine.http.put(
            f"/v2/accounts/{engine.account}/routes",
            content=table,
            headers={"Content-Type": "text/csv"},
        )
        assert response.is_success, response.text
        report = engine.engine.explain_route(engine.account, "+4930123456")
        await engine.quickcall(device, "+4930123456")
        await engine.event("CHANNEL_BRIDGE", count=2)
        path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
        assert (await engine.http.delete(path)).is_success
        await engine.end()
        await alice.succeeded()
        to_first = (await first.succeeded())[0]
        to_second = (await second.succeeded())[0]
    asked = [to_first.request_uri, to_second.request_uri]
    assert asked[0].startswith(f"sip:030123456@{first.host}:{first.port}")
    assert asked[1].startswith(f"sip:+4930123456@{second.host}:{second.port}")
    assert [invite.request_uri for invite in report.invites] == asked


async def test_the_filtered_number_is_the_one_everywhere(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-carrier-answer") as carrier:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.carrier(carrier)
        response = await engine.quickcall(
            device, "9-4930123456", method="GET", number_filter=r"^9-(\d+)$"
        )
        data = response.json()["data"]
        await engine.event("CHANNEL_BRIDGE", count=2)
        path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
        assert (await engine.http.delete(path)).is_success
        end = await engine.end()
        to_alice = (await alice.succeeded())[0]
        to_carrier = (await carrier.succeeded())[0]
    number = "4930123456"
    assert f"<sip:{number}@" in to_alice.header("From")
    assert to_carrier.request_uri.startswith(f"sip:{number}@")
    assert f"<sip:{number}@" in to_carrier.header("To")
    assert data["application_data"] == {"route": number}
    assert data["endpoints"][0]["to_did"] == number
    assert end["Application-Data"] == {"Route": number}
    assert "Number-Filter-Note" not in end
