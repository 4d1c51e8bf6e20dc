"""The SIP messages of recent calls: kept in memory, and sent to a capture server."""

from __future__ import annotations

from collections import OrderedDict, deque

from engine.core.errors import NotFound
from engine.core.events import SipMessageSeen
from engine.core.values import LegSnapshot
from engine.sip.hep import HepSender

MESSAGES_PER_CALL = 64
"""Messages kept of one Call-ID, the newest; a call that is refreshed for hours must not grow."""

CALLS_PER_REQUEST = 64
"""Call-IDs kept of one request, the first."""


class SipTrace:
    """SIP messages by Call-ID, bounded: the Call-ID not heard of for the longest goes first."""

    def __init__(self, calls: int, hep: HepSender | None = None) -> None:
        """Keep the messages of `calls` Call-IDs, 0: none; `hep` gets every one."""
        self._limit = calls
        self._hep = hep
        self._messages: OrderedDict[str, deque[SipMessageSeen]] = OrderedDict()
        self._requests: OrderedDict[str, tuple[str, list[str]]] = OrderedDict()
        self._owners: dict[str, str] = {}

    def add(self, message: SipMessageSeen) -> None:
        """Keep a message and pass it on."""
        if self._hep is not None:
            self._hep.send(message)
        if not self._limit:
            return
        kept = self._messages.get(message.call_id)
        if kept is None:
            kept = self._messages[message.call_id] = deque(maxlen=MESSAGES_PER_CALL)
            if len(self._messages) > self._limit:
                self._messages.popitem(last=False)
        else:
            self._messages.move_to_end(message.call_id)
        kept.append(message)

    def begin(self, leg: LegSnapshot) -> None:
        """Note whose a Call-ID is: of which request, of which account."""
        if not self._limit:
            return
        request = self._requests.get(leg.originate_id)
        if request is None:
            request = self._requests[leg.originate_id] = (leg.account_id, [])
            if len(self._requests) > self._limit:
                _, (_, gone) = self._requests.popitem(last=False)
                for call_id in gone:
                    self._owners.pop(call_id, None)
        if len(request[1]) < CALLS_PER_REQUEST:
            request[1].append(leg.call_id)
            self._owners[leg.call_id] = leg.originate_id

    def of(self, call_id: str) -> tuple[SipMessageSeen, ...]:
        """Return the messages of a Call-ID, oldest first; empty when there are none any more."""
        return tuple(self._messages.get(call_id, ()))

    def of_call(self, name: str, account_id: str | None) -> tuple[SipMessageSeen, ...]:
        """Return the messages of all legs of a call by Call-ID or request id, oldest first.

        Raises `NotFound` for one that is not kept, or is another account's.
        """
        account, call_ids = self._requests.get(self._owners.get(name, name), ("", []))
        if not call_ids or account_id not in (None, account):
            raise NotFound("trace", name)
        found = [message for call_id in call_ids for message in self.of(call_id)]
        return tuple(sorted(found, key=lambda message: message.at))
