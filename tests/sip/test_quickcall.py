"""The quickcall as its user sees it: HTTP in, two phones connected, events and CDRs out."""

from __future__ import annotations

import pytest

from tests.kit.engine import REALM, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

WHOLE_LIFE = [
    "CHANNEL_CREATE",
    "CHANNEL_PROGRESS",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_DESTROY",
]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_both_phones_are_connected_and_released(engine: EngineUnderTest, method: str) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-ring-answer-bye", options=("-d", "100")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        response = await engine.quickcall(device, "1002", method=method)
        end = await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    assert response.status_code == 202
    assert response.json()["status"] == "success"
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    assert end["Answered"] is True
    a_leg, b_leg = engine.legs()
    assert engine.names(a_leg)[:6] == WHOLE_LIFE
    assert engine.names(b_leg) == WHOLE_LIFE
    assert [event.name for event in engine.events].count("QUICKCALL_END") == 1
    assert engine.events[-1].name == "QUICKCALL_END"
    cdrs = await engine.cdrs()
    assert set(cdrs) == {a_leg, b_leg}
    assert {cdr["hangup_cause"] for cdr in cdrs.values()} == {"NORMAL_CLEARING"}
    assert cdrs[a_leg]["interaction_id"] == cdrs[b_leg]["interaction_id"]
    assert cdrs[a_leg]["other_leg_call_id"] == b_leg


async def test_post_answers_when_the_phone_has_answered(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-no-answer") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        response = await engine.quickcall(device, "1002")
        call_id = response.json()["data"]["call_id"]
        assert engine.engine.channels(engine.account)[0].call_id == call_id
        deleted = await engine.http.delete(f"/v2/accounts/{engine.account}/channels/{call_id}")
        assert deleted.status_code in (200, 202, 204), deleted.text
        await engine.end()
        await alice.succeeded()
    assert response.json()["data"]["application_response"] == "SUCCESS"


async def test_get_answers_before_the_phone_does(engine: EngineUnderTest) -> None:
    async with Sipp("uas-no-answer") as alice:
        device = await engine.device("alice", "1001", alice.uri)
        response = await engine.quickcall(device, "1002", method="GET", timeout=3)
        assert response.status_code == 202
        assert not any(event.name == "QUICKCALL_END" for event in engine.events)
        assert (await engine.end())["Hangup-Cause"] == "NO_ANSWER"
        await alice.succeeded()


async def test_what_the_two_invites_say(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-auto-answer") as alice,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", method="GET", auto_answer=True)
        await engine.end()
        to_alice = (await alice.succeeded())[0]
        to_bob = (await bob.succeeded())[0]
    assert to_alice.header("X-KAZOO-AOR") == f"sip:alice@{REALM}"
    assert to_alice.header("From").startswith(f'"Device QuickCall" <sip:1002@{REALM}>;tag=')
    assert to_alice.request_uri == alice.uri
    assert to_bob.header("X-KAZOO-AOR") == f"sip:bob@{REALM}"
    assert to_bob.header("X-KAZOO-INVITE-FORMAT") == "route"
    assert "Device QuickCall" not in to_bob.text
    assert to_bob.header("From").startswith(f'"Alice" <sip:1001@{REALM}>;tag=')


async def test_caller_id_and_variables_of_the_request(engine: EngineUnderTest) -> None:
    variables = {"order": "4711", "kind": "test"}
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(
            device,
            "1002",
            custom_application_vars=variables,
            **{"cid-name": "Front Desk", "cid-number": "5550"},
        )
        await engine.end()
        to_alice = (await alice.succeeded())[0]
        await bob.succeeded()
    assert to_alice.header("From").startswith(f'"Front Desk" <sip:5550@{REALM}>;tag=')
    for event in engine.events:
        assert event.payload["Custom-Application-Vars"] == variables, event.name
    for cdr in (await engine.cdrs()).values():
        assert cdr["custom_application_vars"] == variables


async def test_the_number_filter_comes_before_the_dial_plan(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        response = await engine.quickcall(device, "x-1002-y", number_filter=r"x-(\d+)-y")
        assert response.status_code == 202, response.text
        await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    assert len(engine.legs()) == 2


async def test_early_media_counts_as_success_when_it_is_not_ignored(
    engine: EngineUnderTest,
) -> None:
    async with (
        Sipp("uas-early-media-183-answer") as alice,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        response = await engine.quickcall(device, "1002", ignore_early_media=False)
        names = [event.name for event in engine.events]
        assert "CHANNEL_PROGRESS_MEDIA" in names
        assert "CHANNEL_ANSWER" not in names
        await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    assert response.status_code == 202
    assert engine.names(engine.legs()[0])[:3] == [
        "CHANNEL_CREATE",
        "CHANNEL_PROGRESS_MEDIA",
        "CHANNEL_ANSWER",
    ]
