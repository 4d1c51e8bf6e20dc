"""What a call leaves behind: nothing that the garbage collector would have to find."""

from __future__ import annotations

import gc

from engine.core.leg import Leg
from engine.core.originate import Originate
from engine.sip.loopback import Answer, Bye, Ring
from tests.control.rig import A_URI, B_URI, Rig, ended


def left() -> list[object]:
    return [found for found in gc.get_objects() if isinstance(found, (Leg, Originate))]


async def test_an_ended_call_is_freed_without_the_collector(rig: Rig) -> None:
    gc.collect()
    gc.disable()
    try:
        rig.sip.script(A_URI, Ring(), Answer())
        rig.sip.script(B_URI, Ring(), Answer(), Bye())
        await ended(rig.start())
        assert left() == []
    finally:
        gc.enable()
