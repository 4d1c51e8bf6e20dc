"""Kamailio with the configuration of docs/kamailio.cfg, as it stands there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kit.addresses import free_port, is_bound, loopback_address
from tests.kit.engine import PASSWORD, REALM
from tests.kit.process import PeerProcess
from tests.kit.sipp import Sipp

CONFIGURATION = Path(__file__).resolve().parents[2] / "docs" / "kamailio.cfg"


class Kamailio:
    """A registrar and proxy at a loopback address of its own, on UDP and TCP.

    Args:
        users: phones that may register here as `user@REALM` with `PASSWORD`.
        register_at: SIP URI of the engine, for phones that register there through this proxy;
            empty: they register here.
        engine: the address from which calls are taken.

    Use as `async with`: entering waits until its ports are bound.
    """

    def __init__(
        self,
        users: tuple[str, ...] = ("alice", "bob"),
        *,
        register_at: str = "",
        engine: str = "127.0.0.1",
    ) -> None:
        """Choose address and port; nothing is started yet."""
        self.host = loopback_address()
        self.port = free_port(self.host, "tcp")
        self._users = users
        self._register_at = register_at
        self._engine = engine
        self._directory = Path()
        self._process: PeerProcess

    @property
    def address(self) -> str:
        """`host:port` of the proxy."""
        return f"{self.host}:{self.port}"

    @property
    def uri(self) -> str:
        """SIP URI of the proxy, for an outbound proxy."""
        return f"sip:{self.address};lr"

    async def __aenter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="kamailio-"))
        self._write_passwords()
        self._process = PeerProcess("kamailio", self._arguments(), self._directory)
        await self._process.start(self._bound)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._process.stop()
        if error is not None:
            error.add_note(self._process.story())
        shutil.rmtree(self._directory)

    async def register(
        self, user: str, phone: Sipp, *, contact: str = "", credentials_of: str = ""
    ) -> None:
        """Register a phone that is not started yet, from its address, with another SIPp.

        `contact`: empty, its URI. `credentials_of`: whose password it knows, empty: the user's.
        """
        async with Sipp(
            "uac-register",
            remote=self.address,
            transport=phone.transport,
            host=phone.host,
            port=phone.port,
            keys={"domain": REALM, "contact": contact or f"<{phone.uri}>", "expires": "600"},
            options=("-s", user, "-au", credentials_of or user, "-ap", PASSWORD),
        ) as registering:
            await registering.succeeded()

    def _arguments(self) -> list[str]:
        """Build the command line: in the foreground, one worker, so that messages stay in order."""
        defines = {"ENGINE": self._engine, "SECRETS": f"text://{self._directory}"}
        if self._register_at:
            defines["REGISTER_AT"] = self._register_at
        arguments = ["-f", str(CONFIGURATION), "-DD", "-E", "-n", "1", "-N", "1"]
        arguments += ["-m", "16", "-M", "4", "-w", str(self._directory), "-Y", str(self._directory)]
        for transport in ("udp", "tcp"):
            arguments += ["-l", f"{transport}:{self.address}"]
        for name, value in defines.items():
            arguments += ["-A", f'{name}="{value}"']
        return arguments

    def _write_passwords(self) -> None:
        """Write the table `subscriber` as Kamailio's db_text reads it."""
        rows = ["username(string) domain(string) password(string)"]
        rows += [f"{user}:{REALM}:{PASSWORD}" for user in self._users]
        (self._directory / "subscriber").write_text("\n".join(rows) + "\n")

    def _bound(self) -> bool:
        """Tell whether both ports are there; what comes before the workers run waits in them."""
        return all(is_bound(self.host, self.port, kind) for kind in ("udp", "tcp"))
