"""`quickcall token`: make, list and revoke API tokens, in the store of an engine.

The engine may run meanwhile: it sees a change within a second or two.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.config import EngineConfig
from engine.config_file import load_config
from engine.config_values import ConfigError
from engine.control.audit import AuditLog
from engine.control.auth import ROOT, digest_of, new_token
from engine.control.permissions import ALL, Permission
from engine.core.errors import EngineError, RequestInvalid
from engine.store.database import Database
from engine.store.tokens import StoredToken, TokenStore

MISUSE = 2
"""Exit status when nothing was done: a value or the configuration cannot be used."""

MAX_NAME = 128
"""Longest name of a token, characters."""

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}

_Work = Callable[[TokenStore, AuditLog], Coroutine[Any, Any, None]]

_PIPE_WIDTH = 1000
"""Columns for tables that are not printed to a terminal."""
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Where:
    """Which store is meant."""

    config: Path | None
    database: str | None


@dataclass(frozen=True, slots=True)
class TokenOrder:
    """A token to be made."""

    accounts: Sequence[str]
    """Account ids, or `*`."""
    scopes: Sequence[str]
    """Empty: all."""
    name: str = ""
    expires: str = ""
    """Hours, days or weeks from now (`12h`, `30d`, `4w`), or a date in UTC; empty: never."""


def run_create(where: Where, order: TokenOrder) -> int:
    """Make a token, print it, keep its hash; return the exit status."""
    return _run(where, lambda store, audit: _create(store, audit, order))


def run_list(where: Where) -> int:
    """Print the stored tokens; return the exit status."""
    return _run(where, _list)


def run_revoke(where: Where, token_id: str) -> int:
    """Revoke a token by its id; return the exit status."""
    return _run(where, lambda store, audit: _revoke(store, audit, token_id))


def print_for_configuration(order: TokenOrder) -> int:
    """Print a new token and the lines that allow it in a configuration; nothing is stored."""
    if len(order.accounts) != 1 or order.scopes or order.name or order.expires:
        _err.print(
            "[red]a token of the configuration is for one account, or for * (all);"
            " it has neither scopes nor name nor expiry[/]"
        )
        return MISUSE
    account = order.accounts[0]
    token = new_token()
    digest = f"sha256:{digest_of(token).hex()}"
    _out.print(f"token, shown only now:  {token}\n", markup=False)
    _out.print("Allow it in the configuration file:\n")
    _out.print(f'    [tokens]\n    "{digest}" = "{account}"\n', markup=False)
    _out.print("or in the environment of the engine:\n")
    _out.print(f"    QUICKCALL_TOKENS='{digest}={account}'", markup=False)
    return 0


def stored_token(order: TokenOrder, token: str, now: float) -> StoredToken:
    """Return what is kept of a token. Raises `RequestInvalid` naming the field."""
    known = {ALL, *(permission.value for permission in Permission)}
    for scope in order.scopes:
        if scope not in known:
            raise RequestInvalid("scope", scope, ", ".join(sorted(known)))
    if len(order.name) > MAX_NAME or not (order.name.isprintable() or not order.name):
        raise RequestInvalid("name", order.name[:32], f"at most {MAX_NAME} printable characters")
    accounts = frozenset(order.accounts)
    if not accounts or not all(accounts) or (ROOT in accounts and len(accounts) > 1):
        raise RequestInvalid("account", list(order.accounts), "account ids, or * alone")
    return StoredToken(
        id=secrets.token_hex(8),
        digest=digest_of(token),
        name=order.name,
        accounts=accounts,
        scopes=frozenset(order.scopes or (ALL,)),
        created_at=now,
        expires_at=expiry(order.expires, now),
    )


def expiry(text: str, now: float) -> float:
    """Return the Unix time that a text says, 0 for an empty one.

    Raises `RequestInvalid` for one that says none, or one that is over.

    >>> expiry("2d", 1000.0), expiry("1970-01-02", 0.0), expiry("", 1000.0)
    (173800.0, 86400.0, 0.0)
    """
    if not text:
        return 0.0
    allowed = "a number of h, d or w (30d) or a date in UTC to come (2030-12-31)"
    match = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", text)
    if match:
        return now + int(match[1]) * _UNITS[match[2]]
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RequestInvalid("expires", text[:32], allowed) from None
    when = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if when <= now:
        raise RequestInvalid("expires", text[:32], allowed)
    return when


async def _create(store: TokenStore, audit: AuditLog, order: TokenOrder) -> None:
    token = new_token()
    kept = stored_token(order, token, time.time())
    await store.create(kept)
    audit.record(
        "create token",
        "cli",
        user=_user(),
        token=kept.id,
        token_name=kept.name,
        accounts=sorted(kept.accounts),
        scopes=sorted(kept.scopes),
    )
    _out.print(f"token, shown only now:  {token}", markup=False)
    _out.print(f"id, to revoke it by:    {kept.id}", markup=False)


async def _list(store: TokenStore, _audit: AuditLog) -> None:
    tokens = await store.all()
    if not tokens:
        _out.print("no token is stored; those of the configuration are not listed")
        return
    table = Table("id", "name", "accounts", "scopes", "made", "expires", "used last", box=None)
    now = time.time()
    for token in tokens:
        expired = bool(token.expires_at) and now >= token.expires_at
        table.add_row(
            token.id,
            escape(token.name),
            escape(" ".join(sorted(token.accounts))),
            " ".join(sorted(token.scopes)),
            _day(token.created_at),
            "expired" if expired else _day(token.expires_at) if token.expires_at else "never",
            _day(token.last_used_day * 86400) if token.last_used_day else "never",
        )
    # Nothing is cut off for who reads it with a program, whatever COLUMNS says.
    out = _out if _out.is_terminal else Console(highlight=False, width=_PIPE_WIDTH)
    out.print(table)


async def _revoke(store: TokenStore, audit: AuditLog, token_id: str) -> None:
    await store.revoke(token_id)
    audit.record("revoke token", "cli", user=_user(), token=token_id)
    _out.print(f"token {token_id} is revoked", markup=False)


def _user() -> str:
    """Return who runs this, as the system knows them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _run(where: Where, work: _Work) -> int:
    try:
        config = load_config(where.config, None, database=where.database)
        asyncio.run(_with_store(config, work))
    except ConfigError as error:
        _err.print(f"[red]configuration:[/] {escape(str(error))}")
        return MISUSE
    except EngineError as error:
        _err.print(f"[red]nothing was done:[/] {escape(str(error))}")
        return MISUSE
    return 0


async def _with_store(config: EngineConfig, work: _Work) -> None:
    audit = AuditLog(config.node, config.audit_log)
    audit.open()
    database = await Database.open(config.database)
    try:
        await work(TokenStore(database), audit)
    finally:
        await database.close()
        audit.close()
