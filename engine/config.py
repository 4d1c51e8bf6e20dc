"""The configuration of an engine: one frozen value, every field with its bounds beside it.

Values come from three places, the later winning: the defaults below, a TOML file, the environment
(`QUICKCALL_` and the field's name in capitals). An unknown key or a value out of bounds is an error
that names the field, the value and what is allowed; nothing is guessed or ignored.
"""

from __future__ import annotations

import ast
import inspect
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from engine.core.errors import EngineError, RequestInvalid
from engine.core.sound_names import EngineSounds, engine_sounds
from engine.core.uri import proxy_uri

ENVIRONMENT_PREFIX = "QUICKCALL_"
"""Prefix of the environment variables that set fields."""

CLIENT_VARIABLES = frozenset(
    {"QUICKCALL_URL", "QUICKCALL_TOKEN", "QUICKCALL_ACCOUNT", "QUICKCALL_PHONE_PASSWORD"}
)
"""Variables of the client commands (`call`, `phone`), which are no fields of an engine."""

_SECRETS = frozenset({"tokens", "database"})
_NAME_SERVER = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
_LISTENER = re.compile(r"^(udp|tcp|tls):(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+):(\d{1,5})$")

_Port = Annotated[int, Meta(ge=0, le=65535)]
_Text = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x20\x7f]+$")]


class ConfigError(EngineError, ValueError):
    """A configuration value cannot be used. Says the field, the value and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str, source: str = "") -> None:
        """Name the field, the value (hidden for secrets), what is allowed, and where it was set."""
        shown = "(hidden)" if field in _SECRETS else repr(value)
        place = f" (from {source})" if source else ""
        super().__init__(f"{field} = {shown}{place} is not allowed; allowed: {allowed}")
        self.field = field
        self.allowed = allowed
        self.source = source


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
    events_kept: Annotated[int, Meta(ge=1000, le=1_000_000_000)] = 1_000_000
    """Events kept in the store for resuming clients; older ones are deleted."""
    http_host: _Name = "127.0.0.1"
    """Address the HTTP API listens on."""
    http_port: _Port = 8000
    """TCP port of the HTTP API, 0 asks the kernel for a free one."""
    tokens: Annotated[dict[str, str], Meta(max_length=10_000)] = {}
    """API tokens known from the start: token, or `sha256:` and its hex digest, to the account id it
    opens, `*` for all. In the environment: `TOKEN=ACCOUNT`, separated by commas."""
    trace: bool = False
    """Keep the SIP messages of recent calls in memory for ladders. Costs CPU on every message."""
    trace_calls: Annotated[int, Meta(ge=1, le=100_000)] = 256
    """How many Call-IDs the trace remembers."""
    shutdown_s: Annotated[float, Meta(ge=0.1, le=300)] = 8.0
    """Seconds `close` waits for legs to end before it destroys the SIP stack."""
    stack_log_level: Annotated[int, Meta(ge=0, le=5)] = 2
    """How much of the native stack's log goes to Python's `engine.sip` logger: 0 nothing, 1 errors,
    2 warnings, 5 all."""

    def __post_init__(self) -> None:
        """Check every field. Raises `ConfigError`."""
        for name, field in _FIELDS.items():
            value = getattr(self, name)
            try:
                msgspec.convert(value, type=field.type)
            except msgspec.ValidationError as error:
                raise ConfigError(name, value, f"{_allowed(name)} ({error})") from error
        self._check_together()

    def _check_together(self) -> None:
        """Check what types cannot say."""
        for text in self.sip_listeners:
            parse_listener(text)
        for text in self.dns_servers:
            parse_name_server(text)
        if self.outbound_proxy:
            try:
                proxy_uri("outbound_proxy", self.outbound_proxy)
            except RequestInvalid as error:
                raise ConfigError("outbound_proxy", error.value, error.allowed) from error
        try:
            _ = self.sounds
        except RequestInvalid as error:
            raise ConfigError(error.field, error.value, error.allowed) from error
        first, last = self.rtp_ports
        if last <= first:
            raise ConfigError("rtp_ports", list(self.rtp_ports), "a first port below the last one")
        if 0 < self.session_expires_s < 90:
            raise ConfigError("session_expires_s", self.session_expires_s, "0, or 90 to 86400")
        tls = any(text.startswith("tls:") for text in self.sip_listeners)
        if tls and not (self.tls_certificate and self.tls_private_key):
            field = "tls_private_key" if self.tls_certificate else "tls_certificate"
            raise ConfigError(field, "", "a PEM file, because sip_listeners has a tls listener")
        if not self.register_min_s <= self.register_default_s <= self.register_max_s:
            raise ConfigError(
                "register_default_s",
                self.register_default_s,
                f"register_min_s ({self.register_min_s}) to register_max_s ({self.register_max_s})",
            )

    @property
    def sounds(self) -> EngineSounds:
        """What the engine plays by itself."""
        return engine_sounds(
            self.ringback, self.hold_music, self.announcements, self.sounds_dir.rstrip("/")
        )

    def __repr__(self) -> str:
        """Show the fields that differ from the defaults, secrets hidden."""
        shown = [
            f"{name}=(hidden)" if name in _SECRETS else f"{name}={value!r}"
            for name, value in msgspec.structs.asdict(self).items()
            if value != _default_of(name)
        ]
        return f"EngineConfig({', '.join(shown)})"


def parse_listener(text: str) -> tuple[str, str, int]:
    """Split `TRANSPORT:HOST:PORT` into its three parts, brackets of IPv6 removed.

    Raises `ConfigError` for anything else.

    >>> parse_listener("udp:[::1]:5060")
    ('udp', '::1', 5060)
    """
    match = _LISTENER.match(text)
    if match is None or int(match[3]) > 65535:
        raise ConfigError(
            "sip_listeners",
            text,
            "TRANSPORT:HOST:PORT with udp, tcp or tls and a port of 0 to 65535",
        )
    return match[1], match[2].strip("[]"), int(match[3])


def parse_name_server(text: str) -> tuple[str, int]:
    """Split `ADDRESS[:PORT]` into its two parts, brackets of IPv6 removed; the default port is 53.

    Raises `ConfigError` for anything else, host names included.

    >>> parse_name_server("[::1]:5353"), parse_name_server("192.0.2.53")
    (('::1', 5353), ('192.0.2.53', 53))
    """
    match = _NAME_SERVER.fullmatch(text)
    try:
        if match is not None and 1 <= int(match["port"] or 53) <= 65535:
            address = match["v6"] or match["v4"]
            return str(ipaddress.ip_address(address)), int(match["port"] or 53)
    except ValueError:
        pass
    allowed = "ADDRESS or ADDRESS:PORT, an IPv6 address in brackets, a port of 1 to 65535"
    raise ConfigError("dns_servers", text, allowed)


def load_config(
    path: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    **overrides: object,
) -> EngineConfig:
    """Build a config: defaults, then the TOML file, then the environment, then `overrides`.

    `path` None reads no file; `environment` None reads the process environment. Overrides of None
    count as not given. Raises `ConfigError` naming the field, its value, what is allowed and the
    source.
    """
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    layers = [
        (_from_file(path), str(path)),
        (_from_environment(os.environ if environment is None else environment), "the environment"),
        (
            {name: value for name, value in overrides.items() if value is not None},
            "the command line",
        ),
    ]
    for layer, source in layers:
        for name, value in layer.items():
            if name not in EngineConfig.__struct_fields__:
                raise ConfigError(
                    name,
                    value,
                    f"one of {', '.join(sorted(EngineConfig.__struct_fields__))}",
                    source,
                )
            values[name] = value
            sources[name] = source
    return _convert(values, sources)


def config_markdown() -> str:
    """Return docs/configuration.md, made from the fields and their docstrings."""
    lines = [
        "# Configuration",
        "",
        "Made from `engine/config.py` by its `config_markdown`; do not edit.",
        "",
        "An engine reads its configuration from the defaults, then a TOML file (`quickcall serve",
        "--config FILE`), then the environment; the later wins. An unknown key or a bad value",
        "stops the start with a sentence that names the field, the value and what is allowed.",
        "",
        "Lists are written in the environment with commas",
        "(`QUICKCALL_CODECS=PCMU/8000,PCMA/8000`), the port range with a hyphen",
        "(`QUICKCALL_RTP_PORTS=20000-29999`).",
        "",
    ]
    docs = _field_docs()
    for name in EngineConfig.__struct_fields__:
        lines += [
            f"## `{name}`",
            "",
            docs[name],
            "",
            f"* environment: `{ENVIRONMENT_PREFIX}{name.upper()}`",
            f"* default: `{_toml(_default_of(name))}`",
            f"* allowed: {_allowed(name)}",
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _default_of(name: str) -> object:
    field = _FIELDS[name]
    if field.default is not msgspec.NODEFAULT:
        return field.default
    assert field.default_factory is not msgspec.NODEFAULT
    return field.default_factory()


def _from_file(path: str | Path | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("config", str(path), f"a readable file ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("config", str(path), f"a TOML file ({error})") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, text in environment.items():
        if key.startswith(ENVIRONMENT_PREFIX) and key not in CLIENT_VARIABLES:
            name = key[len(ENVIRONMENT_PREFIX) :].lower()
            values[name] = _from_text(name, text)
    return values


def _from_text(name: str, text: str) -> object:
    if name in {"sip_listeners", "codecs", "dns_servers"}:
        return [part.strip() for part in text.split(",") if part.strip()]
    if name == "rtp_ports":
        return text.split("-")
    if name == "tokens":
        return _pairs(name, text, ",", "TOKEN=ACCOUNT pairs separated by commas")
    if name == "announcements":
        return _pairs(name, text, ";", "CAUSE=SOUND pairs separated by semicolons")
    return text


def _pairs(name: str, text: str, separator: str, allowed: str) -> dict[str, str]:
    pairs = [part.strip().rpartition("=") for part in text.split(separator) if part.strip()]
    if not all(key and value for key, _, value in pairs):
        raise ConfigError(name, text, allowed, "the environment")
    return {key: value for key, _, value in pairs}


def _convert(values: dict[str, object], sources: dict[str, str]) -> EngineConfig:
    checked: dict[str, Any] = {}
    for name, value in values.items():
        # Text from the environment or the command line may stand for a number; a file has types.
        lax = sources[name] in {"the environment", "the command line"}
        try:
            checked[name] = msgspec.convert(value, type=_FIELDS[name].type, strict=not lax)
        except msgspec.ValidationError as error:
            raise ConfigError(name, value, f"{_allowed(name)} ({error})", sources[name]) from error
    try:
        return EngineConfig(**checked)
    except ConfigError as error:
        source = sources.get(error.field, "")
        raise ConfigError(error.field, checked.get(error.field), error.allowed, source) from error


_TYPE_WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
}


def _allowed(name: str) -> str:
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


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value)


def _field_docs() -> dict[str, str]:
    """Read the string under each field, which Python itself does not keep."""
    body = ast.parse(inspect.getsource(EngineConfig)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(below.value, ast.Constant)
            docs[field.target.id] = " ".join(str(below.value.value).split())
    return docs


_FIELDS = {field.name: field for field in msgspec.structs.fields(EngineConfig)}
_HINTS: dict[str, Any] = get_type_hints(EngineConfig, include_extras=True)
