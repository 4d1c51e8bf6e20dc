"""The engine under chaos, and everything around it: a process that can be killed and comes back."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import Any

import httpx

from tests.kit.addresses import free_port, loopback_address
from tests.kit.engine import GUARD_S, REALM, ROOT_TOKEN

NODE = "chaos@engine.test"


class EngineProcess:
    """`quickcall serve` on ports that stay the same over its deaths."""

    def __init__(self, directory: Path, database: str, amqp_url: str) -> None:
        """Write its configuration."""
        self.host = loopback_address()
        self.http_port = free_port(self.host, "tcp")
        self.log = directory / "engine.log"
        config = {
            "node": NODE,
            "sip_listeners": [f"udp:{self.host}:{free_port(self.host)}"],
            "media_host": self.host,
            "http_host": self.host,
            "http_port": self.http_port,
            "database": database,
            "spool_dir": str(directory / "spool"),
            "amqp_url": amqp_url,
            "webhook_private_addresses": True,
            "realm": REALM,
            "reaper_s": 1,
            "ringback": "",
        }
        self._path = directory / "quickcall.toml"
        lines = [f"{name} = {json.dumps(value)}" for name, value in config.items()]
        self._path.write_text("\n".join([*lines, "[tokens]", f'"{ROOT_TOKEN}" = "*"', ""]))
        self._process: Process | None = None
        self.http = httpx.AsyncClient(
            base_url=self.url, headers={"X-Auth-Token": ROOT_TOKEN}, timeout=GUARD_S
        )
        self.lives = 0
        """How often it was started."""

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{self.host}:{self.http_port}"

    async def start(self) -> None:
        """Start it and wait until it takes requests."""
        self.lives += 1
        program = str(Path(sys.executable).with_name("quickcall"))
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", "--", program, "serve"),
                *("--config", str(self._path)),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while not await self._ready():
            assert self._process.returncode is None, self.story()
            assert asyncio.get_running_loop().time() < deadline, self.story()
            await asyncio.sleep(0.02)

    async def _ready(self) -> bool:
        try:
            return (await self.http.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def kill(self) -> None:
        """Kill it at once (SIGKILL) and wait until it is gone."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """End it in peace; one that is gone already stays so."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(GUARD_S):
                await self._process.wait()
        await self.http.aclose()

    async def put(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """Create a document and return it."""
        response = await self.http.put(path, json={"data": document})
        assert response.status_code in (200, 201), response.text
        data: dict[str, Any] = response.json()["data"]
        return data

    def story(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-6000:]
