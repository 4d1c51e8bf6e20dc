"""Values of call control: what an originate asks for, whom it rings, what a leg looks like.

All are frozen. Like all values of the engine they are msgspec structs and not dataclasses: a call
makes some hundred of them, and a frozen dataclass sets each field by a call of its own. Times are
seconds since the Unix epoch as a float, taken from one clock that never goes backwards (the runtime
anchors the monotonic clock once at start), so the same number serves deadlines and time stamps.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, NewType

import msgspec

from engine.core.media_values import PLAIN_MEDIA, MediaPolicy, MediaReport
from engine.core.passwords import HidesPassword

LegId = NewType("LegId", int)
"""64-bit id of a leg, never reused while the engine runs."""

OriginateId = NewType("OriginateId", str)
"""Id of one accepted originate request; also the Kazoo `Msg-ID` and `X-Request-ID` of it."""


class MediaMode(StrEnum):
    """How the media of a bridged call flows (design 4)."""

    PROCESS = "process"
    BYPASS = "bypass"


class BypassFlow(StrEnum):
    """When the two sides of a bypassed call are told of each other."""

    AFTER_ANSWER = "after_answer"
    """Both are answered against the engine first; then the media are shifted."""
    DIRECT = "direct"
    """The dialled side is offered the rung device's address: one re-INVITE less, but its early
    media go to that device, and its address is told before the answer."""


class EndpointType(StrEnum):
    """What a quickcall may name."""

    DEVICE = "device"
    USER = "user"


class DialMethod(StrEnum):
    """In which order the contacts of the rung side are tried (Kazoo's `Dial-Endpoint-Method`)."""

    SIMULTANEOUS = "simultaneous"
    """All at once, the first answer wins (a fork)."""
    SINGLE = "single"
    """One after the other (a hunt): by q, then by their place."""


class Application(StrEnum):
    """What is done with the endpoint that answered (Kazoo's `Application-Name`)."""

    TRANSFER = "transfer"
    """It is connected to the number."""
    BRIDGE = "bridge"
    """It is connected to the endpoints of `bridge_to`, or takes the place of the partner of
    `target_call_id`."""
    PARK = "park"
    """It waits for orders."""


CidType = Literal["rpid", "pid", "none"]
"""Which header tells the caller's identity besides From: Remote-Party-ID, P-Asserted-Identity
(RFC 3325), or none of them (FreeSWITCH's `sip_cid_type`)."""

IgnoreEarlyMedia = bool | Literal["ring_ready", "consume"]
"""What the early media of a rung device is to whoever asked for the call.

False: an answer. True: nothing. `ring_ready`: ringing. `consume`: nothing, and its packets are read
and dropped; the relay does that in every case, so it is the same as True (FreeSWITCH's words).
"""


class LegRole(StrEnum):
    """A: rung first. B: created after A answered."""

    A = "a"
    B = "b"


class Party(StrEnum):
    """Who caused an ending."""

    REMOTE = "remote"
    LOCAL = "local"
    TIMEOUT = "timeout"
    POLICY = "policy"


class LegState(StrEnum):
    """States of a half-call (design 3)."""

    IDLE = "idle"
    DIALING = "dialing"
    RINGING = "ringing"
    EARLY = "early"
    ANSWERED = "answered"
    ENDING = "ending"
    WRITING = "writing"
    ENDED = "ended"


class CallerId(msgspec.Struct, frozen=True):
    """Name and number shown to the called party. Either may be empty."""

    name: str = ""
    number: str = ""


class Contact(msgspec.Struct, frozen=True):
    """Where an endpoint is reachable now: a binding of the location service or a fixed address."""

    uri: str
    """SIP URI of the Contact header as registered, or the configured address."""
    received: str = ""
    """`sip:ip:port;transport=x` the request came from, when it differs from `uri` (NAT); used as
    next hop."""
    user_agent: str = ""
    """User-Agent of the REGISTER; selects the auto-answer profile."""
    q: float = 1.0
    """Preference 0..1 (RFC 3261 20.10)."""
    path: tuple[str, ...] = ()
    """Path headers of the REGISTER (RFC 3327), first hop first; become the route set."""


class Credentials(HidesPassword, frozen=True):
    """Digest credentials offered to a challenge. The secret never appears in `repr`."""

    username: str
    password: str
    realm: str = "*"


class DialLimit(msgspec.Struct, frozen=True):
    """What a carrier, or one of its gateways, can take."""

    name: str
    """Whose limit it is, for people too; all that have one name share what it allows."""
    calls: int = 0
    """Legs at once, 0: no limit."""
    calls_per_second: float = 0.0
    """INVITEs a second, 0: no limit."""


class Endpoint(msgspec.Struct, frozen=True):
    """One device or carrier that can be sent an INVITE, as the directory describes it."""

    id: str
    """Directory id of the device or the resource."""
    kind: str
    """`device` or `resource`."""
    contacts: tuple[Contact, ...]
    """Where to send the INVITE. Empty: nobody registered."""
    user: str = ""
    """SIP user of the device (the AOR's user part)."""
    realm: str = ""
    """SIP realm of the device or its account (the AOR's host part)."""
    owner_id: str = ""
    invite_format: str = "contact"
    """Kazoo invite format: username, contact, e164, npan, 1npan, strip_plus, route, forward."""
    codecs: tuple[str, ...] = ()
    """Codec names in order of preference, empty: the engine's default set."""
    headers: tuple[tuple[str, str], ...] = ()
    """Custom SIP headers of the device."""
    credentials: Credentials | None = None
    caller_id: CallerId = CallerId()
    """External caller id of the device, shown to the dialled party."""
    number: str = ""
    """Number to ask for here, instead of the dialled one: each carrier has its own prefix and
    suffix, a device may have a number of its own (Kazoo's To-DID); empty: as dialled."""
    ignore_early_media: IgnoreEarlyMedia | None = None
    """Device policy, None: as the request says."""
    delay: float | None = None
    """Seconds from the start of its group to its INVITE, None: as the request says."""
    timeout: float | None = None
    """Seconds from its INVITE to its answer, None: as the request says."""
    progress_timeout: float | None = None
    """Seconds from its INVITE to its first 18x, None: as the request says."""
    ignore_completed_elsewhere: bool | None = None
    """True: a CANCEL does not say that the call was completed elsewhere, so that the phone shows a
    missed call; None: as the request says."""
    proxy: str = ""
    """Outbound proxy as a SIP URI or `host[:port]`, empty: none. With `;lr` it sees itself in
    Route."""
    diversions: tuple[str, ...] = ()
    """Diversion header values (RFC 5806), the latest first."""
    fallbacks: tuple[Endpoint, ...] = ()
    """Tried one after the other when this one cannot be reached: carriers of a forwarded call."""
    request_user: str = ""
    """User of the Request-URI in the username format (Kazoo's To-User), empty: `user`."""
    cid_type: CidType = "rpid"
    """How the caller's identity is told besides From."""
    forwarded_by: str = ""
    """Id of the device whose call forward leads here, empty: nobody forwarded the call."""
    shown: CallerId | None = None
    """Caller id it is shown, None: the caller's. Who forwards a call may show its own."""
    may_auto_answer: bool = True
    """False: it is never asked to answer by itself."""
    media: MediaPolicy = PLAIN_MEDIA
    call_id: str = ""
    """Call-ID of the INVITE to its first contact, the others get `-2`, `-3`, ... behind it; empty:
    as the request says, else the engine makes them."""
    channel_vars: tuple[tuple[str, str], ...] = ()
    """More custom channel variables (CCVs) of its legs."""
    limits: tuple[DialLimit, ...] = ()
    """What it can take, if that is limited."""

    @property
    def aor(self) -> str:
        """`sip:user@realm`, empty when the endpoint has no user (a carrier)."""
        return f"sip:{self.user}@{self.realm}" if self.user else ""


class OriginateRequest(msgspec.Struct, frozen=True):
    """A validated request to ring an endpoint and, when it answers, to connect it to `number`.

    Built by `engine.control.kazoo` from HTTP or AMQP, or directly by embedding code. Bounds are
    checked by
    `engine.control.kazoo` for the former and by `Engine.originate` for the latter.
    """

    account_id: str
    endpoint_type: EndpointType
    endpoint_id: str
    number: str
    """The number as dialled, before the number filter."""
    auto_answer: bool | Literal["force"] = False
    """Whether the rung phone is asked to answer by itself, when it rings alone; `force`: also when
    others ring with it."""
    cid_name: str | None = None
    """Caller id name shown on both legs; None: "Device QuickCall" to the device, the device's own
    to the dialled party."""
    cid_number: str | None = None
    custom_application_vars: Mapping[str, object] = msgspec.field(default_factory=dict)
    ignore_early_media: IgnoreEarlyMedia = True
    media: MediaMode = MediaMode.PROCESS
    bypass_flow: BypassFlow = BypassFlow.AFTER_ANSWER
    """With `media` bypass. Not `direct` while early media are ignored."""
    number_filter: bool | str | None = None
    target_call_id: str | None = None
    timeout: int = 30
    """Seconds to ring the endpoint, 3 or more."""
    request_id: str = ""
    """Caller's id of the request; empty: the engine makes one."""
    call_id: str = ""
    """Caller's choice of the first A-leg's Call-ID; the others get `-2`, `-3`, ... behind it.
    Empty: the engine makes them."""
    dial_method: DialMethod = DialMethod.SIMULTANEOUS
    fail_on_single_reject: bool | frozenset[str] = False
    """Whether the first attempt that is refused ends the ringing of all; cause names: only one of
    those does."""
    ignore_completed_elsewhere: bool = False
    """As of `Endpoint`, for endpoints that do not say."""
    endpoint_delay: float = 0.0
    """Seconds from the start of a group of attempts to its INVITEs, for endpoints that do not
    say."""
    endpoint_timeout: float = 0.0
    """Seconds from an INVITE to its answer, for endpoints that do not say; 0: until `timeout`."""
    progress_timeout: float = 0.0
    """Seconds from an INVITE to its first 18x, for endpoints that do not say; 0: no limit."""
    max_duration: float = 0.0
    """Seconds the two may talk, 0: the engine's `max_call_s`."""
    hide_name: bool = False
    """Show no caller id name to the dialled party (RFC 3323)."""
    hide_number: bool = False
    """Show no caller id number to the dialled party."""
    answer_after: int = 0
    """Seconds a phone that answers by itself waits before it does, 0 to 60."""
    headers: tuple[tuple[str, str], ...] = ()
    """Custom SIP headers of the INVITEs to the rung endpoint, at most 32; the dialled party never
    gets them."""
    application: Application = Application.TRANSFER
    endpoints: tuple[Endpoint, ...] = ()
    """Whom to ring, told by who asks; empty: what `endpoint_type` and `endpoint_id` name in the
    directory, which may not know account and endpoint otherwise. Without contacts they are rung
    where they are registered, or at their proxy."""
    bridge_to: tuple[Endpoint, ...] = ()
    """With `application` bridge: whom the answered endpoint is connected to, contacts as above."""
    channel_vars: Mapping[str, object] = msgspec.field(default_factory=dict)
    """More custom channel variables (CCVs) of the rung legs."""
    exported_vars: frozenset[str] = frozenset()
    """Names of those of `channel_vars` that the dialled legs get too."""

    @property
    def chosen_call_ids(self) -> tuple[str, ...]:
        """The Call-IDs that its first legs shall have, those of its endpoints among them."""
        chosen = (self.call_id, *(endpoint.call_id for endpoint in self.endpoints))
        return tuple(call_id for call_id in chosen if call_id)


class BridgeOrder(msgspec.Struct, frozen=True):
    """Connect a channel that waits for orders, or talks, to endpoints (Kazoo's `bridge`)."""

    endpoints: tuple[Endpoint, ...]
    """At least one; without contacts as in `OriginateRequest.endpoints`."""
    number: str = ""
    """Shown as the number called, and asked for at carriers that have none of their own."""
    dial_method: DialMethod = DialMethod.SINGLE
    timeout: float = 0.0
    """Seconds they may ring, 0: the engine's `b_timeout`."""
    caller_id: CallerId | None = None
    """Shown to them, None: that of the channel."""
    ignore_early_media: bool = False
    goes_on: bool = False
    """What follows when nobody is reached, or they leave: True, the channel waits for orders again;
    False, it is hung up."""
    may_fail: bool = False
    """Whether it waits for orders again when nobody is reached, even if it does not go on."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a number is not dialled."""

    cause: str
    """Cause name of `engine.core.causes`."""
    reason: str
    """The same for people, in words."""


class PlannedAttempt(msgspec.Struct, frozen=True):
    """One INVITE that an accepted originate will send, known before it is sent."""

    endpoint: Endpoint
    contact: Contact
    call_id: str


class Attempt(msgspec.Struct, frozen=True):
    """How one INVITE to one contact went; part of every outcome."""

    call_id: str
    endpoint_id: str
    contact: str
    cause: str
    """Cause name, `SUCCESS` for the winner, `LOSE_RACE` for the losers."""
    sip_status: int
    """Final SIP status, 0 when no answer came from the wire."""
    reason: str
    ringing_seconds: float
    """From the first 18x to the end of the attempt, 0 when it never rang."""
    role: LegRole
    """Which side was rung."""
    next_hop: str
    """Where the INVITE was sent when its Request-URI does not say it, empty: it does."""
    started_at: float | None
    """When the INVITE was ordered, None: it never was."""
    ended_at: float | None
    """When the attempt ended, None: it lives."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of an originate. Never without a cause (design 3)."""

    originate_id: OriginateId
    account_id: str
    answered: bool
    """True when an endpoint answered (or gave early media that was not ignored)."""
    call_id: str
    """Call-ID of the winning A-leg, empty when none won."""
    cause: str
    """`SUCCESS` while the answered call lives, a cause name of `engine.core.causes` when it has
    ended or failed."""
    q850: int
    sip_status: int
    reason: str
    party: Party
    attempts: tuple[Attempt, ...]
    final: bool
    """False when it reports the answer of the endpoint, True in the one terminal event of the
    request."""
    number: str
    """The number after the number filter."""
    filter_note: str
    """Why a regex as number filter left the number as it was (`no match`, `no capture group`, ...),
    empty: it did not."""


class LegSnapshot(msgspec.Struct, frozen=True):
    """A leg at the moment of a notice: all that events, webhooks and CDRs say about it."""

    leg: LegId
    originate_id: OriginateId
    role: LegRole
    state: LegState
    call_id: str
    account_id: str
    endpoint_id: str
    endpoint_kind: str
    owner_id: str
    caller_id: CallerId
    callee_id: CallerId
    request_uri: str
    to_uri: str
    from_uri: str
    user: str
    realm: str
    interaction_id: str
    """Kazoo `Call-Interaction-ID`, the same for every leg of an originate."""
    created_at: float
    ringing_at: float | None
    answered_at: float | None
    ended_at: float | None
    other_leg_call_id: str
    other_leg_number: str
    """Number the other leg was dialled with, empty when there is none."""
    other_leg_caller_id: CallerId
    cause: str
    """Empty while the leg lives."""
    q850: int
    sip_status: int
    reason: str
    party: Party | None
    codec: str
    media: MediaMode
    """How its media flows now."""
    auto_answer: bool
    held: bool
    """On hold, by the peer or by us."""
    user_agent: str
    to_tag: str
    from_tag: str
    local_sdp: str
    remote_sdp: str
    channel_vars: Mapping[str, object]
    """Custom channel variables in Kazoo's Header-Case."""
    application_vars: Mapping[str, object]
    """Custom application variables, on every leg of the originate."""
    auto_answer_reason: str = ""
    """Why the phone is not asked to answer by itself although the request wants it, empty: it is,
    or the request does not. `multiple_endpoints`, `forwarded` or `not_allowed`."""
    auto_answer_latency_ms: int | None = None
    """From the first 18x, else the INVITE, of a phone that was asked to its answer."""
    auto_answer_honoured: bool | None = None
    """Whether it answered so soon that nobody can have picked it up, None: not asked, or no answer
    yet."""
    security: str = ""
    """How its media are encrypted, as of `LegMedia`."""
    report: MediaReport | None = None
    """How its media went, None while it lives and when they never started."""
    one_way: bool = False
    """For a while nothing was heard of it although the other side was."""
    recordings: tuple[str, ...] = ()
    """Files it is or was recorded to."""
