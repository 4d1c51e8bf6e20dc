"""TLS for peers that speak only TCP: certificates, and a terminator in front of SIPp."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kit.addresses import free_port
from tests.kit.programs import require


async def make_certificate(directory: Path, host: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for the address `host`; return the certificate file and the
    key file.
    """
    certificate, key = directory / f"{host}.pem", directory / f"{host}.key"
    process = await asyncio.create_subprocess_exec(
        require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=IP:{host}",
        "-keyout", str(key), "-out", str(certificate),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode(errors="replace")
    return certificate, key


class TlsTerminator:
    """Accepts TLS on `host` and carries the bytes to a TCP port of the same host, both ways.

    Args:
        host: address of the TCP server behind it, and to listen on.
        certificate, key: PEM files of the server side.

    `port` is the TLS port; it can be asked before the server behind it is there. `handshakes`
    counts the TLS connections that were made, so a test can prove that traffic came this way.
    """

    def __init__(self, host: str, certificate: Path, key: Path) -> None:
        """Load the certificate and choose the port."""
        self.host = host
        self.port = free_port(host, "tcp")
        self.handshakes = 0
        self._behind = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()

    def carry_to(self, port: int) -> Self:
        """Name the TCP port behind the terminator; returns the terminator for `async with`."""
        self._behind = port
        return self

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accepted, self.host, self.port, ssl=self._context
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side closes."""
        self.handshakes += 1
        behind_reader, behind_writer = await asyncio.open_connection(self.host, self._behind)
        for source, sink in ((reader, behind_writer), (behind_reader, writer)):
            task = asyncio.create_task(_carry(source, sink))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy bytes until the source ends; then close the sink."""
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        pass
    finally:
        sink.close()
