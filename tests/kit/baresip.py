"""baresip as a phone: registers, rings, and does by its control connection what a user would."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.kit.addresses import free_media_port, free_port, is_bound, loopback_address
from tests.kit.engine import PASSWORD, REALM
from tests.kit.process import PeerProcess

DIGEST = ("MD5",)
"""baresip 1.0 gives up at a challenge with any other algorithm, even beside this one."""

MODULES = "/usr/lib/baresip/modules"
"""Where Debian's baresip-core has them."""

GUARD_S = 40.0
"""Longest wait for an event of the phone. A guard against hanging, never a measured time."""

_CONFIG = """\
sip_listen {host}:{sip}
net_interface 127.0.0.1
rtp_ports {rtp}-{rtp_last}
ctrl_tcp_listen {host}:{control}
audio_path {directory}
audio_player aubridge,line
audio_source ausine,440
audio_alert aubridge,alert
ausrc_srate 48000
ausrc_channels 2
call_max_calls 4
statmode_default off
jitter_buffer_delay 1-4
module_path {modules}
module g711.so
module srtp.so
module dtls_srtp.so
module aubridge.so
module ausine.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
"""
# No sound card: it says a tone, and what it hears goes nowhere. Its RTP goes out from the address
# that the kernel chooses, so that one is what its SDP has to name.

Event = dict[str, Any]


class Baresip:
    """One baresip at a loopback address of its own.

    Args:
        user: registers as `user@REALM` with `PASSWORD`.
        registrar: `host:port` of the engine or of a proxy; everything is sent there.
        transport: udp or tcp.
        answer: "manual", it rings; "auto", it answers every call at once.
        media: further parameters of its account about media, `;mediaenc=srtp` for one.

    Use as `async with`: entering waits until it is registered.
    """

    def __init__(
        self,
        user: str,
        registrar: str,
        *,
        transport: str = "udp",
        answer: str = "manual",
        media: str = "",
    ) -> None:
        """Choose address and ports; nothing is started yet."""
        self.user = user
        self.host = loopback_address()
        self.port = free_port(self.host, "tcp")
        self.events: list[Event] = []
        self._registrar = registrar
        self._transport = transport
        self._answer = answer
        self._media = media
        self._control = free_port(self.host, "tcp")
        self._directory = Path()
        self._process: PeerProcess
        self._changed = asyncio.Event()
        self._responses: asyncio.Queue[Event] = asyncio.Queue()
        self._reader: asyncio.Task[None]
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="baresip-"))
        self._write_files()
        # -s: every SIP message goes into the log.
        self._process = PeerProcess("baresip", ["-f", ".", "-s"], self._directory)
        await self._process.start(lambda: is_bound(self.host, self._control, "tcp"))
        reader, self._writer = await asyncio.open_connection(self.host, self._control)
        self._reader = asyncio.create_task(self._read(reader))
        try:
            # Not in its configuration: it would register before anybody listens to its events.
            await self.command("uanew", self._account())
            await self.event("REGISTER_OK")
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
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        await self._process.stop()
        if error is not None:
            error.add_note(f"{self.user}: {self.types()}\n{self._process.story(200)}")
        shutil.rmtree(self._directory)

    # --- what a user does -------------------------------------------------------------------------

    async def command(self, name: str, parameters: str = "") -> str:
        """Run one of baresip's long commands and return what it says.

        Raises `AssertionError` when it refuses.
        """
        order = json.dumps({"command": name, "params": parameters}).encode()
        self._writer.write(b"%d:%s," % (len(order), order))
        async with asyncio.timeout(GUARD_S):
            response = await self._responses.get()
        assert response["ok"], f"{name} {parameters}: {response}"
        return str(response["data"])

    async def answer(self) -> None:
        """Wait until it rings, and answer."""
        await self.event("CALL_INCOMING")
        await self.command("accept")

    async def press(self, digit: str) -> None:
        """Begin to send a DTMF digit (RFC 4733)."""
        await self.command("sndcode", digit)

    async def release(self) -> None:
        """End the digit; baresip takes the code 4 for a key that is let go."""
        await self.command("sndcode", "\x04")

    # --- what came of it --------------------------------------------------------------------------

    async def event(self, kind: str, count: int = 1) -> Event:
        """Wait for the `count`th event of that type since the start, and return it."""
        async with asyncio.timeout(GUARD_S):
            while True:
                self._changed.clear()
                seen = [event for event in self.events if event["type"] == kind]
                if len(seen) >= count:
                    return seen[count - 1]
                await self._changed.wait()

    def types(self) -> list[str]:
        """Return the types of its events, in order."""
        return [str(event["type"]) for event in self.events]

    # --- how it runs ------------------------------------------------------------------------------

    def _account(self) -> str:
        transport = f";transport={self._transport}"
        return (
            f"<sip:{self.user}@{REALM}{transport}>;auth_pass={PASSWORD};regint=600"
            f";answermode={self._answer};audio_codecs=PCMU{self._media}"
            f';outbound="sip:{self._registrar}{transport}"'
        )

    def _write_files(self) -> None:
        rtp = free_media_port("127.0.0.1")
        text = _CONFIG.format(
            host=self.host,
            sip=self.port,
            rtp=rtp,
            rtp_last=rtp + 40,
            control=self._control,
            directory=self._directory,
            modules=MODULES,
        )
        (self._directory / "config").write_text(text)
        for name in ("accounts", "contacts"):
            (self._directory / name).touch()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Read netstrings of JSON: answers to commands, and events."""
        while length := await reader.readuntil(b":"):
            message = json.loads(await reader.readexactly(int(length[:-1])))
            await reader.readexactly(1)
            if message.get("response"):
                self._responses.put_nowait(message)
            else:
                self.events.append(message)
                self._changed.set()
