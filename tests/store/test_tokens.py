"""Tokens at rest: what is kept, what goes with an account, what another process is told by."""

from __future__ import annotations

import hashlib

import pytest

from engine.core.errors import NotFound
from engine.store.database import Database
from engine.store.directory import Directory
from engine.store.tokens import ALL_ACCOUNTS, StoredToken, TokenStore


def token(name: str, *accounts: str) -> StoredToken:
    digest = hashlib.sha256(name.encode()).digest()
    scopes = frozenset({"calls:read", "webhooks"})
    return StoredToken(name, digest, f"for {name}", frozenset(accounts), scopes, 1.0, 2.0)


async def test_a_token_is_kept_until_it_is_revoked(database: Database, url: str) -> None:
    store = TokenStore(database)
    assert await store.all() == ()
    first = await store.revision()
    kept = token("t", ALL_ACCOUNTS)
    await store.create(kept)
    other = await Database.open(url)
    try:
        assert await TokenStore(other).all() == (kept,)
        assert await TokenStore(other).revision() > first
        created = await store.revision()
        await TokenStore(other).revoke("t")
    finally:
        await other.close()
    assert await store.all() == ()
    assert await store.revision() > created
    with pytest.raises(NotFound, match="token 't'"):
        await store.revoke("t")


async def test_the_last_day_is_kept_without_telling_anybody(database: Database) -> None:
    store = TokenStore(database)
    await store.create(token("t", ALL_ACCOUNTS))
    revision = await store.revision()
    await store.used({"t": 20000, "gone": 20000})
    assert [one.last_used_day for one in await store.all()] == [20000]
    assert await store.revision() == revision


async def test_tokens_go_with_their_account(database: Database) -> None:
    directory = await Directory.open(database)
    for account in ("acme", "other"):
        document = {"name": account, "realm": f"{account}.test"}
        await directory.put("account", "", document, account)
    store = TokenStore(database)
    with pytest.raises(NotFound, match="nobody"):
        await store.create(token("lost", "acme", "nobody"))
    for made in (token("one", "acme"), token("both", "acme", "other"), token("all", ALL_ACCOUNTS)):
        await store.create(made)
    revision = await store.revision()
    await directory.delete("account", "acme", "acme")
    left = {one.id: one.accounts for one in await store.all()}
    assert left == {"both": {"other"}, "all": {ALL_ACCOUNTS}}
    assert await store.revision() > revision
