"""The demo as a new user runs it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.sip
@pytest.mark.parametrize("columns", [80, 120])
async def test_demo_observes_everything_and_fits_the_terminal(columns: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "scripts" / "demo.py"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": str(columns), "NO_COLOR": "1"},
    )
    out, errors = await asyncio.wait_for(process.communicate(), 120)
    text = out.decode()
    assert process.returncode == 0, text + errors.decode()
    assert errors == b""
    assert "10 of 10 observed" in text
    assert "✗" not in text
    assert max(map(len, text.splitlines())) <= columns
