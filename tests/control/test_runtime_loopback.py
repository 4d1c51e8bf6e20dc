"""The engine over the loopback stack: one loop, real store, real call control, real feed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import (
    Conflict,
    Engine,
    EngineConfig,
    EngineUnavailable,
    NotFound,
    RequestInvalid,
    serve,
)
from engine.core.commands import Dial, SipCommand
from engine.core.control import CallControl
from engine.core.events import DestinationResolved, LegRang, SipEvent
from engine.core.turn import Effects
from engine.core.values import LegRole, Party
from engine.runtime.resolve import Resolver
from engine.sip.loopback import Answer, Bye, LoopbackSip, Refuse, Ring
from tests.control.rig import A_URI, B_URI, GUARD_S, Rig, ended

CALL_EVENTS = [
    "CHANNEL_CREATE",
    "CHANNEL_PROGRESS",
    "CHANNEL_ANSWER",
    "CHANNEL_CREATE",
    "CHANNEL_PROGRESS",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_DESTROY",
    "CHANNEL_DESTROY",
    "QUICKCALL_END",
]


# --- calls ---


async def test_a_whole_call(rig: Rig) -> None:
    rig.sip.script(A_URI, Ring(), Answer())
    rig.sip.script(B_URI, Ring(), Answer())
    call = rig.start(custom_application_vars={"order": "7"})
    answered = await call.answered()
    assert (answered.answered, answered.final, answered.cause) == (True, False, "SUCCESS")
    await rig.event("CHANNEL_BRIDGE", 2)
    rig.sip.play(rig.call_id(LegRole.B), Bye())
    assert await ended(call) == "NORMAL_CLEARING"
    await rig.event("QUICKCALL_END")
    assert rig.names == CALL_EVENTS
    assert [event.sequence for event in rig.seen] == list(range(1, len(CALL_EVENTS) + 1))
    assert {e.payload["Custom-Application-Vars"]["order"] for e in rig.seen} == {"7"}  # type: ignore[index]
    records = await rig.records()
    assert [record["hangup_cause"] for record in records] == ["NORMAL_CLEARING"] * 2
    stored = await rig.engine.journal.events(rig.account)
    assert [(row.sequence, row.name) for row in stored] == [(e.sequence, e.name) for e in rig.seen]
    assert rig.engine.channels(rig.account) == ()


async def test_originate_returns_the_outcome_of_ringing(rig: Rig) -> None:
    rig.sip.script(A_URI, Refuse(486, "Busy Here"))
    outcome = await rig.engine.originate(rig.request())
    assert (outcome.answered, outcome.cause, outcome.sip_status) == (False, "USER_BUSY", 486)


async def test_nobody_registered_still_ends_once(rig: Rig) -> None:
    call = rig.start(endpoint_id="registering")
    assert (call.planned, [e.id for e in call.endpoints]) == ((), ["registering"])
    assert await ended(call) == "DESTINATION_OUT_OF_ORDER"
    assert await call.answered() == await call.ended()
    await rig.event("QUICKCALL_END")
    assert rig.names == ["QUICKCALL_END"]


async def test_planned_invites_are_known_at_once(rig: Rig) -> None:
    call = rig.start()
    dials = [command for command in rig.sip.submitted if isinstance(command, Dial)]
    assert [attempt.call_id for attempt in call.planned] == [dial.call_id for dial in dials]
    assert dials[0].call_id.endswith("-quickcall")


async def test_no_answer_ends_by_the_clock(rig: Rig) -> None:
    rig.sip.script(A_URI, Ring())
    assert await ended(rig.start(timeout=3)) == "NO_ANSWER"


async def test_a_cancelled_wait_does_not_end_the_call(rig: Rig) -> None:
    call = rig.start()
    waits = [asyncio.ensure_future(call.answered()) for _ in range(2)]
    await rig.event("CHANNEL_CREATE")
    waits[0].cancel()
    rig.sip.play(call.planned[0].call_id, Answer())
    assert (await waits[1]).answered
    assert waits[0].cancelled()
    call.hang_up()


# --- what is refused ---


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"timeout": 2}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"number": ""}, "number"),
        ({"number": "1" * 200}, "number"),
        ({"number": "...."}, "number"),
        ({"number": "1\r\n2", "number_filter": False}, "number"),
        ({"cid_name": "a\r\nX: y"}, "cid_name"),
        ({"number_filter": "(["}, "number_filter"),
        ({"request_id": "a\nb"}, "request_id"),
        ({"call_id": "a b"}, "call_id"),
        ({"endpoint_delay": -0.1}, "endpoint_delay"),
        ({"endpoint_timeout": 1e9}, "endpoint_timeout"),
        ({"progress_timeout": float("nan")}, "progress_timeout"),
        ({"max_duration": 604_801}, "max_duration"),
        ({"fail_on_single_reject": frozenset({"BUSY"})}, "fail_on_single_reject"),
        ({"custom_application_vars": {"x": object()}}, "custom_application_vars"),
    ],
)
async def test_a_bad_request_is_named(rig: Rig, options: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        rig.start(**options)
    assert caught.value.field == field
    assert rig.sip.submitted == []


async def test_a_bad_filter_names_the_position(rig: Rig) -> None:
    with pytest.raises(RequestInvalid, match="this one is refused at position 2: "):
        rig.engine.check_number_filter("ab(cd", "1")
    assert rig.engine.check_number_filter("^9(.*)", "91002").number == "1002"


@pytest.mark.parametrize(
    ("typed", "regex", "dialled", "note"),
    [("9-1002", r"^9-(\d+)$", "1002", ""), ("1002", r"^9(\d+)$", "1002", "no match")],
)
async def test_the_filtered_number_is_used_everywhere(
    rig: Rig, typed: str, regex: str, dialled: str, note: str
) -> None:
    rig.sip.script(A_URI, Answer())
    rig.sip.script(B_URI, Answer())
    call = rig.start(typed, number_filter=regex)
    await rig.event("CHANNEL_BRIDGE", 2)
    to_a, to_b = (command for command in rig.sip.submitted if isinstance(command, Dial))
    assert to_a.from_uri.startswith(f'"Device QuickCall" <sip:{dialled}@')
    assert to_b.request_uri == B_URI
    assert call.number == dialled
    call.hang_up()
    outcome = await call.ended()
    assert (outcome.number, outcome.filter_note) == (dialled, note)
    payload = (await rig.event("QUICKCALL_END")).payload
    assert payload.get("Number-Filter-Note", "") == note
    assert payload["Application-Data"] == {"Route": dialled}


async def test_an_unknown_device_is_named(rig: Rig) -> None:
    with pytest.raises(NotFound, match="no device 'nobody'"):
        rig.start(endpoint_id="nobody")


async def test_a_request_id_lives_once(rig: Rig) -> None:
    call = rig.start(request_id="mine")
    assert call.originate_id == "mine"
    with pytest.raises(Conflict):
        rig.start(request_id="mine")
    call.hang_up()
    await ended(call)
    assert (await rig.event("QUICKCALL_END")).payload["Msg-ID"] == "mine"
    rig.start(request_id="mine").hang_up()


async def test_no_more_legs_than_configured(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip(), max_legs=1) as rig:
        rig.start()
        with pytest.raises(EngineUnavailable, match="all 1 legs"):
            rig.start()


async def test_an_engine_that_is_not_open_refuses(tmp_path: Path) -> None:
    rig = Rig(tmp_path, LoopbackSip())
    with pytest.raises(EngineUnavailable, match="not open"):
        rig.start()
    async with rig:
        assert rig.engine.refusal() == ""
    with pytest.raises(EngineUnavailable, match="closed"):
        rig.start()
    with pytest.raises(RuntimeError, match="make a new one"):
        await rig.engine.open()


async def test_a_store_that_cannot_be_opened_leaves_nothing(tmp_path: Path) -> None:
    engine = Engine(EngineConfig(database=f"sqlite+aiosqlite:///{tmp_path / 'no' / 'q.db'}"))
    with pytest.raises(EngineUnavailable, match="cannot open the database"):
        await engine.open()
    await engine.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- trouble ---


async def test_commands_wait_while_the_stack_is_busy(rig: Rig) -> None:
    rig.sip.script(A_URI, Ring(), Answer())
    rig.sip.script(B_URI, Ring(), Answer())
    rig.sip.busy = True
    call = rig.start()
    assert rig.sip.submitted == []
    with pytest.raises(EngineUnavailable, match="SIP stack"):
        rig.start()
    rig.sip.busy = False
    await rig.event("CHANNEL_BRIDGE", 2)
    assert rig.engine.refusal() == ""
    rig.sip.busy = True
    call.hang_up()
    rig.sip.busy = False
    assert await ended(call) == "NORMAL_CLEARING"


class PickySip(LoopbackSip):
    """Cannot take a Dial to 1001, as a stack that meets a text it cannot encode."""

    def submit(self, commands: Iterable[SipCommand]) -> None:
        taken = list(commands)
        if any(isinstance(command, Dial) and "1001" in command.request_uri for command in taken):
            raise ValueError("cannot be encoded")
        super().submit(taken)


async def test_a_command_the_stack_cannot_take_ends_its_leg_only(tmp_path: Path) -> None:
    async with Rig(tmp_path, PickySip()) as rig:
        good = rig.start(endpoint_id="d1002", number="9")
        bad = await rig.engine.originate(rig.request())
        assert (bad.answered, bad.party) == (False, Party.POLICY)
        assert good.planned[0].call_id == rig.call_id(LegRole.A)


async def test_a_fault_of_the_router_ends_its_call_only(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> DestinationResolved:
        raise ZeroDivisionError

    rig.sip.script(A_URI, Answer())
    with monkeypatch.context() as patch:
        patch.setattr(Resolver, "destination", broken)
        assert await ended(rig.start()) == "NORMAL_TEMPORARY_FAILURE"
    call = await rig.talk()
    call.hang_up()
    assert await ended(call) == "NORMAL_CLEARING"


async def test_a_fault_of_call_control_ends_its_call_only(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await rig.talk()
    handle = CallControl.handle

    def broken(self: CallControl, event: SipEvent | DestinationResolved, now: float) -> Effects:
        if isinstance(event, LegRang):
            raise ZeroDivisionError
        return handle(self, event, now)

    monkeypatch.setattr(CallControl, "handle", broken)
    assert await ended(rig.start()) == "ORIGINATOR_CANCEL"
    assert len(rig.engine.channels(rig.account)) == 2
    whole.hang_up()
    assert await ended(whole) == "NORMAL_CLEARING"


class RespondingSip(LoopbackSip):
    """Says when a REGISTER has been answered."""

    def __init__(self) -> None:
        super().__init__()
        self.responded = asyncio.Event()

    def submit(self, commands: Iterable[SipCommand]) -> None:
        super().submit(commands)
        if self.responses:
            self.responded.set()


async def test_a_register_without_credentials_is_challenged(tmp_path: Path) -> None:
    sip = RespondingSip()
    async with Rig(tmp_path, sip), asyncio.timeout(GUARD_S):
        transaction = sip.register("sip:r@acme.test", "<sip:r@192.0.2.1>")
        await sip.responded.wait()
        response = sip.responses[transaction]
        assert response.status == 401
        assert any('realm="acme.test"' in value for _, value in response.headers)
        assert sip.stats().pending_requests == 0


# --- the end ---


async def test_closing_ends_every_call_with_its_terminal_event(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip()) as rig:
        talking = await rig.talk()
        ringing = rig.start(endpoint_id="d1002", number="1001")
    assert await ended(talking) == "SYSTEM_SHUTDOWN"
    assert await ended(ringing) == "SYSTEM_SHUTDOWN"
    async with Rig(tmp_path, LoopbackSip()) as again:
        stored = await again.engine.journal.events(again.account)
        names = [row.name for row in stored]
        assert names.count("QUICKCALL_END") == 2
        assert names.count("CHANNEL_CREATE") == names.count("CHANNEL_DESTROY")
        await ended(again.start(endpoint_id="registering"))
        event = await again.event("QUICKCALL_END")
        assert event.sequence > stored[-1].sequence


async def test_a_leg_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip(), shutdown_s=0.1) as rig:
        call = await rig.talk()
        rig.sip.hold(rig.call_id(LegRole.A))
    assert await ended(call) == "SYSTEM_SHUTDOWN"
    async with Rig(tmp_path, LoopbackSip()) as again:
        stored = [row.name for row in await again.engine.journal.events(again.account)]
        assert stored.count("QUICKCALL_END") == 1
        assert stored.count("CHANNEL_DESTROY") == 2


async def test_serve_reports_its_port_and_answers_who_waits_when_it_stops(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'quickcall.db'}"
    config = EngineConfig(database=database, http_port=0, tokens={"t": "*"})
    sip = LoopbackSip()
    async with serve(config, sip) as server:
        headers = {"X-Auth-Token": "t"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
            assert (await http.get("/readyz")).status_code == 200
            rig = Rig(tmp_path, sip)
            rig.engine = server.engine
            account = {"name": "Acme", "realm": "acme.test"}
            await server.engine.directory.put("account", "", account, rig.account)
            phone = {"sip": {"username": "1001", "method": "ip", "ip": "192.0.2.11"}}
            await server.engine.directory.put("device", rig.account, phone, "d1001")
            feed = server.engine.events()
            path = f"/v2/accounts/{rig.account}/devices/d1001/quickcall/1002"
            waiting = asyncio.ensure_future(http.post(path, json={"data": {}}))
            assert (await anext(feed)).name == "CHANNEL_CREATE"
            stopping = asyncio.ensure_future(server.stop())
            answer = await waiting
            assert answer.status_code == 500
            assert answer.json()["data"]["error_message"] == "SYSTEM_SHUTDOWN"
        await stopping
        feed.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)


async def test_the_log_of_calls_names_them(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="engine.calls")
    call = await rig.talk()
    call.hang_up()
    await ended(call)
    told = [record for record in caplog.records if record.name == "engine.calls"]
    assert told[0].getMessage() == "CHANNEL_CREATE a"
    assert told[-1].getMessage() == "QUICKCALL_END NORMAL_CLEARING: NORMAL_CLEARING"
    assert {record.__dict__["request_id"] for record in told} == {call.originate_id}
    assert all(record.__dict__["account_id"] == rig.account for record in told)
    assert told[0].__dict__["call_id"] == call.planned[0].call_id
