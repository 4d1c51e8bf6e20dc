"""The registrar: one REGISTER in, one answer out, bindings changed in between (RFC 3261 10.3).

Pure: the clock is an argument, bindings and passwords come through what it is given.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from email.utils import formatdate

import msgspec

from engine.core.commands import Respond
from engine.core.events import RegisterReceived
from engine.core.values import Contact
from engine.sip.bindings import Binding, BindingStore
from engine.sip.contact_header import ContactValue, is_clean, parse_contact, split_path
from engine.sip.digest import DigestCredentials, DigestServer, Verdict, parse_credentials
from engine.sip.uri import SipUri, parse_uri

Headers = tuple[tuple[str, str], ...]

_USER_LIMIT = 128
_CALL_ID_LIMIT = 256
_USER_AGENT_LIMIT = 128
_RETRY_AFTER_S = 10


class RegistrarSettings(msgspec.Struct, frozen=True):
    """How long registrations last, in seconds, and the realm of phones that know none."""

    min_expires: int = 60
    """Shorter wishes are answered 423."""
    max_expires: int = 3600
    """Longer wishes are shortened."""
    default_expires: int = 600
    """Granted to phones that wish nothing."""
    realm: str = ""
    """Stands in for the host of an AOR that is an IP address; empty: the address is the realm."""

    def __post_init__(self) -> None:
        """Raise `ValueError` when the bounds are not in order."""
        if not 1 <= self.min_expires <= self.default_expires <= self.max_expires:
            raise ValueError(
                f"registrar: 1 <= min {self.min_expires} <= default {self.default_expires}"
                f" <= max {self.max_expires} does not hold"
            )


class _RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, reason: str, headers: Headers = ()) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = headers


class Registrar:
    """Answers REGISTER requests."""

    def __init__(
        self,
        lookup: Callable[[str, str], str | None],
        store: BindingStore,
        digest: DigestServer,
        settings: RegistrarSettings | None = None,
    ) -> None:
        """Make it.

        `lookup` returns the password of a realm (in lower case) and user, None when nobody may
        register as that. `store` keeps the bindings. `digest` makes and checks challenges.
        """
        self._lookup = lookup
        self._store = store
        self._digest = digest
        self._settings = settings or RegistrarSettings()

    def handle(self, event: RegisterReceived, now: float) -> Respond:
        """Return the answer to a REGISTER at Unix time `now`, and make its changes.

        200 with every binding; 400 for what is malformed, out of order, or too much; 401 with a
        challenge per algorithm; 403 for wrong credentials, whether the user exists or not; 423 for
        too short a time; 503 while the bindings cannot be made durable. A refused request changes
        nothing.
        """
        try:
            headers = self._register(event, now)
        except _RefusedError as refusal:
            return Respond(event.transaction, refusal.status, refusal.reason, refusal.headers)
        return Respond(event.transaction, 200, "OK", headers)

    def _register(self, event: RegisterReceived, now: float) -> Headers:
        request_host = _parsed(event.request_uri, "Request-URI").host
        to = _parsed(event.to_uri, "To")
        if not to.user:
            raise _RefusedError(400, "No User In To")
        if not is_clean(to.user, _USER_LIMIT):
            # Well formed, yet nobody has such a name (RFC 3261 10.3 step 5; RFC 4475 3.1.1.4).
            raise _RefusedError(404, "Not Found")
        if not event.call_id or not is_clean(event.call_id, _CALL_ID_LIMIT):
            raise _RefusedError(400, "Bad Call-ID")
        realm = self._realm(to.host)
        self._authenticate(event, realm, to.user, {request_host, to.host, realm}, now)
        aor = f"{to.user}@{realm}"
        bindings = self._apply(event, aor, now)
        expiries = [_contact_header(binding, now) for binding in bindings]
        date = ("Date", formatdate(now, usegmt=True))
        path = tuple(("Path", value) for value in event.path if _supports_path(event))
        return (*expiries, date, *path)

    def _realm(self, host: str) -> str:
        # A phone set up with nothing but the address of its server takes that for its domain.
        return self._settings.realm.lower() if self._settings.realm and _is_address(host) else host

    # --- who asks --------------------------------------------------------------------------------

    def _authenticate(
        self, event: RegisterReceived, realm: str, user: str, hosts: set[str], now: float
    ) -> None:
        credentials = self._credentials(event, realm)
        if credentials is None:
            raise self._challenge(realm, now, stale=False)
        # RFC 7616 3.4.6, the host alone: phones and proxies disagree about ports and parameters,
        # and some clients hash the address they send to instead of the domain.
        named = _parsed(credentials.uri, "Digest URI").host
        if named not in hosts and not _is_address(named):
            raise _RefusedError(400, "Digest URI Names Another Host")
        itself = credentials.username in (user, f"{user}@{realm}")
        password = self._lookup(realm, user) if itself else None
        match self._digest.verify(credentials, "REGISTER", password, now):
            case Verdict.WRONG:
                raise _RefusedError(403, "Forbidden")
            case Verdict.STALE:
                raise self._challenge(realm, now, stale=True)
            case Verdict.UNKNOWN_NONCE:
                raise self._challenge(realm, now, stale=False)
            case Verdict.RIGHT:
                return

    def _credentials(self, event: RegisterReceived, realm: str) -> DigestCredentials | None:
        """Return the first credentials for this realm in an algorithm that was offered."""
        for header in event.authorization:
            try:
                credentials = parse_credentials(header)
            except ValueError:
                raise _RefusedError(400, "Bad Authorization") from None
            if (
                credentials is not None
                and credentials.realm.lower() == realm
                and self._digest.understands(credentials)
            ):
                return credentials
        return None

    def _challenge(self, realm: str, now: float, *, stale: bool) -> _RefusedError:
        return _RefusedError(401, "Unauthorized", self._digest.challenge(realm, now, stale=stale))

    # --- what changes ----------------------------------------------------------------------------

    def _apply(self, event: RegisterReceived, aor: str, now: float) -> tuple[Binding, ...]:
        """Make the changes a REGISTER asks for, all or none, and return the bindings after it."""
        if not event.contacts:
            return self._store.bindings(aor, now)
        if self._store.full:
            raise _RefusedError(503, "Service Unavailable", (("Retry-After", str(_RETRY_AFTER_S)),))
        current = self._store.bindings(aor, now)
        if "*" in (contact.strip() for contact in event.contacts):
            if len(event.contacts) > 1 or event.expires != 0:
                raise _RefusedError(400, "Star Contact Needs Expires 0 And No Other")
            _check_order(event, current)
            after: tuple[Binding, ...] = ()
        else:
            after = self._merge(event, aor, current, now)
        self._store.replace(aor, after)
        return self._store.bindings(aor, now)

    def _merge(
        self, event: RegisterReceived, aor: str, current: tuple[Binding, ...], now: float
    ) -> tuple[Binding, ...]:
        contacts = self._contacts(event)
        path = _path(event)
        touched = {contact.uri.key for contact in contacts}
        # A phone that came back under another address is still the same instance (RFC 5626 6).
        instances = {contact.instance for contact in contacts if contact.instance}
        replaced = [
            binding
            for binding in current
            if parse_uri(binding.contact.uri).key in touched or binding.instance in instances
        ]
        _check_order(event, replaced)
        new: dict[object, Binding] = {}
        for contact in contacts:
            seconds = self._granted(contact, event)
            new.pop(contact.uri.key, None)
            if seconds:
                new[contact.uri.key] = _binding(event, aor, contact, path, now, seconds)
        # Beyond the limit the oldest go: mostly a phone's addresses of before its last restarts.
        others = [binding for binding in current if binding not in replaced]
        others.sort(key=lambda binding: binding.updated_at, reverse=True)
        return (*new.values(), *others)[: self._store.max_bindings]

    def _contacts(self, event: RegisterReceived) -> list[ContactValue]:
        if len(event.contacts) > self._store.max_bindings:
            raise _RefusedError(400, "Too Many Contacts")
        try:
            return [parse_contact(contact) for contact in event.contacts]
        except ValueError:
            raise _RefusedError(400, "Bad Contact") from None

    def _granted(self, contact: ContactValue, event: RegisterReceived) -> int:
        """Return the seconds a contact is kept, 0 to remove it (RFC 3261 10.3 step 7)."""
        settings = self._settings
        wished = contact.expires if contact.expires is not None else event.expires
        if wished is None:
            return settings.default_expires
        if 0 < wished < settings.min_expires:
            least = (("Min-Expires", str(settings.min_expires)),)
            raise _RefusedError(423, "Interval Too Brief", least)
        return min(wished, settings.max_expires)


def _check_order(event: RegisterReceived, replaced: list[Binding] | tuple[Binding, ...]) -> None:
    for binding in replaced:
        if binding.call_id == event.call_id and event.cseq <= binding.cseq:
            raise _RefusedError(400, "CSeq Out Of Order")


def _binding(
    event: RegisterReceived,
    aor: str,
    contact: ContactValue,
    path: tuple[str, ...],
    now: float,
    seconds: int,
) -> Binding:
    agent = "".join(c for c in event.user_agent[:_USER_AGENT_LIMIT] if " " <= c <= "~")
    # Behind a proxy that put itself into the path, the source is that proxy, not the phone.
    received = "" if path else _received(event, contact.uri)
    return Binding(
        aor=aor,
        contact=Contact(contact.text, received, agent, contact.q, path),
        expires_at=now + seconds,
        updated_at=now,
        call_id=event.call_id,
        cseq=event.cseq,
        instance=contact.instance,
    )


def _received(event: RegisterReceived, uri: SipUri) -> str:
    """Return where the request came from when the contact says something else (NAT)."""
    host, _, port = event.source.rpartition(":")
    claimed = uri.port or (5061 if uri.transport == "tls" else 5060)
    if _same_host(host, uri.host) and port == str(claimed):
        return ""
    return f"sip:{event.source};transport={event.transport}"


def _same_host(one: str, other: str) -> bool:
    if _is_address(one) and _is_address(other):
        return ipaddress.ip_address(one.strip("[]")) == ipaddress.ip_address(other.strip("[]"))
    return one == other


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _parsed(text: str, name: str) -> SipUri:
    try:
        return parse_uri(text)
    except ValueError:
        raise _RefusedError(400, f"Bad {name}") from None


def _path(event: RegisterReceived) -> tuple[str, ...]:
    try:
        return tuple(hop for value in event.path for hop in split_path(value))
    except ValueError:
        raise _RefusedError(400, "Bad Path") from None


def _supports_path(event: RegisterReceived) -> bool:
    return "path" in (tag.lower() for tag in event.supported)


def _contact_header(binding: Binding, now: float) -> tuple[str, str]:
    contact = binding.contact
    q = "" if contact.q == 1 else f";q={contact.q:g}"
    instance, _, reg_id = binding.instance.rpartition(";")
    outbound = f";+sip.instance={instance};reg-id={reg_id}" if instance else ""
    left = max(1, round(binding.expires_at - now))
    return "Contact", f"<{contact.uri}>;expires={left}{q}{outbound}"
