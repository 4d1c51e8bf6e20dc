"""The event stream over a WebSocket: subscribe, resume, and be cut off when too slow."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any, cast

from litestar import WebSocket, websocket
from litestar.datastructures import State

from engine.control.auth import InvalidCredentials, Scope, token_of
from engine.control.face import EngineFace
from engine.control.feed import FeedEvent, SlowConsumer
from engine.control.http_context import parse_query
from engine.control.permissions import Permission
from engine.control.websocket_broadcast import Broadcast
from engine.control.websocket_frames import (
    MAX_BINDINGS,
    Binding,
    ClientFrame,
    FrameRefused,
    event_frame,
    parse_bindings,
    parse_frame,
    refusal,
    reply,
)
from engine.control.websocket_link import EXTENSION, Link, text_frame
from engine.control.websocket_replay import Replay, TooOld
from engine.control.websocket_snapshot import snapshot_frames
from engine.core.errors import EngineError, RequestInvalid

EXPIRY_LOOK_S = 3600.0
"""Longest time between two looks whether a session's token has expired, seconds."""

AUTH_TIMEOUT = 10.0
"""Seconds a connection may stay without a good token."""

IDLE_TIMEOUT = 3600.0
"""Seconds a session that wants no events may be silent, as in Kazoo."""

DRAIN_TIMEOUT = 30.0
"""Seconds a client may take to read what it asked for: replies, a replay, a snapshot."""

FRAME_RATE = 20.0
"""Frames a client may send in a second, over time."""

FRAME_BURST = 50.0
"""Frames it may send at once."""

POLICY = 1008
"""Close code for a client that broke a rule: no token, or too slow (RFC 6455 7.4.1)."""

NORMAL = 1000
"""Close code of a session that is not used."""

_log = logging.getLogger(__name__)

Socket = WebSocket[Any, Any, State]


@websocket(["/v2/websocket", "/socket"])
async def event_stream(socket: Socket) -> None:
    """Serve one client until it leaves, or has to."""
    await socket.accept()
    session = _Session(socket)
    try:
        await session.run()
    finally:
        session.broadcast.leave(session)


class _Closed(Exception):
    """The session is to end, with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Session:
    """One connected client."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.face = cast(EngineFace, socket.app.state.face)
        self.broadcast = cast(Broadcast, socket.app.state.broadcast)
        self.link = cast(Link, cast(Any, socket.scope["extensions"])[EXTENSION])
        self.link.on_writable = self._writable
        self.scope: Scope | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self.bindings: dict[Binding, None] = {}
        self._held = False
        self._tokens = FRAME_BURST
        self._refilled = asyncio.get_running_loop().time()

    # --- what the broadcast sees -----------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether events must wait: the client is behind, or older things come first."""
        return self._held or self.link.full

    def write_frames(self, frames: bytes) -> None:
        """Send events."""
        self.link.write_frames(frames)

    def cut_off(self, waiting: int, last_sequence: int) -> None:
        """End a session whose client does not read what it asked for."""
        accounts = ", ".join(sorted({binding.account_id for binding in self.bindings}))
        _log.warning(
            "slow consumer %s of account %s is cut off: %d events waited",
            *(self.link.peer, accounts, waiting),
        )
        self.link.close(POLICY, str(SlowConsumer(waiting, last_sequence)))

    def _writable(self) -> None:
        self.broadcast.wake(self)

    # --- what the client says --------------------------------------------------------------------

    async def run(self) -> None:
        """Carry out frames until the client leaves or is sent away."""
        unwatch = self.face.tokens.watch(self._check_token)
        try:
            await self._read()
        except _Closed as closed:
            self.link.close(closed.code, str(closed))
        finally:
            unwatch()
            self._use(None)

    def _check_token(self) -> None:
        """End the session when its token was revoked or has expired, though it may be silent."""
        if self.scope is not None and not self.face.tokens.holds(self.scope):
            self.link.close(POLICY, "invalid_credentials: the token is no longer good")

    def _use(self, scope: Scope | None) -> None:
        """Go on with this token, until it expires."""
        self.scope = scope
        if self._expiry is not None:
            self._expiry.cancel()
        if scope is not None and scope.expires_at:
            # Asked again now and then: the wall clock may be set.
            wait = min(max(scope.expires_at - time.time(), 0.0) + 0.01, EXPIRY_LOOK_S)
            self._expiry = asyncio.get_running_loop().call_later(wait, self._look_at_expiry)

    def _look_at_expiry(self) -> None:
        self._check_token()
        if self.scope is not None and self.face.tokens.holds(self.scope):
            self._use(self.scope)

    async def _read(self) -> None:
        try:
            self._use(self._scope_at_connect())
        except InvalidCredentials as error:
            raise _Closed(POLICY, f"invalid_credentials: {error}") from None
        except RequestInvalid as error:
            raise _Closed(POLICY, str(error)) from None
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return
            await self._carry_out(message.get("text") or "")
            await self._drained()

    async def _receive(self) -> dict[str, Any]:
        while True:
            limit = AUTH_TIMEOUT if self.scope is None else IDLE_TIMEOUT
            try:
                async with asyncio.timeout(limit):
                    return cast(dict[str, Any], await self.socket.receive())
            except TimeoutError:
                if self.scope is None:
                    raise _Closed(POLICY, "invalid_credentials: no token in time") from None
                # Who listens need not say anything: the server's pings find out who has gone.
                if not self.bindings:
                    raise _Closed(NORMAL, f"idle for {IDLE_TIMEOUT:g} seconds") from None

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
            await self._throttle()
            frame = parse_frame(text)
            request_id = frame.request_id
            answer = await self._answer(frame)
        except EngineError as error:
            self._say(refusal(request_id, str(error)))
            if isinstance(error, InvalidCredentials):
                raise _Closed(POLICY, f"invalid_credentials: {error}") from None
        else:
            self._say(reply(request_id, answer))

    async def _throttle(self) -> None:
        """Take a token of the session's bucket; without one, refuse the frame and slow down.

        While this waits the client's further frames are not read, so they cost it and not us.
        """
        now = asyncio.get_running_loop().time()
        self._tokens = min(FRAME_BURST, self._tokens + (now - self._refilled) * FRAME_RATE)
        self._refilled = now
        if self._tokens < 1:
            await _slow_down(1 / FRAME_RATE)
            raise FrameRefused(f"rate limiting threshold hit for {self.link.peer}")
        self._tokens -= 1

    async def _answer(self, frame: ClientFrame) -> dict[str, object]:
        scope = self.scope
        if frame.auth_token is not None or scope is None:
            scope = self.face.tokens.verify(frame.auth_token)
            self._use(scope)
        if frame.action == "ping":
            return {"response": "pong"}
        if frame.action == "subscribe":
            return await self._subscribe(frame, scope)
        if frame.action == "unsubscribe":
            return self._unsubscribe(frame)
        raise FrameRefused(f"action {frame.action} not supported : subscribe, unsubscribe, ping")

    async def _subscribe(self, frame: ClientFrame, scope: Scope) -> dict[str, object]:
        bindings = parse_bindings(frame.data)
        scope.require(Permission.CALLS_READ)
        scope.check(frame.data.account_id)
        if len(self.bindings.keys() | set(bindings)) > MAX_BINDINGS:
            raise FrameRefused(f"bindings : at most {MAX_BINDINGS} in a session")
        answer: dict[str, object] = {"subscribed": [one.subscription_key for one in bindings]}
        if frame.data.resume_from is None:
            self._join(bindings)
            return answer
        try:
            await self._resume(bindings, frame.data.resume_from)
        except TooOld:
            answer["snapshot"] = await self._begin_with_snapshot(bindings)
        return answer

    def _unsubscribe(self, frame: ClientFrame) -> dict[str, object]:
        bindings = parse_bindings(frame.data)
        for binding in bindings:
            self.bindings.pop(binding, None)
        self.broadcast.join(self, tuple(self.bindings))
        return {
            "unsubscribed": [binding.subscription_key for binding in bindings],
            "subscribed": [binding.subscription_key for binding in self.bindings],
        }

    def _join(self, bindings: Iterable[Binding]) -> int:
        self.bindings |= dict.fromkeys(bindings)
        return self.broadcast.join(self, tuple(self.bindings))

    async def _resume(self, bindings: list[Binding], resume_from: int) -> None:
        """Send what was missed and then live events. Raises `TooOld` when some of it is gone."""
        replay = Replay(self.face, bindings[0].filter.account_id, resume_from)
        while (events := await replay.page()) is not None:
            for event in events:
                self._say_event(event, bindings)
            await self._drained()
        # Nothing is waited for from here on, so nothing lies between this and what comes.
        for event in replay.rest():
            self._say_event(event, bindings)
        self._join(bindings)

    async def _begin_with_snapshot(self, bindings: list[Binding]) -> int:
        """Send what lives now, and then the events from now on; returns the sequence of now."""
        sequence = self._join(bindings)
        self._held = True
        try:
            for frame in snapshot_frames(self.face, bindings, sequence, time.time()):
                self._say(frame)
                await self._drained()
        finally:
            self._held = False
            self.broadcast.wake(self)
        return sequence

    # --- what it is told -------------------------------------------------------------------------

    def _say_event(self, event: FeedEvent, bindings: Iterable[Binding]) -> None:
        for binding in bindings:
            if binding.filter.matches(event):
                self._say(event_frame(event, binding, self.face.node))
                return

    def _say(self, payload: bytes) -> None:
        self.link.write_frames(text_frame(payload))

    async def _drained(self) -> None:
        """Wait until the client has read most of what it was told."""
        if not self.link.full:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT):
                await self.link.drained()
        except TimeoutError:
            raise _Closed(POLICY, f"nothing read for {DRAIN_TIMEOUT:g} seconds") from None


_slow_down = asyncio.sleep
