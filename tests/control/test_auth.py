"""Tokens and where a request may carry one."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from engine.control.auth import ROOT, Forbidden, InvalidCredentials, Tokens, digest_of, token_of
from engine.control.permissions import Permission
from engine.core.errors import RequestInvalid
from engine.store.tokens import StoredToken


def stored(token: str, *accounts: str, **changes: Any) -> StoredToken:
    scopes = changes.pop("scopes", {"*"})
    return StoredToken(
        f"id-{token}", digest_of(token), "", frozenset(accounts), frozenset(scopes), 0.0, **changes
    )


def test_a_created_token_opens_its_account_only() -> None:
    tokens = Tokens()
    token = tokens.create("acme")
    assert tokens.authorize(token, "acme").accounts == {"acme"}
    with pytest.raises(Forbidden, match="other"):
        tokens.authorize(token, "other")
    assert tokens.create("acme") != token


def test_configured_tokens_may_be_hashes() -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    tokens = Tokens({f"sha256:{digest}": "acme", "plain": ROOT})
    assert tokens.verify("secret").accounts == {"acme"}
    assert tokens.authorize("plain", "anything").is_root
    for guess in ("", None, f"sha256:{digest}", digest, "Secret", "x" * 10_000, "\ud800"):
        with pytest.raises(InvalidCredentials):
            tokens.verify(guess)


def test_bad_configuration_does_not_show_the_token() -> None:
    for token in ("", "sha256:zz", "sha256:abcd"):
        with pytest.raises(RequestInvalid) as caught:
            Tokens({token: "acme"})
        assert "zz" not in str(caught.value)
        assert "abcd" not in str(caught.value)
    assert "plain" not in repr(Tokens({"plain": ROOT}))


def test_where_a_token_may_stand() -> None:
    assert token_of("h", "Bearer a", "q", "b") == "h"
    assert token_of(None, "bearer a", "q", "b") == "a"
    assert token_of(None, "Basic a", "q", "b") == "q"
    assert token_of(None, None, None, "b") == "b"
    assert token_of(None, "Bearer ", None, 5) is None


def test_a_stored_token_ends_when_it_expires_or_is_revoked() -> None:
    now = [1000.0]
    tokens = Tokens(now=lambda: now[0])
    tokens.replace_stored([stored("t", "acme", expires_at=1010.0), stored("u", "acme")])
    assert tokens.verify("t").accounts == {"acme"}
    now[0] = 1010.0
    with pytest.raises(InvalidCredentials, match="expired"):
        tokens.verify("t")
    assert tokens.verify("u").token_id == "id-u"
    tokens.replace_stored([stored("t", "acme")])
    assert tokens.verify("t").expires_at == 0
    with pytest.raises(InvalidCredentials, match="nobody"):
        tokens.verify("u")


def test_a_token_may_do_what_its_scopes_say() -> None:
    tokens = Tokens()
    tokens.replace_stored([stored("t", "acme", scopes={"calls:read", "webhooks"})])
    scope = tokens.verify("t")
    scope.require(Permission.CALLS_READ)
    for refused in (Permission.CALLS_WRITE, Permission.ADMIN, None):
        with pytest.raises(Forbidden):
            scope.require(refused)
    for permission in Permission:
        tokens.verify(tokens.create("acme")).require(permission)
    with pytest.raises(Forbidden, match="no scope opens it"):
        tokens.verify(tokens.create(ROOT)).require(None)


def test_tokens_die_with_their_account() -> None:
    tokens = Tokens({"given": "acme", "root": ROOT})
    tokens.replace_stored([stored("one", "acme"), stored("both", "acme", "other")])
    tokens.forget_account("acme")
    for gone in ("given", "one"):
        with pytest.raises(InvalidCredentials):
            tokens.verify(gone)
    assert tokens.verify("both").accounts == {"other"}
    assert tokens.verify("root").covers("acme")


def test_the_day_a_token_was_used_is_known() -> None:
    tokens = Tokens(now=lambda: 86400.0 * 3 + 1)
    tokens.replace_stored([stored("t", "acme"), stored("idle", "acme")])
    tokens.verify("t")
    tokens.verify(tokens.create("acme"))
    assert tokens.days_used() == {"id-t": 3}
