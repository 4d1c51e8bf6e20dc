"""How long the chaos takes: some seconds in a test run, minutes in `make soak`."""

from __future__ import annotations

import pytest


@pytest.fixture
def chaos_seconds(request: pytest.FixtureRequest) -> float:
    """Seconds of chaos."""
    return float(request.config.getoption("--chaos-seconds"))


@pytest.fixture
def chaos_rate(request: pytest.FixtureRequest) -> float:
    """Calls asked for in a second."""
    return float(request.config.getoption("--chaos-rate"))
