"""Ids from nothing: unlike all others in the world, and not to be guessed from those before.

They are the system's randomness, drawn for many ids at a time: asked for each, it would cost more
than everything else about an id. What opens something (tokens, secrets, nonces) is no business of
this module, but of `secrets`: nothing of it may lie in memory before it is used.
"""

from __future__ import annotations

import os
import secrets

_DRAWN = 256
"""Ids drawn at a time."""

_DIGITS = 32

_ready: list[str] = []

# A child process must not give out the same ids as its parent.
os.register_at_fork(after_in_child=_ready.clear)


def random_id() -> str:
    """Return 32 hexadecimal digits, 128 random bits. From any thread."""
    try:
        return _ready.pop()
    except IndexError:
        drawn = secrets.token_hex(_DRAWN * _DIGITS // 2)
        first, *others = (drawn[at : at + _DIGITS] for at in range(0, len(drawn), _DIGITS))
        _ready.extend(others)
        return first
