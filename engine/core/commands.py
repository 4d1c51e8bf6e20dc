"""What to do, imperative, frozen: orders from call control to the SIP stack and to the router."""

from __future__ import annotations

import msgspec

from engine.core.media_values import PLAIN_MEDIA, MediaPolicy
from engine.core.values import Credentials, DialLimit, LegId, OriginateId, OriginateRequest


class Dial(msgspec.Struct, frozen=True):
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
    """Offer first what this answered leg uses, so that the two can be relayed undecoded."""
    credentials: Credentials | None = None
    more_hops: bool = False
    """The host has other addresses that have not been tried: no response at all within 8*T1 ends
    the leg, and not within 64*T1 only (timer B); 32 s would leave no time for the others."""
    other_codecs: bool = False
    """Offer the codecs of `codecs` after that of `codec_of`; False: that one alone."""
    media_of: LegId | None = None
    """Offer the address and payload types of this answered leg's peer instead of ours, so that the
    two send their media to each other."""
    media: MediaPolicy = PLAIN_MEDIA
    limits: tuple[DialLimit, ...] = ()
    """What the dialled side can take; the stack never sees a command beyond that."""


class HangUp(msgspec.Struct, frozen=True):
    """End a leg: CANCEL before the answer, BYE after it. Idempotent; unknown legs are ignored."""

    leg: LegId
    reason: str = ""
    """Value of the Reason header (RFC 3326), empty: none."""


class Join(msgspec.Struct, frozen=True):
    """Relay media between two legs in both directions, from the first SDP answer of each."""

    leg: LegId
    other: LegId


class Split(msgspec.Struct, frozen=True):
    """Stop relaying between two legs."""

    leg: LegId
    other: LegId


class Reoffer(msgspec.Struct, frozen=True):
    """Offer an answered leg its media anew, by re-INVITE; glare is tried again (RFC 3261 14.1).

    Ends in `LegRenegotiated` (`by_us`) when it was taken, also when nothing changed by it, in
    `LegReofferFailed` when it was refused. One is under way at a time: a later one for the same leg
    waits, and the last of those wins and alone is reported.
    """

    leg: LegId
    hold: bool
    """True: put the peer on hold (`a=sendonly`); False: talk (`a=sendrecv`), or with `media_of`
    what that peer wants: one that holds offers `sendonly` or `inactive`."""
    codec_of: LegId | None = None
    """Offer exactly what this leg uses now, None: what this leg uses."""
    media_of: LegId | None = None
    """Offer the address and payload types of this leg's peer instead of ours (bypass), None: ours,
    for which ports are taken again when they were given back. While it is set, an offer of the
    peer is answered with them too."""


class FreeMedia(msgspec.Struct, frozen=True):
    """Give the ports of two legs back whose peers send to each other.

    Stragglers are passed on for a second more; the two stay joined. A later `Reoffer` of either
    without `media_of` takes ports for both again, and gives them back when it is refused. Nothing
    happens unless each of them took a `Reoffer` or `Dial` with `media_of` the other last.
    """

    leg: LegId
    other: LegId


class Play(msgspec.Struct, frozen=True):
    """Play a sound to a leg instead of whatever else it would hear; ends in `LegPlayed`.

    Another `Play` replaces it; a `Join` does not stop it.
    """

    leg: LegId
    play: int
    """Chosen by the sender; names it in `LegPlayed`."""
    sound: str
    """Path of a WAV file, or `tone:` and a cadence as `engine.core.tones` writes them."""
    repeat: bool = False
    """Begin anew at its end, until it is stopped."""


class StopPlaying(msgspec.Struct, frozen=True):
    """Stop what is played to a leg; nothing when nothing is."""

    leg: LegId


class Record(msgspec.Struct, frozen=True):
    """Write what a leg says (left) and hears (right) to a stereo WAV; ends in `LegRecorded`."""

    leg: LegId
    path: str
    max_s: float = 0.0
    """Seconds until it stops by itself, 0: when the leg ends."""


class StopRecording(msgspec.Struct, frozen=True):
    """Stop the recording of a leg; nothing when there is none."""

    leg: LegId


class SendDigits(msgspec.Struct, frozen=True):
    """Send DTMF digits to a leg, by the method of its `Dial`."""

    leg: LegId
    digits: str
    """Of `0`-`9`, `*`, `#`, `A`-`D`, 1 to 64."""
    duration_ms: int = 160
    """Of each, 40 to 2000; a pause of 60 ms follows."""


class NotifyTalk(msgspec.Struct, frozen=True):
    """Tell a ringing phone to answer: NOTIFY with `Event: talk` in its early dialog."""

    leg: LegId


class TransferProgress(msgspec.Struct, frozen=True):
    """Tell who sent a REFER how it goes: NOTIFY with a `message/sipfrag` body (RFC 3515 2.4.5)."""

    leg: LegId
    sip_status: int
    """100 to 699; a final one (200 or more) ends the subscription."""
    reason: str


class UseHops(msgspec.Struct, frozen=True):
    """Answer `HopsNeeded`."""

    query: int
    hops: tuple[str, ...]
    """`sip:ip:port;transport=x`, the best first; empty: the name leads nowhere."""


class TakeStock(msgspec.Struct, frozen=True):
    """Ask for `StockTaken`."""


class Respond(msgspec.Struct, frozen=True):
    """Answer a non-INVITE request that the stack passed up (REGISTER)."""

    transaction: int
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


class ResolveDestination(msgspec.Struct, frozen=True):
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
    | FreeMedia
    | NotifyTalk
    | SendDigits
    | TransferProgress
    | Play
    | StopPlaying
    | Record
    | StopRecording
    | UseHops
    | TakeStock
    | Respond
)
Command = SipCommand | ResolveDestination
