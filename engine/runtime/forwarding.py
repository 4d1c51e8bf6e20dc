"""Call forward: whom a call rings instead of a device, or besides it.

The number is dialled as if the forwarding device dialled it: through its dial plan, its
restrictions and the blocklists of the account. What answers there is never forwarded again, so two
devices that forward to each other end no call in a circle. The devices of a user that all forward
to one number do so once.
"""

from __future__ import annotations

from msgspec.structs import replace

from engine.core.attempts import RESOURCE
from engine.core.identity import diversion
from engine.core.values import CallerId, Endpoint
from engine.store.documents import CallForward, Device, User


def forward_of(device: Device, owner: User | None) -> CallForward | None:
    """Return the call forward that counts: the device's, else its owner's, None when none does."""
    if device.call_forward.enabled:
        return device.call_forward
    return owner.call_forward if owner is not None and owner.call_forward.enabled else None


def forwarded(
    away_from: Endpoint, forward: CallForward, own: CallerId, found: tuple[Endpoint, ...]
) -> tuple[Endpoint, ...]:
    """Return the endpoints where a call goes on: devices that all ring, or a carrier.

    `away_from` is the device that forwards, `own` its caller id, `found` where its number leads.
    Further carriers stand behind the first. `found` empty: nobody may be reached, which is told by
    an endpoint without contacts when the device does not ring either.
    """
    if not found:
        if not forward.substitute:
            return ()
        return (replace(away_from, contacts=(), forwarded_by=away_from.id),)
    by = own.number or away_from.user
    ways = [
        replace(
            endpoint,
            diversions=(diversion(by, away_from.realm, "unconditional"),),
            forwarded_by=away_from.id,
            shown=None if forward.keep_caller_id else own,
            ignore_early_media=forward.ignore_early_media,
        )
        for endpoint in found
    ]
    if ways[0].kind != RESOURCE:
        return tuple(ways)
    # Whoever is dialled then sees who forwarded, not the carrier.
    carriers = [
        replace(way, caller_id=away_from.caller_id, owner_id=away_from.owner_id) for way in ways
    ]
    return (replace(carriers[0], fallbacks=tuple(carriers[1:])),)
