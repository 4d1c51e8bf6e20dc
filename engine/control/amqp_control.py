"""Commands of Kazoo's applications for the channels of this engine, from the bus (`callctl`).

One control queue for the whole engine: ecallmgr has one for each call, and declares, binds and
deletes it; but a command names its channel anyway. What waits for a channel is held here, for as
long as the channel lives, so it is bounded by the channels there are and by what may wait for each.
A command that cannot be carried out is answered by the error event `dialplan` of its channel.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from engine.control.amqp_audit import told_of
from engine.control.amqp_command_queue import CommandQueue, takes_time
from engine.control.amqp_delivery import Delivery
from engine.control.amqp_link import AmqpLink
from engine.control.command_actions import carry_out
from engine.control.face import EngineFace
from engine.control.feed import FeedEvent, ResumeTooOld, SlowConsumer, Subscription
from engine.control.kapi import encode_key, error_message, queue_name
from engine.control.kapi_bridge import bridge_order
from engine.control.kapi_dialplan import (
    Body,
    Command,
    HangUp,
    InsertAt,
    Order,
    Play,
    Refused,
    parse_order,
)
from engine.control.kazoo_events import Switch, channel_event
from engine.core.errors import EngineError, EngineUnavailable, NotFound, RequestInvalid
from engine.core.events import ChannelNotice
from engine.core.values import BridgeOrder, Endpoint

_WATCHED = frozenset({"CHANNEL_EXECUTE_COMPLETE", "CHANNEL_DESTROY", "DTMF"})
_NOT_CARRIED_OUT = "Could not execute dialplan action: "
"""What ecallmgr's error messages begin with."""

_log = logging.getLogger(__name__)


class AmqpControl:
    """Carries out commands of the bus, in order for each channel."""

    def __init__(self, face: EngineFace, link: AmqpLink) -> None:
        """Listen on `link`, which is started later."""
        self.queue = queue_name("quickcall-ctl", face.node)
        """`Control-Queue` of every channel of this engine."""
        self.refused = 0
        """Commands that were answered by an error, and messages that were none."""
        self._face = face
        self._link = link
        self._switch = Switch(face.node)
        self._channels: dict[str, CommandQueue] = {}
        self._reader: asyncio.Task[None] | None = None
        link.listen(self.queue, [("callctl", self.queue)], self._on_delivery)

    @property
    def waiting(self) -> int:
        """Channels for which commands run or wait."""
        return len(self._channels)

    async def stop(self) -> None:
        """Forget what waits. The link is to be stopped first. Idempotent."""
        reader, self._reader = self._reader, None
        self._channels.clear()
        if reader is not None:
            reader.cancel()
            await asyncio.wait({reader})

    # --- commands in ------------------------------------------------------------------------------

    def _on_delivery(self, delivery: Delivery) -> None:
        try:
            order = parse_order(delivery.json(), self._bridge_order)
        except RequestInvalid as error:
            self.refused += 1
            _log.warning("a message of the control queue is no command: %s", error)
            return
        self._take(order)

    def _take(self, order: Order) -> None:
        try:
            self._face.channel(order.call_id)
        except NotFound:
            self._take_without_channel(order)
            return
        queue = self._channels.setdefault(order.call_id, CommandQueue())
        # Before anything is done: its end may be told within the call that begins it.
        self._watch()
        if order.insert_at is InsertAt.NOW:
            for command in order.commands:
                if self._carry_out(command):
                    queue.overtaken(command)
        else:
            self._insert(queue, order)
        self._advance(order.call_id)

    def _take_without_channel(self, order: Order) -> None:
        """Hang up a call whose channel is still to be; nothing else can be done to it."""
        for command in order.commands:
            if isinstance(command.action, HangUp):
                self._carry_out(command)
            else:
                self._refuse(command, _no_session(command))

    def _bridge_order(self, body: Body) -> BridgeOrder:
        return bridge_order(body, lambda number: self._dialled(str(body["Call-ID"]), number))

    def _dialled(self, call_id: str, number: str) -> tuple[Endpoint, ...]:
        """Return where the dial plan of a channel's account leads a number."""
        try:
            return self._face.dialled(self._face.call(call_id).request.account_id, number)
        except NotFound:
            return ()

    def _insert(self, queue: CommandQueue, order: Order) -> None:
        running = queue.running
        plays = running is not None and isinstance(running.action, Play)
        if plays and order.insert_at is InsertAt.FLUSH:
            self._face.stop_playing(order.call_id)
        if not queue.insert(order):
            for command in order.commands:
                self._refuse(command, f"{_NOT_CARRIED_OUT}{command.application}: too many wait")

    def _advance(self, call_id: str) -> None:
        """Carry out what waits for a channel, up to what takes time."""
        queue = self._channels.get(call_id)
        while queue is not None and (command := queue.next()) is not None:
            if self._carry_out(command) and takes_time(command):
                queue.running = command
        if queue is not None and queue.idle:
            del self._channels[call_id]

    def _carry_out(self, command: Command) -> bool:
        """Carry a command out; false, and told, when it could not be."""
        if isinstance(command.action, Refused):
            self._refuse(command, f"{_NOT_CARRIED_OUT}{command.application}: {command.action.why}")
            return False
        try:
            self._check_audit(command)
            response = carry_out(self._face, command)
            self._audit(command, "accepted")
            if response is not None:
                self._tell_complete(command, response)
        except EngineError as error:
            gone = isinstance(error, NotFound) and error.name == command.call_id
            why = f"{_NOT_CARRIED_OUT}{command.application}: {error}"
            self._refuse(command, _no_session(command) if gone else why)
            return False
        return True

    # --- answers out ------------------------------------------------------------------------------

    def _refuse(self, command: Command, why: str) -> None:
        self.refused += 1
        self._audit(command, why)
        _log.info("command %s for %s: %s", command.application, command.call_id, why)
        message = error_message("dialplan", why, command.body, command.call_id)
        self._link.send("callevt", f"call.dialplan.{encode_key(command.call_id)}", message)

    def _check_audit(self, command: Command) -> None:
        refusal = self._face.operations.audit.refusal()
        # A call can always be ended.
        if refusal and not isinstance(command.action, HangUp):
            raise EngineUnavailable(refusal)

    def _audit(self, command: Command, outcome: str) -> None:
        audit = self._face.operations.audit
        if audit.wanted:
            audit.record(command.application, "amqp", **told_of(command), outcome=outcome)

    def _tell_complete(self, command: Command, response: str) -> None:
        """Tell that what takes no time has been carried out, to the bus alone: who asked waits.

        Raises `NotFound`.
        """
        leg = self._face.channel(command.call_id)
        details = {"Application-Name": command.application, "Application-Response": response}
        notice = ChannelNotice("CHANNEL_EXECUTE_COMPLETE", time.time(), leg, details)
        key = f"call.CHANNEL_EXECUTE_COMPLETE.{encode_key(leg.call_id)}"
        self._link.send("callevt", key, channel_event(notice, self._switch))

    # --- what becomes of them ---------------------------------------------------------------------

    def _watch(self) -> None:
        if self._reader is None:
            events = self._face.feed.subscribe(events=_WATCHED)
            self._reader = asyncio.create_task(self._read(events))

    async def _read(self, events: Subscription) -> None:
        """Read events for as long as anything runs or waits."""
        while True:
            try:
                with events:
                    async for event in events:
                        self._heard(event)
                        if not self._channels:
                            self._reader = None
                            return
            except SlowConsumer as slow:
                events = self._resumed(slow.last_sequence)

    def _resumed(self, last_sequence: int) -> Subscription:
        subscribe = self._face.feed.subscribe
        try:
            return subscribe(events=_WATCHED, resume_from=last_sequence)
        except ResumeTooOld:
            _log.error("commands for %d channels are dropped: too many events", self.waiting)
            self._channels.clear()
            return subscribe(events=_WATCHED)

    def _heard(self, event: FeedEvent) -> None:
        queue = self._channels.get(event.call_id)
        if queue is not None:
            _HEARD[event.name](self, event, queue)

    def _completed(self, event: FeedEvent, queue: CommandQueue) -> None:
        queue.completed(str(event.payload.get("Application-Name")))
        self._advance(event.call_id)

    def _destroyed(self, event: FeedEvent, queue: CommandQueue) -> None:
        del self._channels[event.call_id]
        for command in queue.abandon():
            self._refuse(command, _no_session(command))

    def _pressed(self, event: FeedEvent, queue: CommandQueue) -> None:
        playing = queue.running.action if queue.running is not None else None
        digit = event.payload.get("DTMF-Digit")
        if isinstance(playing, Play) and digit in playing.terminators:
            self._face.stop_playing(event.call_id)


def _no_session(command: Command) -> str:
    return f"Session {command.call_id} not found for {command.application}"


_HEARD: dict[str, Callable[[AmqpControl, FeedEvent, CommandQueue], None]] = {
    "CHANNEL_EXECUTE_COMPLETE": AmqpControl._completed,
    "CHANNEL_DESTROY": AmqpControl._destroyed,
    "DTMF": AmqpControl._pressed,
}
