"""Fixtures of the native stack's own tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.kit.stack import Stack


@pytest_asyncio.fixture
async def stack() -> AsyncIterator[Stack]:
    """A native stack on UDP and TCP at 127.0.0.1; afterwards nothing of it may be left."""
    async with Stack() as stack:
        yield stack
