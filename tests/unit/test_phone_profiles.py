"""The file of phone profiles: the packaged one, and what a broken one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config_values import ConfigError
from engine.core.auto_answer import DEFAULT_PROFILE
from engine.runtime.phone_profiles import read_phone_profiles

GOOD = '[[phone]]\nname = "X"\nuser_agents = ["X/"]\nheaders = { Answer-Mode = "Auto" }\n'


@pytest.mark.parametrize(
    ("user_agent", "name", "header"),
    [
        ("Yealink SIP-T46S 66.85.0.5", "Yealink", "Call-Info"),
        ("PolycomVVX-VVX_411-UA/5.9", "Poly", "Alert-Info"),
        ("snomD785/10.1.54.13", "Snom", "Alert-Info"),
        ("Grandstream GXP2170 1.0.9", "Grandstream", "Call-Info"),
        ("Cisco-CP-8851-3PCC/11", "Cisco", "Call-Info"),
        ("AUDC-IPPhone/2.2", "AudioCodes", "Call-Info"),
        ("Sangoma P330", "Digium and Sangoma P", "Alert-Info"),
        ("baresip v1.0.0 (x86_64)", "baresip", "Call-Info"),
        ("Linphone-Desktop/5.0", "Linphone", "Call-Info"),
        ("MicroSIP/3.21", "MicroSIP", "X-AUTOANSWER"),
    ],
)
def test_phones_are_known_by_what_they_register_with(
    user_agent: str, name: str, header: str
) -> None:
    profile = read_phone_profiles().of(user_agent)
    assert profile.name == name
    assert header in dict(profile.headers)
    assert ";require" not in str(profile.headers)


def test_another_file_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "phones.toml"
    path.write_text(GOOD)
    phones = read_phone_profiles(str(path))
    assert phones.of("x/1").headers == (("Answer-Mode", "Auto"),)
    assert phones.of("Yealink SIP-T46S") is DEFAULT_PROFILE
    path.write_text("")
    assert read_phone_profiles(str(path)).of("x/1") is DEFAULT_PROFILE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[phone]", "TOML|Expected"),
        (GOOD.replace('"X"', "7"), "Expected `str`"),
        (GOOD + "beep = true\n", "unknown field `beep`"),
        (GOOD.replace('"X/"', '""'), "X: user_agents"),
        (GOOD.replace("Answer-Mode", "Via"), "X: headers: 'Via'"),
        (GOOD.replace("Auto", "Au\\nto"), "X: Answer-Mode"),
    ],
)
def test_a_broken_file_says_where(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "phones.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=why) as caught:
        read_phone_profiles(str(path))
    assert caught.value.field == "phone_profiles"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a readable file"):
        read_phone_profiles(str(tmp_path / "none.toml"))
