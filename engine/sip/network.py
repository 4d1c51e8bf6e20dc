"""What the kernel says about addresses and routes, asked by netlink.

The source address of a packet is the kernel's choice, made from its routes; SIP must write the same
address into Via, Contact and SDP, so it is asked for and not guessed. These functions block for
well under a millisecond and must not be called from a coroutine: pyroute2 brings an event loop of
its own (give them to `asyncio.to_thread`).
"""

from __future__ import annotations

import ipaddress

import msgspec
from pyroute2 import IPRoute, NetlinkError

from engine.core.errors import EngineError


class NoRoute(EngineError):
    """The kernel has no way to a destination."""

    def __init__(self, destination: str, reason: str) -> None:
        """Name the destination and the kernel's reason."""
        super().__init__(f"no route to {destination}: {reason}")
        self.destination = destination


class Source(msgspec.Struct, frozen=True):
    """How the kernel would send to a destination."""

    destination: str
    address: str
    """Source address of the packets."""
    interface: str
    gateway: str
    """Address of the next router, empty when the destination is on the link."""


class Address(msgspec.Struct, frozen=True):
    """An address of this machine."""

    interface: str
    address: str
    prefix: int
    """Length of the network prefix, bits."""


class Link(msgspec.Struct, frozen=True):
    """A network interface."""

    name: str
    up: bool
    mtu: int
    """Largest packet, bytes. A request within 200 of it belongs on TCP (RFC 3261 18.1.1)."""


def source_address(destination: str) -> Source:
    """Return the source address, interface and gateway toward an IPv4 or IPv6 address.

    Raises `ValueError` when `destination` is no address, `NoRoute` when the kernel has no route.
    """
    target = str(ipaddress.ip_address(destination))
    with IPRoute() as netlink:
        try:
            route = next(iter(netlink.route("get", dst=target)))
        except NetlinkError as error:
            raise NoRoute(target, str(error.args[-1])) from error
        address = route.get_attr("RTA_PREFSRC")
        if not address:
            raise NoRoute(target, "the route has no source address")
        interfaces = _names(netlink)
        return Source(
            destination=target,
            address=address,
            interface=interfaces.get(route.get_attr("RTA_OIF"), ""),
            gateway=route.get_attr("RTA_GATEWAY") or "",
        )


def addresses() -> tuple[Address, ...]:
    """Return every address of this machine, IPv4 and IPv6, in the kernel's order."""
    with IPRoute() as netlink:
        interfaces = _names(netlink)
        return tuple(
            Address(
                interface=interfaces.get(entry["index"], ""),
                address=entry.get_attr("IFA_ADDRESS"),
                prefix=entry["prefixlen"],
            )
            for entry in netlink.get_addr()
        )


def links() -> tuple[Link, ...]:
    """Return every network interface of this machine."""
    with IPRoute() as netlink:
        return tuple(
            Link(
                name=entry.get_attr("IFLA_IFNAME"),
                up=entry["state"] == "up",
                mtu=entry.get_attr("IFLA_MTU"),
            )
            for entry in netlink.get_links()
        )


def _names(netlink: IPRoute) -> dict[int, str]:
    return {entry["index"]: entry.get_attr("IFLA_IFNAME") for entry in netlink.get_links()}
