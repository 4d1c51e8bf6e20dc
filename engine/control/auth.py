"""Who may use which account: opaque bearer tokens, kept only as hashes.

A token is looked up by its SHA-256, so the time a look-up takes says nothing about the tokens that
exist: who guesses cannot steer the hash. Tokens are never logged; `repr` of what is here does not
show them.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from engine.control.permissions import ALL, Permission
from engine.core.errors import EngineError, RequestInvalid
from engine.store.tokens import ALL_ACCOUNTS, StoredToken

ROOT = ALL_ACCOUNTS
"""Account of a token that may use every account."""

TOKEN_BYTES = 32
"""Randomness of a created token (256 bits)."""

_HASH_PREFIX = "sha256:"
_MAX_TOKEN = 512


class InvalidCredentials(EngineError):
    """No token was given, or nobody has it (HTTP 401, Kazoo `invalid_credentials`)."""


class Forbidden(EngineError):
    """The token is good, but not for this (HTTP 403, Kazoo `forbidden`)."""

    def __init__(self, what: str) -> None:
        """Say what it may not do; the token is not named."""
        super().__init__(f"this token may not {what}")


class Scope(msgspec.Struct, frozen=True):
    """What a token may use, and do there."""

    accounts: frozenset[str]
    """Account ids, or `ROOT`."""
    permissions: frozenset[str] = frozenset({ALL})
    """Scopes, or `ALL`."""
    token_id: str = ""
    """Names the token in logs; says nothing about it."""
    name: str = ""
    """What the token is for."""
    expires_at: float = 0.0
    """Unix time from which the token is refused, 0: never."""

    @property
    def is_root(self) -> bool:
        """True when every account is allowed."""
        return ROOT in self.accounts

    def covers(self, account_id: str) -> bool:
        """Tell whether this scope has an account; `ROOT`: every account."""
        return account_id in self.accounts or ROOT in self.accounts

    def check(self, account_id: str) -> None:
        """Raise `Forbidden` when this scope does not cover the account."""
        if not self.covers(account_id):
            raise Forbidden(f"use account {account_id!r}")

    def require(self, permission: Permission | None) -> None:
        """Raise `Forbidden` without this permission; None is one that nobody has."""
        if permission is None:
            raise Forbidden("use this URL: no scope opens it")
        if permission not in self.permissions and ALL not in self.permissions:
            raise Forbidden(f"do this: it lacks the scope {permission.value}")


class Tokens:
    """The tokens of a running engine, in memory.

    Those of its configuration, those made by `create`, and the stored ones, which `replace_stored`
    exchanges whenever they have changed.
    """

    def __init__(
        self, granted: Mapping[str, str] | None = None, now: Callable[[], float] = time.time
    ) -> None:
        """Take a mapping of token to account id, or to `*` for every account.

        A key is the token itself, or `sha256:` and the 64 hex digits of its SHA-256, so that a
        configuration file need not hold secrets. `now` tells the Unix time. Raises `RequestInvalid`
        for a malformed hash or an empty token.
        """
        self._now = now
        self._given: dict[bytes, Scope] = {}
        self._stored: dict[bytes, Scope] = {}
        self._used: dict[str, int] = {}
        self._held: set[Scope] = set()
        self._changed: set[Callable[[], None]] = set()
        for token, account_id in (granted or {}).items():
            self._give(_configured_digest(token), account_id)

    def __repr__(self) -> str:
        """Say how many tokens there are, never which."""
        return f"<Tokens {len(self)}>"

    def __len__(self) -> int:
        """Count them, expired ones too."""
        return len(self._given) + len(self._stored)

    def create(self, account_id: str, *permissions: Permission) -> str:
        """Make a token for an account id (or `ROOT`) that lives as long as this object; return it.

        Without permissions it may do everything.
        """
        token = new_token()
        self._give(digest_of(token), account_id, *permissions)
        return token

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called whenever a token may have gone; returns what ends that."""
        self._changed.add(changed)
        return lambda: self._changed.discard(changed)

    def holds(self, scope: Scope) -> bool:
        """Tell whether a token that was verified would be once more, with the same scope."""
        return scope in self._held and not self._expired(scope)

    def replace_stored(self, tokens: Iterable[StoredToken]) -> None:
        """Take the stored tokens as they are now; those that are missing are refused from here."""
        self._stored = {
            token.digest: Scope(
                token.accounts, token.scopes, token.id, token.name, token.expires_at
            )
            for token in tokens
        }
        known = {scope.token_id for scope in self._stored.values()}
        self._used = {token: day for token, day in self._used.items() if token in known}
        self._tell()

    def forget_account(self, account_id: str) -> None:
        """Take a deleted account from every token, and the tokens it was all of away."""
        for table in (self._given, self._stored):
            for digest, scope in list(table.items()):
                if account_id not in scope.accounts:
                    continue
                if len(scope.accounts) == 1:
                    del table[digest]
                else:
                    table[digest] = replace(scope, accounts=scope.accounts - {account_id})
        self._tell()

    def verify(self, token: str | None) -> Scope:
        """Return what a token may use. Raises `InvalidCredentials`."""
        if not token or len(token) > _MAX_TOKEN:
            raise InvalidCredentials(
                "a token is required: X-Auth-Token, Authorization: Bearer, auth_token"
            )
        digest, now = digest_of(token), self._now()
        scope = self._stored.get(digest)
        if scope is not None:
            day = int(now // 86400)
            if self._used.get(scope.token_id) != day:
                self._used[scope.token_id] = day
        else:
            scope = self._given.get(digest)
        if scope is None:
            raise InvalidCredentials("nobody has this token")
        if self._expired(scope):
            raise InvalidCredentials("this token has expired")
        return scope

    def authorize(self, token: str | None, account_id: str) -> Scope:
        """Return the scope of a token if it covers the account.

        Raises `InvalidCredentials`, `Forbidden`.
        """
        scope = self.verify(token)
        scope.check(account_id)
        return scope

    def days_used(self) -> dict[str, int]:
        """Return the day (since 1970, UTC) each stored token, by its id, was used last."""
        return dict(self._used)

    def _expired(self, scope: Scope) -> bool:
        return bool(scope.expires_at) and self._now() >= scope.expires_at

    def _tell(self) -> None:
        self._held = {*self._given.values(), *self._stored.values()}
        for changed in tuple(self._changed):
            changed()

    def _give(self, digest: bytes, account_id: str, *permissions: Permission) -> None:
        # Enough of the hash to tell tokens apart in a log, too little to find one.
        name = f"given-{digest.hex()[:8]}"
        allowed: frozenset[str] = frozenset(permissions or (ALL,))
        self._given[digest] = Scope(frozenset({account_id}), allowed, name)
        self._held.add(self._given[digest])


def new_token() -> str:
    """Return a new token: `TOKEN_BYTES` of randomness, as URL-safe text."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_of(
    header: str | None, authorization: str | None, query: str | None, body: object
) -> str | None:
    """Return the token of a request, None when it has none.

    Order: `X-Auth-Token` header, `Authorization: Bearer`, `auth_token` of the query, `auth_token`
    of the body's envelope (Kazoo's `api_auth` places).
    """
    if header:
        return header
    if authorization:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer" and value.strip():
            return value.strip()
    if query:
        return query
    return body if isinstance(body, str) and body else None


def digest_of(token: str) -> bytes:
    """Return the SHA-256 of a token, which is all that is kept of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _configured_digest(token: str) -> bytes:
    if not token.startswith(_HASH_PREFIX):
        if not token or len(token) > _MAX_TOKEN:
            raise RequestInvalid("tokens", "***", f"1 to {_MAX_TOKEN} characters")
        return digest_of(token)
    try:
        digest = bytes.fromhex(token[len(_HASH_PREFIX) :])
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise RequestInvalid("tokens", "sha256:***", "sha256: and 64 hexadecimal digits")
    return digest
