"""The quickcall originate engine: rings a SIP device and, when it answers, connects it to a number.

    async with Engine(EngineConfig()) as engine:
        outcome = await engine.originate(OriginateRequest(...))

docs/embedding.md has a whole program. What is named here is public; the rest may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.config import EngineConfig
    from engine.config_file import load_config
    from engine.config_values import ConfigError
    from engine.control.feed import FeedEvent, SlowConsumer, Subscription
    from engine.control.route_report import RouteReport
    from engine.core.errors import (
        ConcurrencyExceeded,
        Conflict,
        EngineError,
        EngineUnavailable,
        LimitExceeded,
        NotFound,
        Overloaded,
        RateLimited,
        RequestInvalid,
        WrongState,
    )
    from engine.core.values import (
        Application,
        Attempt,
        BridgeOrder,
        Contact,
        DialMethod,
        Endpoint,
        EndpointType,
        LegId,
        LegSnapshot,
        MediaMode,
        OriginateRequest,
        Outcome,
        Party,
        Refusal,
    )
    from engine.runtime import Call, Engine, Server, serve

__version__ = "0.1.0"

_HOMES = {
    "engine.config": ("EngineConfig",),
    "engine.config_file": ("load_config",),
    "engine.config_values": ("ConfigError",),
    "engine.control.feed": ("FeedEvent", "SlowConsumer", "Subscription"),
    "engine.control.route_report": ("RouteReport",),
    "engine.core.errors": (
        "ConcurrencyExceeded",
        "Conflict",
        "EngineError",
        "EngineUnavailable",
        "LimitExceeded",
        "NotFound",
        "Overloaded",
        "RateLimited",
        "RequestInvalid",
        "WrongState",
    ),
    "engine.core.values": (
        "Application",
        "Attempt",
        "BridgeOrder",
        "Contact",
        "DialMethod",
        "Endpoint",
        "EndpointType",
        "LegId",
        "LegSnapshot",
        "MediaMode",
        "OriginateRequest",
        "Outcome",
        "Party",
        "Refusal",
    ),
    "engine.runtime": ("Call", "Engine", "Server", "serve"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Application",
    "Attempt",
    "BridgeOrder",
    "Call",
    "ConcurrencyExceeded",
    "ConfigError",
    "Conflict",
    "Contact",
    "DialMethod",
    "Endpoint",
    "EndpointType",
    "Engine",
    "EngineConfig",
    "EngineError",
    "EngineUnavailable",
    "FeedEvent",
    "LegId",
    "LegSnapshot",
    "LimitExceeded",
    "MediaMode",
    "NotFound",
    "OriginateRequest",
    "Outcome",
    "Overloaded",
    "Party",
    "RateLimited",
    "Refusal",
    "RequestInvalid",
    "RouteReport",
    "Server",
    "SlowConsumer",
    "Subscription",
    "WrongState",
    "load_config",
    "serve",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562): `quickcall --help` needs none."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value
