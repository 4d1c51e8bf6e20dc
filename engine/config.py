"""The configuration of an engine: one frozen value, every field with its bounds beside it.

Values come from three places, the later winning: the defaults below, a TOML file, the environment
(`QUICKCALL_` and the field's name in capitals). An unknown key or a value out of bounds is an error
that names the field, the value and what is allowed; nothing is guessed or ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from engine.config_values import (
    HEP_PORT,
    SECRETS,
    ConfigError,
    parse_address,
    parse_listener,
    parse_name_server,
)
from engine.control.amqp_url import parse_url
from engine.core.errors import RequestInvalid
from engine.core.sound_names import EngineSounds, engine_sounds
from engine.core.uri import proxy_uri

_Port = Annotated[int, Meta(ge=0, le=65535)]
_Text = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x20\x7f]+$")]


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine can be told before it starts. The defaults run on loopback."""

    node: _Name = "quickcall@localhost"
    """`name@host` of this engine in every envelope, event and CDR."""
    sip_listeners: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)] = (
        "udp:127.0.0.1:5060",
        "tcp:127.0.0.1:5060",
    )
    """SIP listeners as `TRANSPORT:HOST:PORT`; the transport is udp, tcp or tls, IPv6 hosts stand in
    brackets, port 0 asks the kernel for a free one."""
    public_host: _Text = ""
    """Host put into Via and Contact when the bound address is not the one peers see. Empty: the
    bound address. `auto`: the source address the kernel would use toward `network_probe`."""
    media_host: _Name = "127.0.0.1"
    """Address RTP sockets bind to and SDP names, IPv4 or IPv6. `auto`: as for `public_host`."""
    network_probe: _Name = "192.0.2.1"
    """Address (no packet is sent to it) whose route decides what `auto` means; name a carrier's
    address when the machine has several ways out."""
    rtp_ports: tuple[
        Annotated[int, Meta(ge=1024, le=65535)], Annotated[int, Meta(ge=1024, le=65535)]
    ] = (16384, 32767)
    """First and last UDP port for RTP. A leg with media takes two of them."""
    rtp_latching: Literal["off", "host", "nat"] = "nat"
    """Who may send a leg's RTP when the address of its SDP does not: `off` nobody, `host` another
    port of that address, `nat` also the host its SIP came from and, when the SDP names a private
    address, whoever sends first. Once somebody is heard, strangers are not."""
    rtp_timeout_s: Annotated[float, Meta(ge=0, le=604800)] = 60.0
    """Seconds without RTP after which an answered leg is taken for dead and its call ends with
    MEDIA_TIMEOUT, 0: never. Phones that send nothing while nobody speaks (VAD) send RTCP, and that
    counts."""
    rtp_timeout_held_s: Annotated[float, Meta(ge=0, le=604800)] = 1800.0
    """The same for a leg on hold, which sends RTCP at most."""
    one_way_s: Annotated[float, Meta(ge=0, le=604800)] = 5.0
    """Seconds after which a leg that is not heard, while the other one is, is told as one-way audio
    (event MEDIA_ONE_WAY), 0: never. The call goes on."""
    tls_certificate: _Text = ""
    """PEM file with the certificate chain; needed by tls listeners."""
    tls_private_key: _Text = ""
    """PEM file with the private key; needed by tls listeners."""
    codecs: Annotated[tuple[_Name, ...], Meta(min_length=1, max_length=16)] = (
        "opus/48000",
        "G722/8000",
        "PCMU/8000",
        "PCMA/8000",
    )
    """Codecs offered, in this order, to devices that name none; telephone-event always is."""
    media_encryption: Literal["off", "optional", "mandatory"] = "off"
    """Whether the media of devices and gateways are encrypted that do not say it themselves
    (`media.encryption`, docs/srtp.md): in the clear, SRTP where the peer takes it, SRTP or no
    call."""
    max_legs: Annotated[int, Meta(ge=1, le=8192)] = 8000
    """Legs at once. A quickcall beyond it fails, it does not queue."""
    account_calls: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Calls that an account may have at once which has no `limits.calls` of its own, 0: as many as
    the engine (docs/limits.md)."""
    account_calls_per_second: Annotated[float, Meta(ge=0, le=100_000)] = 0.0
    """Quickcalls a second that such an account may ask for, 0: as many as the engine can make."""
    account_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    """Quickcalls that such an account may ask for at once after a while of silence."""
    max_calls_per_second: Annotated[float, Meta(ge=0, le=100_000)] = 0.0
    """INVITEs a second that the engine sends, evenly spaced, 0: as they come. A few more wait for
    their turn."""
    pacing_wait_s: Annotated[float, Meta(ge=0, le=30)] = 2.0
    """Longest wait of an INVITE for its turn, seconds. One that would wait longer fails at once,
    and the next carrier is tried."""
    overload_lag_ms: Annotated[float, Meta(ge=0, le=1000)] = 20.0
    """How late the engine may be with its work before it refuses quickcalls with 503 `overloaded`,
    milliseconds, 0: it never does."""
    sip_t1_ms: Annotated[int, Meta(ge=10, le=2000)] = 500
    """SIP's estimate of a round trip, T1 of RFC 3261 17.1.1.1, milliseconds: a peer that says
    nothing is given up after 64 of them. Below 500 only on networks whose round trip is known."""
    session_expires_s: Annotated[int, Meta(ge=0, le=86400)] = 1800
    """Session interval of RFC 4028, seconds: a peer is asked for a sign of life after half of it,
    and the call ends when none comes; 90 or more, 0: never."""
    transcoding: bool = True
    """Whether a side that takes none of the other's codecs is offered all its own, and the engine
    translates; false: both use one codec, or there is no call."""
    allow_transfer: bool = True
    """Whether a party of an answered call may transfer it by REFER; false: REFER is answered
    603."""
    realm: _Text = ""
    """Realm of phones that were set up with nothing but the address of this engine: it stands in
    for the host of an AOR that is an IP address. Empty: the address is the realm."""
    outbound_proxy: _Text = ""
    """SIP URI, or `host[:port]`, of the proxy that every INVITE goes through unless its device or
    gateway names another; with `;lr` the proxy sees itself in Route. Devices that are registered at
    the proxy and not here are asked for by their address of record. Empty: none."""
    phone_profiles: _Text = ""
    """TOML file that says what makes each make of phone answer by itself (docs/auto_answer.md).
    Empty: the one that comes with the engine."""
    dns_servers: Annotated[tuple[str, ...], Meta(max_length=8)] = ()
    """Name servers asked for the host names of contacts, gateways and proxies, in this order, as
    `ADDRESS` or `ADDRESS:PORT`, IPv6 addresses in brackets. Empty: those of the system's
    resolv.conf."""
    dns_timeout_s: Annotated[float, Meta(ge=0.1, le=60)] = 5.0
    """Seconds within which a host name must be found; NAPTR, SRV and addresses get a third each."""
    b_timeout: Annotated[float, Meta(ge=3, le=600)] = 60.0
    """Seconds the dialled party may ring."""
    redirects: Literal["follow", "fork", "refuse"] = "follow"
    """What a 3xx does: `follow` tries its contacts one after the other, the best first, `fork` all
    at once, `refuse` none. A number that a device redirects to goes through the dial plan."""
    max_redirects: Annotated[int, Meta(ge=0, le=32)] = 5
    """Contacts of 3xx answers that are tried for one side of a quickcall; phones that redirect to
    each other end there."""
    max_call_s: Annotated[float, Meta(ge=0, le=604800)] = 14400.0
    """Seconds the two may talk before the call is ended with ALLOTTED_TIMEOUT, 0: no limit. The
    last guard against a call that nobody ends and everybody pays for; a request may ask for
    another with its `max_duration`."""
    ringback: _Text = "us"
    """What the answered device hears while the other side rings and sends no early media: a
    country code (`de`), a tone (`tone:425/1000,0/4000`) or a WAV file below `sounds_dir`
    (docs/sounds.md). Empty: nothing. The default is Kazoo's."""
    hold_music: _Text = ""
    """What a party on hold hears, as `ringback`. Empty: nothing."""
    announcements: Annotated[dict[str, str], Meta(max_length=100)] = {}
    """What the answered device hears before it is hung up because the other side was not reached:
    the cause (`USER_BUSY`) to a sound, as `ringback`. In the environment: `CAUSE=SOUND`, separated
    by semicolons."""
    sounds_dir: _Text = ""
    """Folder of the WAV files that can be played; sounds are named by their place in it. Empty:
    tones alone can be played."""
    recordings_dir: _Text = ""
    """Folder that recordings are written to, in a folder for each account. Empty: nothing can be
    recorded."""
    honour_remote_reason: Literal["both", "q850", "sip", "none"] = "both"
    """Which Reason headers (RFC 3326) of phones and carriers decide the cause of an ending: `both`,
    Q.850 before SIP before the SIP status; one of them; or `none`, the SIP status alone."""
    reaper_s: Annotated[float, Meta(ge=1, le=3600)] = 10.0
    """Seconds between two audits, which compare what call control, the SIP stack and the journal
    hold, and end what only one of them has."""
    register_min_s: Annotated[int, Meta(ge=1, le=86400)] = 60
    """Shortest registration granted, seconds; a shorter wish is answered 423 (RFC 3261 10.3)."""
    register_max_s: Annotated[int, Meta(ge=1, le=604800)] = 3600
    """Longest registration granted, seconds; a longer wish is shortened."""
    register_default_s: Annotated[int, Meta(ge=1, le=604800)] = 600
    """Registration granted to a device that asks for no time, seconds."""
    digest_algorithms: Annotated[
        tuple[Literal["SHA-256", "MD5"], ...], Meta(min_length=1, max_length=2)
    ] = ("SHA-256", "MD5")
    """Digest algorithms of the registrar's challenges, the preferred first (RFC 8760 2.4). SIPp and
    old phones read only the first challenge and know MD5 alone."""
    database: _Name = "sqlite+aiosqlite:///quickcall.db"
    """SQLAlchemy URL of the store: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://...`."""
    spool_dir: _Text = ""
    """Folder of the spool, in which events and CDRs are safe until the database has them; on a
    local disk, for one engine alone. Empty: `FILE.spool` beside the file of SQLite,
    `quickcall.spool` in the working folder for PostgreSQL."""
    spool_max_mb: Annotated[int, Meta(ge=1, le=1_048_576)] = 512
    """MiB of the spool that may wait for a database that is away; with more, new requests are
    refused while calls go on."""
    events_kept: Annotated[int, Meta(ge=1000, le=1_000_000_000)] = 1_000_000
    """Events kept in the store for resuming clients; older ones are deleted, but not those that a
    broker or a webhook has still to be told: with twice as many of them, new requests are
    refused."""
    http_host: _Name = "127.0.0.1"
    """Address the HTTP API listens on."""
    http_port: _Port = 8000
    """TCP port of the HTTP API, 0 asks the kernel for a free one."""
    websocket_max_per_ip: Annotated[int, Meta(ge=1, le=20_000)] = 1000
    """WebSockets that one address may have open; more are answered 429. Clients behind one proxy or
    NAT share an address."""
    http_certificate: _Text = ""
    """PEM file with the certificate chain of the HTTP API, which then speaks TLS 1.2 or later and
    nothing else. SIGHUP takes up a new one. Empty: plain HTTP."""
    http_private_key: _Text = ""
    """PEM file with the key of that certificate."""
    audit_log: _Text = ""
    """File that says who had the engine do what, one JSON object a line (docs/operations.md). While
    it cannot be written, nothing is done that it would tell of. SIGHUP opens it anew. Empty:
    none."""
    drain_s: Annotated[float, Meta(ge=0, le=604800)] = 0.0
    """Seconds that calls may go on after the first SIGTERM, while no new ones are taken; then, or
    at a second signal, they are ended. 0: at once."""
    tokens: Annotated[dict[str, str], Meta(max_length=10_000)] = {}
    """API tokens known from the start: token, or `sha256:` and its hex digest, to the account id it
    opens, `*` for all. In the environment: `TOKEN=ACCOUNT`, separated by commas."""
    amqp_url: _Text = ""
    """Kazoo's message bus: `amqp://USER:PASSWORD@HOST:PORT/VHOST`, amqps for TLS (docs/amqp.md).
    Empty: none."""
    amqp_prefetch: Annotated[int, Meta(ge=1, le=10_000)] = 64
    """Requests of the bus that may be in work at once; the broker keeps the others."""
    node_gone_s: Annotated[float, Meta(ge=3, le=3600)] = 30.0
    """Seconds without a sign of life on the bus after which another engine is gone, and what it
    owes is told for it."""
    amqp_routing: Literal["auto", "engine"] = "auto"
    """Who says where an answered originate goes. auto: the applications of the bus; the engine's
    dial plan when none of them routes. engine: the dial plan alone."""
    webhook_private_addresses: bool = False
    """Whether webhooks may go to private, loopback and other addresses that are not of the
    internet. False keeps customers who set up webhooks out of the network the engine is in."""
    trace: bool = False
    """Keep the SIP messages of recent calls in memory for ladders. Costs CPU on every message."""
    trace_calls: Annotated[int, Meta(ge=1, le=100_000)] = 256
    """How many Call-IDs the trace remembers."""
    hep_server: _Text = ""
    """`ADDRESS[:PORT]` (9060) of a capture server, such as Homer or sngrep, that is sent every SIP
    message by UDP as HEPv3. Empty: none. Costs CPU on every message, as `trace` does."""
    hep_agent: Annotated[int, Meta(ge=0, le=4294967295)] = 2001
    """Capture agent id of this engine in those packets."""
    hep_key: _Text = ""
    """Password that the capture server asks for, empty: none."""
    log_format: Literal["text", "json"] = "text"
    """How `quickcall serve` writes its log to standard error: lines for people, or one JSON object
    a line; both name request, Call-ID and account of what they are about."""
    shutdown_s: Annotated[float, Meta(ge=0.1, le=300)] = 8.0
    """Seconds `close` waits for legs to end before it destroys the SIP stack."""
    stack_log_level: Annotated[int, Meta(ge=0, le=5)] = 2
    """How much of the native stack's log goes to Python's `engine.sip` logger: 0 nothing, 1 errors,
    2 warnings, 5 all."""

    def __post_init__(self) -> None:
        """Check every field. Raises `ConfigError`."""
        for name, field in FIELDS.items():
            value = getattr(self, name)
            try:
                msgspec.convert(value, type=field.type)
            except msgspec.ValidationError as error:
                raise ConfigError(name, value, f"{allowed_words(name)} ({error})") from error
        self._check_addresses()
        self._check_together()

    def _check_addresses(self) -> None:
        """Check where others are to be found."""
        if self.amqp_url:
            try:
                parse_url(self.amqp_url)
            except RequestInvalid as error:
                raise ConfigError("amqp_url", "", error.allowed) from error
        for text in self.dns_servers:
            parse_name_server(text)
        if self.hep_server:
            parse_address("hep_server", self.hep_server, HEP_PORT)
        if self.outbound_proxy:
            try:
                proxy_uri("outbound_proxy", self.outbound_proxy)
            except RequestInvalid as error:
                raise ConfigError("outbound_proxy", error.value, error.allowed) from error

    def _check_together(self) -> None:
        """Check what types cannot say."""
        for text in self.sip_listeners:
            parse_listener(text)
        try:
            _ = self.sounds
        except RequestInvalid as error:
            raise ConfigError(error.field, error.value, error.allowed) from error
        first, last = self.rtp_ports
        if last <= first:
            raise ConfigError("rtp_ports", list(self.rtp_ports), "a first port below the last one")
        if 0 < self.session_expires_s < 90:
            raise ConfigError("session_expires_s", self.session_expires_s, "0, or 90 to 86400")
        self._check_certificates()
        if not self.register_min_s <= self.register_default_s <= self.register_max_s:
            raise ConfigError(
                "register_default_s",
                self.register_default_s,
                f"register_min_s ({self.register_min_s}) to register_max_s ({self.register_max_s})",
            )

    def _check_certificates(self) -> None:
        tls = any(text.startswith("tls:") for text in self.sip_listeners)
        if tls and not (self.tls_certificate and self.tls_private_key):
            field = "tls_private_key" if self.tls_certificate else "tls_certificate"
            raise ConfigError(field, "", "a PEM file, because sip_listeners has a tls listener")
        if bool(self.http_certificate) != bool(self.http_private_key):
            field = "http_private_key" if self.http_certificate else "http_certificate"
            raise ConfigError(field, "", "a PEM file, because the other one of the two is given")

    @property
    def sounds(self) -> EngineSounds:
        """What the engine plays by itself."""
        return engine_sounds(
            self.ringback, self.hold_music, self.announcements, self.sounds_dir.rstrip("/")
        )

    def __repr__(self) -> str:
        """Show the fields that differ from the defaults, secrets hidden."""
        shown = [
            f"{name}=(hidden)" if name in SECRETS else f"{name}={value!r}"
            for name, value in msgspec.structs.asdict(self).items()
            if value != default_of(name)
        ]
        return f"EngineConfig({', '.join(shown)})"


def default_of(name: str) -> object:
    """Return the default of a field."""
    field = FIELDS[name]
    if field.default is not msgspec.NODEFAULT:
        return field.default
    assert field.default_factory is not msgspec.NODEFAULT
    return field.default_factory()


_TYPE_WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
}


def allowed_words(name: str) -> str:
    """Return what a field may be, in words."""
    hint = _HINTS[name]
    base, metas = (
        (get_args(hint)[0], get_args(hint)[1:]) if hasattr(hint, "__metadata__") else (hint, ())
    )
    if get_origin(base) is Literal:
        return "one of " + ", ".join(str(word) for word in get_args(base))
    if name == "rtp_ports":
        return "two ports from 1024 to 65535, the first below the last"
    words = _TYPE_WORDS.get(base) or (
        "a table" if str(base).startswith("dict") else "a list of text"
    )
    for meta in metas:
        if meta.ge is not None:
            words += f" from {meta.ge} to {meta.le}"
        if base is str and meta.max_length:
            words += f" of {meta.min_length or 0} to {meta.max_length} characters, none a control"
        elif meta.max_length:
            words += f", {meta.min_length or 0} to {meta.max_length} of them"
    return words


FIELDS = {field.name: field for field in msgspec.structs.fields(EngineConfig)}
_HINTS: dict[str, Any] = get_type_hints(EngineConfig, include_extras=True)
