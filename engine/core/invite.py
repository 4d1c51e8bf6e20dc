"""What goes into an INVITE: Request-URI, route, identity and headers for one target.

Every value that reaches a header is checked here, whatever was checked before: these are the last
Python lines it passes.
"""

from __future__ import annotations

from engine.core.attempts import RESOURCE, Target
from engine.core.auto_answer import NOT_ASKED, AutoAnswer, check_delay
from engine.core.commands import Dial
from engine.core.errors import RequestInvalid
from engine.core.formats import AS_REACHED, INVITE_FORMATS, NUMBER_FORMATS
from engine.core.headers import Headers, check_headers, check_request_headers, merged
from engine.core.identity import Identity, identity_of
from engine.core.settings import CallSettings
from engine.core.uri import (
    MAX_URI,
    SipUri,
    call_id_text,
    header_text,
    host_text,
    is_loose,
    name_addr,
    next_hop_of,
    parse_uri,
    proxy_uri,
    sip_uri,
)
from engine.core.values import Application, Endpoint, LegId, OriginateRequest


def check_request(request: OriginateRequest, number: str) -> None:
    """Check what a request itself puts into headers. Raises `RequestInvalid` naming the field."""
    if number or request.application is Application.TRANSFER:
        _user("number", number)
    header_text("cid_name", request.cid_name or "")
    header_text("cid_number", request.cid_number or "")
    for call_id in request.chosen_call_ids:
        call_id_text("call_id", call_id)
    check_request_headers("headers", request.headers)
    check_delay("answer_after", request.answer_after)


def dial_device(
    leg: LegId,
    call_id: str,
    target: Target,
    number: str,
    identity: Identity,
    settings: CallSettings,
    *,
    auto_answer: AutoAnswer = NOT_ASKED,
    headers: Headers = (),
    from_realm: str = "",
    codec_of: LegId | None = None,
) -> Dial:
    """Return the INVITE for one contact of a device.

    `number` is the dialled number, put into the Request-URI by the number formats; `headers` are
    the custom ones of the request, which go before those of the device; `from_realm` is the host in
    From, empty: the realm of the device. Raises `RequestInvalid` naming the field that may not
    reach the wire.
    """
    endpoint, contact = target.endpoint, target.contact
    uri = parse_uri("endpoint.contact", contact.uri)
    realm = host_text("endpoint.realm", endpoint.realm or settings.host)
    invite_format = _invite_format(endpoint.invite_format)
    aor = sip_uri(header_text("endpoint.user", endpoint.user or uri.user), realm)
    moved = invite_format not in AS_REACHED
    if moved:
        convert = NUMBER_FORMATS.get(invite_format)
        user = (endpoint.request_user or endpoint.user) if convert is None else convert(number)
        # As from FreeSWITCH, To says what the Request-URI says; a contact has no place in it.
        request_uri = to_uri = sip_uri(_user("endpoint.user", user), realm)
    else:
        request_uri, to_uri = contact.uri.partition("?")[0], aor
    if auto_answer.profile is not None and auto_answer.profile.intercom:
        request_uri += ";intercom=true"
    kazoo = (("X-KAZOO-AOR", aor),) if endpoint.aor else ()
    from_uri, about = identity_of(identity, from_realm or realm, endpoint.cid_type, trusted=False)
    ours = (
        *kazoo,
        ("X-KAZOO-INVITE-FORMAT", invite_format),
        *auto_answer.headers(settings.host),
        *about,
        *_diversions(target),
    )
    return Dial(
        leg,
        call_id,
        request_uri,
        name_addr("", to_uri),
        from_uri,
        *_way(target, uri, moved),
        merged(ours, _custom(target), headers),
        endpoint.codecs or settings.codecs,
        codec_of,
        endpoint.credentials,
        other_codecs=_offers_others(endpoint, settings),
        media=endpoint.media,
    )


def dial_carrier(
    leg: LegId,
    call_id: str,
    target: Target,
    number: str,
    identity: Identity,
    settings: CallSettings,
    *,
    codec_of: LegId | None = None,
) -> Dial:
    """Return the INVITE that asks a carrier for `number`: its contact with the number as user part.

    Raises `RequestInvalid` naming the field that may not reach the wire.
    """
    endpoint, contact = target.endpoint, target.contact
    gateway = parse_uri("endpoint.contact", contact.uri)
    convert = NUMBER_FORMATS.get(_invite_format(endpoint.invite_format))
    user = _user("number", number if convert is None else convert(number))
    realm = host_text("endpoint.realm", endpoint.realm or settings.host)
    from_uri, about = identity_of(identity, realm, endpoint.cid_type, trusted=True)
    uri = sip_uri(user, gateway.address, gateway.parameters)
    return Dial(
        leg,
        call_id,
        uri if gateway.scheme == "sip" else f"sips:{uri[4:]}",
        name_addr("", sip_uri(user, gateway.address)),
        from_uri,
        *_way(target, gateway, False),
        merged((*about, *_diversions(target)), _custom(target)),
        endpoint.codecs or settings.codecs,
        codec_of,
        endpoint.credentials,
        other_codecs=_offers_others(endpoint, settings),
        media=endpoint.media,
        limits=endpoint.limits,
    )


def _offers_others(endpoint: Endpoint, settings: CallSettings) -> bool:
    """Whether the dialled side is offered more than what the answered device uses."""
    return settings.transcoding and not endpoint.media.inherit_codec


def is_carrier(target: Target) -> bool:
    """Return whether the target is a carrier and not a device."""
    return target.endpoint.kind == RESOURCE


def _invite_format(value: str) -> str:
    if value not in INVITE_FORMATS:
        allowed = ", ".join(sorted(INVITE_FORMATS))
        raise RequestInvalid("endpoint.invite_format", value, allowed, "enum")
    return value


def _user(field: str, value: str) -> str:
    if not value:
        raise RequestInvalid(field, value, "at least 1 character", "minLength")
    return header_text(field, value)


def _diversions(target: Target) -> Headers:
    """Who sent the call here (RFC 5806)."""
    return tuple(
        ("Diversion", header_text("endpoint.diversions", value, MAX_URI))
        for value in target.endpoint.diversions
    )


def _custom(target: Target) -> Headers:
    """Headers of the device or gateway itself: so a phone gets what it wants."""
    headers = target.endpoint.headers
    if headers:
        check_headers("endpoint.headers", headers)
    return headers


def _way(target: Target, uri: SipUri, moved: bool) -> tuple[str, tuple[str, ...]]:
    """Return next hop and route set of an INVITE, both empty when the Request-URI says the way.

    The outbound proxy comes first, then the Path of the REGISTER (RFC 3327), and without either the
    source of the REGISTER, where a phone behind NAT is reached. A proxy with `;lr` is put into
    Route (RFC 3261 8.1.2); one without is sent the request as it is, as Kazoo does with fs_path.
    """
    contact = target.contact
    routes = tuple(header_text("endpoint.path", hop, MAX_URI) for hop in contact.path)
    if target.endpoint.proxy:
        written = proxy_uri("endpoint.proxy", target.endpoint.proxy)
        proxy = parse_uri("endpoint.proxy", written)
        if is_loose(proxy):
            return "", (f"<{written}>", *routes)
        return next_hop_of(proxy), routes
    if routes:
        return "", routes
    if contact.received:
        return next_hop_of(parse_uri("endpoint.received", contact.received)), ()
    return (next_hop_of(uri) if moved else ""), ()
