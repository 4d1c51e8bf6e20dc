"""Starting and closing the native stack: listeners, limits, live legs at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.core.events import LegAnswered, LegRang
from engine.core.values import Party
from engine.sip.native import NativeSip
from engine.sip.port import Listener, SipConfig
from tests.kit.addresses import free_port, is_bound
from tests.kit.sipp import Sipp
from tests.kit.stack import GUARD_S, Stack
from tests.kit.tls import make_certificate

pytestmark = [pytest.mark.native, pytest.mark.sip]

UDP = (Listener("udp", "127.0.0.1", 0),)


async def test_listeners_report_the_ports_the_kernel_gave(tmp_path: Path) -> None:
    certificate, key = await make_certificate(tmp_path, "127.0.0.1")
    wanted = tuple(
        Listener(transport, host, 0)
        for host in ("127.0.0.1", "::1")
        for transport in ("udp", "tcp", "tls")
    )
    config = SipConfig(wanted, tls_certificate=str(certificate), tls_private_key=str(key))
    async with Stack(config) as stack:
        bound = stack.sip.listeners
        assert [(item.transport, item.host) for item in bound] == [
            (item.transport, item.host) for item in wanted
        ]
        for item in bound:
            assert is_bound(item.host, item.port, "udp" if item.transport == "udp" else "tcp")


def test_a_port_in_use_is_said_and_nothing_is_left() -> None:
    taken = NativeSip(SipConfig(listeners=UDP))
    port = taken.listeners[0].port
    taken.close()
    free = free_port("127.0.0.1", "tcp")
    first = NativeSip(SipConfig(listeners=(Listener("tcp", "127.0.0.1", free),)))
    first.close()
    again = NativeSip(SipConfig(listeners=(Listener("udp", "127.0.0.1", port),)))
    again.close()


@pytest.mark.parametrize(
    ("field", "config"),
    [
        ("listeners", SipConfig(listeners=())),
        ("listeners", SipConfig(listeners=(Listener("sctp", "127.0.0.1", 0),))),
        ("rtp_ports", SipConfig(listeners=UDP, rtp_ports=(30000, 20000))),
        ("max_legs", SipConfig(listeners=UDP, max_legs=0)),
        ("codecs", SipConfig(listeners=UDP, codecs=("nonsense/1",))),
        ("tls_certificate", SipConfig(listeners=(Listener("tls", "127.0.0.1", 0),))),
    ],
)
def test_a_bad_configuration_names_the_field(field: str, config: SipConfig) -> None:
    with pytest.raises(ValueError, match=field):
        NativeSip(config)


async def test_a_leg_beyond_the_limit_is_refused() -> None:
    async with (
        Stack(SipConfig(listeners=UDP, max_legs=1)) as stack,
        Sipp("uas-answer") as phone,
        Sipp("uas-answer") as other,
    ):
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        refused = await stack.ended(stack.dial(other.uri))
        assert (refused.party, refused.sip_status) == (Party.POLICY, 0)
        assert "max_legs" in refused.warning
        stack.hang_up(leg)
        await phone.succeeded()
        await other.never_called()


async def test_closing_hangs_up_answered_and_ringing_legs() -> None:
    async with (
        Stack() as stack,
        Sipp("uas-answer") as answering,
        Sipp("uas-no-answer") as ringing,
    ):
        talking, waiting = stack.dial(answering.uri), stack.dial(ringing.uri)
        await stack.event(LegAnswered, talking)
        await stack.event(LegRang, waiting)
        stack.sip.begin_close()
        assert (await stack.ended(talking)).party is Party.LOCAL
        assert (await stack.ended(waiting)).party is Party.LOCAL
        refused = await stack.ended(stack.dial(answering.uri))
        assert refused.party is Party.POLICY
        await answering.succeeded()
        await ringing.succeeded()


async def test_close_alone_hangs_up_and_frees_the_port() -> None:
    stack = Stack()
    await stack.__aenter__()
    host, _, port = stack.address("udp").rpartition(":")
    async with Sipp("uas-answer") as phone:
        await stack.event(LegAnswered, stack.dial(phone.uri))
        await stack.__aexit__(RuntimeError, RuntimeError(), None)
        await phone.succeeded()
    assert not is_bound(host, int(port))


async def test_the_mailbox_gauge_counts_what_waits(stack: Stack) -> None:
    async with Sipp("uas-busy-486") as phone:
        leg = stack.dial(phone.uri)
        await stack.ended(leg)
        await phone.succeeded()
    stats = stack.sip.stats()
    assert (stats.mailbox, stats.dropped) == (0, 0)


async def test_transactions_and_dialogs_are_gone_after_their_timers() -> None:
    async with Stack(SipConfig(listeners=UDP, t1_ms=50)) as stack:
        async with Sipp("uas-busy-486") as phone:
            await stack.ended(stack.dial(phone.uri))
            await phone.succeeded()
        assert stack.sip.stats().transactions == 1
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while stack.sip.stats().transactions or stack.sip.stats().dialogs:
            assert asyncio.get_running_loop().time() < deadline, stack.sip.stats()
            await asyncio.sleep(0.1)
