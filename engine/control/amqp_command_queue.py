"""The commands that wait for one channel. Pure.

Theory (Kazoo's ecallmgr has one such queue per call). Commands of a channel are carried out in
order. One that takes time, a sound or a bridge, is told to be over by CHANNEL_EXECUTE_COMPLETE, and
only then the next has its turn. `now` does not wait and nobody waits for it; `flush` drops what
waits and takes the turn of what runs. What was dropped or overtaken is told to be over too: so many
of those are passed over before the one that is waited for.
"""

from __future__ import annotations

from collections import Counter, deque

from engine.control.kapi_dialplan import Bridge, Command, InsertAt, Order, Play

MAX_WAITING = 64
"""Most commands that may wait for one channel."""


def takes_time(command: Command) -> str:
    """Return the `Application-Name` that tells the end of a command, empty: it ends at once."""
    match command.action:
        case Play():
            return "play"
        case Bridge():
            return "bridge"
        case _:
            return ""


class CommandQueue:
    """The queue of one channel."""

    __slots__ = ("_passed_over", "_waiting", "running")

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._waiting: deque[Command] = deque()
        self._passed_over: Counter[str] = Counter()
        self.running: Command | None = None
        """What the others wait for."""

    @property
    def idle(self) -> bool:
        """Whether nothing runs, waits or is still to be told."""
        return not (self.running or self._waiting or self._passed_over.total())

    def insert(self, order: Order) -> bool:
        """Put an order in its place; False: there is no room, and nothing was put."""
        if order.insert_at is InsertAt.FLUSH:
            self._waiting.clear()
            self.drop_running()
        if len(self._waiting) + len(order.commands) > MAX_WAITING:
            return False
        if order.insert_at is InsertAt.HEAD:
            self._waiting.extendleft(reversed(order.commands))
        else:
            self._waiting.extend(order.commands)
        return True

    def next(self) -> Command | None:
        """Take the next command out, None when there is none or one runs."""
        return self._waiting.popleft() if self._waiting and self.running is None else None

    def overtaken(self, command: Command) -> None:
        """Note that a command was carried out at once, whose end nobody waits for."""
        if application := takes_time(command):
            self._passed_over[application] += 1

    def drop_running(self) -> None:
        """Wait no longer for what runs."""
        if self.running is not None:
            self.overtaken(self.running)
            self.running = None

    def completed(self, application: str) -> bool:
        """Note that something is over; True: what runs is, and the next may have its turn."""
        if self._passed_over[application]:
            self._passed_over[application] -= 1
        elif self.running is not None and takes_time(self.running) == application:
            self.running = None
            return True
        return False

    def abandon(self) -> list[Command]:
        """Empty it and return what has not been carried out."""
        left = list(self._waiting)
        self._waiting.clear()
        self._passed_over.clear()
        self.running = None
        return left
