"""What a 3xx asks for: the contacts to try instead (RFC 3261 8.1.3.4, 21.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from msgspec.structs import replace

from engine.core.attempts import RESOURCE
from engine.core.errors import RequestInvalid
from engine.core.identity import diversion
from engine.core.uri import parse_uri
from engine.core.values import Contact, Endpoint

_IN_BRACKETS = re.compile(r"<(?P<uri>[^<>]{1,1024})>(?P<parameters>[^<>]*)")
_Q = re.compile(r";\s*q\s*=\s*(?P<q>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.IGNORECASE)


def redirect_contacts(headers: Iterable[str]) -> tuple[Contact, ...]:
    """Return the contacts of Contact header values, highest q first, else in order.

    What is no SIP URI (`tel:`, `*`, anything broken) is left out.
    """
    found: list[Contact] = []
    for header in headers:
        bracketed = _IN_BRACKETS.search(header)
        text, _, rest = header.strip().partition(";")
        uri = bracketed["uri"].strip() if bracketed else text
        q = _Q.search(bracketed["parameters"] if bracketed else f";{rest}")
        try:
            parse_uri("contact", uri)
        except RequestInvalid:
            continue
        found.append(Contact(uri=uri.partition("?")[0], q=float(q["q"]) if q else 1.0))
    return tuple(sorted(found, key=lambda contact: -contact.q))


def user_of(contact: Contact) -> str:
    """Return the user part of a contact, percent-decoded and without its parameters."""
    return unquote(parse_uri("contact", contact.uri).user.partition(";")[0])


def redirected_endpoints(endpoint: Endpoint, contacts: Iterable[Contact]) -> list[Endpoint]:
    """Return the endpoint at each contact that is dialled as it stands.

    A carrier's are: it says where else the number is found. A device's are when they name the same
    user: it has moved.
    """
    found: list[Endpoint] = []
    for contact in contacts:
        user = user_of(contact)
        if endpoint.kind == RESOURCE:
            at = replace(endpoint, number=user or endpoint.number, invite_format="route")
        elif user in ("", endpoint.user):
            at = endpoint
        else:
            continue
        found.append(replace(at, contacts=(contact,), fallbacks=()))
    return found


def sent_on(by: Endpoint, found: Endpoint) -> Endpoint:
    """Return an endpoint at a number that the device `by` redirects to, with the call sent on.

    It sees who did, the latest first (RFC 5806 4.1), and is not asked to answer by itself.
    """
    told = diversion(by.caller_id.number or by.user, by.realm, "deflection")
    return replace(
        found,
        diversions=(*found.diversions, told, *by.diversions),
        forwarded_by=found.forwarded_by or by.forwarded_by or by.id,
        fallbacks=tuple(sent_on(by, fallback) for fallback in found.fallbacks),
    )


def redirected_numbers(endpoint: Endpoint, contacts: Iterable[Contact]) -> list[str]:
    """Return the numbers that a device redirects to, which are taken through the dial plan."""
    if endpoint.kind == RESOURCE:
        return []
    users = (user_of(contact) for contact in contacts)
    return [user for user in users if user not in ("", endpoint.user)]
