"""What an operator sees of requests on a real broker: draining taken back, and the audit log."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

from engine.sip.loopback import Refuse
from tests.control.originate_node import ACCOUNT, ask, node_on, rings, the_error
from tests.control.rig import A_URI
from tests.kit.kazoo_bus import GUARD_S, KazooBus


async def test_a_node_that_no_longer_drains_takes_requests_again(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    async with node_on(tmp_path / "one", amqp_url) as node:
        node.sip.script(A_URI, Refuse())
        node.originate.drain()
        node.originate.resume()
        async with asyncio.timeout(GUARD_S):
            # The queue goes with its last consumer, and what comes meanwhile with it.
            for n in itertools.count():
                ask(bus, f"r-{n}", Endpoints=[rings(**{"Outbound-Call-ID": f"call-{n}"})])
                await bus.settled()
                if node.originate.accepted:
                    break
        assert (await the_error(bus))["Error-Message"] == "USER_BUSY"


async def test_the_audit_log_is_told_who_asks_on_the_bus(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    log = tmp_path / "audit.log"
    async with node_on(tmp_path / "one", amqp_url, audit_log=str(log)) as node:
        node.sip.script(A_URI, Refuse())
        sent = ask(bus)
        await the_error(bus)
        ask(bus, "bad", Endpoints=[])
        await the_error(bus)
    accepted, refused = (json.loads(line) for line in log.read_text().splitlines())
    assert (
        accepted.items()
        >= {
            "via": "amqp",
            "action": "originate",
            "peer": sent["Node"],
            "application": sent["App-Name"],
            "server_id": bus.server_id,
            "msg_id": "request-1",
            "account_id": ACCOUNT,
            "outcome": "accepted",
        }.items()
    )
    assert refused["msg_id"] == "bad"
    assert refused["outcome"] != "accepted"
