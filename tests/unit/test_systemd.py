"""What systemd is told, and the unit that tells it how to run the engine."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.systemd import Systemd
from tests.kit.programs import require

UNIT = Path(__file__).resolve().parents[2] / "packaging" / "quickcall.service"
GUARD_S = 40.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket as systemd's, at `notify` in the test's folder."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(GUARD_S)
        yield bound


def test_readiness_and_the_end_are_told(manager: socket.socket, tmp_path: Path) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    systemd.ready()
    systemd.stopping("calls left: 2")
    assert manager.recv(4096).split(b"\n")[0] == b"READY=1"
    assert manager.recv(4096) == b"STOPPING=1\nSTATUS=calls left: 2"


def test_an_abstract_socket_is_reached() -> None:
    name = f"quickcall-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(f"\0{name}")
        bound.settimeout(GUARD_S)
        Systemd({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert b"READY=1" in bound.recv(4096)


def test_without_systemd_nothing_is_sent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Systemd({}).ready()
    assert caplog.text == ""
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    assert "systemd was not told" in caplog.text


async def test_signs_of_life_end_with_health(manager: socket.socket, tmp_path: Path) -> None:
    manager.setblocking(False)
    loop = asyncio.get_running_loop()
    variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"}
    systemd = Systemd({**variables, "WATCHDOG_PID": str(os.getpid())})
    looks: list[bool] = []
    enough = asyncio.Event()

    def healthy() -> bool:
        looks.append(len(looks) < 3)
        if len(looks) == 5:
            enough.set()
        return looks[-1]

    systemd.watch(healthy)
    async with asyncio.timeout(GUARD_S):
        assert [await loop.sock_recv(manager, 4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        await enough.wait()
    systemd.close()
    with pytest.raises(BlockingIOError):
        manager.recv(4096)
    assert Systemd({**variables, "WATCHDOG_PID": "1"}).watchdog_s == 0


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    # What it starts must exist for systemd to be content.
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(), flags=re.M)
    unit = tmp_path / UNIT.name
    unit.write_text(text)
    done = subprocess.run(
        [require("systemd-analyze"), "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert complaints == []
    assert done.returncode == 0, done.stderr


def test_the_unit_gives_draining_its_time() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.read_text())
    service = parser["Service"]
    drain = re.fullmatch(r"QUICKCALL_DRAIN_S=(\d+)", service["Environment"])
    assert drain is not None
    # shutdown_s and the writers come after the calls.
    assert int(service["TimeoutStopSec"]) >= int(drain[1]) + 20
    assert (service["Type"], service["KillMode"]) == ("notify", "mixed")
    assert int(service["LimitNOFILE"]) >= 8192 * 4
