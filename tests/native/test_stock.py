"""What the stack says it holds, against what it does hold."""

from __future__ import annotations

import pytest

from engine.core.commands import TakeStock
from engine.core.events import LegAnswered, StockTaken
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]


async def stock(stack: Stack) -> StockTaken:
    """Ask and wait for the answer."""
    known = sum(isinstance(event, StockTaken) for event in stack.events)
    stack.submit(TakeStock())
    while True:
        taken = [event for event in stack.events if isinstance(event, StockTaken)]
        if len(taken) > known:
            return taken[known]
        await stack.next_event()


async def test_a_stack_without_calls_holds_nothing(stack: Stack) -> None:
    assert await stock(stack) == StockTaken((), 0, 0, 0)


async def test_every_leg_is_named_with_its_port_and_dialog(stack: Stack) -> None:
    async with Sipp("uas-answer", calls=3) as phone:
        legs = [stack.dial(phone.uri) for _ in range(3)]
        for leg in legs:
            await stack.event(LegAnswered, leg)
        taken = await stock(stack)
        assert (sorted(taken.legs), taken.media_ports, taken.dialogs) == (legs, 3, 3)
        for leg in legs:
            stack.hang_up(leg)
        for leg in legs:
            await stack.ended(leg)
        await phone.succeeded()
    left = await stock(stack)
    assert (left.legs, left.media_ports) == ((), 0)
    assert left.dialogs <= left.transactions
