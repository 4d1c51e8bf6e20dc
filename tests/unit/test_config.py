"""The configuration: three sources, one value, errors that name the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import EngineConfig
from engine.config_file import config_markdown, load_config
from engine.config_values import ConfigError, parse_listener


def toml(directory: Path, text: str) -> Path:
    path = directory / "quickcall.toml"
    path.write_text(text)
    return path


def test_defaults_are_embedded_and_local() -> None:
    config = EngineConfig()
    assert config.database.startswith("sqlite+aiosqlite:///")
    assert config.sip_listeners == ("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060")
    assert (config.http_host, config.http_port) == ("127.0.0.1", 8000)
    assert config.b_timeout == 60


def test_the_later_source_wins(tmp_path: Path) -> None:
    path = toml(tmp_path, 'http_port = 1\nnode = "a@file"\nmax_legs = 11\n')
    config = load_config(
        path, {"QUICKCALL_HTTP_PORT": "2", "QUICKCALL_MAX_LEGS": "22", "HOME": "/"}, max_legs=33
    )
    assert (config.node, config.http_port, config.max_legs) == ("a@file", 2, 33)


def test_an_override_of_none_is_not_given() -> None:
    assert load_config(None, {}, http_port=None) == EngineConfig()


def test_every_type_can_come_from_the_environment() -> None:
    config = load_config(
        None,
        {
            "QUICKCALL_SIP_LISTENERS": "udp:127.0.0.1:0, udp:[::1]:0",
            "QUICKCALL_RTP_PORTS": "30000-30099",
            "QUICKCALL_TRACE": "true",
            "QUICKCALL_B_TIMEOUT": "7.5",
            "QUICKCALL_TOKENS": "abc==*,def=acc",
            "QUICKCALL_CODECS": "PCMU/8000,PCMA/8000",
            "QUICKCALL_ANNOUNCEMENTS": "USER_BUSY=de/busy; NO_ANSWER=tone:425/100,0/100",
        },
    )
    assert config.sip_listeners == ("udp:127.0.0.1:0", "udp:[::1]:0")
    assert config.rtp_ports == (30000, 30099)
    assert config.trace is True
    assert config.b_timeout == 7.5
    assert config.tokens == {"abc=": "*", "def": "acc"}
    assert config.codecs == ("PCMU/8000", "PCMA/8000")
    assert config.sounds.announcements == {
        "USER_BUSY": "tone:425/480,0/480",
        "NO_ANSWER": "tone:425/100,0/100",
    }


def test_variables_of_the_client_commands_are_no_fields() -> None:
    assert load_config(None, {"QUICKCALL_TOKEN": "x", "QUICKCALL_URL": "y"}) == EngineConfig()


@pytest.mark.parametrize(
    ("environment", "field", "parts"),
    [
        ({"QUICKCALL_HTTP_PORT": "65536"}, "http_port", ("'65536'", "0 to 65535")),
        ({"QUICKCALL_HTTP_PORT": "http"}, "http_port", ("'http'", "whole number")),
        ({"QUICKCALL_RTP_PORTS": "200-300"}, "rtp_ports", ("1024",)),
        ({"QUICKCALL_RTP_PORTS": "30000-30000"}, "rtp_ports", ("below",)),
        ({"QUICKCALL_RTP_PORTS": "30000"}, "rtp_ports", ("two ports",)),
        ({"QUICKCALL_SIP_LISTENERS": "sctp:127.0.0.1:1"}, "sip_listeners", ("udp, tcp or tls",)),
        ({"QUICKCALL_SIP_LISTENERS": ""}, "sip_listeners", ("1 to 16",)),
        ({"QUICKCALL_SIP_LISTENERS": "tls:127.0.0.1:5061"}, "tls_certificate", ("PEM",)),
        ({"QUICKCALL_SESSION_EXPIRES_S": "60"}, "session_expires_s", ("60", "90 to 86400")),
        ({"QUICKCALL_TRACE": "perhaps"}, "trace", ("true or false",)),
        ({"QUICKCALL_NODE": "a\r\nb"}, "node", ("control",)),
        ({"QUICKCALL_REGISTER_MIN_S": "700"}, "register_default_s", ("600", "700")),
        ({"QUICKCALL_OUTBOUND_PROXY": "sip:a b"}, "outbound_proxy", ("host[:port]",)),
        ({"QUICKCALL_RINGBACK": "xx"}, "ringback", ("'xx'", "country code")),
        ({"QUICKCALL_RINGBACK": "hello.wav"}, "ringback", ("sounds_dir",)),
        ({"QUICKCALL_HOLD_MUSIC": "tone:5/1"}, "hold_music", ("3900 Hz",)),
        ({"QUICKCALL_ANNOUNCEMENTS": "SUN=de"}, "announcements", ("'SUN'", "USER_BUSY")),
        ({"QUICKCALL_ANNOUNCEMENTS": "de"}, "announcements", ("CAUSE=SOUND",)),
        ({"QUICKCALL_MAX_LEG": "7"}, "max_leg", ("max_legs",)),
    ],
)
def test_a_bad_value_is_named(
    environment: dict[str, str], field: str, parts: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, environment)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field} = ")
    for part in parts:
        assert part in str(caught.value)


def test_the_source_of_a_bad_value_is_named(tmp_path: Path) -> None:
    path = toml(tmp_path, "max_legs = 0\n")
    with pytest.raises(ConfigError, match=r"max_legs = 0 \(from .*quickcall\.toml\)"):
        load_config(path, {})
    with pytest.raises(ConfigError, match="from the environment"):
        load_config(None, {"QUICKCALL_MAX_LEGS": "0"})


def test_a_file_has_types(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="http_port = '8000'"):
        load_config(toml(tmp_path, 'http_port = "8000"\n'), {})


@pytest.mark.parametrize("text", ["http_port = = 1", "\xff"])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "quickcall.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="a TOML file"):
        load_config(path, {})
    with pytest.raises(ConfigError, match="a readable file"):
        load_config(tmp_path / "missing.toml", {})


def test_embedding_code_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="http_port = 70000"):
        EngineConfig(http_port=70000)
    with pytest.raises(ConfigError, match="codecs"):
        EngineConfig(codecs=())


def test_secrets_are_in_no_text() -> None:
    config = EngineConfig(tokens={"secret-token": "*"}, database="postgresql+asyncpg://u:pw@h/d")
    assert "secret-token" not in repr(config)
    assert "pw" not in repr(config)
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"QUICKCALL_TOKENS": "secret-token"})
    assert "secret-token" not in str(caught.value)


@pytest.mark.parametrize("text", ["udp:::1:5060", "udp:[::1]", "udp:host:65536", "udp::1", ""])
def test_a_listener_is_three_parts(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_listener(text)


def test_the_page_describes_every_field() -> None:
    page = config_markdown()
    for name in EngineConfig.__struct_fields__:
        assert f"## `{name}`" in page
        assert f"QUICKCALL_{name.upper()}" in page


def test_the_page_in_docs_is_current() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == config_markdown()
