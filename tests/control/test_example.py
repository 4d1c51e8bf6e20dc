"""The example of docs/embedding.md runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "embed.py"


async def test_the_example_connects_two_phones(capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("embed", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert await example.main("") == 0
    printed = capsys.readouterr().out
    assert "QUICKCALL_END" in printed
    assert printed.endswith("NORMAL_CLEARING, ended by remote; 2 legs\n")
