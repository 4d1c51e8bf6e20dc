"""The native SIP stack as a `SipPort`: the only importer of the compiled module."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from engine.core.commands import SipCommand
from engine.core.events import StackEvent
from engine.sip._stack import Stack, pjproject_version
from engine.sip.port import Listener, RtpLatching, SipConfig, SipStats

PJPROJECT = "2.17"
"""The pjproject this engine is built and tested with."""

CODECS = ("opus", "G722", "PCMU", "PCMA", "GSM", "speex", "G729", "AMR", "AMR-WB")
"""Audio codecs built in, by their SDP name."""

if pjproject_version() != PJPROJECT:
    raise ImportError(
        f"engine.sip._stack is linked with pjproject {pjproject_version()}, {PJPROJECT} is needed; "
        "run `make setup` to build it again"
    )


class NativeSip:
    """pjsua2 behind the port. One at a time in a process; see ext/sip/README.md for its threads."""

    def __init__(self, config: SipConfig) -> None:
        """Bind every listener and start the SIP thread.

        Raises `ValueError` for a bad field of `config`, `RuntimeError` when a listener cannot be
        bound.
        """
        _check(config)
        self._stack = Stack(config)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Addresses bound, ports filled in when 0 was asked for."""
        return self._stack.listeners

    def fileno(self) -> int:
        """Return a descriptor that polls readable while `drain` has something to give."""
        return self._stack.fileno()

    def drain(self) -> list[StackEvent]:
        """Take every event that waits, oldest first."""
        return self._stack.drain()

    def submit(self, commands: Iterable[SipCommand]) -> None:
        """Queue commands and wake the SIP thread; raises `StackBusy` and queues none if full."""
        self._stack.submit(commands)

    def stats(self) -> SipStats:
        """Return counters and gauges as of the SIP thread's last turn."""
        return self._stack.stats()

    def blocked_max_ns(self) -> int:
        """Return the longest wait of the SIP thread for a queue that Python held, nanoseconds."""
        return self._stack.blocked_max_ns()

    def begin_close(self) -> None:
        """Hang up every leg and refuse new ones. Does not block."""
        self._stack.begin_close()

    def close(self) -> None:
        """Destroy the stack and release every port; blocks up to `SipConfig.shutdown_s`."""
        self._stack.close()


def _check(config: SipConfig) -> None:
    first, last = config.rtp_ports
    unknown = {codec.partition("/")[0].lower() for codec in config.codecs} - {
        codec.lower() for codec in CODECS
    }
    rules = (
        ("listeners", config.listeners, bool(config.listeners), "at least one"),
        (
            "rtp_ports",
            config.rtp_ports,
            1024 <= first < last <= 65535,
            "1024..65535, first below last",
        ),
        ("max_legs", config.max_legs, 1 <= config.max_legs <= 8192, "1..8192"),
        ("log_level", config.log_level, 0 <= config.log_level <= 5, "0..5"),
        (
            "codecs",
            config.codecs,
            bool(config.codecs) and not unknown,
            "one or more of " + ", ".join(CODECS),
        ),
        ("t1_ms", config.t1_ms, 10 <= config.t1_ms <= 2000, "10..2000 ms"),
        (
            "session_expires_s",
            config.session_expires_s,
            config.session_expires_s == 0 or 90 <= config.session_expires_s <= 86400,
            "0, or 90..86400 seconds",
        ),
        (
            "rtp_latching",
            config.rtp_latching,
            config.rtp_latching in get_args(RtpLatching),
            ", ".join(get_args(RtpLatching)),
        ),
        *(
            (field, seconds, 0 <= seconds <= 604800, "0..604800 seconds")
            for field, seconds in (
                ("rtp_timeout_s", config.rtp_timeout_s),
                ("rtp_timeout_held_s", config.rtp_timeout_held_s),
                ("one_way_s", config.one_way_s),
            )
        ),
        ("shutdown_s", config.shutdown_s, 0 <= config.shutdown_s <= 60, "0..60 seconds"),
    )
    for field, value, good, allowed in rules:
        if not good:
            raise ValueError(f"{field}: {value!r} is not allowed; allowed: {allowed}")
    for listener in config.listeners:
        if listener.transport not in ("udp", "tcp", "tls"):
            raise ValueError(
                f"listeners: transport {listener.transport!r} is not allowed; "
                "allowed: udp, tcp, tls"
            )
        if listener.transport == "tls" and not (config.tls_certificate and config.tls_private_key):
            raise ValueError(
                "tls_certificate, tls_private_key: '' is not allowed with a tls listener; "
                "allowed: PEM files"
            )
