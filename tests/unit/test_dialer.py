"""INVITEs that wait for a name, between the driver and the stack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest_asyncio
from msgspec.structs import replace

from engine.core.commands import Dial, HangUp, Join, SipCommand, UseHops
from engine.core.events import HopsFound, HopsNeeded, LegEnded
from engine.core.values import LegId, Party
from engine.runtime.dialer import Dialer
from engine.sip.hosts_file import HostsFile
from engine.sip.locate import Locator
from engine.sip.name_servers import NameServers
from engine.sip.port import Listener
from tests.kit.dns import ScriptedNameServer

A = LegId(1)
B = LegId(2)
HOP = "sip:192.0.2.7:5060;transport=udp"
GUARD_S = 20.0


def _dial(leg: LegId, uri: str, next_hop: str = "") -> Dial:
    return Dial(leg, f"call-{leg}", uri, "<sip:t@a.test>", "<sip:f@a.test>", next_hop)


class Rig:
    """A dialer that knows carrier.test from a hosts file, and whatever it reported."""

    def __init__(self, hosts: Path, server: ScriptedNameServer, timeout_s: float) -> None:
        hosts.write_text("192.0.2.7 carrier.test two.test\n192.0.2.8 two.test\n")
        servers = NameServers(((server.host, server.port),), timeout_s / 3)
        listeners = (Listener("udp", "127.0.0.1", 5060),)
        self.locator = Locator(servers, HostsFile(hosts), listeners, timeout_s, lambda _: 0)
        self.dialer = Dialer(self.locator, self._note)
        self.events: list[HopsFound | LegEnded] = []
        self.commands: list[SipCommand] = []
        self._reported = asyncio.Event()

    def _note(self, events: Sequence[HopsFound | LegEnded], commands: Sequence[SipCommand]) -> None:
        self.events += events
        self.commands += commands
        self._reported.set()

    async def reported(self) -> None:
        """Wait for the next report."""
        async with asyncio.timeout(GUARD_S):
            await self._reported.wait()
        self._reported.clear()


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig whose name server says nothing for a minute."""
    async with ScriptedNameServer() as server:
        made = Rig(tmp_path / "hosts", server, 60)
        yield made
        await made.locator.close()
        assert made.locator.running == 0


async def test_an_address_passes_untouched(rig: Rig) -> None:
    commands: list[SipCommand] = [_dial(A, "sip:bob@192.0.2.1"), Join(A, B), HangUp(A)]
    passed, events = rig.dialer.sift(commands)
    assert passed is commands
    assert events == []


async def test_a_name_waits_and_then_goes_to_its_first_address(rig: Rig) -> None:
    dial = _dial(A, "sip:bob@carrier.test")
    passed, events = rig.dialer.sift([dial, HangUp(B)])
    assert (passed, events, rig.dialer.waiting) == ([HangUp(B)], [], {A})
    await rig.reported()
    assert rig.events == [HopsFound(A, (HOP,))]
    assert rig.commands == [_dial(A, "sip:bob@carrier.test", HOP)]
    assert not rig.dialer.waiting


async def test_what_is_remembered_does_not_wait(rig: Rig) -> None:
    rig.dialer.sift([_dial(A, "sip:bob@carrier.test")])
    await rig.reported()
    passed, events = rig.dialer.sift([_dial(B, "sip:carol@carrier.test")])
    assert passed == [_dial(B, "sip:carol@carrier.test", HOP)]
    assert events == [HopsFound(B, (HOP,))]


async def test_the_first_of_several_addresses_is_not_waited_for_long(rig: Rig) -> None:
    hops = (HOP, "sip:192.0.2.8:5060;transport=udp")
    sent = replace(_dial(A, "sip:bob@two.test", HOP), more_hops=True)
    rig.dialer.sift([_dial(A, "sip:bob@two.test")])
    await rig.reported()
    assert rig.events == [HopsFound(A, hops)]
    assert rig.commands == [sent]
    assert rig.dialer.sift([_dial(A, "sip:bob@two.test")]) == ([sent], [HopsFound(A, hops)])


async def test_a_hang_up_meanwhile_ends_the_leg_without_an_invite(rig: Rig) -> None:
    rig.dialer.sift([_dial(A, "sip:bob@carrier.test")])
    passed, events = rig.dialer.sift([HangUp(A), HangUp(B)])
    assert passed == [HangUp(B)]
    assert events == [LegEnded(A, 0, "", Party.LOCAL, 0)]
    rig.dialer.sift([_dial(B, "sip:bob@carrier.test")])
    await rig.reported()
    assert [command.leg for command in rig.commands if isinstance(command, Dial)] == [B]


async def test_a_hang_up_in_the_same_batch(rig: Rig) -> None:
    passed, events = rig.dialer.sift([_dial(A, "sip:bob@carrier.test"), HangUp(A)])
    assert passed == []
    assert events == [LegEnded(A, 0, "", Party.LOCAL, 0)]


async def test_legs_that_ask_for_the_same_name_share_one_look_up(rig: Rig) -> None:
    rig.dialer.sift([_dial(leg, "sip:a@silent.test") for leg in (A, B)])
    assert (rig.dialer.waiting, rig.locator.running) == ({A, B}, 1)


async def test_a_uri_that_is_none_ends_its_leg(rig: Rig) -> None:
    passed, (ended,) = rig.dialer.sift([_dial(A, "sip:bob@h.test:99999")])
    assert passed == []
    assert isinstance(ended, LegEnded)
    assert (ended.sip_status, ended.party) == (503, Party.POLICY)
    assert "99999" in ended.warning


async def test_nothing_found(tmp_path: Path) -> None:
    async with ScriptedNameServer() as server:
        rig = Rig(tmp_path / "hosts", server, 0.1)
        rig.dialer.sift([_dial(A, "sip:bob@silent.test")])
        await rig.reported()
        (ended,) = rig.events
        assert isinstance(ended, LegEnded)
        assert (ended.sip_status, ended.party) == (503, Party.POLICY)
        assert ended.warning.startswith("silent.test: ")
        # It is remembered for a while: the next call does not wait.
        _, again = rig.dialer.sift([_dial(B, "sip:bob@silent.test")])
        assert [event.leg for event in again] == [B]
        await rig.locator.close()


async def test_the_stack_asks_too(rig: Rig) -> None:
    assert rig.dialer.answer(HopsNeeded(7, "sip:carrier.test;transport=UDP")) is None
    await rig.reported()
    assert rig.commands == [UseHops(7, (HOP,))]
    assert rig.dialer.answer(HopsNeeded(8, "sip:carrier.test;transport=UDP")) == UseHops(8, (HOP,))


async def test_the_stack_gets_an_answer_to_whatever_it_asks(rig: Rig) -> None:
    assert rig.dialer.answer(HopsNeeded(7, "sip:-;x")) is None
    assert rig.dialer.answer(HopsNeeded(8, "sip:a b")) == UseHops(8, ())
    assert rig.dialer.answer(HopsNeeded(9, "sip:h.test:70000")) == UseHops(9, ())


async def test_no_more_names_at_once_than_allowed(rig: Rig) -> None:
    dials: list[SipCommand] = [
        _dial(LegId(number), f"sip:a@h{number}.test") for number in range(1, 258)
    ]
    rig.dialer.sift(dials)
    await rig.reported()
    (ended,) = rig.events
    assert isinstance(ended, LegEnded)
    assert (ended.leg, rig.locator.running) == (257, 256)
    assert "being looked up" in ended.warning
