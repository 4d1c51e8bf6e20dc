"""What systemd is told of a service of `Type=notify`: sd_notify(3), a datagram for each message.

Without systemd, that is without NOTIFY_SOCKET in the environment, nothing is sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping

_log = logging.getLogger(__name__)


class Systemd:
    """The service manager that started this process, if one did."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read NOTIFY_SOCKET and, if it is meant for this process, WATCHDOG_USEC."""
        address = environment.get("NOTIFY_SOCKET", "")
        # An `@` stands for the zero byte of the abstract namespace (unix(7)).
        self._address = "\0" + address[1:] if address.startswith("@") else address
        meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environment.get("WATCHDOG_USEC", "") if meant else ""
        self.watchdog_s = int(usec) / 1e6 if usec.isdigit() else 0.0
        """Seconds within which a sign of life is expected, 0: none is."""
        self._timer: asyncio.TimerHandle | None = None

    def ready(self) -> None:
        """Tell that the service has started."""
        self._send("READY=1\nSTATUS=taking calls")

    def stopping(self, status: str) -> None:
        """Tell that the service ends, and what it still does."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def watch(self, healthy: Callable[[], bool]) -> None:
        """Send signs of life from the running event loop for as long as `healthy` is true.

        A loop that stands still sends none, and systemd ends the process.
        """
        if self.watchdog_s and self._address:
            if healthy():
                self._send("WATCHDOG=1")
            loop = asyncio.get_running_loop()
            # Half of the time, as sd_watchdog_enabled(3) has it.
            self._timer = loop.call_later(self.watchdog_s / 2, self.watch, healthy)

    def close(self) -> None:
        """Send no more signs of life. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
                notify.setblocking(False)
                notify.sendto(message.encode(), self._address)
        except OSError as error:
            _log.warning("systemd was not told %r: %s", message, error)
