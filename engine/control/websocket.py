"""The event stream over a WebSocket: subscribe, resume, and be cut off when too slow."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import msgspec
from litestar import WebSocket, websocket
from litestar.datastructures import State

from engine.control.auth import InvalidCredentials, Scope, token_of
from engine.control.face import EngineFace
from engine.control.feed import FeedEvent, ResumeAhead, Subscription
from engine.control.http_context import parse_query
from engine.control.websocket_frames import (
    MAX_BINDINGS,
    Binding,
    ClientFrame,
    event_frame,
    parse_bindings,
    parse_frame,
    refusal,
    reply,
)
from engine.core.errors import EngineError, RequestInvalid

AUTH_TIMEOUT = 10.0
"""Seconds a connection may stay without a good token."""

CLOSE_POLICY = 1008
"""Close code for a client that broke a rule: no token, or too slow (RFC 6455 7.4.1)."""

CLOSE_TIMEOUT = 1.0
"""Seconds to wait until a client that does not read has taken the close frame."""

REPLAY_PAGE = 500
"""Events read from the journal at once."""

_log = logging.getLogger(__name__)

Socket = WebSocket[Any, Any, State]


@websocket(["/v2/websocket", "/socket"])
async def event_stream(socket: Socket) -> None:
    """Serve one client until it leaves, or has to."""
    await socket.accept()
    with Subscription(cast(EngineFace, socket.app.state.face).feed) as subscription:
        await _Session(socket, subscription).run()


class _Session:
    """One connected client."""

    def __init__(self, socket: Socket, subscription: Subscription) -> None:
        self.socket = socket
        self.face = cast(EngineFace, socket.app.state.face)
        self.subscription = subscription
        self.scope: Scope | None = None
        self.bindings: dict[Binding, None] = {}

    async def run(self) -> None:
        """Read, write and watch until one of them ends; the others end with it."""
        tasks = [
            asyncio.ensure_future(self._read()),
            asyncio.ensure_future(self._write()),
            asyncio.ensure_future(self._watch()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for task, result in zip(tasks, ended, strict=True):
            if task in done and isinstance(result, BaseException):
                raise result
        reason = next((r for r in ended if isinstance(r, str) and r), "")
        if reason:
            await self._close(reason)

    async def _close(self, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.socket.close(CLOSE_POLICY, reason[:120])
        except TimeoutError:
            _log.info("a client did not take its close frame: %s", reason)

    async def _watch(self) -> str:
        """Return why the client is cut off."""
        cut = await self.subscription.wait_cut()
        return str(cut) if cut is not None else ""

    async def _write(self) -> str:
        async for event in self.subscription:
            await self._send(event)
        return ""

    async def _send(self, event: FeedEvent) -> None:
        for binding in self.bindings:
            if binding.filter.matches(event):
                await self.socket.send_data(event_frame(event, binding), mode="text")
                return

    async def _read(self) -> str:
        """Carry out frames until the client leaves; return why it is sent away, if it is."""
        try:
            self.scope = self._scope_at_connect()
        except InvalidCredentials as error:
            return f"invalid_credentials: {error}"
        except RequestInvalid as error:
            return str(error)
        while True:
            limit = AUTH_TIMEOUT if self.scope is None else None
            try:
                async with asyncio.timeout(limit):
                    message = cast(dict[str, Any], await self.socket.receive())
            except TimeoutError:
                return "invalid_credentials: no token in time"
            if message["type"] != "websocket.receive":
                return ""
            try:
                await self._carry_out(message.get("text") or "")
            except InvalidCredentials as error:
                return f"invalid_credentials: {error}"

    def _scope_at_connect(self) -> Scope | None:
        headers = self.socket.headers
        query = parse_query(self.socket.scope["query_string"])
        token = token_of(
            headers.get("x-auth-token"),
            headers.get("authorization"),
            query.get("auth_token"),
            None,
        )
        return None if token is None else self.face.tokens.verify(token)

    async def _carry_out(self, text: str) -> None:
        request_id: str | None = None
        try:
            frame = parse_frame(text)
            request_id = frame.request_id
            answer = await self._answer(frame)
        except EngineError as error:
            await self.socket.send_data(refusal(request_id, str(error)), mode="text")
            if isinstance(error, InvalidCredentials):
                raise
        else:
            await self.socket.send_data(reply(request_id, answer), mode="text")

    async def _answer(self, frame: ClientFrame) -> dict[str, object]:
        if frame.auth_token is not None or self.scope is None:
            self.scope = self.face.tokens.verify(frame.auth_token)
        if frame.action == "ping":
            return {"response": "pong"}
        if frame.action == "subscribe":
            return await self._subscribe(frame, self.scope)
        if frame.action == "unsubscribe":
            return self._unsubscribe(frame)
        raise RequestInvalid("action", frame.action, "subscribe, unsubscribe, ping", "enum")

    async def _subscribe(self, frame: ClientFrame, scope: Scope) -> dict[str, object]:
        bindings = parse_bindings(frame.data)
        scope.check(frame.data.account_id)
        if len(self.bindings.keys() | set(bindings)) > MAX_BINDINGS:
            raise RequestInvalid(
                "bindings", len(bindings), f"at most {MAX_BINDINGS} in a session", "maxItems"
            )
        resume_from = frame.data.resume_from
        if resume_from is not None:
            resume_from = await self._replay(bindings, resume_from)
        self.subscription.add(*(binding.filter for binding in bindings), resume_from=resume_from)
        self.bindings |= dict.fromkeys(bindings)
        return {"subscribed": [binding.subscription_key for binding in bindings]}

    def _unsubscribe(self, frame: ClientFrame) -> dict[str, object]:
        bindings = parse_bindings(frame.data)
        for binding in bindings:
            if self.bindings.pop(binding, self) is None:
                self.subscription.remove(binding.filter)
        return {
            "unsubscribed": [binding.subscription_key for binding in bindings],
            "subscribed": [binding.subscription_key for binding in self.bindings],
        }

    async def _replay(self, bindings: list[Binding], resume_from: int) -> int:
        """Send from the journal what is no longer in memory; return where memory takes over."""
        feed, account_id = self.face.feed, bindings[0].filter.account_id
        if resume_from > feed.last_sequence:
            raise ResumeAhead(resume_from, feed.last_sequence)
        while resume_from < feed.oldest - 1:
            # Whatever was published by now is in the journal's answer: it waits for the disk.
            newest = feed.last_sequence
            rows = await self.face.journal.events(account_id, resume_from, REPLAY_PAGE)
            for row in rows:
                payload = msgspec.json.decode(row.payload)
                event = FeedEvent(
                    row.sequence, row.name, row.account_id, row.call_id, row.at, payload
                )
                for binding in bindings:
                    if binding.filter.matches(event):
                        await self.socket.send_data(event_frame(event, binding), mode="text")
                        break
            last = rows[-1].sequence if rows else resume_from
            resume_from = last if len(rows) == REPLAY_PAGE else max(last, newest)
        return resume_from
