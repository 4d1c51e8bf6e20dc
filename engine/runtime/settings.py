"""From the configuration to the settings of each floor, `auto` addresses found."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from pathlib import Path

from engine.config import EngineConfig
from engine.config_values import HEP_PORT, parse_address, parse_listener, parse_name_server
from engine.core.causes import RemoteReason
from engine.core.settings import CallSettings
from engine.runtime.phone_profiles import read_phone_profiles
from engine.sip.hep import HepSender
from engine.sip.hosts_file import HostsFile
from engine.sip.locate import Locator
from engine.sip.name_servers import NameServers
from engine.sip.network import source_address
from engine.sip.port import Listener, SipConfig
from engine.sip.registrar import RegistrarSettings

AUTO = "auto"
"""Value of an address in the configuration that asks the kernel's routes."""

_HOSTS_FILE = Path("/etc/hosts")
_STACK_SHUTDOWN_S = 2.0
_STACK_SLACK_S = 8.0


async def sip_config(config: EngineConfig) -> SipConfig:
    """Return what the SIP stack needs to start. Raises `NoRoute` when `auto` finds no address."""
    return SipConfig(
        listeners=tuple(Listener(*parse_listener(text)) for text in config.sip_listeners),
        public_host=await _found(config.public_host, config),
        tls_certificate=config.tls_certificate,
        tls_private_key=config.tls_private_key,
        media_host=await _found(config.media_host, config),
        rtp_ports=config.rtp_ports,
        rtp_latching=config.rtp_latching,
        rtp_timeout_s=config.rtp_timeout_s,
        rtp_timeout_held_s=config.rtp_timeout_held_s,
        one_way_s=config.one_way_s,
        max_legs=config.max_legs,
        codecs=config.codecs,
        trace=config.trace or bool(config.hep_server),
        log_level=config.stack_log_level,
        t1_ms=config.sip_t1_ms,
        session_expires_s=config.session_expires_s,
        transfers=config.allow_transfer,
        # The engine has waited `shutdown_s` for the calls already.
        shutdown_s=_STACK_SHUTDOWN_S,
    )


async def call_settings(config: EngineConfig, listeners: tuple[Listener, ...]) -> CallSettings:
    """Return the settings of call control.

    Raises `NoRoute` when no public address is found, `ConfigError` for the file of phone profiles.
    """
    host = await _found(config.public_host, config) or listeners[0].host
    if _is_wildcard(host):
        host = await _found(AUTO, config)
    sounds = config.sounds
    return CallSettings(
        host=host,
        b_ring_s=config.b_timeout,
        phones=await asyncio.to_thread(read_phone_profiles, config.phone_profiles),
        cancel_guard_s=64 * config.sip_t1_ms / 1000 + _STACK_SLACK_S,
        max_call_s=config.max_call_s,
        transcoding=config.transcoding,
        redirects=config.redirects,
        max_redirects=config.max_redirects,
        honour_remote_reason=RemoteReason(config.honour_remote_reason),
        ringback=sounds.ringback,
        announcements=sounds.announcements,
        hold_music=sounds.hold_music,
    )


def hep_sender(config: EngineConfig) -> HepSender | None:
    """Return who sends SIP messages to the capture server, None without one. Raises `OSError`."""
    if not config.hep_server:
        return None
    host, port = parse_address("hep_server", config.hep_server, HEP_PORT)
    return HepSender(host, port, config.hep_agent, config.hep_key)


def registrar_settings(config: EngineConfig) -> RegistrarSettings:
    """Return the settings of the registrar."""
    return RegistrarSettings(
        min_expires=config.register_min_s,
        max_expires=config.register_max_s,
        default_expires=config.register_default_s,
        realm=config.realm,
    )


def name_locator(
    config: EngineConfig, listeners: tuple[Listener, ...], pick: Callable[[int], int]
) -> Locator:
    """Return who looks host names up. `pick(n)` returns a random number of 0..n-1."""
    servers = tuple(parse_name_server(text) for text in config.dns_servers)
    # NAPTR, SRV and addresses, one after the other.
    name_servers = NameServers(servers, config.dns_timeout_s / 3)
    return Locator(name_servers, HostsFile(_HOSTS_FILE), listeners, config.dns_timeout_s, pick)


async def _found(host: str, config: EngineConfig) -> str:
    if host != AUTO:
        return host
    return (await asyncio.to_thread(source_address, config.network_probe)).address


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
