"""Endpoints into attempts: whom to send an INVITE, at once (fork) or one after the other (hunt).

The rung side is one fork: every contact of every endpoint, of every device of a user; or, asked to
ring one after the other, a hunt over them. The dialled
side is a hunt over groups: devices next to each other fork, as one group, with the carriers that
they forward calls to; every contact of any other carrier is a group of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import msgspec
from msgspec.structs import replace

from engine.core.values import Contact, Endpoint

RESOURCE = "resource"
"""`Endpoint.kind` of a carrier."""


class Target(msgspec.Struct, frozen=True):
    """One contact of one endpoint, to be sent one INVITE."""

    endpoint: Endpoint
    contact: Contact


def fork(endpoints: Iterable[Endpoint], limit: int) -> tuple[Target, ...]:
    """Return at most `limit` targets, highest q first (RFC 3261 20.10).

    Targets of one q stay in directory order.
    A contact that an endpoint has twice is taken once. Empty when nobody is registered.
    """
    targets = [Target(endpoint, contact) for endpoint in endpoints for contact in _once(endpoint)]
    targets.sort(key=lambda target: -target.contact.q)
    return tuple(targets[:limit])


def one_by_one(targets: Iterable[Target]) -> tuple[tuple[Target, ...], ...]:
    """Return groups of one target each, in order."""
    return tuple((target,) for target in targets)


def chained(groups: Iterable[tuple[Target, ...]]) -> list[Target]:
    """Return the first of groups to be hunted, the others as fallbacks of its targets."""
    first, *rest = [*groups] or [()]
    later = tuple(replace(t.endpoint, contacts=(t.contact,)) for group in rest for t in group)
    return [
        Target(replace(target.endpoint, fallbacks=later), target.contact) if later else target
        for target in first
    ]


def hunt(endpoints: Iterable[Endpoint], limit: int) -> tuple[tuple[Target, ...], ...]:
    """Return the groups to try in order; the targets of one group ring at once."""
    groups: list[tuple[Target, ...]] = []
    for alone, members in groupby(endpoints, _hunted):
        if alone:
            groups += [(Target(carrier, c),) for carrier in members for c in _once(carrier)]
        else:
            groups.append(fork(tuple(members), limit))
    return tuple(group for group in groups if group)


def _hunted(endpoint: Endpoint) -> bool:
    """Whether it is a carrier to be tried alone, not one that a device has its calls go to."""
    return endpoint.kind == RESOURCE and not endpoint.forwarded_by


def _once(endpoint: Endpoint) -> Iterable[Contact]:
    first: dict[str, Contact] = {}
    for contact in endpoint.contacts:
        first.setdefault(contact.uri, contact)
    return first.values()
