"""The location service: which contacts an address of record has now.

Bindings live in memory, where a change is seen at once; the database gets them a little later, in
groups, and gives them back after a restart. Phones refresh their registration anyway, so losing the
last tenth of a second with the process costs nothing that a lost REGISTER would not cost too.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import msgspec
from sqlalchemy import select, text

from engine.core.values import Contact
from engine.sip.bindings import Binding
from engine.store.database import Database
from engine.store.documents import Device
from engine.store.group_commit import GroupCommit
from engine.store.tables import bindings as bindings_table

_UPSERT = text(
    "INSERT INTO bindings (aor, uri, expires_at, binding)"
    " VALUES (:aor, :uri, :expires_at, :binding)"
    " ON CONFLICT (aor, uri) DO UPDATE"
    " SET expires_at = excluded.expires_at, binding = excluded.binding"
)
_DELETE = text("DELETE FROM bindings WHERE aor = :aor AND uri = :uri")

_Key = tuple[str, str]
"""AOR and contact URI."""


class Location:
    """AOR to bindings. Made by `open`; used from one event loop. Times are Unix time."""

    def __init__(self, database: Database, max_bindings: int, backlog_limit: int) -> None:
        """Use `open` instead."""
        self.max_bindings = max_bindings
        self._database = database
        self._bindings: dict[str, tuple[Binding, ...]] = {}
        self._expiries: list[tuple[float, str]] = []
        self._changes: GroupCommit[_Key] = GroupCommit(
            "location", self._commit, interval=0.1, batch=1000, limit=backlog_limit
        )

    @classmethod
    async def open(
        cls, database: Database, *, max_bindings: int = 10, backlog_limit: int = 20_000
    ) -> Location:
        """Read the bindings of a database into memory, expired ones included until `expire`.

        `max_bindings`: the most one AOR may have, at least 1. `backlog_limit`: changes that may
        wait for the disk before `full` is true, at least 1.
        """
        if max_bindings < 1 or backlog_limit < 1:
            raise ValueError(
                f"max_bindings {max_bindings} and backlog_limit {backlog_limit} must be 1 or more"
            )
        location = cls(database, max_bindings, backlog_limit)
        async with database.read(deadline=None) as connection:
            rows = await connection.execute(select(bindings_table.c.binding))
            loaded = [msgspec.json.decode(row[0], type=Binding) for row in rows]
        location._changes.start()
        newest_first = sorted(loaded, key=lambda binding: -binding.updated_at)
        for binding in newest_first:
            kept = location._bindings.get(binding.aor, ())
            if len(kept) < max_bindings:
                location._set(binding.aor, (*kept, binding), {binding})
            else:
                # The limit was lowered since; the row goes as the binding did.
                location._changes.add((binding.aor, binding.contact.uri))
        return location

    @property
    def full(self) -> bool:
        """Whether so many changes wait for the disk that no new ones should be taken."""
        return self._changes.full

    def contacts(self, aor: str, now: float) -> tuple[Contact, ...]:
        """Return the contacts of `user@realm` valid at `now`, by q, then newest first."""
        return tuple(binding.contact for binding in self.bindings(_canonical(aor), now))

    def bindings(self, aor: str, now: float) -> tuple[Binding, ...]:
        """Return the bindings of an AOR valid at `now`, in the order of `contacts`."""
        return tuple(
            binding
            for binding in self._bindings.get(_canonical(aor), ())
            if binding.expires_at > now
        )

    def replace(self, aor: str, bindings: tuple[Binding, ...]) -> None:
        """Make these the bindings of an AOR, at once in memory and soon in the database.

        Raises `ValueError` for more than `max_bindings`, or two with the same contact URI.
        """
        aor = _canonical(aor)
        uris = {binding.contact.uri for binding in bindings}
        if len(bindings) > self.max_bindings or len(uris) != len(bindings):
            raise ValueError(f"{aor}: {len(bindings)} bindings, {len(uris)} different contacts")
        before = set(self._bindings.get(aor, ()))
        after = set(bindings)
        self._set(aor, bindings, after - before)
        for uri in {changed.contact.uri for changed in before ^ after}:
            self._changes.add((aor, uri))

    def expire(self, now: float) -> int:
        """Forget every binding no longer valid at `now`. Return how many there were."""
        count = 0
        while self._expiries and self._expiries[0][0] <= now:
            aor = heapq.heappop(self._expiries)[1]
            valid = self.bindings(aor, now)
            count += len(self._bindings.get(aor, ())) - len(valid)
            self.replace(aor, valid)
        return count

    async def flush(self) -> None:
        """Wait until every change made before is durable."""
        await self._changes.flush()

    async def close(self, deadline: float = 10.0) -> int:
        """Write what waits, for at most `deadline` seconds. Return the changes left."""
        return await self._changes.close(deadline)

    def _set(self, aor: str, bindings: tuple[Binding, ...], new: set[Binding]) -> None:
        if bindings:
            best_first = sorted(bindings, key=lambda b: (-b.contact.q, -b.updated_at))
            self._bindings[aor] = tuple(best_first)
        else:
            self._bindings.pop(aor, None)
        for binding in new:
            heapq.heappush(self._expiries, (binding.expires_at, aor))

    async def _commit(self, keys: Sequence[_Key]) -> None:
        # What is written is the state now, not at the time of the change, so order does not matter.
        kept: list[dict[str, object]] = []
        gone: list[dict[str, object]] = []
        for aor, uri in dict.fromkeys(keys):
            binding = next((b for b in self._bindings.get(aor, ()) if b.contact.uri == uri), None)
            if binding is None:
                gone.append({"aor": aor, "uri": uri})
            else:
                encoded = msgspec.json.encode(binding)
                columns = {"expires_at": binding.expires_at, "binding": encoded}
                kept.append({"aor": aor, "uri": uri, **columns})
        async with self._database.write() as connection:
            if gone:
                await connection.execute(_DELETE, gone)
            if kept:
                await connection.execute(_UPSERT, kept)


def static_contacts(device: Device) -> tuple[Contact, ...]:
    """Return where a device is reached without registering: its `sip.route`, or its `sip.ip`.

    The route counts with invite format `route`, the address with method `ip`; otherwise the device
    is found by its registration, or by who stands in front of it, and this returns nothing.
    """
    sip = device.sip
    if sip.invite_format == "route":
        return (Contact(uri=sip.route),)
    if sip.method != "ip":
        return ()
    host = f"[{sip.ip}]" if ":" in sip.ip else sip.ip
    user = f"{sip.username}@" if sip.username else ""
    parameter = f";transport={sip.transport}" if sip.transport else ""
    return (Contact(uri=f"sip:{user}{host}{parameter}"),)


def _canonical(aor: str) -> str:
    user, _, host = aor.removeprefix("sip:").rpartition("@")
    return f"{user}@{host.lower()}"
