"""Who decides whether media are encrypted: device, account, gateway, configuration."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.media_values import DtmfMethod, Encryption, MediaPolicy
from engine.runtime.media_policy import device_media, gateway_media
from engine.store.document_rules import read_document
from engine.store.documents import Account, Device, Resource

OFF, OPTIONAL, MANDATORY = Encryption.OFF, Encryption.OPTIONAL, Encryption.MANDATORY

SRTP = {"methods": ["srtp"]}
ENFORCED = {"methods": ["srtp"], "enforce_security": True}


def device_policy(
    device: dict[str, Any], account: dict[str, Any] | None = None, default: Encryption = OFF
) -> MediaPolicy:
    """Return the policy of a device with these media settings in an account with those."""
    tenant, _ = read_document("account", {"name": "A", "realm": "a", "media": account or {}}, "a")
    phone, _ = read_document("device", {"media": device}, "d")
    assert isinstance(tenant, Account)
    assert isinstance(phone, Device)
    return device_media(tenant, phone, default)


@pytest.mark.parametrize(
    ("device", "account", "default", "expected"),
    [
        ({}, {}, OFF, OFF),
        ({}, {}, OPTIONAL, OPTIONAL),
        ({}, {}, MANDATORY, MANDATORY),
        (SRTP, {}, OFF, OPTIONAL),
        (SRTP, {}, MANDATORY, OPTIONAL),
        (ENFORCED, {}, OFF, MANDATORY),
        ({"methods": ["srtp", "zrtp"]}, {}, OFF, OPTIONAL),
        ({"methods": []}, ENFORCED, MANDATORY, OFF),
        ({}, SRTP, OFF, OPTIONAL),
        ({}, ENFORCED, OFF, MANDATORY),
        ({"enforce_security": False}, ENFORCED, OFF, OPTIONAL),
        ({"enforce_security": True}, SRTP, OFF, MANDATORY),
        ({"enforce_security": True}, {}, OFF, OFF),
        ({"enforce_security": True}, {}, OPTIONAL, MANDATORY),
    ],
)
def test_the_first_that_says_something_counts(
    device: dict[str, Any], account: dict[str, Any], default: Encryption, expected: Encryption
) -> None:
    policy = device_policy({"encryption": device}, {"encryption": account}, default)
    assert policy.encryption is expected


def test_suites_come_from_the_device_then_its_account() -> None:
    long, short = ["AES_CM_128_HMAC_SHA1_80"], ["AES_CM_128_HMAC_SHA1_32"]
    account = {"encryption": {"suites": long}}
    assert device_policy({}, account).suites == tuple(long)
    assert device_policy({"encryption": {"suites": short}}, account).suites == tuple(short)
    assert device_policy({}).suites == ()


def test_a_device_says_how_else_its_media_are() -> None:
    assert device_policy({}) == MediaPolicy()
    said = {"webrtc": True, "dtmf": "info", "inherit_codec": True, "bypass_media": True}
    assert device_policy(said) == MediaPolicy(
        webrtc=True, dtmf=DtmfMethod.INFO, inherit_codec=True, bypass=True
    )
    assert not device_policy({"bypass_media": "auto"}).bypass


@pytest.mark.parametrize(
    ("said", "default", "expected"),
    [({}, OFF, OFF), ({}, OPTIONAL, OPTIONAL), (SRTP, OFF, OPTIONAL), (ENFORCED, OFF, MANDATORY)],
)
def test_a_gateway_speaks_for_itself(
    said: dict[str, Any], default: Encryption, expected: Encryption
) -> None:
    media = {"encryption": said, "dtmf": "inband"}
    raw = {"name": "R", "gateways": [{"server": "carrier.test", "media": media}]}
    resource, _ = read_document("resource", raw, "r")
    assert isinstance(resource, Resource)
    policy = gateway_media(resource.gateways[0], default)
    assert (policy.encryption, policy.dtmf) == (expected, DtmfMethod.INBAND)
