"""Every way a quickcall can end, each with its cause, its one terminal event and its CDRs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.addresses import free_port, loopback_address
from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

REFUSALS = [
    ("uas-busy-486", "USER_BUSY", 486),
    ("uas-decline-603", "CALL_REJECTED", 603),
    ("uas-unavailable-480", "NO_USER_RESPONSE", 480),
    ("uas-not-found-404", "UNALLOCATED_NUMBER", 404),
    ("uas-service-unavailable-503", "NORMAL_TEMPORARY_FAILURE", 503),
    ("uas-early-media-183-404", "UNALLOCATED_NUMBER", 404),
]


async def _one_terminal_event(engine: EngineUnderTest, cause: str) -> None:
    """Require that the request ended once, with this cause, and that every leg has its CDR."""
    end = await engine.end()
    assert end["Hangup-Cause"] == cause
    names = [event.name for event in engine.events]
    assert names.count("QUICKCALL_END") == 1
    for call_id in engine.legs():
        own = engine.names(call_id)
        assert own[0] == "CHANNEL_CREATE"
        assert own.count("CHANNEL_DESTROY") == 1
    assert set(await engine.cdrs()) == set(engine.legs())


@pytest.mark.parametrize(("scenario", "cause", "status"), REFUSALS)
async def test_the_device_refuses(
    engine: EngineUnderTest, scenario: str, cause: str, status: int
) -> None:
    async with Sipp(scenario) as alice:
        device = await engine.device("alice", "1001", alice.uri)
        response = await engine.quickcall(device, "1002")
        await _one_terminal_event(engine, cause)
        await alice.succeeded()
    error = response.json()
    assert (error["status"], error["message"]) == ("error", "quickcall initiation failed")
    assert error["data"]["error_message"] == cause
    assert error["data"]["request"]["application_data"] == {"route": "1002"}
    (attempt,) = (await engine.end())["Attempts"]
    assert (attempt["Cause"], attempt["SIP-Status"]) == (cause, status)
    (cdr,) = (await engine.cdrs()).values()
    assert (cdr["hangup_cause"], cdr["hangup_code"]) == (cause, f"sip:{status}")


async def test_nobody_answers_in_time(engine: EngineUnderTest) -> None:
    async with Sipp("uas-no-answer") as alice:
        device = await engine.device("alice", "1001", alice.uri)
        response = await engine.quickcall(device, "1002", timeout=3)
        await _one_terminal_event(engine, "NO_ANSWER")
        await alice.succeeded()
    assert response.json()["data"]["error_message"] == "NO_ANSWER"


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_nobody_is_registered(engine: EngineUnderTest, method: str) -> None:
    device = await engine.device("alice", "1001")
    response = await engine.quickcall(device, "1002", method=method)
    await _one_terminal_event(engine, "DESTINATION_OUT_OF_ORDER")
    assert not engine.legs()
    if method == "GET":
        assert response.status_code == 202
    else:
        assert response.json()["data"]["error_message"] == "DESTINATION_OUT_OF_ORDER"


async def test_nothing_listens_at_the_device(engine: EngineUnderTest) -> None:
    host = loopback_address()
    device = await engine.device(
        "alice", "1001", f"sip:alice@{host}:{free_port(host, 'tcp')};transport=tcp"
    )
    response = await engine.quickcall(device, "1002")
    await _one_terminal_event(engine, "NORMAL_TEMPORARY_FAILURE")
    assert response.json()["data"]["error_message"] == "NORMAL_TEMPORARY_FAILURE"
    (attempt,) = (await engine.end())["Attempts"]
    assert (attempt["SIP-Status"], attempt["Reason"]) == (503, "Connection refused")


async def test_a_silent_device_is_given_up(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, sip_t1_ms=100) as engine,
        Sipp("uas-silent", options=("-d", "3500")) as alice,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        response = await engine.quickcall(device, "1002", timeout=3)
        # Whoever asked knows at once; the leg lives until the INVITE has timed out (RFC 3261 9.1).
        assert response.json()["data"]["error_message"] == "NO_ANSWER"
        assert "QUICKCALL_END" not in [event.name for event in engine.events]
        await alice.succeeded()
        await _one_terminal_event(engine, "NO_ANSWER")


async def test_an_answer_crosses_the_cancel(engine: EngineUnderTest) -> None:
    async with Sipp("uas-late-200-crossing-cancel") as alice:
        device = await engine.device("alice", "1001", alice.uri)
        response = await engine.quickcall(device, "1002", timeout=3)
        await _one_terminal_event(engine, "NO_ANSWER")
        await alice.succeeded()
    assert response.json()["data"]["error_message"] == "NO_ANSWER"
    assert "CHANNEL_ANSWER" not in engine.names(engine.legs()[0])


async def test_the_device_answers_without_sdp(engine: EngineUnderTest) -> None:
    async with Sipp("uas-answer-without-sdp") as alice:
        device = await engine.device("alice", "1001", alice.uri)
        response = await engine.quickcall(device, "1002")
        await alice.succeeded()
        await _one_terminal_event(engine, "INCOMPATIBLE_DESTINATION")
    assert response.json()["data"]["error_message"] == "INCOMPATIBLE_DESTINATION"
    assert "CHANNEL_ANSWER" not in engine.names(engine.legs()[0])


@pytest.mark.parametrize(("scenario", "cause", "status"), REFUSALS)
async def test_the_dialled_phone_refuses(
    engine: EngineUnderTest, scenario: str, cause: str, status: int
) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp(scenario) as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        response = await engine.quickcall(device, "1002")
        await _one_terminal_event(engine, cause)
        await alice.succeeded()
        await bob.succeeded()
    assert response.status_code == 202
    _, b_leg = engine.legs()
    cdr = (await engine.cdrs())[b_leg]
    assert (cdr["hangup_cause"], cdr["hangup_code"]) == (cause, f"sip:{status}")
    assert "CHANNEL_BRIDGE" not in [event.name for event in engine.events]


async def test_the_dialled_number_has_no_route(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice:
        device = await engine.device("alice", "1001", alice.uri)
        response = await engine.quickcall(device, "4711")
        await _one_terminal_event(engine, "NO_ROUTE_DESTINATION")
        messages = await alice.succeeded()
    assert response.status_code == 202
    assert len(engine.legs()) == 1
    (bye,) = [message for message in messages if message.method == "BYE"]
    assert "cause=3" in bye.header("Reason")


async def test_the_dialled_phone_is_not_registered(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002")
        await engine.quickcall(device, "1002")
        await _one_terminal_event(engine, "DESTINATION_OUT_OF_ORDER")
        await alice.succeeded()
    assert len(engine.legs()) == 1


async def test_the_dialled_phone_does_not_answer(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, b_timeout=3.0) as engine,
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-no-answer") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await _one_terminal_event(engine, "NO_ANSWER")
        await alice.succeeded()
        await bob.succeeded()


async def test_the_first_phone_hangs_up_while_the_second_rings(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer-bye", options=("-d", "300")) as alice,
        Sipp("uas-no-answer") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await engine.event("CHANNEL_PROGRESS", count=2)
        await alice.succeeded()
        await bob.succeeded()
        await _one_terminal_event(engine, "ORIGINATOR_CANCEL")


@pytest.mark.parametrize("hanging_up", ["first", "second"])
async def test_either_side_may_hang_up(engine: EngineUnderTest, hanging_up: str) -> None:
    scenarios = ["uas-ring-answer-bye", "uas-ring-answer"]
    to_alice, to_bob = scenarios if hanging_up == "first" else reversed(scenarios)
    options = ("-d", "200")
    async with Sipp(to_alice, options=options) as alice, Sipp(to_bob, options=options) as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await engine.event("CHANNEL_BRIDGE", count=2)
        await alice.succeeded()
        await bob.succeeded()
        await _one_terminal_event(engine, "NORMAL_CLEARING")
    a_cdr, b_cdr = [(await engine.cdrs())[call_id] for call_id in engine.legs()]
    sides = {"first": ("remote", "local"), "second": ("local", "remote")}[hanging_up]
    assert (a_cdr["hangup_party"], b_cdr["hangup_party"]) == sides


@pytest.mark.parametrize("moment", ["ringing", "dialling", "talking"])
async def test_hanging_up_through_the_api(engine: EngineUnderTest, moment: str) -> None:
    first = "uas-no-answer" if moment == "ringing" else "uas-ring-answer"
    second = "uas-ring-answer" if moment == "talking" else "uas-no-answer"
    async with Sipp(first) as alice, Sipp(second) as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", method="GET")
        awaited = {
            "ringing": ("CHANNEL_PROGRESS", 1),
            "dialling": ("CHANNEL_PROGRESS", 2),
            "talking": ("CHANNEL_BRIDGE", 2),
        }[moment]
        await engine.event(awaited[0], count=awaited[1])
        path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
        response = await engine.http.delete(path)
        assert response.is_success, response.text
        end = await engine.end()
        await alice.succeeded()
        if moment == "ringing":
            await bob.never_called()
        else:
            await bob.succeeded()
    assert end["Hangup-Party"] == "local"
    assert (await engine.http.delete(path)).status_code == 404
