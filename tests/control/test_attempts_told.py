"""Every attempt is told: in the terminal event, and in the record of the call it belongs to."""

from __future__ import annotations

import time
from typing import Any

from engine.core.values import Contact, EndpointType
from engine.sip.bindings import Binding
from engine.sip.loopback import Answer, Bye, Early, Refuse, Ring
from tests.control.rig import A_URI, B_URI, Rig, ended

NOW = time.time()
PHONES = {
    "busy": "sip:ann1@192.0.2.21",
    "wins": "sip:ann2@192.0.2.22",
    "loses": "sip:ann3@192.0.2.23",
}


async def _user(rig: Rig, *names: str) -> str:
    """Make a user whose devices are reached at those addresses; return the id."""
    ann = {"first_name": "Ann", "last_name": "Other"}
    await rig.engine.directory.put("user", rig.account, ann, "ann")
    for name in names:
        user, host = PHONES[name].removeprefix("sip:").split("@")
        sip = {"username": user, "method": "ip", "ip": host}
        document = {"name": name, "owner_id": "ann", "sip": sip}
        await rig.engine.directory.put("device", rig.account, document, name)
    return "ann"


async def _told(rig: Rig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return cause by endpoint of the event's attempts, and every record by its endpoint."""
    event = (await rig.event("QUICKCALL_END")).payload
    found = await rig.records()
    records = {record["custom_channel_vars"]["authorizing_id"]: record for record in found}
    attempts: Any = event["Attempts"]
    main = [record for record in records.values() if "attempts" in record]
    assert len(main) == 1
    in_snake_case = [{k.lower().replace("-", "_"): v for k, v in a.items()} for a in attempts]
    assert main[0]["attempts"] == in_snake_case
    return {a["Endpoint-ID"]: a["Cause"] for a in attempts}, records


async def test_the_record_of_the_winner_has_the_attempts(rig: Rig) -> None:
    rig.sip.script(PHONES["busy"], Refuse(486, "Busy Here"))
    rig.sip.script(PHONES["loses"], Ring())
    rig.sip.script(PHONES["wins"], Ring(), Answer())
    rig.sip.script(B_URI, Answer())
    user = await _user(rig, "busy", "loses", "wins")
    call = rig.start(endpoint_type=EndpointType.USER, endpoint_id=user)
    await rig.event("CHANNEL_BRIDGE", 2)
    rig.sip.play((await call.answered()).call_id, Bye())
    assert await ended(call) == "NORMAL_CLEARING"
    causes, records = await _told(rig)
    assert causes == {
        "busy": "USER_BUSY",
        "loses": "LOSE_RACE",
        "wins": "SUCCESS",
        "d1002": "SUCCESS",
    }
    assert len(records) == 4
    assert "attempts" in records["wins"]


async def test_a_loser_that_ends_last_does_not_take_the_attempts_away(rig: Rig) -> None:
    rig.sip.script(PHONES["loses"], Ring())
    rig.sip.script(PHONES["wins"], Ring(), Answer())
    rig.sip.script(B_URI, Answer())
    user = await _user(rig, "loses", "wins")
    call = rig.start(endpoint_type=EndpointType.USER, endpoint_id=user)
    loser = next(a.call_id for a in call.planned if a.endpoint.id == "loses")
    rig.sip.hold(loser)
    await rig.event("CHANNEL_BRIDGE", 2)
    rig.sip.play((await call.answered()).call_id, Bye())
    rig.sip.play(loser, Bye())
    await ended(call)
    _, records = await _told(rig)
    assert "attempts" in records["wins"]


async def test_without_a_winner_the_first_record_has_them(rig: Rig) -> None:
    rig.sip.script(PHONES["busy"], Ring())
    rig.sip.script(PHONES["loses"], Refuse(480, "Gone"))
    user = await _user(rig, "busy", "loses")
    call = rig.start(endpoint_type=EndpointType.USER, endpoint_id=user)
    await rig.event("CHANNEL_DESTROY")
    rig.sip.play(call.planned[0].call_id, Refuse(486, "Busy Here"))
    assert await ended(call) == "USER_BUSY"
    causes, records = await _told(rig)
    assert causes == {"busy": "USER_BUSY", "loses": "NO_USER_RESPONSE"}
    assert "attempts" in records["busy"]


async def test_an_attempt_that_could_not_be_sent_is_told_too(rig: Rig) -> None:
    bindings = [
        Binding("r@acme.test", Contact(uri, q=q), NOW + 600, NOW, "c", 1)
        for uri, q in (("sip:r@192.0.2.31", 1.0), ("tel:+15550100", 0.5))
    ]
    rig.engine.location.replace("r@acme.test", tuple(bindings))
    rig.sip.script("sip:r@192.0.2.31", Refuse(486, "Busy Here"))
    assert await ended(rig.start(endpoint_id="registering")) == "USER_BUSY"
    event = (await rig.event("QUICKCALL_END")).payload
    attempts: Any = event["Attempts"]
    assert [attempt["Cause"] for attempt in attempts] == ["USER_BUSY", "INVALID_URL"]
    (record,) = await rig.records()
    assert [attempt["cause"] for attempt in record["attempts"]] == ["USER_BUSY", "INVALID_URL"]
    assert record["attempts"][1]["contact"] == "tel:+15550100"


async def test_ringing_after_early_media_is_told(rig: Rig) -> None:
    rig.sip.script(A_URI, Early(), Ring(), Refuse(486, "Busy Here"))
    await ended(rig.start())
    await rig.event("QUICKCALL_END")
    assert rig.names == [
        "CHANNEL_CREATE",
        "CHANNEL_PROGRESS_MEDIA",
        "CHANNEL_PROGRESS",
        "CHANNEL_DESTROY",
        "QUICKCALL_END",
    ]
    early, ringing = rig.seen[1:3]
    assert early.payload["Channel-Call-State"] == ringing.payload["Channel-Call-State"] == "EARLY"
