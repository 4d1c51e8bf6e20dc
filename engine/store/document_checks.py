"""Rules of single fields: what may stand in a URI, a header, or a list of codecs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import msgspec

from engine.core.errors import RequestInvalid
from engine.core.headers import check_name
from engine.core.media_values import SRTP_SUITES
from engine.core.uri import proxy_uri
from engine.numbers.dialplan import AFFIX_LIMIT
from engine.numbers.numbering import DEFAULT_NUMBERING
from engine.sip.uri import is_host, parse_uri
from engine.store.documents import (
    SYSTEM,
    Account,
    AccountLimits,
    Blocklist,
    CallForward,
    CarrierLimits,
    Device,
    DeviceSip,
    Document,
    Gateway,
    MediaEncryption,
    Resource,
    SharedDialPlan,
    User,
)
from engine.store.webhooks import Webhook, check_webhook

_USERNAME = re.compile(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/#]{1,128}", re.ASCII)
_CODEC = re.compile(r"[A-Za-z0-9\-._]{1,32}(?:[@/][0-9]{1,6}[hi]?)?", re.ASCII)

_BLOCKED = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,128}")

NAME_LIMIT = 128
"""Characters in the name of a blocklist (Kazoo's schema)."""
BLOCKED_NUMBERS_LIMIT = 100_000
"""Numbers in one blocklist."""
SECONDS_LIMIT = 3600
"""Longest time that a document may name, seconds."""
CALLS_LIMIT = 1_000_000
"""Most calls at once that a document may speak of."""
SLOWEST, FASTEST = 0.001, 100_000.0
"""Calls a second that a document may speak of."""
CLASSIFIERS = tuple(classifier.name for classifier in DEFAULT_NUMBERING.classifiers)
"""Names of the classes of numbers that a `call_restriction` may speak of."""


def check_document(document: Document) -> None:
    """Check the fields of a document one by one. Raises `RequestInvalid`."""
    match document:
        case Account():
            _check_host("realm", document.realm)
            _check_codecs("media.audio.codecs", document.media.audio.codecs)
            _check_encryption("media.encryption", document.media.encryption)
            _check_numbering(document)
            _check_limits("limits", document.limits)
        case User():
            _check_presence(document.presence_id)
            _check_forward(document.call_forward)
            _check_numbering(document)
        case Device():
            _check_device(document)
            _check_forward(document.call_forward)
            _check_numbering(document)
        case Resource():
            _check_resource(document)
        case Blocklist():
            _check_blocklist(document)
        case Webhook():
            check_webhook(document)
        case SharedDialPlan():
            pass


def _check_host(field: str, value: str) -> None:
    if not is_host(value):
        raise RequestInvalid(field, value, "a host name or an address", "pattern")


def _check_headers(field: str, headers: Iterable[str]) -> None:
    for name in headers:
        check_name(field, name)


def _check_forward(forward: CallForward) -> None:
    if forward.enabled and not forward.number:
        raise RequestInvalid("call_forward.number", "", "a number to forward to", "required")
    if forward.enabled and forward.require_keypress:
        allowed = "false while it is enabled: nobody can be asked to press a key here"
        raise RequestInvalid("call_forward.require_keypress", True, allowed, "enum")


def _check_seconds(field: str, value: int | None) -> None:
    if value is not None and not 1 <= value <= SECONDS_LIMIT:
        raise RequestInvalid(field, value, f"1 to {SECONDS_LIMIT} seconds", "maximum")


def _check_limits(path: str, limits: AccountLimits | CarrierLimits) -> None:
    calls, rate = limits.calls, limits.calls_per_second
    if calls is not None and not 0 <= calls <= CALLS_LIMIT:
        raise RequestInvalid(f"{path}.calls", calls, f"0 to {CALLS_LIMIT}", "maximum")
    if rate and not SLOWEST <= rate <= FASTEST:
        allowed = f"0, or {SLOWEST} to {FASTEST}"
        raise RequestInvalid(f"{path}.calls_per_second", rate, allowed, "maximum")
    burst = limits.burst if isinstance(limits, AccountLimits) else None
    if burst is not None and not 1 <= burst <= CALLS_LIMIT:
        raise RequestInvalid(f"{path}.burst", burst, f"1 to {CALLS_LIMIT}", "maximum")


def _check_proxy(field: str, value: str) -> None:
    if value:
        proxy_uri(field, value)


def _check_codecs(field: str, codecs: tuple[str, ...]) -> None:
    for codec in codecs:
        if _CODEC.fullmatch(codec) is None:
            raise RequestInvalid(field, codec, "codec names like PCMU or G722/16000", "pattern")


def _check_encryption(path: str, encryption: MediaEncryption) -> None:
    if encryption.methods and "srtp" not in encryption.methods:
        allowed = "srtp, or nothing: ZRTP is not spoken here"
        raise RequestInvalid(f"{path}.methods", list(encryption.methods), allowed, "enum")
    for suite in encryption.suites or ():
        if suite not in SRTP_SUITES:
            raise RequestInvalid(f"{path}.suites", suite, ", ".join(SRTP_SUITES), "enum")


def _check_user_part(field: str, value: str) -> None:
    if value and _USERNAME.fullmatch(value) is None:
        allowed = "1 to 128 characters of a SIP user (RFC 3261 25.1)"
        raise RequestInvalid(field, value, allowed, "pattern")


def _check_presence(presence_id: str) -> None:
    user, at, host = presence_id.partition("@")
    if presence_id and (_USERNAME.fullmatch(user) is None or (at and not is_host(host))):
        raise RequestInvalid("presence_id", presence_id, "a SIP user, or user@host", "pattern")


def _check_device(device: Device) -> None:
    sip = device.sip
    _check_presence(device.presence_id)
    _check_user_part("sip.username", sip.username)
    _check_user_part("sip.static_route", sip.static_route)
    _check_user_part("sip.static_invite", sip.static_invite)
    _check_seconds("media.progress_timeout", device.media.progress_timeout)
    if sip.realm:
        _check_host("sip.realm", sip.realm)
    _check_address(sip)
    _check_proxy("sip.proxy", sip.proxy)
    _check_proxy("sip.forward", sip.forward)
    _check_codecs("media.audio.codecs", device.media.audio.codecs)
    _check_encryption("media.encryption", device.media.encryption)
    field = "sip.custom_sip_headers"
    for name, value in sip.custom_sip_headers.items():
        if isinstance(value, str):
            _check_headers(field, (name,))
        elif name in ("in", "out"):
            _check_headers(f"{field}.{name}", value)
        else:
            raise RequestInvalid(field, name, "in, out, or a header with a text", "enum")


def _check_numbering(document: Account | User | Device) -> None:
    """Check what an account, a user or a device says about the numbers dialled for it."""
    for key, rule in document.dial_plan.items():
        if (key == SYSTEM) != isinstance(rule, tuple):
            allowed = "names of shared plans under system, a rule under any other key"
            raise RequestInvalid(f"dial_plan.{key}", msgspec.to_builtins(rule), allowed, "type")
    for name in document.call_restriction:
        if name not in CLASSIFIERS:
            allowed = ", ".join(CLASSIFIERS)
            raise RequestInvalid("call_restriction", name, allowed, "propertyNames")


def _check_blocklist(blocklist: Blocklist) -> None:
    if not 1 <= len(blocklist.name) <= NAME_LIMIT:
        allowed = f"1 to {NAME_LIMIT} characters"
        raise RequestInvalid("name", blocklist.name[:32], allowed, "maxLength")
    if len(blocklist.numbers) > BLOCKED_NUMBERS_LIMIT:
        allowed = f"at most {BLOCKED_NUMBERS_LIMIT} numbers in a list"
        raise RequestInvalid("numbers", len(blocklist.numbers), allowed, "maxProperties")
    for number in blocklist.numbers:
        if _BLOCKED.fullmatch(number) is None:
            allowed = "numbers of 1 to 128 characters without control characters"
            raise RequestInvalid("numbers", number[:32], allowed, "propertyNames")


def _check_address(sip: DeviceSip) -> None:
    if sip.ip or sip.method == "ip":
        try:
            ipaddress.ip_address(sip.ip)
        except ValueError:
            allowed = "an IPv4 or IPv6 address"
            raise RequestInvalid("sip.ip", sip.ip, allowed, "pattern") from None
    if sip.invite_format == "forward" and not (sip.forward and sip.username):
        missing = "sip.username" if sip.forward else "sip.forward"
        raise RequestInvalid(missing, "", "a value, for invite format forward", "required")
    if sip.route or sip.invite_format == "route":
        try:
            parse_uri(sip.route)
        except ValueError:
            raise RequestInvalid("sip.route", sip.route, "a SIP URI", "pattern") from None


def _check_resource(resource: Resource) -> None:
    if not 1 <= resource.weight_cost <= 100:
        raise RequestInvalid("weight_cost", resource.weight_cost, "1 to 100", "maximum")
    if not resource.gateways:
        raise RequestInvalid("gateways", [], "at least one gateway", "minItems")
    _check_limits("limits", resource.limits)
    for index, gateway in enumerate(resource.gateways):
        _check_gateway(f"gateways[{index}]", gateway)


def _check_gateway(path: str, gateway: Gateway) -> None:
    _check_host(f"{path}.server", gateway.server)
    if not 0 <= gateway.port <= 65535:
        raise RequestInvalid(f"{path}.port", gateway.port, "1 to 65535", "maximum")
    if gateway.realm:
        _check_host(f"{path}.realm", gateway.realm)
    for field, value in (("prefix", gateway.prefix), ("suffix", gateway.suffix)):
        if len(value) > AFFIX_LIMIT:
            allowed = f"at most {AFFIX_LIMIT} characters"
            raise RequestInvalid(f"{path}.{field}", value[:32], allowed, "maxLength")
    _check_proxy(f"{path}.proxy", gateway.proxy)
    if gateway.invite_format == "forward" and not gateway.proxy:
        raise RequestInvalid(f"{path}.proxy", "", "a value, for invite format forward", "required")
    _check_seconds(f"{path}.progress_timeout", gateway.progress_timeout)
    _check_codecs(f"{path}.codecs", gateway.codecs)
    _check_encryption(f"{path}.media.encryption", gateway.media.encryption)
    _check_headers(f"{path}.custom_sip_headers", gateway.custom_sip_headers)
    _check_limits(f"{path}.limits", gateway.limits)
