"""The test kit itself: it must notice what is wrong, and say it."""

from __future__ import annotations

import re

import pytest

from engine.core.events import LegAnswered
from tests.kit.datagrams import hostile_datagrams
from tests.kit.programs import require
from tests.kit.sipp import SCENARIOS, Sipp, SippError
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AssertionError, match=r"sipp is not installed; .* package sip-tester"):
        require("sipp")


async def test_a_header_that_is_missing_fails_the_scenario(stack: Stack) -> None:
    async with Sipp("uas-auto-answer") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        with pytest.raises(SippError, match="Call-Info: not found"):
            await phone.succeeded()


async def test_a_header_that_should_not_be_there_fails_the_scenario(stack: Stack) -> None:
    async with Sipp("uas-answer") as phone:
        headers = (*stack.dial_command(stack.next_leg(), "").headers, ("Answer-Mode", "Auto"))
        leg = stack.dial(phone.uri, headers)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        with pytest.raises(SippError, match="FailedRegexpShouldntMatch"):
            await phone.succeeded()


async def test_a_call_that_should_not_come_is_noticed(stack: Stack) -> None:
    async with Sipp("uas-busy-486", calls=2) as phone:
        await stack.ended(stack.dial(phone.uri))
        with pytest.raises(SippError, match="should not have been called"):
            await phone.never_called()


def test_hostile_datagrams_are_the_same_on_every_run() -> None:
    first, again = (list(hostile_datagrams(70, "127.0.0.1:1")) for _ in range(2))
    assert first == again
    assert len(set(first)) == 70


def test_every_scenario_stands_in_the_table() -> None:
    table = (SCENARIOS / "README.md").read_text()
    named = re.findall(r"^\| (ua[cs]-[a-z0-9-]+) \|", table, re.MULTILINE)
    assert sorted(named) == sorted(path.stem for path in SCENARIOS.glob("*.xml"))
