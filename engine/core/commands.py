"""What to do, imperative, frozen: orders from call control to the SIP stack and to the router."""

from __future__ import annotations

from dataclasses import dataclass

from engine.core.values import Credentials, LegId, OriginateId, OriginateRequest


@dataclass(frozen=True, slots=True)
class Dial:
    """Send an INVITE with an early offer. Ends in `LegEnded`, whatever happens."""

    leg: LegId
    call_id: str
    request_uri: str
    """Request-URI and remote target, parameters included."""
    to_uri: str
    """Name-addr or URI of the To header."""
    from_uri: str
    """Name-addr of the From header, display name quoted."""
    next_hop: str = ""
    """`sip:host:port;transport=x` to send to when it is not the Request-URI; becomes a loose route
    removed at the edge. A host name is looked up before the stack sees the command."""
    routes: tuple[str, ...] = ()
    """Route set (Path), first hop first."""
    headers: tuple[tuple[str, str], ...] = ()
    codecs: tuple[str, ...] = ()
    """Codecs to offer in order, `NAME` or `NAME/RATE`; empty: all the stack has."""
    codec_of: LegId | None = None
    """Offer exactly what this answered leg uses, so that the two can be relayed undecoded."""
    credentials: Credentials | None = None
    more_hops: bool = False
    """The host has other addresses that have not been tried: no response at all within 8*T1 ends
    the leg, and not within 64*T1 only (timer B); 32 s would leave no time for the others."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a leg: CANCEL before the answer, BYE after it. Idempotent; unknown legs are ignored."""

    leg: LegId
    reason: str = ""
    """Value of the Reason header (RFC 3326), empty: none."""


@dataclass(frozen=True, slots=True)
class Join:
    """Relay media between two legs in both directions, from the first SDP answer of each."""

    leg: LegId
    other: LegId


@dataclass(frozen=True, slots=True)
class Split:
    """Stop relaying between two legs."""

    leg: LegId
    other: LegId


@dataclass(frozen=True, slots=True)
class Reoffer:
    """Offer an answered leg its media anew, by re-INVITE; glare is tried again (RFC 3261 14.1).

    Ends in `LegRenegotiated` when the media changed, in `LegReofferFailed` when it was refused. One
    is under way at a time: a later one for the same leg waits, and the last of those wins.
    """

    leg: LegId
    hold: bool
    """True: put the peer on hold (`a=sendonly`); False: talk (`a=sendrecv`)."""
    codec_of: LegId | None = None
    """Offer exactly what this leg uses now, None: what this leg uses."""


@dataclass(frozen=True, slots=True)
class NotifyTalk:
    """Tell a ringing phone to answer: NOTIFY with `Event: talk` in its early dialog."""

    leg: LegId


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """Tell who sent a REFER how it goes: NOTIFY with a `message/sipfrag` body (RFC 3515 2.4.5)."""

    leg: LegId
    sip_status: int
    """100 to 699; a final one (200 or more) ends the subscription."""
    reason: str


@dataclass(frozen=True, slots=True)
class UseHops:
    """Answer `HopsNeeded`."""

    query: int
    hops: tuple[str, ...]
    """`sip:ip:port;transport=x`, the best first; empty: the name leads nowhere."""


@dataclass(frozen=True, slots=True)
class TakeStock:
    """Ask for `StockTaken`."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer a non-INVITE request that the stack passed up (REGISTER)."""

    transaction: int
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ResolveDestination:
    """Ask the router where the dialled number goes; answered by `DestinationResolved`."""

    originate_id: OriginateId
    request: OriginateRequest
    number: str
    """The dialled number after the number filter."""
    for_leg: LegId | None = None
    """The leg whose device redirects, or transfers, to the number; None: it is the call's own."""


SipCommand = (
    Dial
    | HangUp
    | Join
    | Split
    | Reoffer
    | NotifyTalk
    | TransferProgress
    | UseHops
    | TakeStock
    | Respond
)
Command = SipCommand | ResolveDestination
