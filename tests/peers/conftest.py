"""Fixtures of the tests against real phones and a real proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.kit.engine import EngineUnderTest
from tests.kit.kamailio import Kamailio


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[Kamailio]:
    """A Kamailio where alice and bob may register."""
    async with Kamailio() as proxy:
        yield proxy


@pytest_asyncio.fixture
async def engine(tmp_path: Path, proxy: Kamailio) -> AsyncIterator[EngineUnderTest]:
    """An engine that reaches its devices through the proxy; afterwards nothing may be left."""
    async with EngineUnderTest(tmp_path, outbound_proxy=proxy.uri) as engine:
        yield engine
