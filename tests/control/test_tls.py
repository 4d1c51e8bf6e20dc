"""The HTTP API over TLS: what is spoken, and a certificate exchanged while it serves."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path

import httpx
import pytest
import websockets

from engine import EngineConfig
from engine.config_values import ConfigError
from engine.control.tls import TlsFiles
from engine.core.errors import RequestInvalid
from engine.runtime import serve
from engine.sip.loopback import LoopbackSip
from tests.control.conftest import GUARD_S
from tests.kit.tls import make_certificate

HOST = "127.0.0.1"


def config(folder: Path, **changes: object) -> EngineConfig:
    """Return the configuration of an engine that speaks TLS with the files of a folder."""
    return EngineConfig(
        database=f"sqlite+aiosqlite:///{folder / 'quickcall.db'}",
        http_port=0,
        http_certificate=str(folder / "http.pem"),
        http_private_key=str(folder / "http.key"),
        tokens={"root-token": "*"},
        **changes,  # type: ignore[arg-type]
    )


async def renew(folder: Path) -> bytes:
    """Make a certificate, put it where the engine looks for it, return it (DER)."""
    made = folder / "made"
    made.mkdir(exist_ok=True)
    certificate, key = await make_certificate(made, HOST)
    shutil.copy(certificate, folder / "http.pem")
    shutil.copy(key, folder / "http.key")
    return ssl.PEM_cert_to_DER_cert(certificate.read_text())


async def served(port: int, **context: ssl.TLSVersion) -> tuple[bytes, str]:
    """Connect and return the certificate that was shown, and the version that is spoken."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    for name, value in context.items():
        setattr(trusting, name, value)
    async with asyncio.timeout(GUARD_S):
        _, writer = await asyncio.open_connection(HOST, port, ssl=trusting)
    tls = writer.get_extra_info("ssl_object")
    shown, version = tls.getpeercert(binary_form=True), tls.version()
    writer.close()
    await writer.wait_closed()
    return shown, version


async def test_the_api_and_the_stream_speak_tls(tmp_path: Path) -> None:
    certificate = await renew(tmp_path)
    trusted = ssl.create_default_context(cafile=str(tmp_path / "http.pem"))
    async with serve(config(tmp_path), LoopbackSip()) as server:
        assert server.url == f"https://{HOST}:{server.port}"
        headers = {"X-Auth-Token": "root-token"}
        async with httpx.AsyncClient(verify=trusted, headers=headers, timeout=GUARD_S) as client:
            assert (await client.get(f"{server.url}/v2/accounts")).status_code == 200
            with pytest.raises(httpx.TransportError):
                await client.get(f"http://{HOST}:{server.port}/healthz")
        stream = f"wss://{HOST}:{server.port}/v2/websocket"
        async with websockets.connect(stream, ssl=trusted, additional_headers=headers) as socket:
            await socket.send('{"action": "ping"}')
            assert "pong" in str(await asyncio.wait_for(socket.recv(), GUARD_S))
        assert (await served(server.port))[0] == certificate


async def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    await renew(tmp_path)
    context = TlsFiles(str(tmp_path / "http.pem"), str(tmp_path / "http.key")).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    async with serve(config(tmp_path), LoopbackSip()) as server:
        newest = await served(server.port)
        older = await served(server.port, maximum_version=ssl.TLSVersion.TLSv1_2)
        assert (newest[1], older[1]) == ("TLSv1.3", "TLSv1.2")


async def test_a_new_certificate_is_taken_up_while_it_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = await renew(tmp_path)
    async with serve(config(tmp_path), LoopbackSip()) as server:
        second = await renew(tmp_path)
        assert first != second
        assert (await served(server.port))[0] == first
        server.reload()
        assert (await served(server.port))[0] == second
        # A certificate whose key is not there yet: what was good stays.
        key = (tmp_path / "http.key").read_text()
        await renew(tmp_path)
        (tmp_path / "http.key").write_text(key)
        server.reload()
        assert (await served(server.port))[0] == second
        assert "http_certificate" in caplog.text
        (tmp_path / "http.pem").unlink()
        server.reload()
        assert (await served(server.port))[0] == second


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(RequestInvalid, match=r"none\.pem"):
        TlsFiles(str(tmp_path / "none.pem"), str(tmp_path / "none.key"))
    with pytest.raises(ConfigError, match="http_private_key"):
        EngineConfig(http_certificate="a.pem")
    with pytest.raises(ConfigError, match="http_certificate"):
        EngineConfig(http_private_key="a.key")
