"""Fixtures of the tests against real phones and a real proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.kit.baresip import DIGEST
from tests.kit.engine import EngineUnderTest
from tests.kit.kamailio import Kamailio


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[Kamailio]:
    """A Kamailio where alice and bob may register."""
    async with Kamailio() as proxy:
        yield proxy


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EngineUnderTest]:
    """An engine that the phones register at, and that keeps every SIP message."""
    async with EngineUnderTest(tmp_path, digest_algorithms=DIGEST, trace=True) as engine:
        yield engine
