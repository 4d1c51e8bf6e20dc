"""Which short number reaches whom inside an account, kept up to date with every change.

A device or a user claims the number of its internal caller id and the user part of its presence id,
a device its SIP username too. A user and the devices it owns may claim the same number: it then
means the user, and rings them all. Anybody else's claim to a taken number is a conflict.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from engine.core.errors import Conflict
from engine.store.documents import Device, User


class Extension(NamedTuple):
    """A number and the endpoint it reaches."""

    number: str
    kind: Literal["device", "user"]
    id: str


class _Claimant(NamedTuple):
    kind: Literal["device", "user"]
    id: str


class Extensions:
    """The claims of one account."""

    def __init__(self) -> None:
        """Begin without any."""
        self._claims: dict[str, dict[_Claimant, _Claimant]] = {}
        self._numbers: dict[_Claimant, dict[str, str]] = {}
        self._list: tuple[Extension, ...] | None = None

    def check(self, endpoint: User | Device) -> None:
        """Raise `Conflict` when somebody else has a number this device or user would claim."""
        claimant, holder = _who(endpoint), _holder(endpoint)
        for number, field in _claimed(endpoint).items():
            for other, other_holder in self._claims.get(number, {}).items():
                if other != claimant and other_holder != holder:
                    raise Conflict(field, number, f"{other.kind} {other.id}")

    def keep(self, endpoint: User | Device) -> None:
        """Take over the claims of a new or changed device or user, checked before."""
        claimant, holder, claimed = _who(endpoint), _holder(endpoint), _claimed(endpoint)
        if self._numbers.get(claimant) == claimed and all(
            self._claims[number][claimant] == holder for number in claimed
        ):
            # The list stays the one it is, and whoever has compiled it need not do so again.
            return
        self.forget(endpoint)
        self._numbers[claimant] = claimed
        for number in claimed:
            self._claims.setdefault(number, {})[claimant] = holder

    def forget(self, endpoint: User | Device) -> None:
        """Drop the claims of a device or user, if it has any."""
        self._list = None
        claimant = _who(endpoint)
        for number in self._numbers.pop(claimant, ()):
            del self._claims[number][claimant]
            if not self._claims[number]:
                del self._claims[number]

    def all(self) -> tuple[Extension, ...]:
        """Return every number once, in order, with what it reaches."""
        if self._list is None:
            self._list = tuple(
                Extension(
                    number,
                    *(next(iter(claims)) if len(claims) == 1 else next(iter(claims.values()))),
                )
                for number, claims in sorted(self._claims.items())
            )
        return self._list


def _who(endpoint: User | Device) -> _Claimant:
    return _Claimant("user" if isinstance(endpoint, User) else "device", endpoint.id)


def _holder(endpoint: User | Device) -> _Claimant:
    if isinstance(endpoint, Device) and endpoint.owner_id:
        return _Claimant("user", endpoint.owner_id)
    return _who(endpoint)


def _claimed(endpoint: User | Device) -> dict[str, str]:
    """Return number -> the field it comes from."""
    claimed = {
        endpoint.presence_id.partition("@")[0]: "presence_id",
        endpoint.caller_id.internal.number: "caller_id.internal.number",
    }
    if isinstance(endpoint, Device):
        claimed[endpoint.sip.username] = "sip.username"
    claimed.pop("", None)
    return claimed
