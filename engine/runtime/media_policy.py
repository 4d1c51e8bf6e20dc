"""What an endpoint wants of its media, from the documents that have a say in it."""

from __future__ import annotations

from engine.core.media_values import Encryption, MediaPolicy
from engine.store.documents import Account, Device, Gateway, MediaEncryption


def device_media(account: Account, device: Device, default: Encryption) -> MediaPolicy:
    """Return what a device says, then its account, then the configuration (`default`)."""
    media = device.media
    return MediaPolicy(
        *_encryption((media.encryption, account.media.encryption), default),
        webrtc=media.webrtc,
        dtmf=media.dtmf,
        inherit_codec=media.inherit_codec,
        bypass=media.bypass_media is True,
    )


def gateway_media(gateway: Gateway, default: Encryption) -> MediaPolicy:
    """Return what a gateway says, then the configuration (`default`)."""
    media = gateway.media
    return MediaPolicy(
        *_encryption((media.encryption,), default),
        dtmf=media.dtmf,
        inherit_codec=media.inherit_codec,
    )


def _encryption(
    said: tuple[MediaEncryption, ...], default: Encryption
) -> tuple[Encryption, tuple[str, ...]]:
    """Return policy and suites; of each field the first that says something counts."""
    methods = next((one.methods for one in said if one.methods is not None), None)
    enforced = next(
        (one.enforce_security for one in said if one.enforce_security is not None), None
    )
    suites = next((one.suites for one in said if one.suites is not None), ())
    if methods is None:
        # To enforce what nobody has chosen is to enforce what the configuration chose.
        wanted = default
        if enforced and wanted is Encryption.OPTIONAL:
            wanted = Encryption.MANDATORY
    elif not methods:
        wanted = Encryption.OFF
    else:
        wanted = Encryption.MANDATORY if enforced else Encryption.OPTIONAL
    return wanted, suites
