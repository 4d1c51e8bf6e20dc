"""Where a configuration comes from, a TOML file and the environment, and its page in docs/."""

from __future__ import annotations

import ast
import inspect
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.config import FIELDS, EngineConfig, allowed_words, default_of
from engine.config_values import ConfigError

ENVIRONMENT_PREFIX = "QUICKCALL_"
"""Prefix of the environment variables that set fields."""

CLIENT_VARIABLES = frozenset(
    {"QUICKCALL_URL", "QUICKCALL_TOKEN", "QUICKCALL_ACCOUNT", "QUICKCALL_PHONE_PASSWORD"}
)
"""Variables of the client commands (`call`, `phone`), which are no fields of an engine."""


def load_config(
    path: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    **overrides: object,
) -> EngineConfig:
    """Build a config: defaults, then the TOML file, then the environment, then `overrides`.

    `path` None reads no file; `environment` None reads the process environment. Overrides of None
    count as not given. Raises `ConfigError` naming the field, its value, what is allowed and the
    source.
    """
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    layers = [
        (_from_file(path), str(path)),
        (_from_environment(os.environ if environment is None else environment), "the environment"),
        (
            {name: value for name, value in overrides.items() if value is not None},
            "the command line",
        ),
    ]
    for layer, source in layers:
        for name, value in layer.items():
            if name not in EngineConfig.__struct_fields__:
                raise ConfigError(
                    name,
                    value,
                    f"one of {', '.join(sorted(EngineConfig.__struct_fields__))}",
                    source,
                )
            values[name] = value
            sources[name] = source
    return _convert(values, sources)


def config_markdown() -> str:
    """Return docs/configuration.md, made from the fields and their docstrings."""
    lines = [
        "# Configuration",
        "",
        "Made from `engine/config.py` by its `config_markdown`; do not edit.",
        "",
        "An engine reads its configuration from the defaults, then a TOML file (`quickcall serve",
        "--config FILE`), then the environment; the later wins. An unknown key or a bad value",
        "stops the start with a sentence that names the field, the value and what is allowed.",
        "",
        "Lists are written in the environment with commas",
        "(`QUICKCALL_CODECS=PCMU/8000,PCMA/8000`), the port range with a hyphen",
        "(`QUICKCALL_RTP_PORTS=20000-29999`).",
        "",
    ]
    docs = _field_docs()
    for name in EngineConfig.__struct_fields__:
        lines += [
            f"## `{name}`",
            "",
            docs[name],
            "",
            f"* environment: `{ENVIRONMENT_PREFIX}{name.upper()}`",
            f"* default: `{_toml(default_of(name))}`",
            f"* allowed: {allowed_words(name)}",
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _from_file(path: str | Path | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("config", str(path), f"a readable file ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("config", str(path), f"a TOML file ({error})") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, text in environment.items():
        if key.startswith(ENVIRONMENT_PREFIX) and key not in CLIENT_VARIABLES:
            name = key[len(ENVIRONMENT_PREFIX) :].lower()
            values[name] = _from_text(name, text)
    return values


def _from_text(name: str, text: str) -> object:
    if name in {"sip_listeners", "codecs", "dns_servers"}:
        return [part.strip() for part in text.split(",") if part.strip()]
    if name == "rtp_ports":
        return text.split("-")
    if name == "tokens":
        return _pairs(name, text, ",", "TOKEN=ACCOUNT pairs separated by commas")
    if name == "announcements":
        return _pairs(name, text, ";", "CAUSE=SOUND pairs separated by semicolons")
    return text


def _pairs(name: str, text: str, separator: str, allowed: str) -> dict[str, str]:
    pairs = [part.strip().rpartition("=") for part in text.split(separator) if part.strip()]
    if not all(key and value for key, _, value in pairs):
        raise ConfigError(name, text, allowed, "the environment")
    return {key: value for key, _, value in pairs}


def _convert(values: dict[str, object], sources: dict[str, str]) -> EngineConfig:
    checked: dict[str, Any] = {}
    for name, value in values.items():
        # Text from the environment or the command line may stand for a number; a file has types.
        lax = sources[name] in {"the environment", "the command line"}
        try:
            checked[name] = msgspec.convert(value, type=FIELDS[name].type, strict=not lax)
        except msgspec.ValidationError as error:
            raise ConfigError(
                name, value, f"{allowed_words(name)} ({error})", sources[name]
            ) from error
    try:
        return EngineConfig(**checked)
    except ConfigError as error:
        source = sources.get(error.field, "")
        raise ConfigError(error.field, checked.get(error.field), error.allowed, source) from error


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value)


def _field_docs() -> dict[str, str]:
    """Read the string under each field, which Python itself does not keep."""
    body = ast.parse(inspect.getsource(EngineConfig)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(below.value, ast.Constant)
            docs[field.target.id] = " ".join(str(below.value.value).split())
    return docs
