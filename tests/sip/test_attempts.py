"""Whom the rung side rings, when, in which order, and what stands in for one that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kit.addresses import free_port, loopback_address
from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

BOB = "uas-ring-answer-bye"
SHORT_T1 = 50
"""Milliseconds: who never answers is given up after 64 of them (RFC 3261 17.1.1.2)."""


def causes(end: dict[str, Any]) -> list[tuple[str, int]]:
    """Cause and status of every attempt, in the order they were made."""
    return [(attempt["Cause"], attempt["SIP-Status"]) for attempt in end["Attempts"]]


async def two_devices(engine: EngineUnderTest, one: Sipp, other: Sipp) -> str:
    """A user with these two phones, tried in the order of their names."""
    user = await engine.user("Alice")
    await engine.device("1st", "1011", one.uri, owner_id=user)
    await engine.device("2nd", "1012", other.uri, owner_id=user)
    return user


async def test_one_phone_after_the_other(engine: EngineUnderTest) -> None:
    async with Sipp("uas-busy-486") as busy, Sipp("uas-ring-answer") as free, Sipp(BOB) as bob:
        user = await two_devices(engine, busy, free)
        await engine.device("bob", "1002", bob.uri)
        response = await engine.quickcall(user, "1002", kind="users", dial_method="single")
        end = await engine.end()
        for phone in (busy, free, bob):
            await phone.succeeded()
    assert response.status_code == 202
    # Two SIPps note their messages when they come to it, so their logs do not say who was first.
    first, second = end["Attempts"][:2]
    assert second["Started-Time"] >= first["Ended-Time"], "the second rings when the first refused"
    assert causes(end)[:2] == [("USER_BUSY", 486), ("SUCCESS", 200)]


async def test_the_others_are_left_in_peace_when_the_first_answers(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as first, Sipp("uas-answer") as second, Sipp(BOB) as bob:
        user = await two_devices(engine, first, second)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(user, "1002", kind="users", dial_method="single")
        end = await engine.end()
        await first.succeeded()
        await second.never_called()
    assert [attempt["Cause"] for attempt in end["Attempts"]] == ["SUCCESS", "SUCCESS"]


async def test_a_phone_that_does_not_answer_in_its_time_leaves_the_turn_to_the_next(
    engine: EngineUnderTest,
) -> None:
    async with Sipp("uas-no-answer") as patient, Sipp("uas-ring-answer") as free, Sipp(BOB) as bob:
        user = await two_devices(engine, patient, free)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(user, "1002", kind="users", dial_method="single", endpoint_timeout=1)
        end = await engine.end()
        await patient.succeeded()
        await free.succeeded()
    assert causes(end)[0] == ("ALLOTTED_TIMEOUT", 487)


async def test_a_phone_that_does_not_ring_in_time_is_given_up(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, sip_t1_ms=SHORT_T1) as engine,
        Sipp("uas-cancelled-before-ringing") as mute,
        Sipp(BOB) as bob,
    ):
        phone = await engine.device("one", "1011", mute.uri)
        await engine.device("bob", "1002", bob.uri)
        response = await engine.quickcall(phone, "1002", progress_timeout=1)
        end = await engine.end()
        await mute.succeeded()
        await bob.never_called()
    assert response.status_code == 500
    assert end["Hangup-Cause"] == "PROGRESS_TIMEOUT"
    assert end["Hangup-Party"] == "timeout"


async def test_a_delayed_phone_is_not_called_when_the_other_answers_first(
    engine: EngineUnderTest,
) -> None:
    async with Sipp("uas-ring-answer") as quick, Sipp("uas-answer") as late, Sipp(BOB) as bob:
        phone = await engine.device("one", "1011", quick.uri)
        delayed = await engine.device("two", "1012", late.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(phone, "1002")
        await engine.end()
        await quick.succeeded()
        await engine.quickcall(delayed, "1002", method="GET", endpoint_delay=30, call_id="waits")
        channel = f"/v2/accounts/{engine.account}/channels/waits"
        assert (await engine.http.delete(channel)).status_code == 202
        end = await engine.end(2)
        await late.never_called()
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert end["Attempts"][0]["SIP-Status"] == 0


async def test_the_first_refusal_ends_all(engine: EngineUnderTest) -> None:
    async with Sipp("uas-decline-603") as declines, Sipp("uas-no-answer") as rings:
        user = await two_devices(engine, declines, rings)
        response = await engine.quickcall(user, "1002", kind="users", fail_on_single_reject=True)
        end = await engine.end()
        await declines.succeeded()
        await rings.succeeded()
    assert response.status_code == 500
    assert (end["Hangup-Cause"], end["Hangup-Code"]) == ("CALL_REJECTED", "sip:603")
    assert causes(end) == [("CALL_REJECTED", 603), ("ORIGINATOR_CANCEL", 487)]


async def test_a_loser_may_see_a_missed_call(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as fast, Sipp("uas-missed-call") as slow, Sipp(BOB) as bob:
        user = await two_devices(engine, fast, slow)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(user, "1002", kind="users", ignore_completed_elsewhere=True)
        await engine.end()
        await slow.succeeded()


async def test_ring_ready_tells_early_media_as_ringing(engine: EngineUnderTest) -> None:
    async with Sipp("uas-early-media-183-answer") as phone, Sipp(BOB) as bob:
        device = await engine.device("one", "1011", phone.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", ignore_early_media="ring_ready")
        end = await engine.end()
        await phone.succeeded()
    of_a = engine.names(end["Call-ID"])
    assert of_a[:3] == ["CHANNEL_CREATE", "CHANNEL_PROGRESS", "CHANNEL_ANSWER"]
    assert "CHANNEL_PROGRESS_MEDIA" not in of_a


async def test_the_time_two_may_talk(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-ring-answer") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", max_duration=1)
        end = await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    assert (end["Hangup-Cause"], end["Hangup-Party"]) == ("ALLOTTED_TIMEOUT", "timeout")


# --- 3xx ----------------------------------------------------------------------------------------


def moved(contact: str) -> Sipp:
    """A phone that says where else to call."""
    return Sipp("uas-redirect-302", keys={"contact": contact})


async def test_a_phone_that_has_moved_is_followed(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as new,
        moved(f"<sip:alice@{new.address}>") as old,
        Sipp(BOB) as bob,
    ):
        device = await engine.device("alice", "1001", old.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await old.succeeded()
        await new.succeeded()
    assert causes(end)[1] == ("SUCCESS", 200)
    assert end["Attempts"][0]["SIP-Status"] == 302


async def test_a_number_that_a_phone_redirects_to_goes_through_the_dial_plan(
    engine: EngineUnderTest,
) -> None:
    async with (
        Sipp("uas-ring-answer") as mobile,
        moved("<sip:1003@192.0.2.1>") as desk,
        Sipp(BOB) as bob,
    ):
        device = await engine.device("alice", "1001", desk.uri)
        await engine.device("mobile", "1003", mobile.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await engine.end()
        await desk.succeeded()
        await mobile.succeeded()


async def test_redirects_to_several_may_ring_together(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, redirects="fork") as engine,
        Sipp("uas-ring-answer") as fast,
        Sipp("uas-completed-elsewhere") as slow,
        moved(f"<sip:alice@{fast.address}>, <sip:alice@{slow.address}>;q=0.2") as old,
        Sipp(BOB) as bob,
    ):
        device = await engine.device("alice", "1001", old.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await engine.end()
        await fast.succeeded()
        await slow.succeeded()


async def test_redirects_may_be_refused(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, redirects="refuse") as engine,
        Sipp("uas-answer") as new,
        moved(f"<sip:alice@{new.address}>") as old,
    ):
        device = await engine.device("alice", "1001", old.uri)
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await old.succeeded()
        await new.never_called()
    assert end["Hangup-Code"] == "sip:302"


async def test_phones_that_redirect_to_each_other_end(engine: EngineUnderTest) -> None:
    host = loopback_address()
    port = free_port(host)
    async with (
        moved(f"<sip:alice@{host}:{port}>") as one,
        Sipp(
            "uas-redirect-302",
            host=host,
            port=port,
            keys={"contact": f"<sip:alice@{one.address}>"},
        ) as other,
    ):
        device = await engine.device("alice", "1001", f"sip:alice@{one.address}")
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await one.succeeded()
        await other.succeeded()
    assert [attempt["SIP-Status"] for attempt in end["Attempts"]] == [302, 302]
