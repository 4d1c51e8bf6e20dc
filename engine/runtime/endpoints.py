"""From one document to one endpoint: what a device or a gateway says, in the words of the core."""

from __future__ import annotations

import re

from engine.core.media_values import Encryption
from engine.core.uri import sip_uri
from engine.core.values import CallerId, Contact, Credentials, Endpoint
from engine.runtime.media_policy import device_media, gateway_media
from engine.runtime.plans import Offer
from engine.store.documents import Account, CallerIds, Device

# Kazoo's `reconcilable`: numbers of the outside world, as against extensions (knm_converter_regex).
_OUTSIDE = re.compile(r"(\+?1)?\d{10}|\+[2-9]\d{7,}|011\d*|00\d*", re.ASCII)


def device_endpoint(
    account: Account,
    device: Device,
    realm: str,
    contacts: tuple[Contact, ...],
    number: str,
    outbound_proxy: str,
    encryption: Encryption,
) -> Endpoint:
    """Return a device as an endpoint.

    `contacts` are the static ones and the bindings here. A device without any is asked for by its
    AOR at whoever stands in front of it: `sip.forward`, `sip.proxy`, or the engine's
    `outbound_proxy`. `number` is the dialled one and chooses the caller id. `encryption` is that of
    devices that say nothing, and their account neither.
    """
    sip, media = device.sip, device.media
    proxy = sip.forward or sip.proxy or outbound_proxy
    return Endpoint(
        id=device.id,
        kind="device",
        contacts=behind_proxy(contacts, sip.invite_format, proxy, sip.username, realm),
        user=sip.username,
        realm=realm,
        owner_id=device.owner_id,
        invite_format=sip.invite_format,
        codecs=media.audio.codecs or account.media.audio.codecs,
        headers=sip.invite_headers(),
        caller_id=caller_id(device.caller_id, number),
        number=sip.number,
        ignore_early_media=media.ignore_early_media,
        progress_timeout=_seconds(media.progress_timeout),
        ignore_completed_elsewhere=sip.ignore_completed_elsewhere,
        proxy=proxy,
        request_user=sip.static_invite or sip.static_route,
        may_auto_answer=account.allow_auto_answer,
        media=device_media(account, device, encryption),
    )


def behind_proxy(
    contacts: tuple[Contact, ...], invite_format: str, proxy: str, user: str, realm: str
) -> tuple[Contact, ...]:
    """Return where a device is reached: its contacts, or with none its AOR at the proxy, if any.

    The proxy knows where it is, and asks its location service for X-KAZOO-AOR.
    """
    if proxy and user and (not contacts or invite_format == "forward"):
        return (Contact(uri=sip_uri(user, realm)),)
    return contacts


def carrier_endpoint(offer: Offer, outbound_proxy: str, encryption: Encryption) -> Endpoint:
    """Return a gateway, asked for a number, as an endpoint.

    `encryption` is that of gateways that say nothing.
    """
    resource, gateway = offer.to.resource, offer.to.gateway
    address = f"{gateway.server}:{gateway.port}" if gateway.port else gateway.server
    parameters = "" if gateway.transport == "udp" else f";transport={gateway.transport}"
    credentials = None
    if gateway.username:
        credentials = Credentials(gateway.username, gateway.password, gateway.realm or "*")
    return Endpoint(
        id=resource.id,
        kind="resource",
        contacts=(Contact(uri=sip_uri(offer.number, address, parameters)),),
        realm=gateway.realm,
        invite_format=gateway.invite_format,
        codecs=gateway.codecs,
        headers=tuple(gateway.custom_sip_headers.items()),
        credentials=credentials,
        number=offer.number,
        progress_timeout=_seconds(gateway.progress_timeout),
        proxy=gateway.proxy or outbound_proxy,
        cid_type=gateway.sip_cid_type,
        media=gateway_media(gateway, encryption),
        limits=offer.to.limits,
    )


def caller_id(ids: CallerIds, number: str) -> CallerId:
    """Choose as Kazoo does: external toward the outside world, internal in the account."""
    outside = _OUTSIDE.fullmatch(number) is not None
    chosen, other = (ids.external, ids.internal) if outside else (ids.internal, ids.external)
    return CallerId(chosen.name or other.name, chosen.number or other.number)


def first_caller_id(candidates: list[CallerIds], number: str) -> CallerId:
    """Return the first caller id with a number, without any the first."""
    chosen = [caller_id(ids, number) for ids in candidates]
    return next((found for found in chosen if found.number), chosen[0])


def _seconds(value: int | None) -> float | None:
    return None if value is None else float(value)
