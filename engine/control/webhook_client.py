"""The HTTP client of webhooks: bounded in time and size, and never inside somebody's network."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import msgspec
from yarl import URL

from engine.control.webhook_address import is_public
from engine.control.webhook_payload import Posting

TIMEOUT_S = 10.0
"""Longest time from the look-up of the target's name to the end of its answer."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer's body that are read, and thrown away; longer ones cost the connection."""

MAX_ERROR = 200
"""Characters kept of what went wrong."""

_IDLE_S = 4.0
"""How long a connection is kept: many servers close theirs after 5 s, and a request that crosses
that on the way is lost."""

_AddrInfo = tuple[
    int | socket.AddressFamily,
    int | socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int],
]


class Answer(msgspec.Struct, frozen=True):
    """What came of one attempt."""

    status: int
    """HTTP status, 0: no answer came."""
    error: str
    """Why it failed, empty: it did not."""


class AddressRefused(OSError):
    """The target is at an address that webhooks may not go to."""


class WebhookClient:
    """Sends postings. Made and closed inside the event loop."""

    def __init__(self, *, private_addresses: bool, timeout_s: float = TIMEOUT_S) -> None:
        """Open nothing yet; `private_addresses`: whether targets may be in private networks."""
        self._private = private_addresses
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=0,
                keepalive_timeout=_IDLE_S,
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            auto_decompress=False,
            headers={"User-Agent": "quickcall-webhooks"},
            trust_env=False,
        )

    async def send(self, posting: Posting) -> Answer:
        """Make one attempt. Any 2xx is a success; redirects are not followed. Never raises."""
        try:
            async with self._session.request(
                posting.method,
                URL(posting.url, encoded=True),
                data=posting.body or None,
                headers=posting.headers,
                allow_redirects=False,
            ) as response:
                left = MAX_ANSWER
                async for chunk in response.content.iter_any():
                    left -= len(chunk)
                    if left < 0:
                        response.close()
                        break
                status = response.status
        except TimeoutError:
            return Answer(0, f"no answer within {self._session.timeout.total:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(0, _words(error))
        return Answer(status, "" if 200 <= status < 300 else f"answered {status}")

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
        # The transports of TLS connections close in the loop's next turns.
        await asyncio.sleep(0)

    def _socket(self, target: _AddrInfo) -> socket.socket:
        """Make the socket for an address that is about to be connected to."""
        family, kind, protocol, _, address = target
        if not self._private and not is_public(address[0]):
            raise AddressRefused(f"{address[0]} is not a public address")
        return socket.socket(family, kind, protocol)


def _words(error: Exception) -> str:
    """Return what went wrong without the URL, which may hold a token of the target's."""
    match error:
        case aiohttp.InvalidURL():
            return "the URL cannot be used"
        case aiohttp.ClientConnectorError():
            text = str(error.os_error)
        case aiohttp.ClientResponseError():
            text = f"no HTTP answer: {error.message}"
        case _:
            text = str(error)
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable[:MAX_ERROR] or type(error).__name__
