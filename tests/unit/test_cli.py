"""The command line: options, exit status, what it prints."""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli import app
from engine.cli.calling import CallOrder, query_text
from engine.cli.following import Follower
from engine.config import EngineConfig
from engine.config_file import load_config
from engine.control.auth import Tokens
from engine.control.kazoo import parse_quickcall
from engine.core.values import EndpointType

runner = CliRunner()


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have an engine of their own."""
    for name in ("TOKEN", "TOKENS", "URL", "ACCOUNT"):
        monkeypatch.delenv(f"QUICKCALL_{name}", raising=False)


@pytest.mark.parametrize("command", ["serve", "call", "route", "routes", "check", "phone", "token"])
def test_every_command_has_help(command: str) -> None:
    assert command in runner.invoke(app, ["--help"]).output
    assert runner.invoke(app, [command, "--help"]).exit_code == 0


def test_help_imports_neither_store_nor_stack() -> None:
    code = (
        "import sys; from engine.cli import app; heavy = {'sqlalchemy', 'litestar', 'uvicorn',"
        " 'httpx', 'engine.sip._stack', 'pyroute2'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_created_token_is_accepted_by_its_hash() -> None:
    output = runner.invoke(app, ["token", "create", "acc", "--for-config"]).output
    token = re.search(r"token, shown only now:  (\S+)", output)
    setting = re.search(r"QUICKCALL_TOKENS='(.*)'", output)
    assert token is not None
    assert setting is not None
    assert hashlib.sha256(token[1].encode()).hexdigest() in setting[1]
    config = load_config(None, {"QUICKCALL_TOKENS": setting[1]})
    assert Tokens(config.tokens).verify(token[1]).accounts == {"acc"}


def test_a_bad_configuration_is_said_and_is_status_2(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("http_prot = 1\n")
    done = runner.invoke(app, ["serve", "--config", str(path)])
    assert done.exit_code == 2
    assert "http_prot = 1" in done.output
    assert "http_port" in done.output


def test_an_engine_that_cannot_start_is_status_1(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'missing' / 'q.db'}"
    done = runner.invoke(app, ["serve", "--database", database])
    assert done.exit_code == 1
    assert "did not start" in done.output


def test_a_call_without_an_engine_is_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = runner.invoke(app, ["call", "a", "1", "--url", f"http://127.0.0.1:{port}"])
    assert done.exit_code == 2
    assert "no answer" in done.output


def test_options_of_a_call_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[CallOrder] = []

    def run_call(order: CallOrder) -> int:
        orders.append(order)
        return 0

    monkeypatch.setattr("engine.cli.calling.run_call", run_call)
    options = {
        "call_id": "order-17",
        "dial_method": "single",
        "endpoint_delay": 0.5,
        "endpoint_timeout": 10.0,
        "progress_timeout": 4.0,
        "fail_on_single_reject": "USER_BUSY",
        "ignore_early_media": "ring_ready",
        "max_duration": 3600.0,
        "privacy": "number",
    }
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    done = runner.invoke(app, ["call", "1001", "1002", *flags, "--ignore-completed-elsewhere"])
    assert done.exit_code == 0, done.output
    (order,) = orders
    assert order.options.items() >= {**options, "ignore_completed_elsewhere": True}.items()
    query = {name: query_text(value) for name, value in order.options.items()}
    asked = parse_quickcall("a", EndpointType.DEVICE, "1001", "1002", query)
    assert (asked.call_id, asked.dial_method, asked.hide_number) == ("order-17", "single", True)
    assert asked.ignore_completed_elsewhere
    orders.clear()
    assert runner.invoke(app, ["call", "1001", "1002"]).exit_code == 0
    assert set(orders[0].options) == {"auto_answer", "timeout", "media"}


def test_a_malformed_variable_is_refused() -> None:
    done = runner.invoke(app, ["call", "a", "1", "--cav", "novalue"])
    assert done.exit_code == 2
    assert "KEY=VALUE" in done.output


def test_check_names_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "q.toml"
        path.write_text(f'http_port = {port}\nsip_listeners = ["udp:127.0.0.1:0"]\n')
        done = runner.invoke(app, ["check", "--config", str(path), "127.0.0.1", "no-address"])
    assert done.exit_code == 1
    assert re.search(rf"broken +HTTP API +127\.0\.0\.1 port {port} cannot be used", done.output)
    assert "way to no-address" in done.output
    assert re.search(r"ok +way to 127\.0\.0\.1 +from 127\.0\.0\.1 on lo", done.output)


def test_check_finds_a_sound_machine_sound(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text('http_port = 0\nsip_listeners = ["udp:127.0.0.1:0"]\nmax_legs = 50\n')
    done = runner.invoke(app, ["check", "--config", str(path)])
    assert "nothing is broken" in done.output, done.output
    assert done.exit_code == 0
    assert "pjproject 2.17" in done.output


def follow(*events: tuple[str, dict[str, object]]) -> tuple[Follower, list[bool]]:
    follower = Follower("mine", {"endpoints": [{"outbound_call_id": "a1"}]}, "phone")
    return follower, [follower.take(name, event) for name, event in events]


def leg(call_id: str, interaction: str = "i", **fields: object) -> dict[str, object]:
    return {
        "call_id": call_id,
        "custom_channel_vars": {"call_interaction_id": interaction},
        **fields,
    }


def test_only_the_events_of_the_call_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    follower, last = follow(
        ("CHANNEL_CREATE", leg("other", "j")),
        ("CHANNEL_CREATE", leg("a1")),
        ("CHANNEL_CREATE", leg("b1", request="1002@a.test")),
        ("CHANNEL_BRIDGE", leg("b1")),
        ("CHANNEL_DESTROY", leg("b1", hangup_cause="NORMAL_CLEARING")),
        ("QUICKCALL_END", {"msg_id": "theirs"}),
    )
    printed = capsys.readouterr().out
    assert not any(last)
    assert "other" not in printed
    assert "A  phone dialled" in printed
    assert "B  1002@a.test ended: NORMAL_CLEARING" in printed
    assert follower.take("QUICKCALL_END", {"msg_id": "mine", "hangup_cause": "NORMAL_CLEARING"})
    assert follower.exit_status == 0


def test_a_call_that_was_not_connected_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    end: dict[str, object] = {
        "msg_id": "mine",
        "hangup_cause": "USER_BUSY",
        "attempts": [{"contact": "sip:a@b", "cause": "USER_BUSY", "sip_status": 486}],
    }
    follower, last = follow(("CHANNEL_CREATE", leg("a1")), ("QUICKCALL_END", end))
    assert last == [False, True]
    assert follower.exit_status == 1
    assert "sip:a@b: USER_BUSY 486" in capsys.readouterr().out


def test_the_defaults_of_the_command_line_are_the_engine_s() -> None:
    wide = runner.invoke(app, ["call", "--help"], env={"COLUMNS": "200"})
    assert f":{EngineConfig().http_port}" in wide.output
