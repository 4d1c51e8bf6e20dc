"""Answers Kazoo's questions about the channels of this engine (`call.status_req.*` on `callevt`).

Every node answers for itself, the asker collects; who has nothing to say stays silent where Kazoo
does. A question about one channel is answered at once. One about many is answered in turns of the
event loop, a few channels at a time, one question after the other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator

from engine.control.amqp_delivery import Delivery
from engine.control.amqp_link import AmqpLink
from engine.control.face import EngineFace
from engine.control.kapi import queue_name
from engine.control.kapi_channels import (
    CHANNELS_REQ,
    STATUS_REQ,
    USER_REQ,
    Wanted,
    api_channel,
    channels_answer,
    fields_of,
    is_active_only,
    judged,
    status_of,
    status_of_unknown,
    whose,
)
from engine.control.kazoo_channels import channel_document
from engine.control.kazoo_events import Switch
from engine.core.errors import NotFound, RequestInvalid
from engine.core.values import LegSnapshot

MAX_QUESTIONS = 64
"""Most questions about many channels that may wait; the asker of another one hears nothing."""

_AT_A_TIME = 64

_log = logging.getLogger(__name__)

Body = dict[str, object]


class AmqpQueries:
    """Answers questions about channels."""

    def __init__(self, face: EngineFace, link: AmqpLink) -> None:
        """Listen on `link`, which is started later."""
        self.refused = 0
        """Messages that were no question, or too many."""
        self._face = face
        self._link = link
        self._switch = Switch(face.node)
        self._waiting: deque[Body] = deque()
        self._worker: asyncio.Task[None] | None = None
        queue = queue_name("quickcall-queries", face.node)
        link.listen(queue, [("callevt", "call.status_req.*")], self._on_delivery)

    async def stop(self) -> None:
        """Answer no more. Idempotent."""
        self._waiting.clear()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.wait({worker})

    def _on_delivery(self, delivery: Delivery) -> None:
        try:
            body = delivery.json()
            rules = judged(body)
        except RequestInvalid as error:
            self._refuse(error)
            return
        if not body.get("Server-ID"):
            return
        if rules is STATUS_REQ:
            self._answer_status(body)
        elif len(self._waiting) >= MAX_QUESTIONS:
            self._refuse("too many questions wait")
        else:
            self._waiting.append(body)
            if self._worker is None:
                self._worker = asyncio.create_task(self._work())

    def _refuse(self, why: object) -> None:
        self.refused += 1
        _log.warning("a question about channels is not answered: %s", why)

    def _answer_status(self, body: Body) -> None:
        call_id = str(body["Call-ID"])
        try:
            answer = status_of(self._face.channel(call_id), self._switch)
        except NotFound:
            if is_active_only(body, default=False):
                return
            answer = status_of_unknown(call_id)
        self._link.reply(body, answer)

    # --- many channels ----------------------------------------------------------------------------

    async def _work(self) -> None:
        while self._waiting:
            body = self._waiting.popleft()
            try:
                if body["Event-Name"] == CHANNELS_REQ.name:
                    await self._answer_all(body)
                else:
                    await self._answer_whose(body)
            except RequestInvalid as error:
                self._refuse(error)
        self._worker = None

    async def _answer_all(self, body: Body) -> None:
        fields, one = fields_of(body), body.get("Call-ID")
        now = time.time()
        found = {}
        async for leg in self._legs(None if one is None else str(one)):
            found[leg.call_id] = api_channel(leg, self._switch, now, fields)
        if found or not is_active_only(body, default=False):
            self._link.reply(body, channels_answer(CHANNELS_REQ.name, found))

    async def _answer_whose(self, body: Body) -> None:
        name, now = str(body["Event-Name"]), time.time()
        found = [channel_document(leg, self._switch, now) async for leg in self._legs(whose(body))]
        silent = name == USER_REQ.name and is_active_only(body, default=True)
        if found or not silent:
            self._link.reply(body, channels_answer(name, found))

    async def _legs(self, wanted: Wanted | str | None) -> AsyncIterator[LegSnapshot]:
        """Give the live channels that are wanted, the one of a Call-ID, or all of them."""
        if isinstance(wanted, str):
            call_ids = [wanted]
        elif wanted is None:
            call_ids = self._face.channel_ids()
        else:
            call_ids = self._face.channel_ids(wanted.account_id, wanted.takes)
        for at, call_id in enumerate(call_ids):
            if at % _AT_A_TIME == _AT_A_TIME - 1:
                await asyncio.sleep(0)
            try:
                yield self._face.channel(call_id)
            except NotFound:
                # It ended while others were described.
                continue
