"""A transfer under way: who asked for it, who is transferred, and what is known of the target.

A blind transfer names a number, which the dial plan of the transferor takes. An attended one names
a dialog to be replaced (RFC 3891): one of this engine's own, whose other leg is then joined with
the transferee at once, or somebody else's, to whom the INVITE carries the Replaces header.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from engine.core.commands import TransferProgress
from engine.core.errors import RequestInvalid
from engine.core.leg import Leg
from engine.core.turn import Turn
from engine.core.uri import MAX_URI, header_text, parse_uri
from engine.core.values import LegId

_REPLACES = re.compile(r"\s*(?P<call_id>[^\s;,]{1,256})\s*(?P<parameters>(?:;[^,]*)?)")
_TAG = re.compile(r";\s*(?P<which>to-tag|from-tag)\s*=\s*(?P<tag>[^\s;,]{1,256})", re.IGNORECASE)


class Replaces(msgspec.Struct, frozen=True):
    """The dialog a Replaces header names, as its recipient sees it (RFC 3891 3)."""

    call_id: str
    local_tag: str
    """`to-tag`: the recipient's own."""
    remote_tag: str
    """`from-tag`: of the recipient's peer."""

    def names(self, leg: Leg) -> bool:
        """Return whether this is the dialog of a leg."""
        ours = (leg.invite.call_id, leg.from_tag, leg.to_tag)
        return ours == (self.call_id, self.local_tag, self.remote_tag)


def parse_replaces(value: str) -> Replaces | None:
    """Return the dialog of a Replaces header value, None for one without Call-ID and both tags.

    >>> parse_replaces("abc@host;to-tag=1;from-tag=2")
    Replaces(call_id='abc@host', local_tag='1', remote_tag='2')
    """
    match = _REPLACES.fullmatch(value)
    if match is None:
        return None
    tags = {found["which"].lower(): found["tag"] for found in _TAG.finditer(match["parameters"])}
    if len(tags) != 2:
        return None
    return Replaces(match["call_id"], tags["to-tag"], tags["from-tag"])


def transfer_number(refer_to: str) -> str:
    """Return the number that a Refer-To URI names: its user part. Empty when it has none."""
    try:
        return unquote(parse_uri("refer_to", refer_to).user.partition(";")[0])
    except RequestInvalid:
        return ""


class Transfer(msgspec.Struct):
    """One transfer from its request until it is done or has failed."""

    transferor: Leg | None
    """Who leaves; None when it has left."""
    transferee: Leg
    """Who is connected to the target."""
    by_refer: bool
    """Asked for by the transferor's REFER, so it is told how it goes; else by the API."""
    rang: bool = False
    """The target rang."""
    replaces: str = ""
    """Replaces header of the INVITE to the target, empty: none."""
    referred_by: str = ""
    """Referred-By header of the INVITE to the target (RFC 3892), empty: none."""

    @property
    def asked_by(self) -> LegId:
        """The leg for which the router is asked: that of the REFER, else who is transferred."""
        leg = self.transferor if self.by_refer and self.transferor is not None else self.transferee
        return leg.invite.leg

    @property
    def kind(self) -> str:
        """`attended` when a dialog is to be replaced, else `blind`."""
        return "attended" if self.replaces else "blind"

    def tell(self, sip_status: int, reason: str, turn: Turn) -> None:
        """Tell the transferor how it goes, if it asked and is there."""
        if self.by_refer and self.transferor is not None:
            leg = self.transferor.invite.leg
            turn.commands.append(TransferProgress(leg, sip_status, reason))

    def fit(self, leg: Leg) -> None:
        """Make a leg to the target one of this transfer: media of the transferee, its headers."""
        headers = list(leg.invite.headers)
        if self.referred_by:
            headers.append(("Referred-By", header_text("referred_by", self.referred_by, MAX_URI)))
        if self.replaces:
            headers.append(("Replaces", header_text("replaces", self.replaces)))
            headers.append(("Require", "replaces"))
        codec_of = self.transferee.invite.leg
        leg.invite = replace(leg.invite, headers=tuple(headers), codec_of=codec_of)
