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
    """`sip:ip:port;transport=x` to send to when it is not the Request-URI; becomes a loose route
    removed at the edge."""
    routes: tuple[str, ...] = ()
    """Route set (Path), first hop first."""
    headers: tuple[tuple[str, str], ...] = ()
    codecs: tuple[str, ...] = ()
    """Codecs to offer in order, `NAME` or `NAME/RATE`; empty: all the stack has."""
    codec_of: LegId | None = None
    """Offer exactly what this answered leg uses, so that the two can be relayed undecoded."""
    credentials: Credentials | None = None


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


SipCommand = Dial | HangUp | Join | Split | Respond
Command = SipCommand | ResolveDestination
