"""Accounts, users, devices, resources, blocklists and dial plans in Kazoo's shapes.

Each struct holds the fields the engine reads, by Kazoo's names. A document may have any others: the
directory keeps and returns them, it does not look at them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.core.media_values import DtmfMethod
from engine.core.passwords import HidesPassword
from engine.core.values import CidType
from engine.store.webhooks import Webhook

Kind = Literal["account", "user", "device", "resource", "blocklist", "dial_plan", "webhook"]
"""Kinds of documents, the words of `engine.core.errors.NotFound`."""

InviteFormat = Literal[
    "contact", "username", "e164", "npan", "1npan", "strip_plus", "route", "forward"
]
"""How the Request-URI of an INVITE is made (Kazoo's schema of devices)."""

Transport = Literal["udp", "tcp", "tls"]


class CallerIdText(msgspec.Struct, frozen=True):
    """Name and number of one caller id."""

    name: str = ""
    number: str = ""


class CallerIds(msgspec.Struct, frozen=True):
    """Caller ids by the kind of call."""

    internal: CallerIdText = CallerIdText()
    """Shown inside the account; its number is also an extension (docs/directory.md)."""
    external: CallerIdText = CallerIdText()
    """Shown on calls that leave through a carrier."""


class DialPlanRule(msgspec.Struct, frozen=True):
    """What replaces a number its key matches: prefix, the last capture group, suffix."""

    description: str = ""
    prefix: str = ""
    suffix: str = ""


SYSTEM = "system"
"""The key of a `dial_plan` that holds the names of shared plans."""

DialPlan = dict[str, DialPlanRule | tuple[str, ...]]
"""Regular expression to rule, in order; under `system` the names of shared plans."""


def shared_plans(plan: DialPlan) -> tuple[str, ...]:
    """Return the names of the shared plans that a `dial_plan` refers to."""
    names = plan.get(SYSTEM, ())
    return names if isinstance(names, tuple) else ()


class CallRestriction(msgspec.Struct, frozen=True):
    """Whether numbers of one class may leave through a carrier."""

    action: Literal["allow", "deny", "inherit"] = "inherit"
    """`inherit`: as the owner, then the account, then the default says."""


CallRestrictions = dict[str, CallRestriction]
"""By the name of the number's class (a classifier)."""


class CallForward(msgspec.Struct, frozen=True):
    """Where calls for a device go instead, or besides."""

    enabled: bool = False
    number: str = ""
    """Dialled as if the device dialled it; required when enabled."""
    substitute: bool = True
    """True: instead of the device, False: the device rings too."""
    keep_caller_id: bool = True
    """True: the caller's id is shown there, False: that of the device."""
    ignore_early_media: bool = True
    """Whether ringing tones and announcements from there are no answer."""
    require_keypress: bool = False
    """Whether who answers must press a key. That cannot be done here: with `enabled` it is
    refused."""


class DoNotDisturb(msgspec.Struct, frozen=True):
    """Whether somebody wants no calls."""

    enabled: bool = False


class MediaEncryption(msgspec.Struct, frozen=True):
    """Whether media are encrypted with SRTP, by keys in SDP (RFC 4568)."""

    enforce_security: bool | None = None
    """Where `methods` say `srtp`. True: a peer that refuses it is not talked to. False: it may.
    None: as the account says; False when it does not either."""
    methods: tuple[Literal["srtp", "zrtp"], ...] | None = None
    """Empty: in the clear. None: as the account says, then `media_encryption` of the configuration.
    ZRTP is not spoken here: `zrtp` does nothing, and may not stand alone."""
    suites: tuple[str, ...] | None = None
    """SRTP suites in order of preference, None: as the account says, all when it does not
    either."""


class Audio(msgspec.Struct, frozen=True):
    """Audio settings."""

    codecs: tuple[str, ...] = ()
    """Codec names in order of preference; empty: those of the account, then the engine's."""


class AccountMedia(msgspec.Struct, frozen=True):
    """Media settings of an account: of its devices, unless they say otherwise."""

    audio: Audio = Audio()
    encryption: MediaEncryption = MediaEncryption()


class AccountLimits(msgspec.Struct, frozen=True):
    """How many calls an account may have, and how fast it may ask for them."""

    calls: int | None = None
    """Accepted requests at once, until their terminal event; 0: no limit, None: `account_calls` of
    the configuration."""
    calls_per_second: float | None = None
    """Requests a second in the long run; 0: no limit, None: `account_calls_per_second`."""
    burst: int | None = None
    """Requests that may come at once after a while of silence, 1 or more; None:
    `account_burst`."""


class CarrierLimits(msgspec.Struct, frozen=True):
    """What a carrier, or one of its gateways, can take."""

    calls: int = 0
    """Calls at once, ringing ones too; 0: no limit. The next carrier gets what is beyond it."""
    calls_per_second: float = 0.0
    """INVITEs a second, evenly spaced; 0: no limit. A few more wait for their turn
    (docs/limits.md)."""


class Account(msgspec.Struct, frozen=True):
    """A tenant."""

    id: str
    name: str
    realm: str
    """SIP domain of its devices, unique, in lower case."""
    enabled: bool = True
    caller_id: CallerIds = CallerIds()
    dial_plan: DialPlan = {}
    call_restriction: CallRestrictions = {}
    blocklists: tuple[str, ...] | None = None
    """Ids of the blocklists that apply, whatever others there are; None: `blacklists`."""
    blacklists: tuple[str, ...] | None = None
    """Kazoo's name of `blocklists`; None: every enabled list of the account applies."""
    allow_auto_answer: bool = True
    """False: no phone of the account is ever asked to answer by itself."""
    media: AccountMedia = AccountMedia()
    limits: AccountLimits = AccountLimits()

    @property
    def chosen_blocklists(self) -> tuple[str, ...] | None:
        """Ids of the blocklists that apply, None: every one that is enabled."""
        return self.blacklists if self.blocklists is None else self.blocklists


class User(msgspec.Struct, frozen=True):
    """A person, who owns devices."""

    id: str
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    enabled: bool = True
    caller_id: CallerIds = CallerIds()
    presence_id: str = ""
    dial_plan: DialPlan = {}
    call_restriction: CallRestrictions = {}
    call_forward: CallForward = CallForward()
    """Of those of their devices that have none themselves."""
    do_not_disturb: DoNotDisturb = DoNotDisturb()
    """Enabled: none of their devices is rung."""


CustomHeaders = dict[str, str | dict[str, str]]
"""Headers by name, or Kazoo's two groups of them, `in` (sent to the device) and `out`."""


class DeviceSip(HidesPassword, frozen=True):
    """SIP settings of a device."""

    username: str = ""
    """User of its AOR and its credentials, unique in the realm; empty: it does not register."""
    password: str = ""
    """Secret of its digest credentials; empty: it cannot register."""
    realm: str = ""
    """Realm of its AOR, empty: its account's."""
    method: Literal["password", "ip"] = "password"
    """`ip`: known by its address, reached at it, never registered."""
    ip: str = ""
    """Address of a device with method `ip`."""
    invite_format: InviteFormat = "contact"
    route: str = ""
    """SIP URI where a device with invite format `route` is reached, without registration."""
    forward: str = ""
    """A SIP URI or `host[:port]` that INVITEs for it are sent to, whatever `proxy` says; with
    invite format `forward` it is found there by its AOR, without registration."""
    static_route: str = ""
    """User of the Request-URI in the username format, empty: `username`."""
    static_invite: str = ""
    """Another name of `static_route`, which counts first."""
    number: str = ""
    """Number it is asked for in the e164, npan, 1npan and strip_plus formats, empty: as dialled."""
    transport: Transport | None = None
    """Transport to an address given by `ip`; None: UDP."""
    proxy: str = ""
    """Outbound proxy in front of it, a SIP URI or `host[:port]`; empty: the engine's."""
    custom_sip_headers: CustomHeaders = msgspec.field(default_factory=dict)
    ignore_completed_elsewhere: bool | None = None

    def invite_headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of an INVITE to the device: those at the top, then those of `in`."""
        top = [
            (name, value)
            for name, value in self.custom_sip_headers.items()
            if isinstance(value, str)
        ]
        group = self.custom_sip_headers.get("in", {})
        return (*top, *group.items()) if isinstance(group, dict) else tuple(top)


class DeviceMedia(msgspec.Struct, frozen=True):
    """Media settings of a device."""

    audio: Audio = Audio()
    bypass_media: bool | Literal["auto"] | None = None
    """True: its media may go past the engine when the other side says so too."""
    ignore_early_media: bool | None = None
    progress_timeout: int | None = None
    """Seconds to wait for the first ringing, 1 to 3600."""
    encryption: MediaEncryption = MediaEncryption()
    webrtc: bool = False
    """It speaks as a browser does: ICE and DTLS-SRTP (RFC 8834); `encryption` is not looked at."""
    dtmf: DtmfMethod = DtmfMethod.AUTO
    """How it is sent digits: auto, rfc4733, info, inband."""
    inherit_codec: bool = False
    """When it is dialled, it is offered exactly the codec that the answered device uses."""


class Device(msgspec.Struct, frozen=True):
    """A phone, or anything else with an AOR or an address."""

    id: str
    name: str = ""
    enabled: bool = True
    owner_id: str = ""
    """Id of the user it belongs to, empty: nobody's."""
    sip: DeviceSip = DeviceSip()
    caller_id: CallerIds = CallerIds()
    media: DeviceMedia = DeviceMedia()
    dial_plan: DialPlan = {}
    call_restriction: CallRestrictions = {}
    presence_id: str = ""
    call_forward: CallForward = CallForward()
    do_not_disturb: DoNotDisturb = DoNotDisturb()

    @property
    def rings(self) -> bool:
        """Whether it may be rung: enabled, and not set to do not disturb."""
        return self.enabled and not self.do_not_disturb.enabled


class GatewayMedia(msgspec.Struct, frozen=True):
    """Media settings of a gateway."""

    encryption: MediaEncryption = MediaEncryption()
    """What it does not say the configuration does: a gateway has no account."""
    dtmf: DtmfMethod = DtmfMethod.AUTO
    """How it is sent digits: auto, rfc4733, info, inband."""
    inherit_codec: bool = False
    """It is offered exactly the codec that the answered device uses."""


class Gateway(HidesPassword, frozen=True):
    """One address of a carrier."""

    server: str
    port: int = 0
    """1..65535, 0: the transport's default."""
    username: str = ""
    password: str = ""
    realm: str = ""
    """Realm of the carrier's challenge, empty: any."""
    prefix: str = ""
    suffix: str = ""
    invite_format: InviteFormat = "route"
    sip_cid_type: CidType = "rpid"
    """How the caller's identity is told to it besides From: Remote-Party-ID, P-Asserted-Identity,
    or not."""
    progress_timeout: int | None = None
    """Seconds to wait for its first ringing, 1 to 3600."""
    codecs: tuple[str, ...] = ()
    media: GatewayMedia = GatewayMedia()
    custom_sip_headers: dict[str, str] = msgspec.field(default_factory=dict)
    transport: Transport = "udp"
    proxy: str = ""
    """Outbound proxy in front of it, a SIP URI or `host[:port]`; empty: the engine's."""
    enabled: bool = True
    channel_selection: Literal["ascending", "descending"] = "ascending"
    limits: CarrierLimits = CarrierLimits()
    """Of this gateway, besides those of the carrier."""


class Resource(msgspec.Struct, frozen=True):
    """A carrier."""

    id: str
    name: str
    gateways: tuple[Gateway, ...]
    """At least one; tried in order."""
    enabled: bool = True
    rules: tuple[str, ...] = ()
    """Regular expressions of the numbers it takes; the first capture group is what is dialled."""
    weight_cost: int = 50
    """1..100, the lowest is tried first."""
    flags: tuple[str, ...] = ()
    limits: CarrierLimits = CarrierLimits()
    """Of all its gateways together."""


class Blocklist(msgspec.Struct, frozen=True):
    """Numbers that nobody of the account may be connected to."""

    id: str
    name: str
    """1 to 128 characters."""
    numbers: dict[str, dict[str, Any]] = {}
    """By number, as it was typed; what stands under one is free."""
    enabled: bool = True


class SharedDialPlan(msgspec.Struct, frozen=True):
    """A `dial_plan` that those of accounts, users and devices name under `system`.

    As a document it is the rules themselves, and `id`, its name.
    """

    id: str
    dial_plan: dict[str, DialPlanRule] = {}


Document = Account | User | Device | Resource | Blocklist | SharedDialPlan | Webhook

STRUCTS: dict[Kind, type[Document]] = {
    "account": Account,
    "user": User,
    "device": Device,
    "resource": Resource,
    "blocklist": Blocklist,
    "dial_plan": SharedDialPlan,
    "webhook": Webhook,
}
"""The struct of each kind."""
