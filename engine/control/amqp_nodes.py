"""Several engines on one bus: signs of life, requests of another one's calls, the end of one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping

from engine.control.amqp_confirms import LinkDown
from engine.control.amqp_delivery import Delivery
from engine.control.amqp_link import AmqpLink
from engine.control.kapi import encode_key, new_msg_id, queue_name
from engine.control.kapi_events import EVENTS, messages_of
from engine.control.other_nodes import KEPT, OtherNodes
from engine.core.errors import RequestInvalid

ANSWER_S = 0.5
"""Seconds within which the engine that has a call must say so; who has not is silent."""

MAX_QUESTIONS = 256
"""Questions for a call that may be open at once; a request beyond is carried out here."""

_log = logging.getLogger(__name__)


class AmqpNodes:
    """This engine among the others of its bus."""

    def __init__(self, link: AmqpLink, gone_s: float, take: Callable[[Delivery], None]) -> None:
        """Listen on `link`, which is started later.

        `gone_s`: seconds without a sign of life after which an engine is gone. `take`: carries out
        an originate_req that another engine has sent here.
        """
        self.others = OtherNodes(link.node, gone_s)
        self.told_for_others = 0
        """Events told for engines that were gone."""
        self._link = link
        self._every_s = gone_s / 6
        self._gone_s = gone_s
        self._calls_queue = queue_name("quickcall-calls", link.node)
        self._answers_queue = queue_name("quickcall-places", link.node)
        self._questions: dict[str, asyncio.Future[str]] = {}
        self._looked_at = 0.0
        self._reconnects = 0
        self._bound = False
        self._task: asyncio.Task[None] | None = None
        link.listen(queue_name("quickcall-nodes", link.node), [("nodes", "")], self._on_node)
        link.listen(self._calls_queue, [], self._on_event)
        link.listen(self._answers_queue, [("targeted", self._answers_queue)], self._on_answer)
        self._placed_queue = queue_name("quickcall-placed", link.node)
        placed = ("callmgr", _own_key(link.node))
        link.listen(self._placed_queue, [placed], take, ack=True)

    def start(self) -> None:
        """Begin to give signs of life."""
        self._task = asyncio.create_task(self._run())

    def drain(self) -> None:
        """Let others send no more requests here; they carry them out themselves."""
        self._link.stop_listening(self._placed_queue)

    def resume(self) -> None:
        """Let them again."""
        self._link.listen_again(self._placed_queue)

    async def stop(self, *, all_told: bool) -> None:
        """End, while the link is up. Idempotent.

        `all_told`: this engine's events have all been published, so it says good-bye. Else it is
        silent, and when it has been for long the others tell what it owes.
        """
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if all_told:
            self._advertise(leaving=True)
        for question in self._questions.values():
            question.cancel()

    # --- signs of life ----------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except LinkDown:
                # What could not be told is still owed, and told when the broker is back.
                pass
            except Exception:
                _log.exception("the other engines could not be looked after")
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        if not self._link.connected:
            return
        now = asyncio.get_running_loop().time()
        if self._reconnects != self._link.reconnects:
            self._reconnects = self._link.reconnects
            self.others.begin_again(now)
        elif now - self._looked_at > 2.5 * self._every_s:
            # The broker took nothing, or this process stood still: that nobody was heard meanwhile
            # says nothing of the others.
            self.others.all_live(now)
        self._looked_at = now
        self._advertise()
        for name in self.others.gone(now):
            owed = self.others.owed(name, now, time.time())
            _log.warning("engine %s is gone; %d events are told for it", name, len(owed))
            await self._link.publish(messages_of(owed, name))
            self.told_for_others += len(owed)

    def _advertise(self, *, leaving: bool = False) -> None:
        message = {
            "Event-Category": "nodes",
            "Event-Name": "advertise",
            "Expires": round(self._gone_s * 1000),
            "Quickcall": {"Leaving": leaving},
        }
        self._link.send("nodes", "", message)

    def _on_node(self, delivery: Delivery) -> None:
        message = delivery.json()
        node, ours = message.get("Node"), message.get("Quickcall")
        # Kazoo's own nodes say on this exchange that they live, too.
        if not isinstance(node, str) or not node or not isinstance(ours, dict):
            return
        if ours.get("Leaving") is True:
            self.others.leaves(node)
        elif self.others.lives(node, asyncio.get_running_loop().time()):
            _log.info("engine %s is on the bus", node)
            self._advertise()
            self._listen_to_calls()

    def _listen_to_calls(self) -> None:
        """Hear of the calls of others from now on; an engine that is alone hears of nobody's."""
        if not self._bound:
            self._bound = True
            self._link.bind(self._calls_queue, [(EVENTS, f"call.{name}.*") for name in KEPT])

    def _on_event(self, delivery: Delivery) -> None:
        name = delivery.routing_key.split(".", 2)[1]
        call_id = str(delivery.headers.get("call-id", ""))
        at = delivery.timestamp_us / 1_000_000
        self.others.event(name, call_id, delivery.message_id, at, delivery.body)

    # --- requests that belong elsewhere -----------------------------------------------------------

    async def place(self, call_id: str, message: Mapping[str, object]) -> bool:
        """Give an originate_req to the engine that has the call of this id; false: none has it."""
        if not self.others.names:
            return False
        node = self.others.owner(call_id) or await self._ask(call_id)
        if not node or node == self._link.node:
            return False
        with contextlib.suppress(LinkDown):
            return await self._link.deliver("callmgr", _own_key(node), message)
        return False

    async def _ask(self, call_id: str) -> str:
        """Return which engine has a call, empty: none said so in time."""
        if len(self._questions) >= MAX_QUESTIONS:
            return ""
        msg_id = new_msg_id()
        question = {
            "Event-Category": "call_event",
            "Event-Name": "channel_status_req",
            "Call-ID": call_id,
            "Active-Only": True,
            "Msg-ID": msg_id,
            "Server-ID": self._answers_queue,
        }
        if not self._link.send(EVENTS, f"call.status_req.{encode_key(call_id)}", question):
            return ""
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._questions[msg_id] = waiting
        try:
            async with asyncio.timeout(ANSWER_S):
                return await waiting
        except TimeoutError:
            return ""
        finally:
            del self._questions[msg_id]

    def _on_answer(self, delivery: Delivery) -> None:
        message = delivery.json()
        node, active = message.get("Node"), message.get("Status") == "active"
        waiting = self._questions.get(str(message.get("Msg-ID", "")))
        if waiting is None or waiting.done() or not active:
            return
        if not isinstance(node, str):
            raise RequestInvalid("Node", node, "the name of an engine", "type")
        waiting.set_result(node)


def _own_key(node: str) -> str:
    """Return the routing key of requests that one engine alone may carry out."""
    return f"originate.resource.req.{encode_key(node)}"
