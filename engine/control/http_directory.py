"""Directory routes: accounts and what is in them, in Kazoo's document shapes.

PUT on a collection creates, POST replaces, PATCH merges. Passwords are shown to nobody but who just
sent them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from litestar import Controller, Response, delete, get, patch, post, put
from litestar.params import FromPath

from engine.control.auth import ROOT
from engine.control.http_context import Call, HttpRequest, open_call
from engine.control.http_etag import conditional, expected, tag_of
from engine.control.http_paging import page_of, page_options
from engine.control.openapi import operation
from engine.store.document_rules import SECRETS, merged, without_secrets
from engine.store.documents import Blocklist, Device, Kind, Resource, User
from engine.store.location import static_contacts
from engine.store.webhooks import Webhook

_LIST = operation(query=page_options, errors=(400, 401, 403, 404), conditional=True)
_READ = operation(errors=(400, 401, 403, 404), conditional=True)
_CREATE = operation(document=True, errors=(400, 401, 403, 404, 409))
_WRITE = operation(document=True, errors=(400, 401, 403, 404, 409, 412))
_REMOVE = operation(errors=(400, 401, 403, 404, 409, 412))

_Listed = User | Device | Resource | Blocklist | Webhook

_SUMMARY: dict[Kind, tuple[str, ...]] = {
    "account": ("id", "name", "realm", "enabled"),
    "user": ("id", "first_name", "last_name", "username", "email", "enabled", "presence_id"),
    "device": ("id", "name", "owner_id", "enabled", "device_type", "mac_address"),
    "resource": ("id", "name", "enabled", "weight_cost", "flags"),
    "blocklist": ("id", "name", "enabled"),
    "dial_plan": ("id",),
    "webhook": ("id", "name", "hook", "uri", "http_verb", "enabled"),
}
"""Fields that a list shows, as Kazoo's list views do."""


class Accounts(Controller):
    """Accounts; only a root token creates and deletes them."""

    path = "/v2/accounts"
    tags = ("Account",)

    @get(summary="List the accounts a token may use", operation_class=_LIST)
    async def list_accounts(self, request: HttpRequest) -> Response[bytes]:
        """List every account for a root token, else those of the token."""
        call = await open_call(request, None)
        everyone = [account.id for account in call.face.directory.accounts()]
        own = [one for one in everyone if call.scope.covers(one)]
        page, words = page_of({one: one for one in own}, call.query)
        documents = [call.face.directory.document("account", one, one) for one in page]
        shown = [_summary("account", document) for document in documents]
        return conditional(request, call, shown, **words)

    @put(status_code=201, summary="Create an account", operation_class=_CREATE)
    async def create_account(self, request: HttpRequest) -> Response[bytes]:
        """Create an account."""
        call = await open_call(request, ROOT)
        created = await call.face.directory.put("account", "", call.required_data)
        call.audit.note(id=created["id"])
        return written(call, created, created, 201)

    @get("/{account_id:str}", summary="Show an account", operation_class=_READ)
    async def show_account(
        self, request: HttpRequest, account_id: FromPath[str]
    ) -> Response[bytes]:
        """Show an account."""
        return await _show(request, "account", account_id, account_id)

    @post(
        "/{account_id:str}",
        status_code=200,
        summary="Replace an account",
        operation_class=_WRITE,
    )
    async def replace_account(
        self, request: HttpRequest, account_id: FromPath[str]
    ) -> Response[bytes]:
        """Replace an account."""
        return await _replace(request, "account", account_id, account_id)

    @patch("/{account_id:str}", summary="Change an account", operation_class=_WRITE)
    async def change_account(
        self, request: HttpRequest, account_id: FromPath[str]
    ) -> Response[bytes]:
        """Merge changes into an account."""
        return await _change(request, "account", account_id, account_id)

    @delete(
        "/{account_id:str}",
        status_code=200,
        summary="Delete an account and all in it",
        operation_class=_REMOVE,
    )
    async def delete_account(
        self, request: HttpRequest, account_id: FromPath[str]
    ) -> Response[bytes]:
        """Delete an account with its users, devices and carriers."""
        call = await open_call(request, ROOT)
        document = await call.face.directory.delete(
            "account", account_id, account_id, expected(request)
        )
        return call.succeed(without_secrets(document))


class Documents(Controller):
    """Documents of one kind in an account."""

    kind: ClassVar[Kind]

    @get(summary="List", operation_class=_LIST)
    async def list_documents(
        self, request: HttpRequest, account_id: FromPath[str]
    ) -> Response[bytes]:
        """List what there is, a few fields of each."""
        call = await open_call(request, account_id)
        directory = call.face.directory
        lists: dict[Kind, Callable[[str], Sequence[_Listed]]] = {
            "user": directory.users,
            "device": directory.devices,
            "resource": directory.resources,
            "blocklist": directory.blocklists,
            "webhook": directory.webhooks,
        }
        listed = {_list_key(one): one.id for one in lists[self.kind](account_id)}
        page, words = page_of(listed, call.query)
        documents = [directory.document(self.kind, account_id, one) for one in page]
        shown = [_summary(self.kind, document) for document in documents]
        return conditional(request, call, shown, **words)

    @put(status_code=201, summary="Create", operation_class=_CREATE)
    async def create_document(
        self, request: HttpRequest, account_id: FromPath[str]
    ) -> Response[bytes]:
        """Create a document."""
        call = await open_call(request, account_id)
        created = await call.face.directory.put(self.kind, account_id, call.required_data)
        call.audit.note(id=created["id"])
        return written(call, created, created, 201)

    @get("/{document_id:str}", summary="Show", operation_class=_READ)
    async def show_document(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Show a document."""
        return await _show(request, self.kind, account_id, document_id)

    @post("/{document_id:str}", status_code=200, summary="Replace", operation_class=_WRITE)
    async def replace_document(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Replace a document; passwords that are left out stay."""
        return await _replace(request, self.kind, account_id, document_id)

    @patch("/{document_id:str}", summary="Change", operation_class=_WRITE)
    async def change_document(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Merge changes into a document; null removes a field."""
        return await _change(request, self.kind, account_id, document_id)

    @delete("/{document_id:str}", status_code=200, summary="Delete", operation_class=_REMOVE)
    async def delete_document(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Delete a document."""
        call = await open_call(request, account_id)
        directory, check = call.face.directory, expected(request)
        deleted = await directory.delete(self.kind, account_id, document_id, check)
        return call.succeed(without_secrets(deleted))


class Users(Documents):
    """Users of an account."""

    path = "/v2/accounts/{account_id:str}/users"
    tags = ("User",)
    kind = "user"


class Devices(Documents):
    """Devices of an account."""

    path = "/v2/accounts/{account_id:str}/devices"
    tags = ("Device",)
    kind = "device"

    @get(
        "/status",
        summary="List which devices are reachable",
        operation_class=operation(errors=(400, 401, 403, 404)),
    )
    async def device_status(
        self, request: HttpRequest, account_id: FromPath[str]
    ) -> Response[bytes]:
        """List which devices have a contact now, registered or configured."""
        call = await open_call(request, account_id)
        directory, location, now = call.face.directory, call.face.location, time.time()
        rows: list[dict[str, object]] = []
        for device in directory.devices(account_id):
            aor = f"{device.sip.username}@{directory.realm_of(account_id, device)}"
            contacts = static_contacts(device) or location.contacts(aor, now)
            rows.append({"device_id": device.id, "registered": bool(contacts)})
        return call.succeed(rows)


class Resources(Documents):
    """Carriers of an account."""

    path = "/v2/accounts/{account_id:str}/resources"
    tags = ("Resource",)
    kind = "resource"


async def _show(
    request: HttpRequest, kind: Kind, account_id: str, document_id: str
) -> Response[bytes]:
    call = await open_call(request, account_id)
    shown = without_secrets(call.face.directory.document(kind, account_id, document_id))
    return conditional(request, call, shown)


async def _replace(
    request: HttpRequest, kind: Kind, account_id: str, document_id: str
) -> Response[bytes]:
    call = await open_call(request, account_id)
    given, check = call.required_data, expected(request)
    carried = False

    def change(old: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal carried
        check(old)
        new: dict[str, Any] = with_secrets_of(old, given)
        carried = new != given
        return new

    whole = await call.face.directory.update(kind, account_id, document_id, change)
    # A password that was only carried over is not the client's to read.
    return written(call, whole, without_secrets(whole) if carried else whole)


async def _change(
    request: HttpRequest, kind: Kind, account_id: str, document_id: str
) -> Response[bytes]:
    call = await open_call(request, account_id)
    given, check = call.required_data, expected(request)

    def change(old: Mapping[str, Any]) -> Mapping[str, Any]:
        check(old)
        return merged(old, with_secrets_of(old, given))

    whole = await call.face.directory.update(kind, account_id, document_id, change)
    return written(call, whole, without_secrets(whole))


def written(
    call: Call, whole: Mapping[str, Any], shown: Mapping[str, Any], status: int = 200
) -> Response[bytes]:
    """Show a document that was just written, with the entity tag it has now."""
    response = call.succeed(shown, status)
    response.set_header("etag", tag_of(without_secrets(whole)))
    return response


def with_secrets_of(old: Any, new: Any) -> Any:
    """Return `new` with the passwords it leaves out taken from `old`, at any depth.

    What clients read has none, so a document read, edited and written back would lose them.
    Elements of lists (gateways) keep theirs when they stay at their place and name the same server.
    Null removes.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        kept = {key: old[key] for key in SECRETS & old.keys() if key not in new}
        return {key: with_secrets_of(old.get(key), value) for key, value in new.items()} | kept
    if isinstance(old, list) and isinstance(new, list):
        pairs = zip(old, new, strict=False)
        carried = [with_secrets_of(a, b) if _same_server(a, b) else b for a, b in pairs]
        return carried + new[len(old) :]
    return new


def _same_server(old: Any, new: Any) -> bool:
    both = isinstance(old, dict) and isinstance(new, dict)
    return both and all(old.get(key) == new.get(key) for key in ("server", "username"))


def _list_key(document: _Listed) -> str:
    """Return the place of a document in a list: by id, carriers in the order they are tried."""
    cost = f"{document.weight_cost:03}-" if isinstance(document, Resource) else ""
    return cost + document.id


def _summary(kind: Kind, document: Mapping[str, Any]) -> dict[str, Any]:
    summary = {key: document[key] for key in _SUMMARY[kind] if key in document}
    if kind == "device":
        summary["username"] = document.get("sip", {}).get("username", "")
    summary.setdefault("enabled", True)
    return summary
