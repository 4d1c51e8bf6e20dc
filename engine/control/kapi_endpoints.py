"""Kazoo's endpoint objects (kapi_resource, kapi_dialplan) into endpoints of call control. Pure.

What ecallmgr makes a dial string of. An element that it would not ring is left out here too: one
without Invite-Format, one that was named before, and one whose answer would have to be confirmed by
a key, because nobody can be asked to press one. Which key does what: docs/amqp.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from engine.control.kapi_fields import DIVERSIONS, Fields
from engine.core.attempts import RESOURCE
from engine.core.errors import RequestInvalid
from engine.core.formats import NUMBER_FORMATS
from engine.core.media_values import Encryption, MediaPolicy
from engine.core.uri import (
    MAX_URI,
    call_id_text,
    host_text,
    parse_uri,
    proxy_uri,
    sip_uri,
)
from engine.core.values import CallerId, CidType, Contact, Credentials, Endpoint

MAX_ENDPOINTS = 128
"""Most elements of one `Endpoints` list."""

MAX_FAILOVERS = 4
"""Most endpoints that stand behind one another as `Failover`."""

_MAX_CODECS = 32
_MAX_DIVERSIONS = 8

INVITE_FORMATS = frozenset(
    {"username", "contact", "route", "forward", "loopback", "endpoint", *NUMBER_FORMATS}
)
"""Values of `Invite-Format`."""

NOT_CHANNEL_VARS = frozenset(
    {
        "Auto-Answer",
        "Auto-Answer-Suppress-Notify",
        "Caller-ID-Type",
        "Inherit-Codec",
        "Media-Encryption-Enforce-Security",
        "Media-Webrtc",
        "RTCP-MUX",
        "RTP-Secure-Media",
        "SIP-Invite-Domain",
    }
)
"""Channel variables that FreeSWITCH has variables of its own for: no event tells them."""

NO_ID = CallerId()
"""Nothing is said of a caller."""

_TRANSPORTS = frozenset({"udp", "tcp", "tls"})
_CID_TYPES: dict[str, CidType] = {"from": "none", "rpid": "rpid", "pid": "pid"}
_CID_WORDS = frozenset(_CID_TYPES)
_LOOPBACK = re.compile(r"loopback/([^/]+)(?:/.*)?")
_FS_PATH = re.compile(r";fs_path=([^;>\s]*)")
_SAME = ("Invite-Format", "To-User", "To-Realm", "To-DID", "Route", "Proxy-Zone", "Proxy-IP",
         "Endpoint-ID")  # fmt: skip
"""Keys by which ecallmgr takes two endpoints for one."""


class Given(msgspec.Struct, frozen=True):
    """What a message says for endpoints that do not say it themselves."""

    new_call_id: Callable[[], str]
    """Makes the Call-ID of an endpoint that brings none."""
    dialled: Callable[[str], tuple[Endpoint, ...]]
    """Where the dial plan leads a number that a `loopback` endpoint names."""
    caller_id: CallerId = NO_ID
    """Shown to the endpoints (`Outbound-Caller-ID-*`)."""
    callee_id: CallerId = NO_ID
    """Shown to whom they are connected to (`Outbound-Callee-ID-*`)."""
    cid_type: CidType = "rpid"
    auto_answer: bool = False
    """Every endpoint is asked to answer by itself."""


def endpoints(given: Given, elements: Iterable[tuple[str, object]]) -> tuple[Endpoint, ...]:
    """Return the endpoints of a list, its elements with their paths.

    Raises `RequestInvalid` naming the path of a value that is not allowed.
    """
    found: list[Endpoint] = []
    seen: set[tuple[str, ...]] = set()
    for path, element in elements:
        if not isinstance(element, dict):
            raise RequestInvalid(path, str(element)[:32], "an object", "type")
        fields = Fields(element, path)
        if not fields.has("Invite-Format"):
            continue
        key = tuple([str(element.get(name, "")) for name in _SAME])
        if key not in seen:
            seen.add(key)
            found += _endpoint(fields, given)
    return tuple(found)


def endpoint_list(fields: Fields, key: str, given: Given) -> tuple[Endpoint, ...]:
    """Return the endpoints of the list at a key. Raises `RequestInvalid`."""
    name = fields.name(key)
    items = fields.items(key, MAX_ENDPOINTS)
    return endpoints(given, ((f"{name}.{n}", item) for n, item in enumerate(items)))


def caller_id(fields: Fields, which: str, given: CallerId = NO_ID) -> CallerId:
    """Return `Outbound-<which>-ID-Name` and `-Number`. Raises `RequestInvalid`."""
    name = fields.text(f"Outbound-{which}-ID-Name", f"{which}-ID-Name")
    number = fields.text(f"Outbound-{which}-ID-Number", f"{which}-ID-Number")
    return CallerId(name or given.name, number or given.number)


def cid_type(fields: Fields, given: CidType) -> CidType:
    """Return how `Caller-ID-Type` wants the caller told. Raises `RequestInvalid`."""
    word = fields.one_of("Caller-ID-Type", _CID_WORDS)
    return _CID_TYPES[word] if word else given


def _endpoint(fields: Fields, given: Given, depth: int = 0) -> Iterator[Endpoint]:
    variables = fields.inner("Custom-Channel-Vars")
    if variables.has("Confirm-Key") or variables.has("Confirm-File"):
        return
    own = _own(fields, variables, given)
    invite_format = fields.one_of("Invite-Format", INVITE_FORMATS)
    route = fields.text("Route", limit=MAX_URI)
    loopback = _LOOPBACK.fullmatch(route)
    if loopback is not None or invite_format == "loopback":
        yield from _forwarded(own, given.dialled(loopback[1] if loopback else route))
        return
    rung = _reached(own, fields, "contact" if invite_format == "endpoint" else invite_format)
    behind = fields.inner("Failover")
    if behind.has("Invite-Format") and depth < MAX_FAILOVERS:
        rung = replace(rung, fallbacks=tuple(_endpoint(behind, given, depth + 1)))
    yield rung


def _own(fields: Fields, variables: Fields, given: Given) -> Endpoint:
    """Return what an element says of its endpoint, but where that is."""
    user = fields.text("To-Username", "To-User")
    realm = fields.text("To-Realm")
    if fields.has("Endpoint-URI"):
        # Version 5 names the address of record alone.
        uri = parse_uri(fields.name("Endpoint-URI"), _with_scheme(fields.text("Endpoint-URI")))
        user, realm = user or unquote(uri.user), realm or uri.address
    carrier = variables.text("Resource-ID")
    headers = fields.inner("Custom-SIP-Headers")
    credentials = None
    if fields.has("Auth-User"):
        login = (fields.text("Auth-User"), fields.text("Auth-Password"))
        credentials = Credentials(*login, fields.text("Auth-Realm") or "*")
    return Endpoint(
        id=carrier or fields.text("Endpoint-ID") or variables.text("Authorizing-ID") or user,
        kind=RESOURCE if carrier else "device",
        contacts=(),
        user="" if carrier else user,
        realm=host_text(fields.name("To-Realm"), realm) if realm else "",
        owner_id=variables.text("Owner-ID"),
        codecs=fields.texts("Codecs", _MAX_CODECS),
        headers=headers.headers(),
        credentials=credentials,
        caller_id=caller_id(fields, "Callee", given.callee_id),
        number=fields.text("To-DID"),
        ignore_early_media=fields.flag("Ignore-Early-Media"),
        delay=fields.seconds("Endpoint-Delay"),
        timeout=fields.seconds("Endpoint-Timeout") or None,
        progress_timeout=fields.seconds("Endpoint-Progress-Timeout") or None,
        ignore_completed_elsewhere=fields.flag("Ignore-Completed-Elsewhere"),
        diversions=headers.texts(DIVERSIONS, _MAX_DIVERSIONS),
        request_user=fields.text("To-User"),
        cid_type=cid_type(fields, given.cid_type),
        shown=_shown(fields, given),
        may_auto_answer=given.auto_answer or variables.true("Auto-Answer"),
        media=_media(fields, variables),
        call_id=_call_id(fields) or given.new_call_id(),
        channel_vars=_channel_vars(fields, variables),
    )


def _reached(own: Endpoint, fields: Fields, invite_format: str) -> Endpoint:
    """Return the endpoint with the address that its element names, if it names one.

    Without one it is rung where it is registered, or at its proxy.
    """
    uri, number = "", own.number
    route = fields.text("Route", limit=MAX_URI)
    if route and invite_format in ("route", "forward"):
        uri = _with_scheme(route)
        if own.kind == RESOURCE:
            number = unquote(parse_uri(fields.name("Route"), uri).user) or number
    elif address := fields.text("To-IP", limit=MAX_URI):
        uri = _with_scheme(address)
        if "@" not in uri:
            user = number or own.user or own.request_user or "kazoo"
            uri = sip_uri(user, uri.partition(":")[2])
    proxy = fields.text("Forward-IP", "Proxy-IP", limit=MAX_URI)
    if path := _FS_PATH.search(uri):
        uri, proxy = _FS_PATH.sub("", uri), proxy or unquote(path[1])
    if transport := fields.one_of("SIP-Transport", _TRANSPORTS):
        uri, proxy = _over(transport, uri), _over(transport, proxy)
    if uri:
        parse_uri(fields.name("Route" if route else "To-IP"), uri)
    return replace(
        own,
        invite_format=invite_format,
        number=number,
        contacts=(Contact(uri),) if uri else (),
        proxy=proxy_uri(fields.name("Proxy-IP"), proxy) if proxy else "",
    )


def _forwarded(own: Endpoint, found: tuple[Endpoint, ...]) -> Iterator[Endpoint]:
    """Yield where a dialled number leads, as whom a device forwards its calls to.

    Carriers stand behind one another.
    """
    ways = [
        replace(
            endpoint,
            forwarded_by=own.id,
            owner_id=own.owner_id,
            caller_id=own.caller_id,
            shown=own.shown,
            ignore_early_media=own.ignore_early_media,
            delay=own.delay,
            timeout=own.timeout,
            diversions=own.diversions,
            call_id=own.call_id,
            channel_vars=own.channel_vars,
        )
        for endpoint in found
    ]
    if ways and ways[0].kind == RESOURCE:
        yield replace(ways[0], fallbacks=tuple(ways[1:]))
    else:
        yield from ways


def _shown(fields: Fields, given: Given) -> CallerId | None:
    """Return the caller id the endpoint is shown, what it may not see left out."""
    shown = caller_id(fields, "Caller", given.caller_id)
    hide_number = fields.flag("Privacy-Hide-Number")
    if hide_number or fields.flag("Privacy-Hide-Name"):
        return CallerId("Anonymous", "anonymous" if hide_number else shown.number)
    return shown if shown != NO_ID else None


def _media(fields: Fields, variables: Fields) -> MediaPolicy:
    wanted = variables.text("RTP-Secure-Media", "Media-Encryption") not in ("", "false")
    enforced = variables.true("Media-Encryption-Enforce-Security")
    secure = Encryption.MANDATORY if enforced else Encryption.OPTIONAL
    return MediaPolicy(
        encryption=secure if wanted else Encryption.OFF,
        webrtc=variables.true("Media-Webrtc"),
        inherit_codec=variables.true("Inherit-Codec"),
        bypass=fields.flag("Bypass-Media") is True,
    )


def _call_id(fields: Fields) -> str:
    call_id = fields.text("Outbound-Call-ID")
    return call_id_text(fields.name("Outbound-Call-ID"), call_id) if call_id else ""


def _channel_vars(fields: Fields, variables: Fields) -> tuple[tuple[str, str], ...]:
    told = variables.variables()
    if presence := fields.text("Presence-ID"):
        told.setdefault("Presence-ID", presence)
    return tuple([item for item in told.items() if item[0] not in NOT_CHANNEL_VARS])


def _with_scheme(uri: str) -> str:
    return uri if uri.lower().startswith(("sip:", "sips:")) else f"sip:{uri}"


def _over(transport: str, uri: str) -> str:
    return f"{uri};transport={transport}" if uri and ";transport=" not in uri.lower() else uri
