"""kill -9 of a served engine in the middle of calls: each gets its one end from the next one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.kit.engine import REALM, EngineUnderTest
from tests.kit.server import ServerProcess
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def device(server: ServerProcess, account: str, name: str, number: str, phone: Sipp) -> str:
    """Create a device that is reached at a SIPp; return the path of its quickcalls to 1002."""
    sip = {"username": name, "password": "x", "invite_format": "route", "route": phone.uri}
    caller_id = {"internal": {"name": name, "number": number}}
    document = {"name": name, "sip": sip, "caller_id": caller_id}
    made = await server.put(f"/v2/accounts/{account}/devices", document)
    return f"/v2/accounts/{account}/devices/{made['id']}/quickcall/1002"


async def test_every_acknowledged_call_ends_once_over_a_kill(tmp_path: Path) -> None:
    async with (
        Sipp("uas-answer") as talking,
        Sipp("uas-no-answer", calls=2) as ringing,
        Sipp("uas-busy-486") as busy,
        Sipp("uas-ring-answer") as bob,
        ServerProcess(tmp_path) as server,
    ):
        account = (await server.put("/v2/accounts", {"name": "Test", "realm": REALM}))["id"]
        alice = await device(server, account, "alice", "1001", talking)
        await device(server, account, "bob", "1002", bob)
        carol = await device(server, account, "carol", "1003", ringing)
        dave = await device(server, account, "dave", "1004", busy)
        answers = [
            await server.http.post(dave, json={"data": {}}),
            await server.http.post(alice, json={"data": {}}),
            await server.http.get(carol),
            await server.http.get(carol),
        ]
        await server.kill()
    assert [answer.status_code for answer in answers] == [500, 202, 202, 202]
    asked = {answer.json()["request_id"] for answer in answers}
    assert len(asked) == 4
    for _ in range(2):  # the second start finds nothing left to tell
        async with EngineUnderTest(tmp_path) as engine:
            events = await engine.engine.journal.events(account)
            cdrs = await engine.cdrs()
        ends = [msgspec.json.decode(e.payload) for e in events if e.name == "QUICKCALL_END"]
        assert Counter(end["Msg-ID"] for end in ends) == Counter(asked)
        causes = Counter(end["Hangup-Cause"] for end in ends)
        assert causes == {"USER_BUSY": 1, "CRASH": 3}
        created = [event.call_id for event in events if event.name == "CHANNEL_CREATE"]
        destroyed = [event.call_id for event in events if event.name == "CHANNEL_DESTROY"]
        assert sorted(created) == sorted(destroyed) == sorted(cdrs)
        assert len(set(created)) == len(created) >= 4
