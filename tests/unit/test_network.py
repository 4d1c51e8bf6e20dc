"""What the kernel says about addresses and routes."""

from __future__ import annotations

import asyncio
import errno

import pytest
from pyroute2 import IPRoute, NetlinkError

from engine.sip.network import NoRoute, addresses, links, source_address


@pytest.mark.parametrize("destination", ["127.0.0.1", "127.0.0.9", "::1"])
def test_the_way_to_this_machine_is_loopback(destination: str) -> None:
    source = source_address(destination)
    assert source.interface == "lo"
    assert source.gateway == ""
    assert source.address in ("127.0.0.1", "::1")


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="'phone'"):
        source_address("phone")


def test_no_route_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine that runs tests has routes; the kernel's answer without one is ENETUNREACH.
    def unreachable(*_: object, **__: object) -> None:
        raise NetlinkError(errno.ENETUNREACH)

    monkeypatch.setattr(IPRoute, "route", unreachable, raising=False)
    with pytest.raises(NoRoute, match=r"no route to 192\.0\.2\.1: Network is unreachable"):
        source_address("192.0.2.1")


def test_the_machine_has_a_loopback_interface() -> None:
    assert ("127.0.0.1", 8) in [(a.address, a.prefix) for a in addresses() if a.interface == "lo"]
    (loopback,) = [link for link in links() if link.name == "lo"]
    assert loopback.up
    assert loopback.mtu > 1000


async def test_it_can_be_asked_from_a_thread_of_a_loop() -> None:
    assert (await asyncio.to_thread(source_address, "127.0.0.1")).address == "127.0.0.1"
