"""Commands of Kazoo's applications, over a real broker, to calls of a loopback stack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.control.feed import QUEUE_SIZE
from engine.core.commands import Record, SendDigits
from engine.core.values import DialMethod, LegRole
from engine.sip.loopback import Answer, Bye, Digit, HearOut, LoopbackSip, Refuse, Ring
from tests.control.kazoo_rig import KazooRig, element
from tests.control.rig import A_URI, B_URI, ended

BOB = element("1002", "192.0.2.12")


@pytest.fixture
async def kazoo(tmp_path: Path, amqp_url: str) -> AsyncIterator[KazooRig]:
    """A rig on the bus; at the end nothing waits and no task is left."""
    sip = LoopbackSip()
    async with KazooRig(tmp_path, sip, amqp_url, recordings_dir=str(tmp_path / "rec")) as made:
        yield made
        assert made.control.waiting == 0
    assert sip.stats().legs == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_hangup(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    kazoo.command(call.winner, "hangup", Insert_At="now")
    assert await ended(call) == "NORMAL_CLEARING"


async def test_a_call_that_rings_is_hung_up_too(kazoo: KazooRig) -> None:
    kazoo.sip.script(A_URI, Ring())
    call = kazoo.start()
    kazoo.command(call.planned[0].call_id, "hangup")
    assert await ended(call) == "ORIGINATOR_CANCEL"


async def test_a_noop_says_who_asked(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    kazoo.command(call.winner, "noop", Msg_ID="n-1")
    told = await kazoo.told.next()
    assert told.routing_key == f"call.CHANNEL_EXECUTE_COMPLETE.{call.winner}"
    payload = told.payload
    assert payload["Application-Name"] == "noop"
    assert payload["Application-Response"] == "n-1"
    assert payload["Call-ID"] == call.winner
    assert payload["Event-Category"] == "call_event"
    assert payload["Custom-Channel-Vars"]["Account-ID"] == kazoo.account
    await kazoo.over(call)


async def test_what_an_answered_channel_has_anyway_is_told_to_be_done(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    for application in ("answer", "progress", "ring", "privacy"):
        kazoo.command(call.winner, application)
        assert (await kazoo.complete(application))["Call-ID"] == call.winner
    kazoo.command(call.winner, "set", Custom_Channel_Vars={"a": "b"})
    kazoo.command(call.winner, "set_terminators", Terminators=["#"])
    kazoo.command(call.winner, "noop", Msg_ID="behind")
    assert (await kazoo.told.next()).payload["Application-Response"] == "behind"
    await kazoo.over(call)


async def test_a_bridge_and_what_is_told_of_it(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    kazoo.command(call.winner, "bridge", Endpoints=[BOB], Continue_After=True)
    bridged = await kazoo.event("CHANNEL_BRIDGE", 2)
    assert {bridged.call_id, bridged.payload["Other-Leg-Call-ID"]} >= {call.winner}
    kazoo.command(call.winner, "noop", Msg_ID="behind")
    kazoo.command(call.winner, "noop", Msg_ID="at once", Insert_At="now")
    assert (await kazoo.complete("noop"))["Application-Response"] == "at once"
    kazoo.sip.play(kazoo.call_id(LegRole.B), Bye())
    done = await kazoo.event("CHANNEL_EXECUTE_COMPLETE")
    assert done.payload["Application-Name"] == "bridge"
    assert done.payload["Application-Response"] == "SUCCESS"
    # The channel waits for orders again, and what was behind the bridge has its turn.
    assert (await kazoo.complete("noop"))["Application-Response"] == "behind"
    assert kazoo.engine.channel(call.winner).answered_at is not None
    await kazoo.over(call)


async def test_without_continue_after_who_is_left_alone_is_hung_up(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    kazoo.command(call.winner, "bridge", Endpoints=[BOB])
    await kazoo.event("CHANNEL_BRIDGE", 2)
    kazoo.sip.play(kazoo.call_id(LegRole.B), Bye())
    assert await ended(call) == "NORMAL_CLEARING"


async def test_a_bridge_that_fails_leaves_the_channel_to_the_application(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    kazoo.sip.script(B_URI, Ring(), Refuse(486, "Busy Here"))
    kazoo.command(call.winner, "bridge", Endpoints=[BOB])
    kazoo.sip.script("sip:1003@192.0.2.13", Refuse(404, "Not Found"))
    kazoo.command(call.winner, "bridge", Endpoints=[element("1003", "192.0.2.13")])
    failed = await kazoo.event("CHANNEL_EXECUTE_COMPLETE")
    assert failed.payload["Application-Response"] == "USER_BUSY"
    # The next bridge had its turn only now.
    again = await kazoo.event("CHANNEL_EXECUTE_COMPLETE", 2)
    assert again.payload["Application-Response"] == "UNALLOCATED_NUMBER"
    await kazoo.over(call)


async def test_a_bridge_that_must_not_fail_ends_the_call(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    kazoo.sip.script(B_URI, Ring(), Refuse(486, "Busy Here"))
    kazoo.command(call.winner, "bridge", Endpoints=[BOB], Continue_On_Fail=False)
    assert await ended(call) == "USER_BUSY"


async def test_a_loopback_endpoint_is_dialled_by_the_dial_plan_of_the_account(
    kazoo: KazooRig,
) -> None:
    call = await kazoo.parked()
    loopback = {"Invite-Format": "loopback", "Route": "1002"}
    kazoo.command(call.winner, "bridge", Endpoints=[loopback])
    await kazoo.event("CHANNEL_BRIDGE", 2)
    await kazoo.over(call)


async def test_sounds_follow_each_other(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    leg = kazoo.engine.channel(call.winner).leg
    kazoo.command(
        call.winner,
        "queue",
        Commands=[
            {"Application-Name": "noop", "Msg-ID": "both played"},
            {"Application-Name": "play", "Media-Name": "tone_stream://%(500,500,425)"},
            {"Application-Name": "play", "Media-Name": "de"},
        ],
    )
    kazoo.command(call.winner, "noop", Msg_ID="now", Insert_At="now")
    assert (await kazoo.complete("noop"))["Application-Response"] == "now"
    assert kazoo.sip.sounds.playing[leg].sound == "tone:425/1000,0/4000"
    kazoo.sip.play(call.winner, HearOut())
    await kazoo.event("CHANNEL_EXECUTE_COMPLETE")
    await kazoo.until(lambda: leg in kazoo.sip.sounds.playing)
    assert kazoo.sip.sounds.playing[leg].sound == "tone:425/500,0/500"
    kazoo.sip.play(call.winner, HearOut())
    assert (await kazoo.complete("noop"))["Application-Response"] == "both played"
    await kazoo.over(call)


async def test_a_digit_stops_a_sound_that_says_so(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    leg = kazoo.engine.channel(call.winner).leg
    kazoo.command(call.winner, "play", Media_Name="de", Terminators=["#"], Endless_Playback=True)
    kazoo.command(call.winner, "noop", Msg_ID="behind")
    await kazoo.until(lambda: leg in kazoo.sip.sounds.playing)
    kazoo.sip.play(call.winner, Digit("5"))
    await kazoo.event("DTMF")
    kazoo.command(call.winner, "noop", Msg_ID="still", Insert_At="now")
    assert (await kazoo.complete("noop"))["Application-Response"] == "still"
    kazoo.sip.play(call.winner, Digit("#"))
    assert (await kazoo.complete("noop"))["Application-Response"] == "behind"
    assert leg not in kazoo.sip.sounds.playing
    await kazoo.over(call)


async def test_playstop_does_not_wait_for_the_sound(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    kazoo.command(call.winner, "play", Media_Name="de", Endless_Playback=True)
    kazoo.command(call.winner, "noop", Msg_ID="behind")
    kazoo.command(call.winner, "playstop")
    assert (await kazoo.complete("noop"))["Application-Response"] == "behind"
    await kazoo.over(call)


async def test_flush_takes_the_turn_of_what_runs(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    leg = kazoo.engine.channel(call.winner).leg
    kazoo.command(call.winner, "play", Media_Name="de", Endless_Playback=True)
    kazoo.command(call.winner, "noop", Msg_ID="dropped")
    kazoo.command(call.winner, "play", Media_Name="fr", Insert_At="flush")
    kazoo.command(call.winner, "noop", Msg_ID="kept")
    await kazoo.event("CHANNEL_EXECUTE_COMPLETE")
    kazoo.command(call.winner, "noop", Msg_ID="now", Insert_At="now")
    assert (await kazoo.complete("noop"))["Application-Response"] == "now"
    assert kazoo.sip.sounds.playing[leg].sound == "tone:440/1500,0/3500"
    kazoo.sip.play(call.winner, HearOut())
    assert (await kazoo.complete("noop"))["Application-Response"] == "kept"
    await kazoo.over(call)


async def test_a_talking_channel_is_held_recorded_and_sent_digits(kazoo: KazooRig) -> None:
    call = await kazoo.talk()
    a, b = kazoo.call_id(LegRole.A), kazoo.call_id(LegRole.B)
    kazoo.command(b, "hold")
    assert (await kazoo.event("CHANNEL_HOLD")).call_id == b
    kazoo.command(b, "hold_control", Action="toggle")
    assert (await kazoo.event("CHANNEL_UNHOLD")).call_id == b
    kazoo.command(a, "record_call", Record_Action="start", Media_Name="r.wav", Time_Limit=30)
    started = await kazoo.event("RECORD_START")
    assert str(started.payload["Application-Response"]).endswith(f"{kazoo.account}/r.wav")
    (recorded,) = kazoo.sip.sounds.recording.values()
    assert recorded == Record(recorded.leg, recorded.path, 30.0)
    kazoo.command(a, "record_call", Record_Action="stop", Media_Name="r.wav")
    await kazoo.event("RECORD_STOP")
    kazoo.command(a, "send_dtmf", DTMFs="12#", Duration="200")
    await kazoo.complete("send_dtmf")
    leg = kazoo.engine.channel(a).leg
    assert SendDigits(leg, "12#", 200) in kazoo.sip.submitted
    await kazoo.over(call)


async def test_a_channel_is_parked_transferred_and_picked_up(kazoo: KazooRig) -> None:
    call = await kazoo.talk()
    a = kazoo.call_id(LegRole.A)
    kazoo.command(a, "park")
    assert (await kazoo.event("CHANNEL_DESTROY")).call_id != a
    kazoo.command(a, "transfer", Transfer_Type="blind", Transfer_To="1002")
    await kazoo.event("CHANNEL_BRIDGE", 4)
    kazoo.sip.script(A_URI, Ring(), Answer())
    other = await kazoo.parked()
    kazoo.command(other.winner, "call_pickup", Target_Call_ID=kazoo.call_id(LegRole.B))
    intercepted = await kazoo.event("CHANNEL_INTERCEPTED")
    assert intercepted.payload["Intercepted-By"] == other.winner
    assert await ended(call) == "PICKED_OFF"
    await kazoo.over(other)


@pytest.mark.parametrize(
    ("application", "keys", "said"),
    [
        ("tts", {"Text": "hello"}, "no such command"),
        ("transfer", {"Transfer_Type": "attended", "Transfer_To": "1002"}, "Transfer-Type"),
        ("play", {"Media_Name": "../../etc/passwd"}, "sound"),
        ("hold", {}, "talking to another leg"),
        ("bridge", {"Endpoints": []}, "Endpoints"),
        ("bridge", {"Endpoints": [{**BOB, "To-Realm": 5.5}]}, "Endpoints.0.To-Realm"),
        ("call_pickup", {"Target_Call_ID": "nobody"}, "nobody"),
        ("queue", {"Commands": []}, "Commands"),
    ],
)
async def test_what_cannot_be_done_is_said(
    kazoo: KazooRig, application: str, keys: dict[str, object], said: str
) -> None:
    call = await kazoo.parked()
    kazoo.command(call.winner, application, Msg_ID="bad", **keys)
    error = await kazoo.refused()
    assert error["Event-Category"] == "error"
    assert error["Event-Name"] == "dialplan"
    assert error["Msg-ID"] == "bad"
    assert error["Call-ID"] == call.winner
    assert error["Request"]["Application-Name"] == application
    assert said in error["Error-Message"]
    # What comes behind it is carried out.
    kazoo.command(call.winner, "noop", Msg_ID="behind")
    assert (await kazoo.complete("noop"))["Application-Response"] == "behind"
    await kazoo.over(call)


async def test_a_channel_that_is_not_there(kazoo: KazooRig) -> None:
    kazoo.command("never", "play", Media_Name="de")
    error = await kazoo.refused()
    assert error["Error-Message"] == "Session never not found for play"
    call = await kazoo.parked()
    kazoo.command(call.winner, "play", Media_Name="de", Endless_Playback=True)
    kazoo.command(call.winner, "noop", Msg_ID="behind")
    kazoo.command(call.winner, "hangup", Insert_At="now")
    await ended(call)
    error = await kazoo.refused()
    assert error["Msg-ID"] == "behind"
    assert f"Session {call.winner} not found" in error["Error-Message"]


async def test_a_call_is_not_taken_for_a_channel(kazoo: KazooRig) -> None:
    kazoo.sip.script(A_URI, Ring())
    single = kazoo.start(dial_method=DialMethod.SINGLE)
    kazoo.command(single.originate_id, "play", Media_Name="de")
    assert "Session" in (await kazoo.refused())["Error-Message"]
    kazoo.command(single.originate_id, "hangup")
    assert await ended(single) == "ORIGINATOR_CANCEL"


async def test_a_reader_that_was_cut_off_goes_on_where_it_was(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    leg = kazoo.engine.channel(call.winner).leg
    kazoo.command(call.winner, "play", Media_Name="de")
    kazoo.command(call.winner, "noop", Msg_ID="behind")
    await kazoo.until(lambda: leg in kazoo.sip.sounds.playing)
    for _ in range(QUEUE_SIZE + 1):
        kazoo.engine.feed.publish("else", "else", "DTMF", {}, 0.0)
    assert kazoo.feed.slow
    over: dict[str, object] = {"Application-Name": "play"}
    name = "CHANNEL_EXECUTE_COMPLETE"
    kazoo.engine.feed.publish(kazoo.account, call.winner, name, over, 0.0)
    kazoo.feed = kazoo.engine.events()
    assert (await kazoo.complete("noop"))["Application-Response"] == "behind"
    await kazoo.over(call)


async def test_hostile_messages_do_no_harm(kazoo: KazooRig) -> None:
    call = await kazoo.parked()
    for body in (
        b"",
        b"{",
        b"[1]",
        b"[" * 20_000,
        b'{"Event-Category": {}, "Event-Name": []}',
        b'{"Event-Category": "call", "Event-Name": "command", "Call-ID": {"a": 1}}',
    ):
        kazoo.bus.publish("callctl", kazoo.control.queue, body)
    many = [{"Application-Name": "play", "Media-Name": "de", "Endless-Playback": True}] * 64
    for _ in range(3):
        kazoo.command(call.winner, "queue", Commands=many)
    error = await kazoo.refused()
    assert "too many wait" in error["Error-Message"]
    kazoo.command(call.winner, "hangup", Insert_At="now")
    assert await ended(call) == "NORMAL_CLEARING"
    assert kazoo.control.refused > 6
