"""Loopback addresses and ports that nothing else uses."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from pathlib import Path

# Workers of one run have neighbouring process ids; each address block outlasts a worker's needs.
_next = itertools.count(os.getpid() * 4096)
_PORTS = 1500
_next_port = itertools.count(os.getpid() * 61)


def loopback_address() -> str:
    """Return an IPv4 loopback address not handed out before by this process.

    127.64.0.0/10 is counted through from a place that depends on the process id, so test runs side
    by side hardly ever meet; when they do, `free_port` still keeps them apart.
    """
    serial = next(_next) % (64 * 256 * 254)
    return f"127.{64 + serial // (256 * 254) % 64}.{serial // 254 % 256}.{serial % 254 + 1}"


def free_port(host: str, transport: str = "udp") -> int:
    """Return a port that is free on `host`, from 10000 to 15999, and leave room for three more.

    Below the ports the kernel gives out by itself: sockets bound to every address, those of name
    look-ups for instance, would take one of those between this look and its use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    for _ in range(_PORTS):
        port = 10000 + 4 * (next(_next_port) % _PORTS)
        with socket.socket(family, kind) as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise AssertionError(f"no free {transport} port on {host}")


def free_media_port(host: str) -> int:
    """Return an even UDP port for RTP that is free on `host`, with the odd one above it for
    RTCP.
    """
    for _ in range(64):
        port = free_port(host) & ~1
        if not is_bound(host, port) and not is_bound(host, port + 1):
            return port
    raise AssertionError(f"no free pair of UDP ports on {host}")


def is_bound(host: str, port: int, transport: str = "udp") -> bool:
    """Tell whether some process has `host:port` bound (udp) or listens there (tcp), as the kernel
    lists it.
    """
    table = Path(f"/proc/net/{transport}{'6' if ':' in host else ''}").read_text()
    wanted = f"{_kernel_address(host)}:{port:04X}"
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted and (transport == "udp" or fields[3] == "0A"):
            return True
    return False


def _kernel_address(host: str) -> str:
    """Write an address as /proc/net does: 32-bit words in the machine's byte order."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(family, host)
    words = (packed[i : i + 4] for i in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, 'little'):08X}" for word in words)
