"""What the stored events tell to live: channels not destroyed, requests not ended.

The events are the one record of a call that outlives the process, so this is kept beside them, by
whoever publishes them, and compared with call control by the audit. A request is over when its
terminal event is told and its last channel is destroyed: a channel that was transferred to another
call outlives its request.
"""

from __future__ import annotations

from collections.abc import Iterable, KeysView, Sequence

import msgspec


class _Request(msgspec.Struct):
    first: int
    """Sequence of its first event."""
    calls: list[str] = msgspec.field(default_factory=list)
    """Call-IDs of all its channels."""
    alive: int = 0
    """How many of them are not destroyed."""


class UnendedCalls:
    """Requests and channels between their first event and their last. Every step is cheap."""

    def __init__(self) -> None:
        """Start with none."""
        self._requests: dict[str, _Request] = {}
        self._unended: dict[str, None] = {}
        self._channels: dict[str, str] = {}
        self._needed: dict[str, str] = {}

    @property
    def channels(self) -> KeysView[str]:
        """Call-IDs with CHANNEL_CREATE and without CHANNEL_DESTROY."""
        return self._channels.keys()

    @property
    def requests(self) -> KeysView[str]:
        """Requests that had a channel, dead ones too, and had no terminal event."""
        return self._unended.keys()

    @property
    def first_sequence(self) -> int | None:
        """Sequence of the oldest event of a request that is not over, None without any."""
        return next((request.first for request in self._requests.values()), None)

    def begin(self, request_id: str, call_id: str, sequence: int) -> None:
        """Note a CHANNEL_CREATE."""
        request = self._requests.get(request_id)
        if request is None:
            request = self._requests[request_id] = _Request(sequence)
            self._unended[request_id] = None
        request.calls.append(call_id)
        request.alive += 1
        self._channels[call_id] = self._needed[call_id] = request_id

    def destroy(self, call_id: str) -> tuple[str, Sequence[str]]:
        """Note a CHANNEL_DESTROY; return as `end`. An unknown Call-ID has no effect."""
        request_id = self._channels.pop(call_id, "")
        request = self._requests.get(request_id)
        if request is not None:
            request.alive -= 1
        return request_id, self._over(request_id)

    def end(self, request_id: str) -> tuple[str, Sequence[str]]:
        """Note a terminal event.

        Return the request and its Call-IDs when it is over, for `release`; a request that is not,
        or that had no channel, has none.
        """
        self._unended.pop(request_id, None)
        return request_id, self._over(request_id)

    def release(self, request_id: str, calls: Iterable[str]) -> None:
        """Note that the last event is durable: nothing before it is needed any more."""
        for call_id in calls:
            # A Call-ID may be used again as soon as its channel is destroyed.
            if self._needed.get(call_id) == request_id:
                del self._needed[call_id]

    def needed(self, call_ids: Iterable[str]) -> set[str]:
        """Return those Call-IDs whose stored events a crash now would have to be told from."""
        return {call_id for call_id in call_ids if call_id in self._needed}

    def _over(self, request_id: str) -> Sequence[str]:
        request = self._requests.get(request_id)
        if request is None or request.alive or request_id in self._unended:
            return ()
        del self._requests[request_id]
        return request.calls
