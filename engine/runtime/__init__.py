"""The running engine: the asyncio shell around the pure core."""

from engine.runtime.calls import Call
from engine.runtime.engine import Engine
from engine.runtime.serving import Server, serve

__all__ = ["Call", "Engine", "Server", "serve"]
