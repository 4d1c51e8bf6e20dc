"""Headers that others ask to have put into an INVITE: which they may be, and whose count.

Everything here is strict, because a header of the wrong name could break a dialog or forge it.
"""

from __future__ import annotations

import re

from engine.core.errors import RequestInvalid
from engine.core.uri import header_text

Headers = tuple[tuple[str, str], ...]
"""Names and values in order."""

MAX_REQUEST_HEADERS = 32
"""Headers that one request may bring along."""

_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")

STACK_HEADERS = frozenset(
    """
    accept allow authorization call-id contact content-disposition content-encoding content-length
    content-type cseq date expires from max-forwards mime-version min-se path proxy-authorization
    proxy-require rack record-route require route rseq session-expires supported to via
    c e f i k l m t v x
    """.split()  # noqa: SIM905
)
"""Names in lower case, short forms included, of the headers that the SIP stack writes itself."""


def check_name(field: str, name: str) -> None:
    """Check the name of a custom header. Raises `RequestInvalid` naming `field`."""
    if _TOKEN.fullmatch(name) is None:
        allowed = "header names made of A-Z a-z 0-9 - . ! % * _ + ` ' ~"
        raise RequestInvalid(field, name, allowed, "propertyNames")
    if name.lower() in STACK_HEADERS:
        allowed = "headers that the SIP stack does not write itself"
        raise RequestInvalid(field, name, allowed, "propertyNames")


def check_headers(field: str, headers: Headers) -> None:
    """Check custom headers, names and values. Raises `RequestInvalid` naming `field`."""
    for name, value in headers:
        check_name(field, header_text(field, name))
        header_text(f"{field}.{name}", value)


def check_request_headers(field: str, headers: Headers) -> None:
    """Check the custom headers of a request. Raises `RequestInvalid` naming `field`."""
    if len(headers) > MAX_REQUEST_HEADERS:
        allowed = f"at most {MAX_REQUEST_HEADERS} headers"
        raise RequestInvalid(field, len(headers), allowed, "maxProperties")
    check_headers(field, headers)


def merged(ours: Headers, *custom: Headers) -> Headers:
    """Lay custom headers over ours: a later one replaces all of the same name before it."""
    result = ours
    for headers in custom:
        if headers:
            replaced = {name.lower() for name, _ in headers}
            result = (*(pair for pair in result if pair[0].lower() not in replaced), *headers)
    return result
