"""Who may use which account: opaque bearer tokens, kept only as hashes.

A token is looked up by its SHA-256, so the time a look-up takes says nothing about the tokens that
exist: who guesses cannot steer the hash. Tokens are never logged; `repr` of what is here does not
show them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.errors import EngineError, RequestInvalid

ROOT = "*"
"""Account scope of a token that may use every account."""

TOKEN_BYTES = 32
"""Randomness of a created token (256 bits)."""

_HASH_PREFIX = "sha256:"
_MAX_TOKEN = 512


class InvalidCredentials(EngineError):
    """No token was given, or nobody has it (HTTP 401, Kazoo `invalid_credentials`)."""


class Forbidden(EngineError):
    """The token is good, but for another account (HTTP 403, Kazoo `forbidden`)."""

    def __init__(self, account_id: str) -> None:
        """Name the account that was asked for; the token is not named."""
        super().__init__(f"this token may not use account {account_id!r}")
        self.account_id = account_id


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token may use: one account, or every account."""

    account_id: str
    """Account id, or `ROOT`."""

    @property
    def is_root(self) -> bool:
        """True when every account is allowed."""
        return self.account_id == ROOT

    def check(self, account_id: str) -> None:
        """Raise `Forbidden` when this scope does not cover the account."""
        if self.account_id not in (account_id, ROOT):
            raise Forbidden(account_id)


class Tokens:
    """The tokens of a running engine, in memory; `granted` comes from its configuration."""

    def __init__(self, granted: Mapping[str, str] | None = None) -> None:
        """Take a mapping of token to account id, or to `*` for every account.

        A key is the token itself, or `sha256:` and the 64 hex digits of its SHA-256, so that a
        configuration file need not hold secrets. Raises `RequestInvalid` for a malformed hash or an
        empty token.
        """
        self._scopes: dict[bytes, Scope] = {}
        for token, account_id in (granted or {}).items():
            self._scopes[_configured_digest(token)] = Scope(account_id)

    def __repr__(self) -> str:
        """Say how many tokens there are, never which."""
        return f"<Tokens {len(self._scopes)}>"

    def create(self, account_id: str) -> str:
        """Make a new token for an account id (or `ROOT`) and return it; only its hash is kept."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._scopes[_digest(token)] = Scope(account_id)
        return token

    def verify(self, token: str | None) -> Scope:
        """Return what a token may use. Raises `InvalidCredentials`."""
        if not token or len(token) > _MAX_TOKEN:
            raise InvalidCredentials(
                "a token is required: X-Auth-Token, Authorization: Bearer, auth_token"
            )
        scope = self._scopes.get(_digest(token))
        if scope is None:
            raise InvalidCredentials("nobody has this token")
        return scope

    def authorize(self, token: str | None, account_id: str) -> Scope:
        """Return the scope of a token if it covers the account.

        Raises `InvalidCredentials`, `Forbidden`.
        """
        scope = self.verify(token)
        scope.check(account_id)
        return scope


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


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _configured_digest(token: str) -> bytes:
    if not token.startswith(_HASH_PREFIX):
        if not token or len(token) > _MAX_TOKEN:
            raise RequestInvalid("tokens", "***", f"1 to {_MAX_TOKEN} characters")
        return _digest(token)
    try:
        digest = bytes.fromhex(token[len(_HASH_PREFIX) :])
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise RequestInvalid("tokens", "sha256:***", "sha256: and 64 hexadecimal digits")
    return digest
