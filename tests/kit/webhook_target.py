"""An HTTP server that webhooks are sent to: it keeps what comes and checks the signatures."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web

GUARD_S = 40.0
"""Longest wait for a post. A guard against hanging, never a measured time."""


@dataclass(frozen=True)
class Post:
    """One request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """The payload, whatever its format; all text but in JSON."""
        if self.headers.get("content-type") == "application/json":
            decoded: dict[str, Any] = json.loads(self.body)
            return decoded
        text = self.query if self.method == "GET" else self.body.decode()
        return dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True))

    @property
    def event_id(self) -> str:
        """What the event is known by."""
        return self.headers["x-event-id"]

    @property
    def attempt(self) -> int:
        """Which attempt it is."""
        return int(self.headers["x-attempt"])

    def is_signed(self, secret: str) -> bool:
        """Check the signature as docs/webhooks.md says."""
        signed = self.query.encode() if self.method == "GET" else self.body
        text = self.headers["x-timestamp"].encode() + b"." + signed
        digest = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        return hmac.compare_digest(f"sha256={digest}", self.headers["x-signature"])


class WebhookTarget:
    """A target on 127.0.0.1. `answer` says what status a post gets, 200 unless changed."""

    def __init__(self) -> None:
        """Bind when entered."""
        self.posts: list[Post] = []
        self.peers: set[tuple[str, int]] = set()
        """Addresses that posts came from: one for each connection."""
        self.answer: Callable[[Post], int | Awaitable[int]] = lambda _: 200
        self.port = 0
        self._runner: web.AppRunner
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def __aenter__(self) -> Self:
        """Listen, on the same port as before if there was one."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the port and every connection."""
        await self._runner.cleanup()

    async def wait(self, done: Callable[[list[Post]], bool]) -> list[Post]:
        """Wait until what came is enough."""
        async with asyncio.timeout(GUARD_S):
            while not done(self.posts):
                self._changed.clear()
                await self._changed.wait()
        return self.posts

    async def wait_for(self, count: int) -> list[Post]:
        """Wait until so many posts came."""
        return await self.wait(lambda posts: len(posts) >= count)

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path, _, query = request.raw_path.partition("?")
        post = Post(request.method, path, query, headers, await request.read())
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        self.posts.append(post)
        self._changed.set()
        answer = self.answer(post)
        return web.Response(status=answer if isinstance(answer, int) else await answer)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it holds."""
    for _ in range(int(GUARD_S * 100)):
        if await holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never held")


async def has(listing: Awaitable[list[Any]], count: int) -> bool:
    """Tell whether a list has so many items; for `until`."""
    return len(await listing) == count


async def same(value: bool) -> bool:
    """Return the value; for `until`."""
    return value
