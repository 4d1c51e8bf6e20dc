"""Every document of every account: held in memory, written through to the database.

Reading is a look-up in a dict, so call control may do it for every call. A change is checked, made
durable, and only then visible; changes are made one after the other, because each is checked
against all that is there.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Executable, delete, insert, select

from engine.core.errors import Conflict, NotFound, RequestInvalid
from engine.store.database import Database
from engine.store.document_rules import merged, read_document
from engine.store.documents import (
    Account,
    Blocklist,
    Device,
    Document,
    Kind,
    Resource,
    SharedDialPlan,
    User,
)
from engine.store.extensions import Extension, Extensions
from engine.store.number_rules import NumberRules
from engine.store.sip_index import SipIndex
from engine.store.tables import documents, route_tables
from engine.store.tokens import account_forgotten
from engine.store.webhooks import MAX_WEBHOOKS, Webhook

_Key = tuple[Kind, str, str]
"""Kind, account id, id. The id of an account is its account id too."""

SHARED = ""
"""Account id of the documents that belong to no account: the shared dial plans."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class Directory:
    """Every document of every account. Made by `open`; used from one event loop."""

    def __init__(self, database: Database) -> None:
        """Use `open` instead."""
        self._database = database
        self._changes = asyncio.Lock()
        self._wholes: dict[_Key, dict[str, Any]] = {}
        self._accounts: dict[str, Account] = {}
        self._users: dict[str, dict[str, User]] = {}
        self._devices: dict[str, dict[str, Device]] = {}
        self._owned: dict[tuple[str, str], dict[str, Device]] = {}
        self._resources: dict[str, dict[str, Resource]] = {}
        self._webhooks: dict[str, dict[str, Webhook]] = {}
        self._webhook_changed: list[Callable[[str, str], None]] = []
        self._extensions: dict[str, Extensions] = {}
        self._rules = NumberRules()
        self._revisions: dict[str, int] = {SHARED: 0}
        self._sip = SipIndex()
        self._account_deleted: list[Callable[[str], None]] = []

    @classmethod
    async def open(cls, database: Database) -> Directory:
        """Read the whole directory of a database into memory."""
        directory = cls(database)
        columns = (documents.c.kind, documents.c.account_id, documents.c.id, documents.c.document)
        async with database.read(deadline=None) as connection:
            rows = (await connection.execute(select(*columns))).all()
        # "account" sorts first, so that every other document finds its account.
        for kind, account_id, document_id, encoded in sorted(
            rows, key=lambda row: (row[0], row[1], row[2])
        ):
            document, whole = read_document(kind, msgspec.json.decode(encoded), document_id)
            directory._keep((kind, account_id, document_id), document, whole)
        return directory

    # --- reading
    # ---------------------------------------------------------------------------------------

    def account(self, account_id: str) -> Account:
        """Return an account. Raises `NotFound`."""
        return _found("account", self._accounts, account_id, account_id)

    def user(self, account_id: str, user_id: str) -> User:
        """Return a user of an account. Raises `NotFound`, naming what is missing."""
        self.account(account_id)
        return _found("user", self._users[account_id], user_id, user_id)

    def device(self, account_id: str, device_id: str) -> Device:
        """Return a device of an account. Raises `NotFound`, naming what is missing."""
        self.account(account_id)
        return _found("device", self._devices[account_id], device_id, device_id)

    def resource(self, account_id: str, resource_id: str) -> Resource:
        """Return a carrier of an account. Raises `NotFound`, naming what is missing."""
        self.account(account_id)
        return _found("resource", self._resources[account_id], resource_id, resource_id)

    def accounts(self) -> tuple[Account, ...]:
        """Return every account, by id."""
        return _sorted(self._accounts)

    def users(self, account_id: str) -> tuple[User, ...]:
        """Return the users of an account, by id. Raises `NotFound`."""
        self.account(account_id)
        return _sorted(self._users[account_id])

    def devices(self, account_id: str) -> tuple[Device, ...]:
        """Return the devices of an account, by id. Raises `NotFound`."""
        self.account(account_id)
        return _sorted(self._devices[account_id])

    def devices_of(self, account_id: str, user_id: str) -> tuple[Device, ...]:
        """Return the devices a user owns, by name, then id, disabled ones included.

        That is the order in which they are tried one after the other. Raises `NotFound`.
        """
        self.user(account_id, user_id)
        owned = self._owned.get((account_id, user_id), {}).values()
        return tuple(sorted(owned, key=lambda device: (device.name, device.id)))

    def resources(self, account_id: str) -> tuple[Resource, ...]:
        """Return the carriers of an account as they are tried: by weight cost, then id."""
        self.account(account_id)
        return tuple(
            sorted(_sorted(self._resources[account_id]), key=lambda resource: resource.weight_cost)
        )

    def blocklists(self, account_id: str) -> tuple[Blocklist, ...]:
        """Return the blocklists of an account, by id, disabled ones included."""
        self.account(account_id)
        return _sorted(self._rules.blocklists[account_id])

    def applied_blocklists(self, account_id: str) -> tuple[Blocklist, ...]:
        """Return the blocklists that numbers dialled in an account are looked up in, by id.

        Those the account names, else every enabled one. Raises `NotFound`.
        """
        return self._rules.applied(self.account(account_id))

    def webhooks(self, account_id: str) -> tuple[Webhook, ...]:
        """Return the webhooks of an account, by id, disabled ones included. Raises `NotFound`."""
        self.account(account_id)
        return _sorted(self._webhooks[account_id])

    def shared_dial_plan(self, name: str) -> SharedDialPlan:
        """Return a dial plan that others name under `system`. Raises `NotFound`."""
        return _found("dial_plan", self._rules.plans, name, name)

    def shared_dial_plans(self) -> tuple[SharedDialPlan, ...]:
        """Return every shared dial plan, by name."""
        return _sorted(self._rules.plans)

    def extensions(self, account_id: str) -> tuple[Extension, ...]:
        """Return what the short numbers of an account reach. Raises `NotFound`."""
        self.account(account_id)
        return self._extensions[account_id].all()

    def realm_of(self, account_id: str, device: Device) -> str:
        """Return a device's own realm or its account's, in lower case. Raises `NotFound`."""
        return (device.sip.realm or self.account(account_id).realm).lower()

    def device_by_sip(self, realm: str, username: str) -> tuple[str, Device] | None:
        """Return the account id and the device with this AOR, None when there is none."""
        holder = self._sip.holder(realm, username)
        return (holder[0], self._devices[holder[0]][holder[1]]) if holder else None

    def sip_password(self, realm: str, username: str) -> str | None:
        """Return the secret of whoever may register as this AOR; None when nobody may.

        Nobody may as a disabled device or account, as a device known by its address, or without a
        password.
        """
        found = self.device_by_sip(realm, username)
        if found is None:
            return None
        account_id, device = found
        allowed = (
            device.enabled
            and self._accounts[account_id].enabled
            and device.sip.method == "password"
        )
        return (device.sip.password or None) if allowed else None

    def revision(self, account_id: str) -> int:
        """Return a number that grows with every change that an account can notice.

        So with every change in it, and of a shared dial plan. Raises `NotFound`.
        """
        self.account(account_id)
        return self._revisions[account_id] + self._revisions[SHARED]

    def document(self, kind: Kind, account_id: str, document_id: str) -> Mapping[str, Any]:
        """Return a document whole, unknown fields and passwords included. Raises `NotFound`."""
        if kind not in ("account", "dial_plan"):
            self.account(account_id)
        return _found(kind, self._wholes, (kind, account_id, document_id), document_id)

    def has(self, kind: Kind, account_id: str, document_id: str) -> bool:
        """Tell whether an account has a document of this kind."""
        return (kind, account_id, document_id) in self._wholes

    # --- changing
    # --------------------------------------------------------------------------------------

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Let nothing in the directory change while the block runs; changes wait for its end."""
        async with self._changes:
            yield

    def on_account_deleted(self, forget: Callable[[str], None]) -> None:
        """Call `forget` with the id of every account that has been deleted."""
        self._account_deleted.append(forget)

    def on_webhook_changed(self, changed: Callable[[str, str], None]) -> None:
        """Call `changed` with account id and id of every webhook that is put or deleted."""
        self._webhook_changed.append(changed)

    async def put(
        self, kind: Kind, account_id: str, raw: Mapping[str, Any], document_id: str = ""
    ) -> Mapping[str, Any]:
        """Create or replace a document and return it whole.

        `id` empty: a new one of 32 hex digits is made. For an account `id` is its account id and
        `account_id` is not looked at; a shared dial plan has its name as `id` and the account id
        `SHARED`. Raises `NotFound` (the account), `RequestInvalid` (a field, docs/directory.md
        lists the rules), `Conflict` (a realm, a SIP username or an extension that somebody else
        has).
        """
        async with self._changes:
            return await self._put(kind, account_id, document_id or secrets.token_hex(16), raw)

    async def update(
        self,
        kind: Kind,
        account_id: str,
        document_id: str,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        """Replace a document by what `change` makes of it; nothing else changes it meanwhile.

        `change` gets the document whole and must not alter it; what it raises is raised here, and
        nothing is changed. Returns and raises as `put`, and `NotFound` for the document.
        """
        async with self._changes:
            whole = change(self.document(kind, account_id, document_id))
            return await self._put(kind, account_id, document_id, whole)

    async def patch(
        self, kind: Kind, account_id: str, document_id: str, changes: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Merge changes into a document (RFC 7396: null removes). Returns and raises as `put`."""
        return await self.update(kind, account_id, document_id, lambda old: merged(old, changes))

    async def delete(
        self,
        kind: Kind,
        account_id: str,
        document_id: str,
        check: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Mapping[str, Any]:
        """Delete a document and return what it was; an account goes with everything in it.

        `check` sees it just before; when it raises, nothing is deleted. Raises `NotFound`, and
        `Conflict` for a user who still owns devices, a blocklist its account names, a shared dial
        plan that is named anywhere.
        """
        async with self._changes:
            whole = self.document(kind, account_id, document_id)
            if check is not None:
                check(whole)
            if kind == "user" and (owned := self.devices_of(account_id, document_id)):
                raise Conflict("owner_id", document_id, f"device {owned[0].id}")
            self._check_unused(kind, account_id, document_id)
            gone = delete(documents).where(documents.c.account_id == account_id)
            queries: tuple[Executable, ...]
            if kind == "account":
                table = delete(route_tables).where(route_tables.c.account_id == account_id)
                queries = (gone, table, *account_forgotten(account_id))
            else:
                queries = (gone.where(documents.c.kind == kind, documents.c.id == document_id),)
            async with self._database.write() as connection:
                for query in queries:
                    await connection.execute(query)
            self._forget((kind, account_id, document_id))
            return whole

    async def _put(
        self, kind: Kind, account_id: str, document_id: str, raw: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if kind == "blocklist":
            # A hundred thousand numbers: calls go on meanwhile.
            document, whole = await asyncio.to_thread(read_document, kind, raw, document_id)
        else:
            document, whole = read_document(kind, raw, document_id)
        if kind == "account":
            account_id = document_id
        elif kind != "dial_plan":
            self.account(account_id)
        self._check(account_id, document)
        encoded = msgspec.json.encode(whole)
        key = {"kind": kind, "account_id": account_id, "id": document_id}
        async with self._database.write() as connection:
            await connection.execute(delete(documents).filter_by(**key))
            await connection.execute(insert(documents).values(**key, document=encoded))
        self._keep((kind, account_id, document_id), document, whole)
        return whole

    def _check(self, account_id: str, document: Document) -> None:
        """Refuse a document that clashes with what the rest of the directory holds."""
        match document:
            case Account():
                self._rules.check(document)
                self._sip.check_account(document, self._devices.get(account_id, {}).values())
            case User():
                self._rules.check(document)
                self._extensions[account_id].check(document)
            case Device():
                self._rules.check(document)
                if document.owner_id and document.owner_id not in self._users[account_id]:
                    raise RequestInvalid(
                        "owner_id", document.owner_id, "the id of a user of the account"
                    )
                self._sip.check_device(self._accounts[account_id], document)
                self._extensions[account_id].check(document)
            case Webhook():
                hooks = self._webhooks[account_id]
                if document.id not in hooks and len(hooks) >= MAX_WEBHOOKS:
                    allowed = f"at most {MAX_WEBHOOKS} webhooks in an account"
                    raise RequestInvalid("data", len(hooks), allowed, "maxItems")
            case Resource() | Blocklist() | SharedDialPlan():
                pass

    def _check_unused(self, kind: Kind, account_id: str, document_id: str) -> None:
        if kind == "blocklist":
            blocklist = self._rules.blocklists[account_id][document_id]
            self._rules.check_unused(blocklist, [self.account(account_id)])
        elif kind == "dial_plan":
            tables: list[Mapping[str, User] | Mapping[str, Device]] = [
                *self._users.values(),
                *self._devices.values(),
            ]
            members = (member for table in tables for member in table.values())
            everybody = chain(self._accounts.values(), members)
            self._rules.check_unused(self.shared_dial_plan(document_id), everybody)

    # --- memory
    # ----------------------------------------------------------------------------------------

    def _keep(self, key: _Key, document: Document, whole: dict[str, Any]) -> None:
        _, account_id, document_id = key
        self._wholes[key] = whole
        self._revisions[account_id] = self._revisions.get(account_id, 0) + 1
        match document:
            case Account():
                self._accounts[document_id] = document
                self._extensions.setdefault(document_id, Extensions())
                for table in (
                    self._users,
                    self._devices,
                    self._resources,
                    self._webhooks,
                    self._rules.blocklists,
                ):
                    table.setdefault(document_id, {})
                self._sip.keep_account(document, self._devices[document_id].values())
            case User():
                self._users[account_id][document_id] = document
                self._extensions[account_id].keep(document)
            case Device():
                self._forget_owner(account_id, document_id)
                self._devices[account_id][document_id] = document
                self._owned.setdefault((account_id, document.owner_id), {})[document_id] = document
                self._sip.keep_device(self._accounts[account_id], document)
                self._extensions[account_id].keep(document)
            case Resource():
                self._resources[account_id][document_id] = document
            case Blocklist():
                self._rules.blocklists[account_id][document_id] = document
            case SharedDialPlan():
                self._rules.plans[document_id] = document
            case Webhook():
                self._webhooks[account_id][document_id] = document
                self._tell_webhook(account_id, document_id)

    def _forget(self, key: _Key) -> None:
        kind, account_id, document_id = key
        del self._wholes[key]
        self._revisions[account_id] += 1
        if kind == "user":
            self._extensions[account_id].forget(self._users[account_id].pop(document_id))
        elif kind == "device":
            self._forget_owner(account_id, document_id)
            self._extensions[account_id].forget(self._devices[account_id].pop(document_id))
            self._sip.forget_device(account_id, document_id)
        elif kind == "resource":
            del self._resources[account_id][document_id]
        elif kind == "blocklist":
            del self._rules.blocklists[account_id][document_id]
        elif kind == "dial_plan":
            del self._rules.plans[document_id]
        elif kind == "webhook":
            del self._webhooks[account_id][document_id]
            self._tell_webhook(account_id, document_id)
        else:
            self._forget_account(account_id)

    def _tell_webhook(self, account_id: str, document_id: str) -> None:
        for changed in self._webhook_changed:
            changed(account_id, document_id)

    def _forget_owner(self, account_id: str, device_id: str) -> None:
        device = self._devices[account_id].get(device_id)
        if device is None:
            return
        owned = self._owned[account_id, device.owner_id]
        del owned[device_id]
        if not owned:
            del self._owned[account_id, device.owner_id]

    def _forget_account(self, account_id: str) -> None:
        # The revision stays: an account made anew under the same id must not meet an old number.
        self._wholes = {key: whole for key, whole in self._wholes.items() if key[1] != account_id}
        self._owned = {key: owned for key, owned in self._owned.items() if key[0] != account_id}
        for table in (
            self._accounts,
            self._users,
            self._devices,
            self._resources,
            self._webhooks,
            self._extensions,
            self._rules.blocklists,
        ):
            table.pop(account_id)
        self._sip.forget_account(account_id)
        for forget in self._account_deleted:
            forget(account_id)


def _found(kind: Kind, table: Mapping[_K, _V], key: _K, document_id: str) -> _V:
    try:
        return table[key]
    except KeyError:
        raise NotFound(kind, document_id) from None


def _sorted(table: Mapping[str, _V]) -> tuple[_V, ...]:
    return tuple(table[document_id] for document_id in sorted(table))
