"""The SIP messages of a call: by the API, and at a capture server."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
from pathlib import Path

import pytest

from engine.core.events import SipMessageSeen
from engine.sip.hep import HepSender
from tests.kit.addresses import free_port, loopback_address
from tests.kit.engine import GUARD_S, EngineUnderTest
from tests.kit.process import PeerProcess
from tests.kit.programs import require
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def one_call(engine: EngineUnderTest) -> tuple[str, str]:
    """Let a device be rung and connected to another; return the Call-IDs of both legs."""
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        assert (await engine.quickcall(device, "1002")).status_code == 202
        await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    a_leg, b_leg = engine.legs()
    return a_leg, b_leg


def read_pcap(file: Path) -> list[str]:
    """The SIP messages of a capture file, one line each, as tcpdump reads them."""
    command = [require("tcpdump"), "-nn", "-A", "-r", str(file)]
    read = subprocess.run(command, capture_output=True, check=False).stdout.decode(errors="replace")
    return re.findall(r"((?:[A-Z]+ sip:\S+ SIP/2\.0|SIP/2\.0 \d{3} [^\r\n]*))", read)


async def test_a_call_that_is_over_is_shown_whole(tmp_path: Path) -> None:
    async with EngineUnderTest(tmp_path, trace=True) as engine:
        a_leg, b_leg = await one_call(engine)
        path = f"/v2/accounts/{engine.account}/traces"
        shown = (await engine.http.get(f"{path}/{a_leg}")).json()["data"]
        assert {message["call_id"] for message in shown} == {a_leg, b_leg}
        assert [message["at"] for message in shown] == sorted(m["at"] for m in shown)
        assert shown[0]["text"].startswith("INVITE ")
        by_the_other = (await engine.http.get(f"{path}/{b_leg}")).json()["data"]
        assert by_the_other == shown
        ladder = await engine.http.get(f"{path}/{a_leg}", params={"format": "ladder"})
        assert ladder.headers["content-type"].startswith("text/plain")
        assert ladder.text.count(" INVITE +SDP ") == 2
        assert ladder.text.count(" 200 OK (BYE) ") == 2
        pcap = await engine.http.get(f"{path}/{a_leg}", params={"format": "pcap"})
        file = tmp_path / "call.pcap"
        file.write_bytes(pcap.content)
        assert len(read_pcap(file)) == len(shown)
        wrong = await engine.http.get(f"{path}/{a_leg}", params={"format": "png"})
        assert (wrong.status_code, "json, ladder, pcap" in wrong.text) == (400, True)
        assert (await engine.http.get(f"{path}/nobody")).status_code == 404
        other = await engine.put("/v2/accounts", {"name": "Other", "realm": "other.test"})
        theirs = await engine.http.get(f"/v2/accounts/{other['id']}/traces/{a_leg}")
        assert theirs.status_code == 404


async def test_nothing_is_kept_unless_asked_for(engine: EngineUnderTest) -> None:
    a_leg, _ = await one_call(engine)
    answer = await engine.http.get(f"/v2/accounts/{engine.account}/traces/{a_leg}")
    assert answer.status_code == 404


async def test_a_capture_server_gets_every_message(tmp_path: Path) -> None:
    host = loopback_address()
    port = free_port(host)
    capture = tmp_path / "captured.pcap"
    arguments = ["-N", "-q", "-L", f"udp:{host}:{port}", "-O", str(capture)]
    sngrep = PeerProcess("sngrep", arguments, tmp_path, environment={"TERM": "xterm"})
    await sngrep.start(lambda: is_bound(host, port))
    try:
        server = f"{host}:{port}"
        async with EngineUnderTest(tmp_path, hep_server=server, trace=True) as engine:
            a_leg, _ = await one_call(engine)
            path = f"/v2/accounts/{engine.account}/traces/{a_leg}"
            told = (await engine.http.get(path)).json()["data"]
        fill_buffer(host, port)
        starts = sorted(message["text"].split("\r\n")[0] for message in told)
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while sorted(real(read_pcap(capture))) != starts:
            assert asyncio.get_running_loop().time() < deadline, read_pcap(capture)
            await asyncio.sleep(0.05)
    finally:
        await sngrep.stop()


def fill_buffer(host: str, port: int) -> None:
    """Send so much after the call that what sngrep has of the call goes to its file."""
    sender = HepSender(host, port, 1)
    call_id = "filler"
    text = f"OPTIONS sip:filler@h SIP/2.0\r\nCall-ID: {call_id}\r\nX: {'x' * 500}\r\n\r\n"
    for _ in range(20):
        sender.send(SipMessageSeen(1.0, True, "127.0.0.1:1", "127.0.0.1:2", "udp", call_id, text))
    sender.close()


def real(messages: list[str]) -> list[str]:
    """Those of the call."""
    return [message for message in messages if "sip:filler@h" not in message]


def is_bound(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
