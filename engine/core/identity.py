"""Who calls, in From and in the headers beside it (RFC 3323, RFC 3325, Remote-Party-ID).

A phone that may not see a number is not sent it at all. A carrier is: it is trusted to assert the
number and to keep it to itself, as `Privacy` and the parameters of Remote-Party-ID tell it.
"""

from __future__ import annotations

import msgspec

from engine.core.headers import Headers
from engine.core.uri import header_text, name_addr, sip_uri
from engine.core.values import CallerId, CidType

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""From of whoever hides the number (RFC 3323 4.1.1.3)."""

_PRIVACY = ("Privacy", "id;header")
"""Assert no identity to the called party, and obscure what other headers show (RFC 3323 4.2)."""

_RPID_PRIVACY = {
    (False, False): "off",
    (True, False): "name",
    (False, True): "uri",
    (True, True): "full",
}
"""`privacy` of Remote-Party-ID by whether name and number are hidden."""


class Identity(msgspec.Struct, frozen=True):
    """Who calls, and what of it the called party may not see."""

    caller_id: CallerId
    hide_name: bool = False
    hide_number: bool = False


def diversion(number: str, realm: str, reason: str) -> str:
    """Return a Diversion header: who sent a call on, and why (words of RFC 5806 10.3)."""
    return f"<{sip_uri(number, realm)}>;reason={reason};counter=1"


def identity_of(
    identity: Identity, realm: str, cid_type: CidType, *, trusted: bool
) -> tuple[str, Headers]:
    """Return From and the headers beside it.

    `realm` is the host of the caller's URI. `trusted`: the receiver asserts the number and hides it
    from others. Raises `RequestInvalid` naming `cid_name` or `cid_number`.
    """
    caller, hidden = identity.caller_id, identity.hide_number
    name = header_text("cid_name", caller.name)
    uri = sip_uri(header_text("cid_number", caller.number), realm)
    from_uri = ANONYMOUS if hidden else name_addr("" if identity.hide_name else name, uri)
    if hidden and not trusted:
        return from_uri, (_PRIVACY,)
    headers: list[tuple[str, str]] = []
    shown = "" if identity.hide_name and not trusted else name
    if cid_type == "rpid":
        privacy = _RPID_PRIVACY[identity.hide_name, hidden]
        value = f"{name_addr(shown, uri)};party=calling;screen=yes;privacy={privacy}"
        headers.append(("Remote-Party-ID", value))
    elif cid_type == "pid":
        # RFC 3323 has no word for a hidden name: it is left out.
        asserted = name_addr("" if identity.hide_name else name, uri)
        headers.append(("P-Asserted-Identity", asserted))
    if hidden:
        headers.append(_PRIVACY)
    return from_uri, tuple(headers)
