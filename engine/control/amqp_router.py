"""Asks Kazoo's applications where the number of an answered originate goes (`route_req`).

The question is mandatory: when it comes back, nobody routes here and the engine's own dial plan
decides, as it does while there is no broker. A broker that does not even take a question within a
second is as good as away, before its heartbeat says so, and is asked nothing more until it has.
Otherwise the first usable answer is taken, and who sent it is told (`route_win`) that it controls
the channel. Answers after that find no question.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from engine.control.amqp_delivery import Delivery
from engine.control.amqp_link import AmqpLink
from engine.control.face import EngineFace
from engine.control.kapi import new_msg_id, queue_name, reply_to
from engine.control.kapi_route import (
    WINDOW_S,
    RouteAnswer,
    no_answer,
    route_answer,
    route_req,
    route_win,
    routing_key,
)
from engine.control.kazoo_events import Switch
from engine.core.commands import ResolveDestination
from engine.core.errors import RequestInvalid
from engine.core.events import DestinationResolved
from engine.core.values import LegSnapshot

MAX_OPEN = 4096
"""Most questions without an answer; a number beyond them is refused."""

TAKEN_S = 1.0
"""Seconds within which a broker that works has taken a question."""

_log = logging.getLogger(__name__)

Answer = Callable[[DestinationResolved | None], None]


class _Question(msgspec.Struct):
    asked: ResolveDestination
    rung: LegSnapshot
    answer: Answer
    timer: asyncio.TimerHandle
    taken: bool = False
    """The broker has it."""
    deferred: RouteAnswer | None = None
    """Counts when nothing better comes."""
    complaint: str = ""
    """Why an answer could not be used."""


class AmqpRouter:
    """The control plane of an engine on Kazoo's bus."""

    def __init__(
        self, face: EngineFace, link: AmqpLink, control_queue: str, *, window_s: float = WINDOW_S
    ) -> None:
        """Ask over `link`, which is started later.

        `control_queue`: where the winner sends its commands. `window_s`: seconds that an answer is
        waited for.
        """
        self.late = 0
        """Answers to no open question, and messages that were none."""
        self._link = link
        self._control_queue = control_queue
        self._face = face
        self._window_s = window_s
        self._switch = Switch(face.node)
        self._stuck = False
        self._open: dict[str, _Question] = {}
        self.queue = queue_name("quickcall-routes", face.node)
        """`Server-ID` of the questions."""
        link.listen(self.queue, [("targeted", self.queue)], self._on_delivery)

    @property
    def open(self) -> int:
        """Questions without an answer."""
        return len(self._open)

    def route(self, asked: ResolveDestination, rung: LegSnapshot, answer: Answer) -> bool:
        """Ask where a number goes, as `ControlPlane.route`."""
        loop = asyncio.get_running_loop()
        if self._stuck:
            return False
        if len(self._open) >= MAX_OPEN:
            loop.call_soon(answer, no_answer(asked, f"{MAX_OPEN} numbers wait for a route"))
            return True
        msg_id = new_msg_id()
        account_id = str(rung.channel_vars.get("Account-ID") or rung.account_id)
        sent = self._link.send(
            "callmgr",
            routing_key(account_id),
            route_req(asked, rung, self._switch, msg_id, self.queue),
            mandatory=True,
            on_returned=lambda: self._returned(msg_id),
        )
        if sent:
            timer = loop.call_later(TAKEN_S, self._look_if_taken, msg_id)
            self._open[msg_id] = _Question(asked, rung, answer, timer)
            self._link.taken().add_done_callback(lambda taken: self._taken(msg_id, taken))
        return sent

    def stop(self) -> None:
        """Leave the open questions to the engine's dial plan. Idempotent."""
        for msg_id in list(self._open):
            self._returned(msg_id)

    # --- the broker -------------------------------------------------------------------------------

    def _taken(self, msg_id: str, taken: asyncio.Future[None]) -> None:
        """Act on the broker's word that it has a question, or on its end."""
        self._stuck = False
        if taken.exception() is not None:
            self._returned(msg_id)
        elif msg_id in self._open:
            self._open[msg_id].taken = True

    def _look_if_taken(self, msg_id: str) -> None:
        question = self._open[msg_id]
        if question.taken:
            left = self._window_s - TAKEN_S
            loop = asyncio.get_running_loop()
            question.timer = loop.call_later(max(0.0, left), self._expired, msg_id)
        else:
            self._stuck = True
            _log.warning("the broker takes no questions; the dial plan decides")
            self._returned(msg_id)

    # --- answers ----------------------------------------------------------------------------------

    def _on_delivery(self, delivery: Delivery) -> None:
        try:
            body = delivery.json()
        except RequestInvalid as error:
            self._pass_over(str(error))
            return
        msg_id = str(body.get("Msg-ID", ""))
        question = self._open.get(msg_id)
        if question is None:
            self._pass_over("it is late, or answers nothing")
            return
        try:
            answer = route_answer(body, question.asked, self._face.dialled)
        except RequestInvalid as error:
            question.complaint = str(error)
            self._pass_over(question.complaint)
            return
        if answer.waits:
            question.deferred = question.deferred or answer
        else:
            self._close(msg_id).answer(answer.found)
            if answer.controls:
                self._tell_winner(body, question.rung, msg_id)

    def _tell_winner(self, body: dict[str, object], rung: LegSnapshot, msg_id: str) -> None:
        to = reply_to(body)
        if to is not None:
            win = route_win(rung, self._switch, msg_id, self._control_queue)
            self._link.send("targeted", to.queue, win, headers=to.headers)

    def _pass_over(self, why: str) -> None:
        self.late += 1
        _log.info("an answer to route_req is passed over: %s", why)

    def _returned(self, msg_id: str) -> None:
        """Let the engine's dial plan decide: nobody routes."""
        if msg_id in self._open:
            self._close(msg_id).answer(None)

    def _expired(self, msg_id: str) -> None:
        question = self._close(msg_id)
        if question.deferred is not None:
            question.answer(question.deferred.found)
            return
        if not self._link.connected:
            # The broker went away, or takes nothing any more, after it was asked.
            question.answer(None)
            return
        why = question.complaint or f"no answer within {self._window_s:g} s"
        _log.warning("no route for %s: %s", question.asked.originate_id, why)
        question.answer(no_answer(question.asked, why))

    def _close(self, msg_id: str) -> _Question:
        question = self._open.pop(msg_id)
        question.timer.cancel()
        return question
