"""The engine that gets the torture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.kit.engine import EngineUnderTest


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EngineUnderTest]:
    """A running engine on UDP and TCP at 127.0.0.1; afterwards nothing of any call may be left."""
    async with EngineUnderTest(tmp_path) as engine:
        yield engine
