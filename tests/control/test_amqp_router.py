"""Where an answered originate goes, asked of Kazoo's applications over a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine import Call
from engine.control import amqp_router
from engine.control.amqp_router import AmqpRouter
from engine.core.values import Contact, LegRole
from engine.sip.bindings import Binding
from engine.sip.loopback import Answer, LoopbackSip, Ring
from tests.control.kazoo_rig import Json, KazooRig, element
from tests.control.rig import A_URI, B_URI, ended
from tests.kit.kazoo_bus import Inbox
from tests.kit.rabbitmq import RabbitMq

SOON_S = 0.3


class RouterRig(KazooRig):
    """A rig whose numbers Kazoo routes; `questions` is what callflow hears."""

    questions: Inbox

    async def listen(self) -> None:
        """Play an application that routes."""
        self.engine.control_plane = self.router
        self.questions = await self.bus.listen(("callmgr", "route.req.audio.*"))

    def quickcall(self, number: str = "1002", **options: object) -> Call:
        """Ring the first phone, which answers, as the other one does."""
        self.sip.script(A_URI, Ring(), Answer())
        self.sip.script(B_URI, Ring(), Answer())
        return self.start(number, **options)

    def respond(self, question: Json, method: str, **keys: object) -> None:
        """Answer a question."""
        answer = {
            **self.envelope("dialplan", "route_resp", question["Msg-ID"]),
            "Method": method,
            "Server-ID": self.bus.server_id,
            **{key.replace("_", "-"): value for key, value in keys.items()},
        }
        self.bus.publish("targeted", question["Server-ID"], answer)


@pytest.fixture
async def kazoo(tmp_path: Path, amqp_url: str) -> AsyncIterator[RouterRig]:
    """A rig on the bus; at the end no question is open and no task is left."""
    async with RouterRig(tmp_path, LoopbackSip(), amqp_url) as made:
        yield made
        assert made.router.open == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_callflow_takes_the_call_and_bridges_it(kazoo: RouterRig) -> None:
    await kazoo.listen()
    call = kazoo.quickcall("4711", custom_application_vars={"order": "7"}, cid_number="555")
    asked = await kazoo.questions.next()
    assert asked.routing_key == f"route.req.audio.{kazoo.account}"
    question = asked.payload
    assert question["Event-Category"] == "dialplan"
    assert question["Event-Name"] == "route_req"
    assert question["Resource-Type"] == "audio"
    assert question["Call-ID"] == call.winner
    assert question["Request"] == question["To"] == "4711@acme.test"
    assert question["From"] == "1001@acme.test"
    assert question["Caller-ID-Number"] == "555"
    assert question["Custom-Application-Vars"] == {"order": "7"}
    variables = question["Custom-Channel-Vars"]
    assert variables["Account-ID"] == kazoo.account
    assert variables["Authorizing-ID"] == "d1001"
    assert variables["Authorizing-Type"] == "device"
    assert variables["Retain-CID"] == "true"
    assert variables["Fetch-ID"] == question["Msg-ID"]
    kazoo.respond(question, "park", Pre_Park="none")
    won = await kazoo.answer()
    assert won["Event-Name"] == "route_win"
    assert won["Call-ID"] == call.winner
    assert won["Control-Queue"] == kazoo.control.queue
    assert won["Custom-Channel-Vars"]["Account-ID"] == kazoo.account
    assert kazoo.engine.channel(call.winner).answered_at is not None
    message = {
        **kazoo.envelope("call", "command"),
        "Call-ID": won["Call-ID"],
        "Application-Name": "bridge",
        "Endpoints": [element("1002", "192.0.2.12")],
    }
    kazoo.bus.publish("callctl", won["Control-Queue"], message)
    await kazoo.event("CHANNEL_BRIDGE", 2)
    kazoo.command(call.winner, "hangup", Insert_At="now")
    assert await ended(call) == "NORMAL_CLEARING"


async def test_routes_are_dialled(kazoo: RouterRig) -> None:
    await kazoo.listen()
    call = kazoo.quickcall("4711")
    question = (await kazoo.questions.next()).payload
    kazoo.respond(question, "bridge", Routes=[element("1002", "192.0.2.12")])
    await kazoo.event("CHANNEL_BRIDGE", 2)
    assert (await kazoo.answer())["Event-Name"] == "route_win"
    await kazoo.over(call)


async def test_a_route_without_an_address_is_dialled_where_it_is_registered(
    kazoo: RouterRig,
) -> None:
    await kazoo.listen()
    binding = Binding("r@acme.test", Contact(B_URI), 4e9, 0.0, "register", 1)
    kazoo.engine.location.replace("r@acme.test", (binding,))
    call = kazoo.quickcall("4711")
    question = (await kazoo.questions.next()).payload
    registered = {
        "Invite-Format": "contact", "To-User": "r", "To-Username": "r", "To-Realm": "acme.test"
    }  # fmt: skip
    kazoo.respond(question, "bridge", Routes=[registered])
    await kazoo.event("CHANNEL_BRIDGE", 2)
    await kazoo.over(call)


async def test_a_refusal_says_why(kazoo: RouterRig) -> None:
    await kazoo.listen()
    call = kazoo.quickcall("4711")
    question = (await kazoo.questions.next()).payload
    kazoo.respond(
        question, "error", Route_Error_Code="486", Route_Error_Message="Insufficient\r\nFunds"
    )
    outcome = await call.ended()
    assert (outcome.cause, outcome.reason) == ("USER_BUSY", "InsufficientFunds")


async def test_the_first_usable_answer_counts(kazoo: RouterRig) -> None:
    await kazoo.listen()
    call = kazoo.quickcall("4711")
    question = (await kazoo.questions.next()).payload
    kazoo.respond(question, "error", Defer_Response=True, Route_Error_Code="604")
    kazoo.respond(question, "sms")
    kazoo.respond(question, "bridge", Routes=[{"Invite-Format": "route", "Route": "nowhere:"}])
    kazoo.respond(question, "park")
    kazoo.respond(question, "error", Route_Error_Code="486")
    kazoo.respond({**question, "Msg-ID": "another"}, "park")
    kazoo.bus.publish("targeted", kazoo.router.queue, b"[" * 10_000)
    assert (await kazoo.answer())["Event-Name"] == "route_win"
    kazoo.command(call.winner, "noop", Msg_ID="mine")
    assert (await kazoo.complete("noop"))["Application-Response"] == "mine"
    await kazoo.until(lambda: kazoo.router.late == 5)
    await kazoo.over(call)


async def test_without_anybody_who_routes_the_dial_plan_decides(kazoo: RouterRig) -> None:
    kazoo.engine.control_plane = kazoo.router
    call = kazoo.quickcall("1002")
    await kazoo.event("CHANNEL_BRIDGE", 2)
    assert kazoo.link.returned == 1
    await kazoo.over(call)


async def test_without_a_broker_the_dial_plan_decides(kazoo: RouterRig) -> None:
    kazoo.engine.control_plane = kazoo.router
    await kazoo.link.stop()
    call = kazoo.quickcall("1002")
    await kazoo.event("CHANNEL_BRIDGE", 2)
    await kazoo.over(call)


async def test_a_broker_that_takes_nothing_is_as_good_as_away(
    kazoo: RouterRig, rabbitmq: RabbitMq
) -> None:
    await kazoo.listen()
    rabbitmq.pause()
    try:
        call = kazoo.quickcall("1002")
        await kazoo.event("CHANNEL_BRIDGE", 2)
        assert kazoo.router.open == 0
        # From then on it is not even asked.
        other = kazoo.quickcall("1002")
        await kazoo.event("CHANNEL_ANSWER", 4)
        assert kazoo.router.open == 0
    finally:
        rabbitmq.resume()
    # Back again, it has the question that nobody waits for, and is asked the next one.
    await kazoo.questions.next()
    await kazoo.until(lambda: not kazoo.router._stuck)
    last = kazoo.quickcall("4711")
    question = (await kazoo.questions.next()).payload
    assert question["Call-ID"] == last.winner
    for one in (call, other, last):
        await kazoo.over(one)
    kazoo.respond(question, "park")
    await kazoo.until(lambda: kazoo.router.open == 0)


async def test_the_broker_goes_away_before_it_answers(kazoo: RouterRig, rabbitmq: RabbitMq) -> None:
    await kazoo.listen()
    rabbitmq.pause()
    try:
        call = kazoo.quickcall("1002")
        await kazoo.event("CHANNEL_ANSWER")
        assert kazoo.router.open == 1
        await kazoo.link.stop()
        await kazoo.event("CHANNEL_BRIDGE", 2)
    finally:
        rabbitmq.resume()
    await kazoo.over(call)


async def test_nobody_answers_in_time(tmp_path: Path, amqp_url: str) -> None:
    async with RouterRig(tmp_path, LoopbackSip(), amqp_url) as kazoo:
        await kazoo.listen()
        router = AmqpRouter(kazoo.engine, kazoo.link, kazoo.control.queue, window_s=SOON_S)
        kazoo.engine.control_plane = router
        call = kazoo.quickcall("1002")
        question = (await kazoo.questions.next()).payload
        outcome = await call.ended()
        assert outcome.cause == "NORMAL_TEMPORARY_FAILURE"
        assert outcome.reason.startswith("NO_ROUTE_RESPONSE")
        # Too late.
        kazoo.respond(question, "park")
        await kazoo.until(lambda: kazoo.router.late + router.late == 1)


async def test_a_deferred_answer_counts_when_no_other_comes(tmp_path: Path, amqp_url: str) -> None:
    async with RouterRig(tmp_path, LoopbackSip(), amqp_url) as kazoo:
        kazoo.router = AmqpRouter(kazoo.engine, kazoo.link, kazoo.control.queue, window_s=SOON_S)
        await kazoo.listen()
        call = kazoo.quickcall("1002")
        question = (await kazoo.questions.next()).payload
        kazoo.respond(question, "error", Defer_Response="true", Route_Error_Code="604 Nope")
        assert (await call.ended()).cause == "NO_ROUTE_DESTINATION"


async def test_too_many_questions_are_refused(
    kazoo: RouterRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kazoo.listen()
    monkeypatch.setattr(amqp_router, "MAX_OPEN", 1)
    waiting, refused = kazoo.quickcall("1002"), kazoo.quickcall("1002")
    outcome = await refused.ended()
    assert outcome.cause == "NORMAL_TEMPORARY_FAILURE"
    await kazoo.questions.next()
    assert kazoo.questions.empty()
    await kazoo.over(waiting)
    kazoo.router.stop()


async def test_an_answer_to_a_call_that_is_over_does_no_harm(kazoo: RouterRig) -> None:
    await kazoo.listen()
    call = kazoo.quickcall("1002")
    question = (await kazoo.questions.next()).payload
    await kazoo.over(call)
    kazoo.respond(question, "bridge", Routes=[element("1002", "192.0.2.12")])
    assert (await kazoo.answer())["Event-Name"] == "route_win"
    assert all(leg.role is LegRole.A for leg in kazoo.engine.channels(kazoo.account))


async def test_the_transfer_of_a_waiting_channel_is_routed_too(kazoo: RouterRig) -> None:
    await kazoo.listen()
    call = await kazoo.parked()
    kazoo.command(call.winner, "transfer", Transfer_To="4711")
    question = (await kazoo.questions.next()).payload
    assert question["Request"] == "4711@acme.test"
    kazoo.respond(question, "park")
    await kazoo.answer()
    await kazoo.over(call)
