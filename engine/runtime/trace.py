"""The SIP messages of recent calls, kept in memory for ladders."""

from __future__ import annotations

from collections import OrderedDict, deque

from engine.core.events import SipMessageSeen

MESSAGES_PER_CALL = 64
"""Messages kept of one Call-ID, the newest; a call that is refreshed for hours must not grow."""


class SipTrace:
    """SIP messages by Call-ID, bounded: the Call-ID not heard of for the longest goes first."""

    def __init__(self, calls: int) -> None:
        """Keep the messages of `calls` Call-IDs, at least 1."""
        self._limit = calls
        self._messages: OrderedDict[str, deque[SipMessageSeen]] = OrderedDict()

    def add(self, message: SipMessageSeen) -> None:
        """Keep a message."""
        kept = self._messages.get(message.call_id)
        if kept is None:
            kept = self._messages[message.call_id] = deque(maxlen=MESSAGES_PER_CALL)
            if len(self._messages) > self._limit:
                self._messages.popitem(last=False)
        else:
            self._messages.move_to_end(message.call_id)
        kept.append(message)

    def of(self, call_id: str) -> tuple[SipMessageSeen, ...]:
        """Return the messages of a Call-ID, oldest first; empty when there are none any more."""
        return tuple(self._messages.get(call_id, ()))
