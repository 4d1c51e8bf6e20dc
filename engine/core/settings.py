"""Settings of call control. One frozen value, given at construction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from engine.core.auto_answer import PhoneProfiles
from engine.core.causes import RemoteReason

Redirects = Literal["follow", "fork", "refuse"]
"""Policies for 3xx answers."""

DISPLAY_NAME = "Device QuickCall"
"""Caller id name the rung device shows when the request gives none (Kazoo's constant)."""


class CallSettings(msgspec.Struct, frozen=True):
    """Settings of call control. Raises `ValueError` naming the field that is out of bounds."""

    host: str
    """Public host of this engine: in Call-Info, and in From when an endpoint has no realm."""
    codecs: tuple[str, ...] = ()
    """Codecs offered to endpoints that name none; empty: the default set of the stack."""
    b_ring_s: float = 60.0
    """Seconds the dialled party may ring, more than 0; counted anew for each carrier of a hunt."""
    route_s: float = 5.0
    """Seconds the router may take to answer, more than 0."""
    cancel_guard_s: float = 40.0
    """Seconds a leg may take to end after its hang-up, more than 0: 64*T1 of a CANCEL or BYE
    that nobody answers (RFC 3261 17.1.2.2, 9.1) plus 8 s for the stack."""
    phones: PhoneProfiles = msgspec.field(default_factory=PhoneProfiles)
    """What makes phones answer by themselves."""
    redirects: Redirects = "follow"
    """What a 3xx does: `follow` tries its contacts one after the other, `fork` all at once,
    `refuse` none."""
    max_redirects: int = 5
    """Contacts of 3xx answers that are tried for one side of an originate, 0 or more."""
    max_attempts: int = 32
    """INVITEs at once for one side of an originate, 1 or more; further contacts, those of lowest
    q, are not tried."""
    max_call_s: float = 0.0
    """Seconds the two may talk when the request does not say, 0: for as long as they like. Then the
    call ends with ALLOTTED_TIMEOUT."""
    honour_remote_reason: RemoteReason = RemoteReason.BOTH
    """Which Reason headers of a peer decide the cause of an ending."""
    transcoding: bool = False
    """Whether the media plane translates between codecs; then the dialled side is offered all its
    codecs and not that of the answered device alone."""
    ringback: str = ""
    """Sound (as of `Play`) that the answered device hears while the other side rings, empty:
    none."""
    announcements: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Sounds played to who is left, by the cause of the other side's failure, before hanging up."""
    hold_music: str = ""
    """Sound that a leg hears while its call is on hold, empty: none."""

    def __post_init__(self) -> None:
        """Check the bounds."""
        for name in ("b_ring_s", "route_s", "cancel_guard_s"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"{name}: {getattr(self, name)!r} is not allowed; allowed: more than 0 s"
                )
        if self.max_redirects < 0:
            raise ValueError(
                f"max_redirects: {self.max_redirects!r} is not allowed; allowed: 0 or more"
            )
        if self.max_attempts < 1:
            raise ValueError(
                f"max_attempts: {self.max_attempts!r} is not allowed; allowed: 1 or more"
            )
        if not self.max_call_s >= 0:
            raise ValueError(
                f"max_call_s: {self.max_call_s!r} is not allowed; allowed: 0 s (no limit) or more"
            )
        if not self.host:
            raise ValueError("host: '' is not allowed; allowed: a host name or address")
