"""Tokens and where a request may carry one."""

from __future__ import annotations

import hashlib

import pytest

from engine.control.auth import ROOT, Forbidden, InvalidCredentials, Tokens, token_of
from engine.core.errors import RequestInvalid


def test_a_created_token_opens_its_account_only() -> None:
    tokens = Tokens()
    token = tokens.create("acme")
    assert tokens.authorize(token, "acme").account_id == "acme"
    with pytest.raises(Forbidden, match="other"):
        tokens.authorize(token, "other")
    assert tokens.create("acme") != token


def test_configured_tokens_may_be_hashes() -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    tokens = Tokens({f"sha256:{digest}": "acme", "plain": ROOT})
    assert tokens.verify("secret").account_id == "acme"
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
