"""originate_req from Kazoo's bus, carried out and answered as ecallmgr does.

Theory. Every node consumes from one shared queue, so that the broker gives each request to one of
them. A request is acknowledged once it is refused with a reply, or accepted: written down with the
promise of its terminal event. What a node that died had not acknowledged is delivered to another
one, marked as redelivered, and carried out there: nobody has been told anything of it. The one case
in which it was accepted here already, and the connection broke before its acknowledgement arrived,
is known by its Msg-ID and passed over; so is what was accepted by this node before it died, and
has been ended when it came back.

Back-pressure: at most the link's prefetch of requests is here unsettled, all others wait at the
broker. The engine accepts or refuses within a turn of the loop, so that window is never long; what
it cannot carry out now is refused at once, because the requester can choose what to do instead, and
given back it would come straight to us again. Only a node that drains gives requests back, after it
has ceased to consume, for then they go to the others.

A request without Server-ID is never answered, whatever becomes of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Protocol

import msgspec
from msgspec.structs import replace

from engine.control.amqp_audit import asker
from engine.control.amqp_delivery import Delivery
from engine.control.amqp_link import AmqpLink
from engine.control.face import CallHandle, EngineFace
from engine.control.feed import SlowConsumer, Subscription
from engine.control.kapi import queue_name, validate
from engine.control.kapi_originate import ORIGINATE_EXECUTE, Originate, parse_originate
from engine.control.kapi_originate_replies import (
    BUSY,
    CRASHED,
    FAULT,
    NOBODY,
    NOT_EXECUTED,
    error_reply,
    ready_reply,
    refusal_of,
    started_reply,
    success_reply,
    uuid_reply,
)
from engine.control.random_ids import random_id
from engine.core.errors import EngineError, NotFound, Overloaded, RequestInvalid
from engine.core.values import OriginateRequest, Outcome

QUEUE = "ecallmgr_fs_resource"
"""The queue that all nodes share."""

ROUTING_KEY = "originate.resource.req"

EXECUTE_S = 5.0
"""Seconds within which the sender of a request must ask for its execution (ecallmgr's)."""

MAX_HANDSHAKES = 256
"""Requests that may wait for that at once; a further one is refused."""

REMEMBERED = 4096
"""Accepted requests whose Msg-ID is remembered, so that none is carried out twice."""

NOTE = "Existing-Call-ID-Note"
"""Channel variable that says why a request was not carried out where its `Existing-Call-ID` is."""

_ENDS = frozenset({"CHANNEL_EXECUTE_COMPLETE", "CHANNEL_DESTROY"})

_log = logging.getLogger(__name__)


class Places(Protocol):
    """Who knows the calls of the other nodes."""

    async def place(self, call_id: str, message: Mapping[str, object]) -> bool:
        """Give a request to the node that has the call of this id; false: no node has it."""
        ...


class _Job(msgspec.Struct):
    """One request on its way."""

    delivery: Delivery
    message: dict[str, object]
    order: Originate
    answer_to: Mapping[str, object]
    """`Server-ID` and `Msg-ID` of whoever gets the answers."""
    accepted: bool = False


class AmqpOriginate:
    """Takes originate_req from the bus."""

    def __init__(
        self,
        face: EngineFace,
        link: AmqpLink,
        control_queue: str,
        places: Places | None = None,
        *,
        execute_s: float = EXECUTE_S,
    ) -> None:
        """Listen to `link`, which is started later, for this engine.

        `control_queue`: the queue that takes commands to channels here. `places` None: this is the
        only node, every request is carried out here. `execute_s`: seconds within which a sender
        must ask for the execution of what it wants to control itself.
        """
        self._face = face
        self._link = link
        self._control_queue = control_queue
        self._places = places
        self._execute_s = execute_s
        self._draining = False
        self._jobs: set[asyncio.Task[None]] = set()
        self._handshakes: dict[str, asyncio.Future[Mapping[str, object]]] = {}
        self._taken: dict[str, None] = {}
        self.accepted = 0
        """Requests that were carried out."""
        self.refused = 0
        """Requests that were refused, with a reply or without."""
        self.queue = queue_name("quickcall-originates", face.node)
        """`Server-ID` of originate_ready: where its originate_execute goes."""
        link.listen(QUEUE, [("callmgr", ROUTING_KEY)], self.take, shared=True, ack=True)
        link.listen(self.queue, [("targeted", self.queue)], self._on_execute)

    def drain(self) -> None:
        """Take no more requests; those that are delivered all the same go to other nodes."""
        self._draining = True
        self._link.stop_listening(QUEUE)

    def resume(self) -> None:
        """Take requests again after all."""
        self._draining = False
        self._link.listen_again(QUEUE)

    async def close(self) -> None:
        """Stop waiting for answers of calls; those still waited for are not told."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def take(self, delivery: Delivery, *, placed: bool = False) -> None:
        """Take one originate_req.

        `placed`: another node has sent it here for its `Existing-Call-ID`.
        """
        try:
            message = delivery.json()
        except RequestInvalid as error:
            _log.warning("an originate_req is refused: %s", error)
            self.refused += 1
            delivery.ack()
            return
        if delivery.redelivered and self._known(message):
            delivery.ack()
            return
        refusal = self._face.refusal()
        if refusal and self._draining:
            delivery.reject(requeue=True)
            return
        order = self._order(message, refusal)
        if order is None:
            delivery.ack()
        else:
            self._begin(self._carry_out(_Job(delivery, message, order, message), placed=placed))

    def _known(self, message: Mapping[str, object]) -> bool:
        """Return whether a request was accepted here before, by its Msg-ID."""
        msg_id = message.get("Msg-ID")
        if not isinstance(msg_id, str):
            return False
        if msg_id in self._face.recovered:
            # Its terminal event has been told; who waits for the answer gets it now.
            self._refuse(message, CRASHED)
            return True
        return msg_id in self._taken

    def _order(self, message: dict[str, object], refusal: str) -> Originate | None:
        """Return what a request asks for, or refuse it and return None."""
        if refusal:
            self._refuse(message, BUSY, {"Reason": refusal})
            return None
        if wait := self._face.shed():
            self._refuse(message, *refusal_of(Overloaded(wait)))
            return None
        try:
            order = parse_originate(message, _new_call_id, self._face.dialled)
        except RequestInvalid as error:
            self._refuse(message, *refusal_of(error))
            return None
        if not order.request.endpoints:
            self._refuse(message, NOBODY, call_id=order.call_id)
            return None
        return order

    def _on_execute(self, delivery: Delivery) -> None:
        try:
            message = delivery.json()
            validate(message, ORIGINATE_EXECUTE)
        except RequestInvalid as error:
            _log.warning("an originate_execute is not valid: %s", error)
            return
        waiting = self._handshakes.get(str(message["Call-ID"]))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    # --- one request ------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _carry_out(self, job: _Job, *, placed: bool) -> None:
        try:
            if not placed and await self._placed_elsewhere(job):
                return
            await self._originate(job)
        except asyncio.CancelledError:
            # The engine leaves the bus: what it has not accepted is another one's.
            if not job.accepted:
                job.delivery.reject(requeue=True)
            raise
        except Exception:
            _log.exception("originate_req %s could not be carried out", job.message.get("Msg-ID"))
            self._refuse(job.message, FAULT, call_id=job.order.call_id, to=job.answer_to)
        finally:
            job.delivery.ack()

    async def _originate(self, job: _Job) -> None:
        order = job.order
        for call_id in _announced(order):
            self._reply(job, uuid_reply(call_id, self._control_queue))
        if not order.immediate and not await self._shaken(job):
            return
        reader = self._reader(order.request) if order.started else None
        try:
            handle = self._start(job)
            if handle is None:
                return
            # What is acknowledged ends in its terminal event even when the engine is killed.
            await self._face.journal.settled()
            job.delivery.ack()
            if job.answer_to.get("Server-ID"):
                await self._tell(job, handle, reader)
        finally:
            if reader is not None:
                reader.close()

    async def _placed_elsewhere(self, job: _Job) -> bool:
        """Give a request to the node that has its Existing-Call-ID; note it when no node has."""
        wanted = job.order.request.target_call_id
        if not wanted or self._has(wanted):
            return False
        if self._places is not None and await self._places.place(wanted, job.message):
            return True
        self._vary(job, {NOTE: f"{wanted} is not known, taken by {self._face.node}"})
        return False

    def _has(self, call_id: str) -> bool:
        try:
            self._face.call(call_id)
        except NotFound:
            return False
        return True

    async def _shaken(self, job: _Job) -> bool:
        """Tell the sender that all is ready, and wait until it says that it is too."""
        call_id = job.order.call_id
        if len(self._handshakes) >= MAX_HANDSHAKES or call_id in self._handshakes:
            self._refuse(job.message, BUSY, {"Reason": "too many requests wait for their execute"})
            return False
        executed: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        self._handshakes[call_id] = executed
        try:
            self._reply(job, ready_reply(call_id, self._control_queue, self.queue))
            # From here on it is the sender's: nothing was accepted, and who is silent for so long
            # must not keep others out of the window.
            job.delivery.ack()
            async with asyncio.timeout(self._execute_s):
                answer = await executed
        except TimeoutError:
            self._refuse(job.message, NOT_EXECUTED, call_id=call_id)
            return False
        finally:
            del self._handshakes[call_id]
        if answer.get("Server-ID"):
            job.answer_to = {**job.message, "Server-ID": answer["Server-ID"]}
        return True

    def _start(self, job: _Job) -> CallHandle | None:
        """Have the engine accept it, or refuse it and return None."""
        self._vary(job, {"Ecallmgr-Node": self._face.node, "Fetch-ID": random_id()})
        try:
            handle = self._face.start(job.order.request)
        except EngineError as error:
            to = job.answer_to
            self._refuse(job.message, *refusal_of(error), call_id=job.order.call_id, to=to)
            return None
        self._remember(job.order.request.request_id)
        self.accepted += 1
        job.accepted = True
        request = job.order.request
        self._audit(job.message, "accepted", account_id=request.account_id, number=request.number)
        return handle

    async def _tell(self, job: _Job, handle: CallHandle, reader: Subscription | None) -> None:
        outcome = await handle.answered()
        if not outcome.answered:
            await self._face.journal.settled()
            reply = error_reply(job.message, outcome.cause, job.order.call_id, _ending(outcome))
            self._reply(job, reply)
            return
        if reader is not None:
            self._reply(job, started_reply(outcome.call_id, self._control_queue))
            await _done(reader, handle, outcome.call_id)
        await self._face.journal.settled()
        self._reply(job, success_reply(job.message, outcome.call_id, self._control_queue))

    def _reader(self, request: OriginateRequest) -> Subscription:
        return self._face.feed.subscribe(request.account_id, _ENDS)

    # --- small things -----------------------------------------------------------------------------

    def _reply(self, job: _Job, payload: Mapping[str, object]) -> None:
        self._link.reply(job.answer_to, payload)

    def _refuse(
        self,
        message: Mapping[str, object],
        text: str,
        detail: Mapping[str, object] | None = None,
        *,
        call_id: str = "",
        to: Mapping[str, object] | None = None,
    ) -> None:
        self.refused += 1
        self._audit(message, text)
        self._link.reply(message if to is None else to, error_reply(message, text, call_id, detail))

    def _audit(self, message: Mapping[str, object], outcome: str, **fields: object) -> None:
        audit = self._face.operations.audit
        if audit.wanted:
            audit.record("originate", "amqp", **asker(message), **fields, outcome=outcome)

    def _remember(self, msg_id: str) -> None:
        self._taken[msg_id] = None
        if len(self._taken) > REMEMBERED:
            del self._taken[next(iter(self._taken))]

    @staticmethod
    def _vary(job: _Job, variables: Mapping[str, object]) -> None:
        """Add channel variables to those of the rung legs; what the request says goes before."""
        request = job.order.request
        given = {**variables, **request.channel_vars}
        request = replace(request, channel_vars=given)
        job.order = replace(job.order, request=request)


def _announced(order: Originate) -> tuple[str, ...]:
    """Return the ids to tell of: that of the request, then those of its endpoints."""
    ids = (order.call_id, *(endpoint.call_id for endpoint in order.request.endpoints))
    return tuple(dict.fromkeys(call_id for call_id in ids if call_id))


def _ending(outcome: Outcome) -> dict[str, object]:
    return {"SIP-Status": outcome.sip_status, "Reason": outcome.reason}


async def _done(reader: Subscription, handle: CallHandle, call_id: str) -> None:
    """Wait until the answered channel has done what was asked of it: a bridge is over, or it is."""
    try:
        async for event in reader:
            over = event.name == "CHANNEL_DESTROY"
            if event.call_id == call_id and (
                over or event.payload.get("Application-Name") == "bridge"
            ):
                return
    except SlowConsumer:
        await handle.ended()


def _new_call_id() -> str:
    """Return 36 hexadecimal digits, as ecallmgr makes them."""
    return random_id() + random_id()[:4]
