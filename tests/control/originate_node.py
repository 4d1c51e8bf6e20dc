"""An engine that takes originate_req from a real broker; its phones are the loopback stack's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine.control.amqp_link import AmqpLink
from engine.control.amqp_originate import AmqpOriginate, Places
from engine.sip.loopback import LoopbackSip
from tests.control.originates import crossbar_endpoint, crossbar_request
from tests.control.rig import A_URI, Rig
from tests.kit.kazoo_bus import KazooBus

CONTROL = "quickcall-ctl-test"
KEY = ("callmgr", "originate.resource.req")
ACCOUNT = "a" * 32


class Node(Rig):
    """An engine on the bus."""

    link: AmqpLink
    originate: AmqpOriginate


@asynccontextmanager
async def node_on(
    folder: Path,
    url: str,
    name: str = "engine@one.test",
    places: Places | None = None,
    execute_s: float = 5.0,
    **changes: Any,
) -> AsyncIterator[Node]:
    """An engine with the phones 1001 and 1002 that takes requests of the bus."""
    folder.mkdir(exist_ok=True)
    async with Node(folder, LoopbackSip(), node=name, **changes) as node:
        node.link = AmqpLink(url, name)
        node.originate = AmqpOriginate(node.engine, node.link, CONTROL, places, execute_s=execute_s)
        await node.link.start()
        await node.link.wait_connected()
        try:
            yield node
        finally:
            await node.engine.drain()
            await node.originate.close()
            await node.link.stop()


def rings(uri: str = A_URI, **changes: Any) -> dict[str, Any]:
    """An endpoint that is rung at an address."""
    return crossbar_endpoint(**{"Invite-Format": "route", "Route": uri, **changes})


def message(bus: KazooBus, msg_id: str = "request-1", /, **changes: Any) -> dict[str, Any]:
    changes = {"Server-ID": bus.server_id, "Endpoints": [rings()], **changes}
    return crossbar_request(msg_id, **changes)


def ask(bus: KazooBus, msg_id: str = "request-1", /, **changes: Any) -> dict[str, Any]:
    """Publish a request as crossbar does."""
    sent = message(bus, msg_id, **changes)
    bus.publish(*KEY, sent, mandatory=True)
    return sent


async def the_error(bus: KazooBus) -> dict[str, Any]:
    """Wait for the error; before it come ids at most."""
    seen = await bus.replies.until(lambda reply: reply.name != "originate_uuid")
    assert seen.name == "originate_resp"
    assert seen.payload["Event-Category"] == "error"
    return seen.payload
