"""The file that says what makes each make of phone answer by itself."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from engine.config_values import ConfigError
from engine.core.auto_answer import PhoneProfile, PhoneProfiles
from engine.core.errors import RequestInvalid
from engine.core.headers import check_name
from engine.core.uri import header_text

PACKAGED = Path(__file__).with_name("phone_profiles.toml")
"""The profiles that come with the engine."""

FIELD = "phone_profiles"
"""The field of the configuration that names another file."""


class _Phone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[phone]]`."""

    name: str
    user_agents: tuple[str, ...]
    headers: dict[str, str]
    intercom: bool = False
    talk: bool = False


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    phone: tuple[_Phone, ...] = ()


def read_phone_profiles(path: str = "") -> PhoneProfiles:
    """Read the profiles of a TOML file, of the packaged one when `path` is empty.

    Raises `ConfigError` saying what is wrong in it.
    """
    file = Path(path) if path else PACKAGED
    try:
        found = msgspec.toml.decode(file.read_bytes(), type=_File)
    except OSError as error:
        raise ConfigError(FIELD, str(file), f"a readable file ({error.strerror})") from error
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(FIELD, str(file), f"a file of phone profiles ({error})") from error
    return PhoneProfiles(_profile(phone, file) for phone in found.phone)


def _profile(phone: _Phone, file: Path) -> PhoneProfile:
    try:
        for name, value in phone.headers.items():
            header_text(name, value)
            # Supported may be said twice (RFC 3261 7.3.1), and RFC 5373 has a word for it.
            if name.lower() != "supported":
                check_name("headers", name)
        if not phone.user_agents or not all(phone.user_agents):
            raise RequestInvalid("user_agents", phone.user_agents, "beginnings of a User-Agent")
    except RequestInvalid as error:
        allowed = f"a file of phone profiles ({phone.name}: {error})"
        raise ConfigError(FIELD, str(file), allowed) from error
    return PhoneProfile(
        phone.name, phone.user_agents, tuple(phone.headers.items()), phone.intercom, phone.talk
    )
