"""What happened, past tense, frozen.

First part: from the SIP stack and the router into call control. Second part, called notices: from
call
control to the control plane.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.core.media_values import NO_MEDIA, DtmfMethod, LegMedia, MediaReport
from engine.core.values import Endpoint, LegId, LegSnapshot, OriginateId, Outcome, Party, Refusal

# --- from the SIP stack -------------------------------------------------------------------------


class LegDialed(msgspec.Struct, frozen=True):
    """The INVITE was handed to the transport; `from_tag` and the offer are known from now on."""

    leg: LegId
    from_tag: str
    local_sdp: str


class LegRang(msgspec.Struct, frozen=True):
    """A 18x without SDP came."""

    leg: LegId
    sip_status: int
    reason: str
    talk: bool = False
    """Its Allow-Events names `talk`: the phone answers when it is told to by NOTIFY."""


class LegGaveEarlyMedia(msgspec.Struct, frozen=True):
    """A 1xx with SDP came; the media transport of the leg knows where to send."""

    leg: LegId
    sip_status: int
    reason: str
    codec: str
    remote_sdp: str
    talk: bool = False
    """As of `LegRang`."""
    media: LegMedia = NO_MEDIA


class LegAnswered(msgspec.Struct, frozen=True):
    """A 200 with a usable SDP came and was acknowledged."""

    leg: LegId
    codec: str
    """`PCMU/8000` style name of the negotiated audio codec."""
    to_tag: str
    user_agent: str
    """Server or User-Agent header of the answer."""
    remote_sdp: str
    media: LegMedia = NO_MEDIA


class LegEnded(msgspec.Struct, frozen=True):
    """The leg is gone: dialog and transactions are over, its id will not be heard again."""

    leg: LegId
    sip_status: int
    """Final status of the INVITE, 200 after a BYE, 0 when nothing came from the wire."""
    reason: str
    party: Party
    """REMOTE: the peer ended it. LOCAL: our HangUp. TIMEOUT: nothing came back. POLICY: the stack
    refused to start it."""
    q850: int
    """Cause of a `Reason: Q.850` header, 0 when there was none."""
    warning: str = ""
    """Why the stack itself failed the leg (transport error, bad URI), for logs and outcomes."""
    contacts: tuple[str, ...] = ()
    """Contact header values of a 3xx as received, one per contact, parameters included."""
    sip_cause: int = 0
    """Cause of a `Reason: SIP` header, 0 when there was none."""
    report: MediaReport | None = None
    """How its media went, None: they never started."""


class LegRenegotiated(msgspec.Struct, frozen=True):
    """The media of a leg were agreed on anew: a `Reoffer` was taken, or the peer offered others.

    Offers of the peer that change nothing are not told: a refresh of the session is one. In bypass
    an offer of the peer has been answered with the last known address of the other peer, who hears
    of it by a `Reoffer` of its leg with `media_of` this one.
    """

    leg: LegId
    held: bool
    """The peer has us on hold: it sends only or nothing (RFC 3264 8.4), or names no address."""
    codec: str
    remote_sdp: str
    media: LegMedia = NO_MEDIA
    by_us: bool = False
    """It answers a `Reoffer`; False: the peer offered."""


class LegReofferFailed(msgspec.Struct, frozen=True):
    """A `Reoffer` was refused, after the last try if it was glare; the media stay as they are."""

    leg: LegId
    sip_status: int
    """0 when nothing came from the wire."""
    reason: str


class TransferRequested(msgspec.Struct, frozen=True):
    """The peer sent a REFER; the stack answered 202 and told it `100 Trying` (RFC 3515 2.4.4)."""

    leg: LegId
    refer_to: str
    """SIP URI of Refer-To, without its embedded headers."""
    replaces: str
    """Replaces header embedded in Refer-To, unescaped (RFC 3891 6.1), empty: a blind transfer."""
    referred_by: str
    """Referred-By header value, empty when there was none."""


class LegSentDigit(msgspec.Struct, frozen=True):
    """The peer sent a DTMF digit. Dropped under load; a counter says so."""

    leg: LegId
    digit: str
    """One of `0`-`9`, `*`, `#`, `A`-`D`."""
    duration_ms: int
    """0 when it did not say; at most 10000."""
    method: DtmfMethod = DtmfMethod.INFO
    """How it came."""
    carried: bool = False
    """The leg it is joined with has got it with the media: it is not to be sent again."""


class LegHeard(msgspec.Struct, frozen=True):
    """The first RTP of a leg came, or its source has moved to where an answer allows it to."""

    leg: LegId
    source: str
    """`ip:port` it comes from."""


class LegSilent(msgspec.Struct, frozen=True):
    """A leg that should send has sent no RTP for as long as the configuration allows."""

    leg: LegId
    seconds: float
    one_way: bool
    """True: only told, for the other leg of the bridge is heard; the call goes on. False: the leg
    is dead."""


class LegMediaFailed(msgspec.Struct, frozen=True):
    """There will be no media: ICE or the handshake of DTLS-SRTP came to nothing."""

    leg: LegId
    reason: str


class LegPlayed(msgspec.Struct, frozen=True):
    """A `Play` is over: it came to its end, was stopped or replaced, or could not begin."""

    leg: LegId
    play: int
    error: str
    """Why nothing was played, empty: it was."""


class LegRecorded(msgspec.Struct, frozen=True):
    """A recording is over and its file is complete."""

    leg: LegId
    path: str
    seconds: float
    error: str
    """Why it is not whole, empty: it is."""


class HopsFound(msgspec.Struct, frozen=True):
    """Where the host name that a `Dial` sends to can be reached, the best first (RFC 3263).

    The INVITE goes to the first; the others are tried after a 503, or when nothing comes back.
    """

    leg: LegId
    hops: tuple[str, ...]
    """`sip:ip:port;transport=x`, at least one."""


class HopsNeeded(msgspec.Struct, frozen=True):
    """The stack has a request to send inside a dialog, and its peer named a host and no address.

    The request waits for `UseHops`.
    """

    query: int
    uri: str
    """SIP URI of the next hop: host, port and transport of a Contact or Record-Route."""


class StockTaken(msgspec.Struct, frozen=True):
    """What the stack holds, all at one moment; the answer to `TakeStock`."""

    legs: tuple[LegId, ...]
    media_ports: int
    dialogs: int
    transactions: int


class RegisterReceived(msgspec.Struct, frozen=True):
    """A REGISTER waits for an answer; `transaction` names it in the `Respond` command."""

    transaction: int
    request_uri: str
    to_uri: str
    from_uri: str
    call_id: str
    cseq: int
    contacts: tuple[str, ...]
    """Contact header values as received, one per contact, including parameters; `*` alone to
    remove all."""
    expires: int | None
    authorization: tuple[str, ...]
    """Authorization header values."""
    path: tuple[str, ...]
    user_agent: str
    source: str
    """`ip:port` (IPv6 in brackets) the request came from."""
    transport: str
    """udp, tcp or tls."""
    supported: tuple[str, ...] = ()


class SipMessageSeen(msgspec.Struct, frozen=True):
    """One SIP message on the wire, when tracing is on. Dropped under load; a counter says so."""

    at: float
    """Seconds since the Unix epoch."""
    sent: bool
    source: str
    destination: str
    transport: str
    call_id: str
    text: str


class StackLogged(msgspec.Struct, frozen=True):
    """A log line of the native stack. May be dropped under load."""

    level: int
    """1 error .. 5 trace."""
    text: str


# --- from the router ----------------------------------------------------------------------------


class DestinationResolved(msgspec.Struct, frozen=True):
    """The dialled number was filtered and matched: these endpoints are the B-leg, in hunt order.

    Endpoints without any contact: the destination is out of order. None at all: no route.
    """

    originate_id: OriginateId
    number: str
    """Number shown, and dialled at endpoints that have none of their own, after filter and dial
    plan."""
    endpoints: tuple[Endpoint, ...]
    rule: str
    """Which rule of the dial plan took the number, in words."""
    refusal: Refusal | None = None
    """Why nobody is dialled; `endpoints` is then not looked at."""
    for_leg: LegId | None = None
    """As it was asked for."""
    park: bool = False
    """Nobody is dialled: the answered leg waits for orders of the control plane."""


SipEvent = (
    LegDialed
    | LegRang
    | LegGaveEarlyMedia
    | LegAnswered
    | LegRenegotiated
    | LegReofferFailed
    | TransferRequested
    | LegSentDigit
    | LegHeard
    | LegSilent
    | LegPlayed
    | LegRecorded
    | LegMediaFailed
    | HopsFound
    | LegEnded
)
"""Events that drive call control: of the stack, and `HopsFound` of whoever looks names up."""

StackEvent = SipEvent | HopsNeeded | RegisterReceived | SipMessageSeen | StackLogged | StockTaken
"""Everything `SipPort.drain` returns."""

# --- notices to the control plane ---------------------------------------------------------------


class ChannelNotice(msgspec.Struct, frozen=True):
    """A leg changed state in a way the control plane hears of.

    `name` is Kazoo's event name: CHANNEL_CREATE, CHANNEL_PROGRESS, CHANNEL_PROGRESS_MEDIA,
    CHANNEL_ANSWER,
    CHANNEL_BRIDGE, CHANNEL_UNBRIDGE, CHANNEL_HOLD, CHANNEL_UNHOLD, CHANNEL_TRANSFEROR,
    CHANNEL_TRANSFEREE, CHANNEL_REPLACED, CHANNEL_INTERCEPTED, CHANNEL_DESTROY, DTMF, CALL_UPDATE
    (the media go past the engine, or through it), CHANNEL_EXECUTE_COMPLETE (played, bridged by
    order), RECORD_START, RECORD_STOP; and ours, MEDIA_ONE_WAY. Exactly one CREATE and one DESTROY
    per leg.
    """

    name: str
    at: float
    leg: LegSnapshot
    details: Mapping[str, object] = msgspec.field(default_factory=dict)
    """What this event alone says, in Kazoo's Header-Case: `Transfer-Type`, `Replaced-By`, ..."""


class OriginateDecided(msgspec.Struct, frozen=True):
    """What came of ringing the endpoint is known, while legs of the request still live.

    Success: it answered, or gave early media that is not ignored. Failure: nobody answered in time,
    or the request was cancelled, and the phones have yet to confirm that. Without a leg left the
    terminal event says it alone.
    """

    at: float
    outcome: Outcome


class OriginateEnded(msgspec.Struct, frozen=True):
    """The one terminal event of an accepted request; every leg of it is gone."""

    at: float
    outcome: Outcome


Notice = ChannelNotice | OriginateDecided | OriginateEnded
