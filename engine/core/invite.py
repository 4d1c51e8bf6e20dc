"""What goes into an INVITE: Request-URI, route, identity and headers for one target.

Every value that reaches a header is checked here, whatever was checked before: these are the last
Python lines it passes.
"""

from __future__ import annotations

import re

from engine.core.attempts import RESOURCE, Target
from engine.core.auto_answer import auto_answer_headers
from engine.core.commands import Dial
from engine.core.errors import RequestInvalid
from engine.core.formats import INVITE_FORMATS, NUMBER_FORMATS
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
from engine.core.values import CallerId, LegId, OriginateRequest

_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")

_OWN_HEADERS = frozenset(
    [
        *("via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "route", "path"),
        *("record-route", "content-length", "content-type", "content-encoding", "expires"),
        *("authorization", "proxy-authorization", "require", "proxy-require"),
        *("session-expires", "min-se", "f", "t", "i", "m", "v", "l", "c", "e", "k", "x"),
    ]
)
"""Headers that the stack writes, long and compact; a device's custom headers may not name them."""


def check_request(request: OriginateRequest, number: str) -> None:
    """Check what a request itself puts into headers. Raises `RequestInvalid` naming the field."""
    _user("number", number)
    header_text("cid_name", request.cid_name or "")
    header_text("cid_number", request.cid_number or "")
    if request.call_id:
        call_id_text("call_id", request.call_id)


def dial_device(
    leg: LegId,
    call_id: str,
    target: Target,
    number: str,
    caller_id: CallerId,
    settings: CallSettings,
    *,
    auto_answer: bool = False,
    codec_of: LegId | None = None,
    from_realm: str = "",
) -> Dial:
    """Return the INVITE for one contact of a device.

    `number` is the dialled number, put into the Request-URI by the number formats. `from_realm` is
    the host in From, empty: the realm of the device. Raises `RequestInvalid` naming the field that
    may not reach the wire.
    """
    endpoint, contact = target.endpoint, target.contact
    uri = parse_uri("endpoint.contact", contact.uri)
    realm = host_text("endpoint.realm", endpoint.realm or settings.host)
    invite_format = _invite_format(endpoint.invite_format)
    if invite_format in ("contact", "route"):
        request_uri, moved = contact.uri.partition("?")[0], False
    else:
        convert = NUMBER_FORMATS.get(invite_format)
        user = endpoint.user if convert is None else convert(number)
        request_uri, moved = sip_uri(_user("endpoint.user", user), realm), True
    headers: list[tuple[str, str]] = []
    if endpoint.aor:
        headers.append(("X-KAZOO-AOR", sip_uri(header_text("endpoint.user", endpoint.user), realm)))
    headers.append(("X-KAZOO-INVITE-FORMAT", invite_format))
    if auto_answer:
        headers += auto_answer_headers(settings.host)
    from_uri = _identity(caller_id, from_realm or realm, headers)
    to_user = endpoint.user or uri.user
    return Dial(
        leg,
        call_id,
        request_uri,
        name_addr("", sip_uri(header_text("endpoint.user", to_user), realm)),
        from_uri,
        *_way(target, uri, moved),
        _merged(headers, endpoint.headers),
        endpoint.codecs or settings.codecs,
        codec_of,
        endpoint.credentials,
    )


def dial_carrier(
    leg: LegId,
    call_id: str,
    target: Target,
    number: str,
    caller_id: CallerId,
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
    headers: list[tuple[str, str]] = []
    realm = host_text("endpoint.realm", endpoint.realm or settings.host)
    from_uri = _identity(caller_id, realm, headers)
    uri = sip_uri(user, gateway.address, gateway.parameters)
    return Dial(
        leg,
        call_id,
        uri if gateway.scheme == "sip" else f"sips:{uri[4:]}",
        name_addr("", sip_uri(user, gateway.address)),
        from_uri,
        *_way(target, gateway, False),
        _merged(headers, endpoint.headers),
        endpoint.codecs or settings.codecs,
        codec_of,
        endpoint.credentials,
    )


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


def _identity(caller_id: CallerId, realm: str, headers: list[tuple[str, str]]) -> str:
    """Return From, and add Remote-Party-ID as Kazoo's profiles send it (caller-id-type rpid)."""
    name = header_text("cid_name", caller_id.name)
    from_uri = name_addr(name, sip_uri(header_text("cid_number", caller_id.number), realm))
    headers.append(("Remote-Party-ID", f"{from_uri};party=calling;screen=yes;privacy=off"))
    return from_uri


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


def _merged(
    ours: list[tuple[str, str]], custom: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """A device's own header replaces ours of the same name: so a phone gets what it wants."""
    if not custom:
        return tuple(ours)
    for name, value in custom:
        header_text("endpoint.headers", name)
        if _TOKEN.fullmatch(name) is None or name.lower() in _OWN_HEADERS:
            allowed = "a header name that the SIP stack does not write itself"
            raise RequestInvalid("endpoint.headers", name, allowed, "propertyNames")
        header_text(f"endpoint.headers.{name}", value)
    replaced = {name.lower() for name, _ in custom}
    return (*(pair for pair in ours if pair[0].lower() not in replaced), *custom)
