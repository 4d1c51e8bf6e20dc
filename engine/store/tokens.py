"""Tokens of the HTTP API at rest: their hashes, and what each may do.

Tokens are made and revoked by another process than the engine (`quickcall token`). So every change
raises `revision`, one small number, and the engine reads the tokens again when it has changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import msgspec
from sqlalchemy import Executable, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.core.errors import EngineUnavailable, NotFound
from engine.store.database import Database
from engine.store.tables import documents, token_accounts, token_revision, tokens

ALL_ACCOUNTS = "*"
"""Account of a token that may use every account."""

MAX_TOKENS = 100_000
"""Most tokens that are kept; all of them are in the engine's memory."""


class StoredToken(msgspec.Struct, frozen=True):
    """A token as it is kept; the token itself nobody knows but who was given it."""

    id: str
    digest: bytes
    """SHA-256 of the token."""
    name: str
    """What it is for, in the words of whoever made it."""
    accounts: frozenset[str]
    """Account ids, or `ALL_ACCOUNTS`; never empty."""
    scopes: frozenset[str]
    created_at: float
    """Unix time."""
    expires_at: float = 0.0
    """Unix time from which it is refused, 0: never."""
    last_used_day: int = 0
    """Days since 1970 in UTC, 0: not used yet."""


class TokenStore:
    """The tokens of a database."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database

    async def create(self, token: StoredToken) -> None:
        """Keep a token.

        Raises `NotFound` for an account that does not exist, `EngineUnavailable` when there are
        `MAX_TOKENS`.
        """
        async with self._database.write() as connection:
            for account_id in token.accounts - {ALL_ACCOUNTS}:
                await _check_account(connection, account_id)
            count = await connection.execute(select(func.count()).select_from(tokens))
            if count.scalar_one() >= MAX_TOKENS:
                raise EngineUnavailable(f"there are {MAX_TOKENS} tokens; revoke some")
            row = {
                "id": token.id,
                "digest": token.digest,
                "name": token.name,
                "scopes": " ".join(sorted(token.scopes)),
                "created_at": token.created_at,
                "expires_at": token.expires_at,
                "last_used_day": token.last_used_day,
            }
            await connection.execute(insert(tokens).values(**row))
            accounts = [{"token_id": token.id, "account_id": account} for account in token.accounts]
            await connection.execute(insert(token_accounts), accounts)
            await connection.execute(_NEXT_REVISION)

    async def revoke(self, token_id: str) -> None:
        """Forget a token. Raises `NotFound`."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(tokens).where(tokens.c.id == token_id))
            if not gone.rowcount:
                raise NotFound("token", token_id)
            owned = delete(token_accounts).where(token_accounts.c.token_id == token_id)
            await connection.execute(owned)
            await connection.execute(_NEXT_REVISION)

    async def all(self) -> tuple[StoredToken, ...]:
        """Return every token, the oldest first."""
        async with self._database.read() as connection:
            accounts: defaultdict[str, set[str]] = defaultdict(set)
            for token_id, account_id in await connection.execute(select(token_accounts)):
                accounts[token_id].add(account_id)
            query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
            rows = (await connection.execute(query)).all()
        return tuple(
            StoredToken(
                id=row.id,
                digest=bytes(row.digest),
                name=row.name,
                accounts=frozenset(accounts[row.id]),
                scopes=frozenset(row.scopes.split()),
                created_at=row.created_at,
                expires_at=row.expires_at,
                last_used_day=row.last_used_day,
            )
            for row in rows
        )

    async def revision(self) -> int:
        """Return a number that another one follows whenever a token is made or revoked."""
        async with self._database.read() as connection:
            found = await connection.execute(select(token_revision.c.revision))
            return int(found.scalar_one())

    async def used(self, days: Mapping[str, int]) -> None:
        """Note the day each token (id) was used last; one that is gone is passed over."""
        async with self._database.write() as connection:
            for token_id, day in days.items():
                change = update(tokens).where(tokens.c.id == token_id).values(last_used_day=day)
                await connection.execute(change)


def account_forgotten(account_id: str) -> tuple[Executable, ...]:
    """Return what takes an account from every token and removes the tokens it was all of.

    Part of the transaction that deletes the account, so that none of them outlives it.
    """
    left = select(token_accounts.c.token_id)
    return (
        delete(token_accounts).where(token_accounts.c.account_id == account_id),
        delete(tokens).where(tokens.c.id.not_in(left)),
        _NEXT_REVISION,
    )


_NEXT_REVISION = update(token_revision).values(revision=token_revision.c.revision + 1)


async def _check_account(connection: AsyncConnection, account_id: str) -> None:
    found = await connection.execute(
        select(documents.c.id).where(
            documents.c.kind == "account", documents.c.account_id == account_id
        )
    )
    if found.first() is None:
        raise NotFound("account", account_id)
