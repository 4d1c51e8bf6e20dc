"""Run SIPp as a phone, a carrier or a registering client, and believe only its own statistics."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kit.addresses import free_media_port, free_port, is_bound, loopback_address
from tests.kit.programs import require
from tests.kit.sipp_files import SippMessage, read_messages, read_statistics

SCENARIOS = Path(__file__).resolve().parents[2] / "sipp_scenarios"

GUARD_S = 40.0
"""Longest wait for a SIPp to end. A guard against hanging, never a measured time."""


class SippError(AssertionError):
    """SIPp saw something else than its scenario, or never ended; carries its error log and
    messages.
    """


class Sipp:
    """One SIPp process running one scenario file, at an address of its own.

    Args:
        scenario: name of a file in sipp_scenarios, without `.xml`.
        calls: number of calls after which SIPp ends by itself.
        remote: `host:port` to send to, for uac scenarios.
        transport: udp or tcp.
        host: address to bind; None takes a fresh loopback address.
        port: SIP port, 0 takes a free one.
        keys: values of the scenario's `[key]` words.
        options: further options of SIPp, for instance `("-d", "500")`.
        messages: log every message (`messages`); costs SIPp time under load.

    Use as `async with`: entering starts the process and waits until its port is bound; leaving ends
    it.
    """

    def __init__(
        self,
        scenario: str,
        *,
        calls: int = 1,
        remote: str = "",
        transport: str = "udp",
        host: str | None = None,
        port: int = 0,
        keys: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
        messages: bool = True,
    ) -> None:
        """Choose address and port; nothing is started yet."""
        self.scenario = scenario
        self.calls = calls
        self.transport = transport
        self.host = host or loopback_address()
        self.port = port or free_port(self.host, transport)
        self._remote = remote
        self.keys = dict(keys or {})
        self._options = options
        self._log_messages = messages
        self._path = Path()
        self._process: Process | None = None
        self._status: int | None = None
        self._messages: list[SippMessage] = []
        self._statistics: dict[str, int] = {}

    @property
    def address(self) -> str:
        """`host:port` of SIPp, an IPv6 host in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def uri(self) -> str:
        """SIP URI that reaches this SIPp, usable as a contact."""
        suffix = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"sip:phone@{self.address}{suffix}"

    @property
    def pid(self) -> int:
        """Process id while SIPp runs."""
        assert self._process is not None, "SIPp was not started"
        return self._process.pid

    async def __aenter__(self) -> Self:
        self._path = Path(tempfile.mkdtemp(prefix="sipp-"))
        self._process = await asyncio.create_subprocess_exec(
            require("sipp"), *self._arguments(), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
            cwd=self._path,
        )  # fmt: skip
        if not self._remote:
            await self._bound()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._status is None:
            self._read_files()
        if error is not None:
            error.add_note(self.explain())
        shutil.rmtree(self._path)

    async def finished(self) -> dict[str, int]:
        """Wait until SIPp has handled its calls and has ended; return its counters, whatever they
        say.
        """
        assert self._process is not None
        try:
            self._status = await asyncio.wait_for(self._process.wait(), GUARD_S)
        except TimeoutError:
            self._read_files()
            raise SippError(f"SIPp did not end within {GUARD_S} s\n{self.explain()}") from None
        self._read_files()
        return self._statistics

    async def succeeded(self) -> list[SippMessage]:
        """Wait for the end and require that SIPp counts every call as successful and none as
        failed.

        Returns the messages it logged. Raises `SippError` with SIPp's error log otherwise.
        """
        counters = await self.finished()
        good = counters["SuccessfulCall"] == self.calls and counters["FailedCall"] == 0
        if self._status != 0 or not good:
            raise SippError(self.explain())
        return self._messages

    async def stopped(self) -> dict[str, int]:
        """Tell SIPp to end, calls under way first, and return its counters."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)
        return await self.finished()

    async def never_called(self) -> None:
        """End SIPp and require that no call ever reached it."""
        counters = await self.stopped()
        if counters["TotalCallCreated"] or counters["OutOfCallMsgs"]:
            raise SippError(f"SIPp should not have been called\n{self.explain()}")

    async def saw(self, start: str, *, sent: bool, count: int = 1) -> None:
        """Wait until SIPp logged `count` messages whose first line starts so; looks every 10 ms."""
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while count > sum(
            message.sent is sent and message.start_line.startswith(start)
            for message in self.messages_now()
        ):
            if asyncio.get_running_loop().time() > deadline:
                raise SippError(f"SIPp never saw {count} of {start!r}\n{self.explain()}")
            await asyncio.sleep(0.01)

    def messages_now(self) -> list[SippMessage]:
        """Return the messages logged until now."""
        return read_messages(self._path / "messages.log")

    async def has_sent(self, start: str, count: int = 1) -> None:
        """Wait until SIPp has sent the `count`th message that begins like that. Raises `SippError`
        when it does not.
        """
        await self._logged(True, start, count)

    async def has_received(self, start: str, count: int = 1) -> None:
        """Wait until SIPp has received the `count`th message that begins like that. Raises
        `SippError` when it does not.
        """
        await self._logged(False, start, count)

    @property
    def short_log(self) -> Path:
        """The -trace_shortmsg file, when `options` asks for it; gone after the `async with`
        block.
        """
        return self._path / "short.log"

    def explain(self) -> str:
        """Return what happened, for a failing test: counters that are not zero, errors, the
        ladder.
        """
        counted = {name: value for name, value in self._statistics.items() if value}
        errors = self._path / "errors.log"
        ladder = "\n".join(
            f"  {message.at:.6f} {'sent    ' if message.sent else 'received'} {message.start_line}"
            for message in self._messages
        )
        return (
            f"SIPp {self.scenario} at {self.address}: exit status {self._status}, {counted}\n"
            f"{ladder}\n{errors.read_text(errors='replace') if errors.exists() else ''}"
        )

    def _arguments(self) -> list[str]:
        """Build SIPp's command line."""
        arguments = [self._remote] if self._remote else []
        arguments += ["-sf", str(SCENARIOS / f"{self.scenario}.xml"), "-m", str(self.calls)]
        if self.calls == 1:
            # Else a message right behind another fails a scenario that answers the first.
            arguments += ["-max_recv_loops", "1"]
        arguments += ["-i", self.host, "-bind_local", "-p", str(self.port)]
        arguments += ["-t", "u1" if self.transport == "udp" else "t1"]
        arguments += ["-mi", self.host, "-mp", str(free_media_port(self.host))]
        arguments += ["-ci", "127.0.0.1" if ":" in self.host else self.host]
        arguments += ["-nostdin", "-skip_rlimit", "-timer_resol", "1"]
        arguments += ["-trace_err", "-error_file", "errors.log"]
        arguments += ["-trace_stat", "-stf", "statistics.csv", "-fd", "3600"]
        arguments += ["-shortmessage_file", "short.log"]
        if self._log_messages:
            arguments += ["-trace_msg", "-message_file", "messages.log"]
        for key, value in self.keys.items():
            arguments += ["-key", key, value]
        return [*arguments, *self._options]

    async def _bound(self) -> None:
        """Wait until the kernel lists SIPp's port: it tells nobody when it is ready, so look every
        5 ms.
        """
        assert self._process is not None
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while not is_bound(self.host, self.port, self.transport):
            ended = self._process.returncode is not None
            if ended or asyncio.get_running_loop().time() > deadline:
                raise SippError(f"SIPp {self.scenario} did not bind {self.address}")
            await asyncio.sleep(0.005)

    async def _logged(self, sent: bool, start: str, count: int) -> None:
        """Wait for a message; SIPp tells nobody what it does, so look every 10 ms."""
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while (
            sum(m.sent is sent and m.start_line.startswith(start) for m in self.messages_now())
            < count
        ):
            if asyncio.get_running_loop().time() > deadline:
                verb = "sent" if sent else "received"
                raise SippError(f"SIPp {self.scenario} has not {verb} {start}")
            await asyncio.sleep(0.01)

    def _read_files(self) -> None:
        """Read statistics and messages before the directory goes."""
        self._messages = self.messages_now()
        statistics = self._path / "statistics.csv"
        if statistics.exists():
            self._statistics = read_statistics(statistics)
