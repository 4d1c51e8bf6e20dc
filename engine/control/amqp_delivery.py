"""One message that the broker delivered."""

from __future__ import annotations

import msgspec

from engine.control.amqp_channel import Channel
from engine.core.errors import RequestInvalid

_OBJECT = msgspec.json.Decoder(dict[str, object])


class Delivery(msgspec.Struct):
    """A message of a queue that is listened to. Its sender is not to be trusted."""

    exchange: str
    routing_key: str
    body: bytes
    """At most `amqp_channel.MAX_BODY` bytes."""
    headers: dict[str, object]
    redelivered: bool
    """Whether it was delivered before, to a consumer that died or gave it back."""
    message_id: str = ""
    timestamp_us: int = 0
    """Microseconds since the Unix epoch, as its sender has it; 0: it says nothing."""
    _channel: Channel | None = None
    _tag: int = 0

    def json(self) -> dict[str, object]:
        """Return the body's JSON object. Raises `RequestInvalid`."""
        try:
            return _OBJECT.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            # What it says is a stranger's, and may be long.
            allowed = f"a JSON object ({str(error)[:200]})"
            raise RequestInvalid("message", f"{len(self.body)} bytes", allowed, "json") from error

    def ack(self) -> None:
        """Settle it: it is done with. Does nothing where deliveries need no settling."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.ack(self._tag)

    def reject(self, *, requeue: bool = False) -> None:
        """Settle it: it goes away, or back into its queue for whoever takes it next."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.reject(self._tag, requeue=requeue)
