"""An engine with its faces, HTTP API and message bus, in one event loop."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from engine.config import EngineConfig
from engine.control.amqp import AmqpFace
from engine.control.health import Severity
from engine.control.server import HttpServer
from engine.control.tls import TlsFiles
from engine.core.errors import RequestInvalid
from engine.runtime.engine import Engine
from engine.runtime.gauges import show_bus
from engine.sip.port import SipPort

_log = logging.getLogger(__name__)


class Server:
    """An engine and what is in front of it. `async with` starts and stops all of it."""

    def __init__(self, engine: Engine) -> None:
        """Prepare the server of an engine that is not open yet."""
        self.engine = engine
        config = engine.config
        self._tls: TlsFiles | None = None
        if config.http_certificate:
            self._tls = TlsFiles(config.http_certificate, config.http_private_key)
        self._http = HttpServer(
            *(engine, config.http_host, config.http_port),
            sockets_per_ip=config.websocket_max_per_ip,
            tls=self._tls,
        )
        self.amqp: AmqpFace | None = None
        """The engine on Kazoo's bus; None without `amqp_url`."""
        if config.amqp_url:
            self._join_bus(
                AmqpFace(
                    *(engine, config.amqp_url, config.amqp_prefetch),
                    routes_numbers=config.amqp_routing == "auto",
                    node_gone_s=config.node_gone_s,
                )
            )

    def _join_bus(self, amqp: AmqpFace) -> None:
        self.amqp = amqp
        operations, link = self.engine.operations, amqp.link
        show_bus(self.engine.metrics, amqp)
        operations.draining.watch(lambda active: amqp.drain() if active else amqp.resume())
        operations.health.add(
            "amqp", Severity.DEGRADED, lambda: "" if link.connected else "the broker is away"
        )

    @property
    def port(self) -> int:
        """TCP port of the HTTP API, the one the kernel chose when 0 was asked for."""
        return self._http.port

    @property
    def url(self) -> str:
        """`http://host:port` of the HTTP API (https with TLS), without a slash at the end."""
        host = self.engine.config.http_host
        scheme = "http" if self._tls is None else "https"
        return (
            f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"
        )

    def reload(self) -> None:
        """Take up files that were exchanged: the TLS certificate, the audit log moved away.

        What cannot be used is logged and changes nothing.
        """
        self.engine.operations.audit.reopen()
        if self._tls is not None:
            try:
                self._tls.reload()
            except RequestInvalid as error:
                _log.error("the certificate stays as it was: %s", error)

    async def start(self) -> None:
        """Open the engine, then the API, then join the bus, which may be away.

        Raises as `Engine.open`, and `OSError` for the HTTP address.
        """
        await self.engine.open()
        try:
            await self.engine.webhooks.start()
            await self._http.start()
            if self.amqp is not None:
                await self.amqp.start()
        except BaseException:
            await self.engine.webhooks.stop()
            await self.engine.close()
            raise

    async def stop(self) -> None:
        """End the calls, answer who waits for them, leave API and bus, close the engine."""
        if self.amqp is not None:
            self.amqp.drain()
        await self.engine.drain()
        await self._http.stop()
        if self.amqp is not None:
            await self.amqp.stop()
        await self.engine.webhooks.stop()
        await self.engine.close()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()


def serve(config: EngineConfig | None = None, sip: SipPort | None = None) -> Server:
    """Make an engine and its faces, to be entered with `async with`.

    `server.url` is where the API listens, `server.engine` the engine. Arguments as for `Engine`.
    """
    return Server(Engine(config, sip))
