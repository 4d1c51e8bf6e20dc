"""Which RTP ports the kernel may give to somebody else.

A socket that asks for no port gets one of the kernel's own range (`net.ipv4.ip_local_port_range`,
IPv6 sockets too). Where the RTP range overlaps it, a name look-up or an HTTP client may hold a port
that a call needs, unless it is listed in `net.ipv4.ip_local_reserved_ports`.
"""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc/sys/net/ipv4")


def given_by_the_kernel(ports: tuple[int, int], proc: Path = _PROC) -> tuple[int, int] | None:
    """Return the first and the last of the ports that the kernel gives out too; None: no port.

    `ports` are the first and last of the range, `proc` is where the kernel says it. What cannot be
    read is taken as no overlap.
    """
    try:
        low, high = map(int, (proc / "ip_local_port_range").read_text().split())
        reserved = _ranges((proc / "ip_local_reserved_ports").read_text())
    except (OSError, ValueError):
        return None
    shared = range(max(ports[0], low), min(ports[1], high) + 1)
    free = [port for port in shared if not any(first <= port <= last for first, last in reserved)]
    return (free[0], free[-1]) if free else None


def overlap_in_words(ports: tuple[int, int], proc: Path = _PROC) -> str:
    """Say what overlaps and what to do about it; empty: nothing does."""
    shared = given_by_the_kernel(ports, proc)
    if shared is None:
        return ""
    return (
        f"rtp_ports {ports[0]}-{ports[1]} overlap the kernel's own from {shared[0]} to "
        f"{shared[1]}: other programs may be given some; choose another range or "
        f"`sysctl -w net.ipv4.ip_local_reserved_ports={ports[0]}-{ports[1]}`"
    )


def _ranges(text: str) -> list[tuple[int, int]]:
    """Read `1024-1030,4000`."""
    pieces = [piece.partition("-") for piece in text.strip().split(",") if piece.strip()]
    return [(int(first), int(last or first)) for first, _, last in pieces]
