"""What `quickcall check` looks at, one function for each question; each answers in plain words."""

from __future__ import annotations

import importlib
import platform
import resource
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine import __version__
from engine.config import EngineConfig
from engine.config_values import parse_listener
from engine.runtime.settings import AUTO
from engine.sip.kernel_ports import overlap_in_words
from engine.sip.network import NoRoute, addresses, links, source_address

SIP_BUFFER = 4 * 1024 * 1024
"""Bytes of the UDP buffers the SIP stack asks for (ext/sip/config_site.h)."""

FILES_PER_LEG = 2
"""Descriptors a leg with media needs: one socket for RTP, one for RTCP."""

FILES_BESIDES = 512
"""Descriptors for everything else: listeners, TCP peers, HTTP clients, the database."""


RTP_SAMPLE = 100
"""How many RTP ports are tried."""


class Grade(StrEnum):
    """How good an answer is."""

    GOOD = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer."""

    grade: Grade
    subject: str
    words: str
    """What was found and, when it is not good, what to do."""


def installation() -> Iterator[Finding]:
    """Look at Python, the compiled modules and the SIP stack they are linked with."""
    words = f"quickcall-engine {__version__} on Python {platform.python_version()}"
    yield Finding(Grade.GOOD, "engine", words)
    for name in ("engine.numbers._number_filter", "engine.numbers._dialplan"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            yield Finding(Grade.BROKEN, "numbers", f"{name}: {error}; run `make setup`")
            return
    yield Finding(Grade.GOOD, "numbers", "number filter and dial plan are compiled")
    try:
        native = importlib.import_module("engine.sip.native")
    except ImportError as error:
        yield Finding(Grade.BROKEN, "SIP stack", f"{error}; run `make setup`")
        return
    yield Finding(Grade.GOOD, "SIP stack", f"pjproject {native.PJPROJECT} is linked in")


def codecs(config: EngineConfig) -> Iterator[Finding]:
    """Start the SIP stack on a free loopback port with the configured codecs, and stop it."""
    try:
        native = importlib.import_module("engine.sip.native")
        port = importlib.import_module("engine.sip.port")
        listener = port.Listener("udp", "127.0.0.1", 0)
        stack = native.NativeSip(port.SipConfig(listeners=(listener,), codecs=config.codecs))
    except (ImportError, RuntimeError, ValueError) as error:
        yield Finding(Grade.BROKEN, "SIP stack", f"it does not start: {error}")
        return
    stack.close()
    words = f"it starts, and knows every configured codec: {', '.join(config.codecs)}"
    yield Finding(Grade.GOOD, "SIP stack", words)


def limits(config: EngineConfig) -> Iterator[Finding]:
    """Compare what the system allows with what the configured number of legs needs."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = FILES_PER_LEG * config.max_legs + FILES_BESIDES
    enough = max(0, (soft - FILES_BESIDES) // FILES_PER_LEG)
    words = f"{soft} are allowed, {needed} are needed for {config.max_legs} legs"
    if soft < needed:
        words += f"; enough for {enough} legs: raise it (`ulimit -n {needed}`) or lower max_legs"
    yield Finding(Grade.GOOD if soft >= needed else Grade.WARNING, "open files", words)
    first, last = config.rtp_ports
    ports = last - first + 1
    words = (
        f"{ports} ports from {first} to {last}, {FILES_PER_LEG} for each of {config.max_legs} legs"
    )
    fits = ports >= FILES_PER_LEG * config.max_legs
    if not fits:
        words += f"; enough for {ports // FILES_PER_LEG} legs: widen rtp_ports or lower max_legs"
    yield Finding(Grade.GOOD if fits else Grade.WARNING, "RTP ports", words)
    if overlap := overlap_in_words(config.rtp_ports):
        yield Finding(Grade.WARNING, "RTP ports", overlap)
    yield from _buffers()


def _buffers() -> Iterator[Finding]:
    for name in ("rmem_max", "wmem_max"):
        path = Path("/proc/sys/net/core") / name
        allowed = int(path.read_text()) if path.exists() else 0
        words = f"net.core.{name} is {allowed}, {SIP_BUFFER} are asked for"
        if allowed < SIP_BUFFER:
            words += f"; bursts may be lost: `sysctl -w net.core.{name}={SIP_BUFFER}`"
        good = allowed >= SIP_BUFFER
        yield Finding(Grade.GOOD if good else Grade.WARNING, "UDP buffers", words)


def ports(config: EngineConfig) -> Iterator[Finding]:
    """Try to bind every listener, the API's port and the first RTP ports."""
    for text in config.sip_listeners:
        transport, host, port = parse_listener(text)
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        yield _bind(f"SIP {transport}", kind, host, port)
    yield _bind("HTTP API", socket.SOCK_STREAM, config.http_host, config.http_port)
    if config.media_host != AUTO:
        yield _rtp(config.media_host, config.rtp_ports)


def _rtp(host: str, ports: tuple[int, int]) -> Finding:
    """Try the first ports of the range; one that another program uses is passed over in calls."""
    tried = range(ports[0], min(ports[1] + 1, ports[0] + RTP_SAMPLE))
    taken = [port for port in tried if not _is_free(socket.SOCK_DGRAM, host, port)]
    words = f"{len(tried) - len(taken)} of the first {len(tried)} ports on {host} are free"
    if not taken:
        return Finding(Grade.GOOD, "RTP", words)
    words += f"; {taken[0]} is used by another program, choose another range with rtp_ports"
    return Finding(Grade.WARNING, "RTP", words)


def _is_free(kind: socket.SocketKind, host: str, port: int) -> bool:
    return _bind("", kind, host, port).grade is Grade.GOOD


def _bind(subject: str, kind: socket.SocketKind, host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            # As the server does: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            words = f"{host} port {port} cannot be used: {error.strerror}"
            return Finding(Grade.BROKEN, subject, words)
    where = f"port {port}" if port else "a port that the kernel chooses"
    return Finding(Grade.GOOD, subject, f"{host} {where} is free")


def network(config: EngineConfig, destinations: list[str]) -> Iterator[Finding]:
    """Show the machine's addresses and the way to each destination."""
    for link in links():
        own = [entry.address for entry in addresses() if entry.interface == link.name]
        if link.up and own:
            words = f"{', '.join(own)} (packets up to {link.mtu} bytes)"
            yield Finding(Grade.GOOD, f"interface {link.name}", words)
    if AUTO in (config.media_host, config.public_host):
        yield _way(config.network_probe)
    for destination in destinations:
        finding = _way(destination)
        yield finding if finding.grade is Grade.BROKEN else _audio(config, destination, finding)


def _way(destination: str) -> Finding:
    subject = f"way to {destination}"
    try:
        source = source_address(destination)
    except (NoRoute, ValueError) as error:
        return Finding(Grade.BROKEN, subject, str(error))
    over = f", over {source.gateway}" if source.gateway else ""
    words = f"from {source.address} on {source.interface}{over}"
    return Finding(Grade.GOOD, subject, words)


def _audio(config: EngineConfig, destination: str, way: Finding) -> Finding:
    """Compare the address audio is asked to come to with the one this destination can see."""
    seen = source_address(destination).address
    if config.media_host in (AUTO, seen):
        return way
    words = (
        f"{way.words}; but media_host is {config.media_host}: whoever is there would send audio to"
        f" that address. Set media_host to {seen} or auto"
    )
    return Finding(Grade.WARNING, way.subject, words)
