"""`quickcall serve`."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
from collections.abc import Mapping
from pathlib import Path

import uvloop
from rich.console import Console

from engine.cli.ending import Ending, drain
from engine.cli.systemd import Systemd
from engine.config import EngineConfig
from engine.config_file import load_config
from engine.config_values import ConfigError
from engine.control.health import Severity
from engine.core.errors import EngineError
from engine.runtime import Server, serve
from engine.runtime.collector import settle_collector
from engine.runtime.logs import set_up_logs

MISUSE = 2
"""Exit status when the configuration cannot be used."""

_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def run_serve(path: Path | None, overrides: Mapping[str, object], *, verbose: bool) -> int:
    """Run an engine until SIGINT or SIGTERM (`engine.cli.ending`); return the exit status.

    0 after an orderly end, 1 when it could not start, 2 for a configuration that cannot be used.
    """
    try:
        config = load_config(path, None, **overrides)
    except ConfigError as error:
        _err.print(f"[red]configuration:[/] {error}")
        return MISUSE
    level = logging.INFO if verbose else logging.WARNING
    set_up_logs(config.log_format, level)
    try:
        uvloop.run(_serve(config, level))
    except (EngineError, RuntimeError, ValueError, OSError) as error:
        _err.print(f"[red]the engine did not start:[/] {error}")
        return 1
    return 0


async def _serve(config: EngineConfig, level: int) -> None:
    ending, systemd = Ending(), Systemd()
    ending.listen()
    server = serve(config)
    # uvicorn gives its logger a level of its own when the server is made.
    logging.getLogger("uvicorn.error").setLevel(level)
    async with server:
        settle_collector()
        _greet(server)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, server.reload)
        health = server.engine.operations.health
        systemd.watch(lambda: not health.faults(Severity.DEAD))
        systemd.ready()
        await ending.asked.wait()

        def tell(line: str) -> None:
            _out.print(line)
            systemd.stopping(line)

        await drain(server, ending, tell)
        tell("ending calls")
    systemd.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _greet(server: Server) -> None:
    config = server.engine.config
    for listener in server.engine.listeners:
        host = f"[{listener.host}]" if ":" in listener.host else listener.host
        # Brackets are markup to rich, an IPv6 address is not.
        _out.print(f"SIP   {listener.transport} {host}:{listener.port}", markup=False)
    _out.print(f"HTTP  {server.url}  (OpenAPI: {server.url}/openapi.json)", markup=False)
    _out.print(f"RTP   {config.media_host} ports {config.rtp_ports[0]} to {config.rtp_ports[1]}")
    if not config.http_certificate and not _is_loopback(config.http_host):
        _err.print(
            f"[yellow]warning:[/] tokens cross the network in the clear: {config.http_host} is not"
            " loopback and http_certificate is empty. Let a proxy or the engine speak TLS."
        )
    if not len(server.engine.tokens):
        _out.print(
            "There is no token: every API request will be refused."
            " `quickcall token create` makes one."
        )
    _out.print("ready; Ctrl-C ends")
