"""What the stored events tell to live: channels not destroyed, requests not ended.

The events are the one record of a call that outlives the process, so this is kept beside them, by
whoever publishes them, and compared with call control by the audit.
"""

from __future__ import annotations

from collections.abc import Iterable, KeysView
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Request:
    first: int
    """Sequence of its first event."""
    calls: list[str] = field(default_factory=list)
    """Call-IDs of all its channels."""


class UnendedCalls:
    """Requests and channels between their first event and their last. Every step is cheap."""

    def __init__(self) -> None:
        """Start with none."""
        self._requests: dict[str, _Request] = {}
        self._channels: dict[str, str] = {}
        self._needed: dict[str, str] = {}

    @property
    def channels(self) -> KeysView[str]:
        """Call-IDs with CHANNEL_CREATE and without CHANNEL_DESTROY."""
        return self._channels.keys()

    @property
    def requests(self) -> KeysView[str]:
        """Requests with a channel, dead ones too, and without their terminal event."""
        return self._requests.keys()

    @property
    def first_sequence(self) -> int | None:
        """Sequence of the oldest event of a request that lives, None without any."""
        return next((request.first for request in self._requests.values()), None)

    def begin(self, request_id: str, call_id: str, sequence: int) -> None:
        """Note a CHANNEL_CREATE."""
        request = self._requests.get(request_id)
        if request is None:
            request = self._requests[request_id] = _Request(sequence)
        request.calls.append(call_id)
        self._channels[call_id] = self._needed[call_id] = request_id

    def destroy(self, call_id: str) -> None:
        """Note a CHANNEL_DESTROY. A Call-ID that is not known has no effect."""
        self._channels.pop(call_id, None)

    def end(self, request_id: str) -> list[str]:
        """Note a terminal event and return the Call-IDs of the request, for `release`.

        A request that had no channel is not known and has none.
        """
        request = self._requests.pop(request_id, None)
        calls = request.calls if request is not None else []
        for call_id in calls:
            # A Call-ID may be used again as soon as its channel is destroyed.
            if self._channels.get(call_id) == request_id:
                del self._channels[call_id]
        return calls

    def release(self, request_id: str, calls: Iterable[str]) -> None:
        """Note that the terminal event is durable: nothing before it is needed any more."""
        for call_id in calls:
            if self._needed.get(call_id) == request_id:
                del self._needed[call_id]

    def needed(self, call_ids: Iterable[str]) -> set[str]:
        """Return those Call-IDs whose stored events a crash now would have to be told from."""
        return {call_id for call_id in call_ids if call_id in self._needed}
