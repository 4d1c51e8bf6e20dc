"""linphone's daemon as a phone: registers, rings, and does by its socket what a user would."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kit.addresses import free_media_port, free_port, is_bound, loopback_address
from tests.kit.engine import PASSWORD, REALM
from tests.kit.process import PeerProcess

GUARD_S = 40.0
"""Longest wait for an event of the phone. A guard against hanging, never a measured time."""

RINGING, TALKING, ENDED = (
    "LinphoneCallIncomingReceived",
    "LinphoneCallStreamsRunning",
    "LinphoneCallEnd",
)
"""States of a call, as events name them."""

_CONFIG = """\
[sip]
bind_address={host}
sip_port={sip}
sip_tcp_port=0
use_ipv6=0
use_rfc2833=1
guess_hostname=0
register_only_when_network_is_up=0
{srtp}\
[rtp]
bind_address=127.0.0.1
audio_rtp_port={rtp}
[sound]
local_ring=
remote_ring=
"""


_SRTP = "media_encryption=srtp\nmedia_encryption_mandatory=1\n"


class Linphone:
    """One linphone-daemon at a loopback address of its own, without a sound card.

    Args:
        user: registers as `user@REALM` with `PASSWORD`.
        registrar: `host:port` of the engine or of a proxy; everything is sent there.
        auto_answer: the user lets it answer every call at once.
        srtp: its media are encrypted, or there is no call.

    Use as `async with`: entering waits until it is registered.
    """

    def __init__(
        self, user: str, registrar: str, *, auto_answer: bool = False, srtp: bool = False
    ) -> None:
        """Choose address and ports; nothing is started yet."""
        self.user = user
        self.host = loopback_address()
        self.events: list[tuple[str, str]] = []
        """Type and text of every event: a state of a call, or a digit heard."""
        self._registrar = registrar
        self._auto_answer = auto_answer
        self._srtp = srtp
        self._sip = free_port(self.host)
        self._directory = Path()
        self._process: PeerProcess
        self._turn = asyncio.Lock()
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="linphone-"))
        # Without a place for its database it would not open its SIP port, and not say so either.
        (self._directory / ".local/share/linphone").mkdir(parents=True)
        rtp = free_media_port("127.0.0.1")
        text = _CONFIG.format(
            host=self.host, sip=self._sip, rtp=rtp, srtp=_SRTP if self._srtp else ""
        )
        (self._directory / "rc").write_text(text)
        # It makes its socket in /tmp, whatever the name says.
        socket = Path("/tmp", self._directory.name + ".socket")
        arguments = ["--config", "rc", "--pipe", socket.name, "--log", "messages.log"]
        arguments += ["--auto-answer"] if self._auto_answer else []
        home = str(self._directory)
        self._process = PeerProcess(
            "linphone-daemon",
            arguments,
            self._directory,
            environment={"HOME": home, "XDG_RUNTIME_DIR": home, "XDG_DATA_HOME": ""},
        )
        await self._process.start(lambda: socket.exists() and is_bound(self.host, self._sip))
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(socket)
            socket.unlink()
            identity, proxy = f"sip:{self.user}@{REALM}", f"sip:{self._registrar}"
            await self.command(f"register {identity} {proxy} {PASSWORD} {self.user} NULL")
            await self._registered()
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        await self._process.stop()
        if error is not None:
            lines = [line for line in self.log().splitlines() if "mediastreamer" not in line]
            error.add_note("\n".join([f"{self.user}: {self.events}", *lines[-200:]]))
        shutil.rmtree(self._directory)

    async def command(self, line: str) -> str:
        """Run one of the daemon's commands and return what it says.

        Raises `AssertionError` when it refuses.
        """
        async with self._turn, asyncio.timeout(GUARD_S):
            self._writer.write(f"{line}\n".encode())
            said = (await self._reader.read(65536)).decode()
        assert said.startswith("Status: Ok"), f"{line}: {said}"
        return said

    async def answer(self) -> None:
        """Wait until it rings, and answer."""
        await self.state(RINGING)
        await self.command("answer")

    async def state(self, name: str, count: int = 1) -> None:
        """Wait until a call has been in that state for the `count`th time."""
        await self._event("call-state-changed", name, count)

    async def hears(self, digit: str, count: int = 1) -> None:
        """Wait for a DTMF digit to be heard for the `count`th time."""
        await self._event("receiving-tone", digit, count)

    def states(self) -> list[str]:
        """Return the states of its calls so far, in order."""
        return [text for kind, text in self.events if kind == "call-state-changed"]

    def log(self) -> str:
        """Return what it has logged so far, SIP messages and all."""
        path = self._directory / "messages.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def _event(self, kind: str, text: str, count: int) -> None:
        """Fetch events until the wanted one is there; the daemon tells only who asks."""
        async with asyncio.timeout(GUARD_S):
            while self.events.count((kind, text)) < count:
                if not await self._fetch():
                    await asyncio.sleep(0.02)

    async def _fetch(self) -> bool:
        """Keep the next event the daemon has queued; return whether there was one."""
        fields = dict(
            line.split(": ", 1)
            for line in (await self.command("pop-event")).splitlines()
            if ": " in line
        )
        if "Event-type" not in fields:
            return False
        kind = fields["Event-type"]
        self.events.append((kind, fields.get("Event", fields.get("Tone", ""))))
        return True

    async def _registered(self) -> None:
        """Wait until its REGISTER was accepted; it makes no event of that."""
        async with asyncio.timeout(GUARD_S):
            while True:
                if "LinphoneRegistrationOk" in await self.command("register-status 1"):
                    return
                await asyncio.sleep(0.02)
