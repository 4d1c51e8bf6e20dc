"""Log lines that stand for many."""

from __future__ import annotations

import logging

import pytest

from engine.control.seldom import EVERY_S, Seldom


def test_one_line_stands_for_all_of_a_second(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    seldom = Seldom(logging.getLogger("seldom"))
    for _ in range(1000):
        seldom.warning("refused: the disk is full")
    now += EVERY_S
    seldom.warning("refused: all legs are in use")
    now += EVERY_S
    seldom.warning("refused: again")
    assert [record.getMessage() for record in caplog.records] == [
        "refused: the disk is full",
        "refused: all legs are in use (and 999 times before)",
        "refused: again",
    ]
