"""The event stream's sessions and their tokens: what they need, and when they end with them."""

from __future__ import annotations

import time

from engine.control.auth import digest_of
from engine.control.permissions import Permission
from engine.control.server import HttpServer
from engine.store.tokens import StoredToken
from tests.control.engine import ScriptedEngine
from tests.control.event_client import ACCOUNT, ask, closed, session, subscribe


async def test_a_session_ends_with_its_token(server: HttpServer, engine: ScriptedEngine) -> None:
    tokens = engine.tokens
    kept, revoked = (_stored(name, 0.0) for name in ("kept", "revoked"))
    tokens.replace_stored([kept, revoked])
    async with session(server, "kept") as stays, session(server, "revoked") as goes:
        for connection in (stays, goes):
            assert (await subscribe(connection))["status"] == "success"
        tokens.replace_stored([kept])
        code, reason = await closed(goes)
        assert (code, reason) == (1008, "invalid_credentials: the token is no longer good")
        assert (await ask(stays, "ping"))["data"] == {"response": "pong"}
        tokens.forget_account(ACCOUNT)
        assert (await closed(stays))[0] == 1008


async def test_a_session_ends_when_its_token_expires(
    server: HttpServer, engine: ScriptedEngine
) -> None:
    engine.tokens.replace_stored([_stored("short", time.time() + 0.3)])
    async with session(server, "short") as connection:
        assert (await closed(connection))[1] == "invalid_credentials: the token is no longer good"


async def test_a_session_needs_the_scope_to_listen(
    server: HttpServer, engine: ScriptedEngine
) -> None:
    token = engine.tokens.create(ACCOUNT, Permission.CALLS_WRITE)
    async with session(server, token) as connection:
        assert "calls:read" in str(await subscribe(connection))


def _stored(token: str, expires_at: float) -> StoredToken:
    scopes, accounts = frozenset({"calls:read"}), frozenset({ACCOUNT})
    return StoredToken(token, digest_of(token), "", accounts, scopes, 0.0, expires_at)
