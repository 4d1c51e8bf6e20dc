"""Bindings of addresses of record: what the registrar writes and the location service keeps."""

from __future__ import annotations

from typing import Protocol

import msgspec

from engine.core.values import Contact


class Binding(msgspec.Struct, frozen=True):
    """One registered contact of one AOR (RFC 3261 10)."""

    aor: str
    """`user@realm`, the realm in lower case."""
    contact: Contact
    expires_at: float
    """Unix time from which it is no longer valid."""
    updated_at: float
    call_id: str
    cseq: int
    """Call-ID and CSeq of the REGISTER that made or refreshed it; they order requests (10.3)."""
    instance: str = ""
    """`+sip.instance` and `reg-id` of the contact (RFC 5626), empty when it has none."""


class BindingStore(Protocol):
    """Where the registrar keeps bindings: `engine.store.location.Location`."""

    max_bindings: int
    """The most bindings one AOR may have."""

    @property
    def full(self) -> bool:
        """Whether so many changes wait for the disk that no new ones should be taken."""
        ...

    def bindings(self, aor: str, now: float) -> tuple[Binding, ...]:
        """Return the bindings of an AOR that are valid at `now`, best first."""
        ...

    def replace(self, aor: str, bindings: tuple[Binding, ...]) -> None:
        """Make these the bindings of an AOR, all at once."""
        ...
