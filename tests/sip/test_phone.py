"""Softphones as real processes: against each other, and two of them through the engine."""

from __future__ import annotations

import array
import math
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import pytest

from engine.phone import PhoneError
from engine.phone.process import Event, PhoneProcess
from tests.kit.engine import PASSWORD, REALM, EngineUnderTest

pytestmark = pytest.mark.sip

TONE_A, TONE_B = 700, 1100
BOTH = ("--listen", str(TONE_A), "--listen", str(TONE_B))


async def callee(*arguments: str) -> tuple[PhoneProcess, str]:
    """Start a phone that waits for calls; return it and its SIP URI."""
    phone = await PhoneProcess.start("callee", *arguments)
    listening = await phone.wait_for("listening")
    transport = listening["transport"]
    return phone, f"sip:callee@{listening['address']};transport={transport}"


def heard_tone(heard: Event, freq: int, other: int) -> bool:
    """Tell whether a tone of one second or more was heard clearly, and the other one was not."""
    return bool(
        heard["freq"] == freq
        and heard["seconds"] >= 1.0
        and heard["ratio"] > 0.9
        and heard["levels"][str(freq)] > heard["levels"][str(other)] + 20
    )


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_two_phones_hear_each_other(transport: str, tmp_path: Path) -> None:
    recording = tmp_path / "heard.wav"
    arguments = ("--transport", transport, *BOTH)
    b, uri = await callee(
        *arguments, "--tone", str(TONE_B), "--answer", "after:0.3", "--record", str(recording)
    )
    async with b:
        calling = ("--call", uri, "--tone", str(TONE_A), "--hang-up-after", "2")
        a = await PhoneProcess.start("caller", *arguments, *calling)
        assert await a.ended(20) == 0
        assert [said["event"] for said in a.events] == [
            "listening",
            "calling",
            "ringing",
            "answered",
            "hearing",
            "heard",
            "ended",
            "stopped",
        ]
        assert (await a.wait_for("answered"))["codec"] == "PCMU/8000"
        assert heard_tone(await a.wait_for("heard"), TONE_B, TONE_A)
        assert heard_tone(await b.wait_for("heard"), TONE_A, TONE_B)
        ended_a, ended_b = await a.wait_for("ended"), await b.wait_for("ended")
        assert (ended_a["by"], ended_b["by"]) == ("us", "them")
        assert ended_a["call_id"] == ended_b["call_id"]
        assert 2.0 <= ended_a["talked_s"] < 4.0
    with wave.open(str(recording)) as file:
        assert (file.getframerate(), file.getnchannels()) == (8000, 1)
        assert file.getnframes() > 8000


@pytest.mark.parametrize("codec", ["PCMA", "G722", "opus"])
async def test_tone_survives_the_codec(codec: str) -> None:
    b, uri = await callee("--codec", codec, "--tone", str(TONE_B), "--answer", "always", *BOTH)
    async with b:
        calling = ("--call", uri, "--tone", str(TONE_A), "--hang-up-after", "1.6")
        a = await PhoneProcess.start("caller", "--codec", codec, *calling, *BOTH)
        assert await a.ended(20) == 0
        assert (await a.wait_for("answered"))["codec"].startswith(f"{codec}/")
        assert heard_tone(await a.wait_for("heard"), TONE_B, TONE_A)
        assert heard_tone(await b.wait_for("heard"), TONE_A, TONE_B)


async def test_file_is_played_and_silence_is_heard_as_silence(tmp_path: Path) -> None:
    played = tmp_path / "tone.wav"
    with wave.open(str(played), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        samples = (int(9000 * math.sin(2 * math.pi * TONE_A * at / 8000)) for at in range(8000))
        file.writeframes(array.array("h", samples).tobytes())
    b, uri = await callee("--answer", "always", *BOTH)
    async with b:
        calling = ("--call", uri, "--play", str(played), "--hang-up-after", "1.6")
        a = await PhoneProcess.start("caller", *calling)
        assert await a.ended(20) == 0
        assert heard_tone(await b.wait_for("heard"), TONE_A, TONE_B)
        silence = await a.wait_for("heard")
        assert silence["freq"] is None
        assert silence["sound_s"] == 0.0
        assert silence["total_s"] >= 1.0


@pytest.mark.parametrize(("answer", "status"), [("busy", 486), ("decline", 603)])
async def test_refusals(answer: str, status: int) -> None:
    b, uri = await callee("--answer", answer)
    async with b:
        a = await PhoneProcess.start("caller", "--call", uri)
        assert await a.ended(20) == 1
        assert (await a.wait_for("ended"))["sip_status"] == status
        assert (await b.wait_for("refused"))["sip_status"] == status


@pytest.mark.parametrize("answer", ["asked", "never"])
async def test_call_that_is_not_answered_is_cancelled(answer: str) -> None:
    b, uri = await callee("--answer", answer)
    async with b:
        a = await PhoneProcess.start("caller", "--call", uri)
        await a.wait_for("ringing")
        assert (await b.wait_for("ringing"))["auto_answer_s"] is None
        assert await a.stop() == 1
        ended = await b.wait_for("ended")
        assert (ended["sip_status"], ended["by"], ended["talked_s"]) == (487, "them", 0.0)
        assert not any(said["event"] == "answered" for said in b.events)


async def test_second_call_finds_the_line_busy() -> None:
    b, uri = await callee("--answer", "always")
    async with b, await PhoneProcess.start("first", "--call", uri) as first:
        await first.wait_for("answered")
        second = await PhoneProcess.start("second", "--call", uri)
        assert await second.ended(20) == 1
        assert (await second.wait_for("ended"))["sip_status"] == 486
        assert not any(said["event"] == "ended" for said in first.events)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_hangs_up_before_the_phone_ends(number: signal.Signals) -> None:
    b, uri = await callee("--answer", "always")
    async with b, await PhoneProcess.start("caller", "--call", uri) as a:
        await a.wait_for("answered")
        os.kill(b.pid, number)
        assert await b.ended(10) == 0
        assert (await a.wait_for("ended"))["by"] == "them"
        assert [said["event"] for said in b.events][-2:] == ["ended", "stopped"]


async def test_stops_by_itself_after_the_time_given() -> None:
    phone, _uri = await callee("--for", "0.2")
    assert await phone.ended(10) == 0


async def test_waiting_in_vain_says_what_was_said() -> None:
    phone, _uri = await callee()
    async with phone:
        with pytest.raises(
            PhoneError, match=r"phone callee: no 'answered' within 0.1 s; it said l"
        ):
            await phone.wait_for("answered", timeout_s=0.1)


async def test_port_that_is_taken_is_said_in_one_line() -> None:
    first, uri = await callee()
    async with first:
        port = uri.partition(";")[0].rpartition(":")[2]
        second = await PhoneProcess.start("second", "--port", port)
        assert await second.ended(10) == 2
        with pytest.raises(PhoneError, match=r"quickcall phone: .*(already in use|EADDRINUSE)"):
            await second.wait_for("listening")


def test_missing_binding_is_said_in_one_sentence() -> None:
    code = (
        "import sys; sys.modules['pjsua2'] = None\n"
        "from engine.phone import PhoneConfig, run_phone\n"
        "run_phone(PhoneConfig())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "needs the Python binding of pjsua2" in done.stderr.splitlines()[-1]
    assert "make setup" in done.stderr.splitlines()[-1]


# --- through the engine ---------------------------------------------------------------------------


async def registered_phone(
    engine: EngineUnderTest,
    user: str,
    *arguments: str,
    transport: str = "udp",
    password: str = PASSWORD,
) -> PhoneProcess:
    """Start a phone that registers as `user` with the engine."""
    return await PhoneProcess.start(
        user,
        *("--user", user, "--realm", REALM, "--server", engine.sip_address(transport)),
        *("--transport", transport, *BOTH),
        *arguments,
        password=password,
    )


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_quickcall_joins_two_registered_phones(
    engine: EngineUnderTest, transport: str
) -> None:
    device = await engine.device("alice", "1001")
    await engine.device("bob", "1002")
    alice = await registered_phone(engine, "alice", "--tone", str(TONE_A), transport=transport)
    answering = ("--answer", "after:0.3", "--hang-up-after", "2")
    bob = await registered_phone(
        engine, "bob", "--tone", str(TONE_B), *answering, transport=transport
    )
    async with alice, bob:
        for phone in (alice, bob):
            await phone.wait_for("registered")
        response = await engine.quickcall(device, "1002", auto_answer=True)
        assert response.status_code == 202, response.text
        end = await engine.end()
        assert end["Hangup-Cause"] == "NORMAL_CLEARING"
        assert heard_tone(await alice.wait_for("heard"), TONE_B, TONE_A)
        assert heard_tone(await bob.wait_for("heard"), TONE_A, TONE_B)
        assert (await alice.wait_for("ringing"))["auto_answer_s"] == 0.0
        assert (await bob.wait_for("ringing"))["auto_answer_s"] is None
        assert ((await alice.wait_for("ended"))["by"], (await bob.wait_for("ended"))["by"]) == (
            "them",
            "us",
        )
        assert await alice.stop() == await bob.stop() == 0
    assert not engine.engine.location.contacts(f"alice@{REALM}", time.time())
    assert alice.events[-2]["event"] == bob.events[-2]["event"] == "unregistered"


async def test_phone_without_auto_answer_rings_until_the_timeout(engine: EngineUnderTest) -> None:
    device = await engine.device("alice", "1001")
    async with await registered_phone(engine, "alice") as alice:
        await alice.wait_for("registered")
        response = await engine.quickcall(device, "1002", timeout=3)
        assert response.status_code == 500
        assert response.json()["data"]["error_message"] == "NO_ANSWER"
        assert (await alice.wait_for("ringing"))["auto_answer_s"] is None
        assert (await alice.wait_for("ended"))["sip_status"] == 487


async def test_wrong_password_is_refused(engine: EngineUnderTest) -> None:
    await engine.device("alice", "1001")
    phone = await registered_phone(engine, "alice", password="wrong")
    async with phone:
        failed = await phone.wait_for("registration_failed")
        assert failed["sip_status"] in (401, 403)
        assert await phone.stop() == 1
    assert not engine.engine.location.contacts(f"alice@{REALM}", time.time())
