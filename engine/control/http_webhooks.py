"""Routes of webhooks: their documents as Kazoo has them, what failed, and sending it again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from litestar import Response, get, patch, post, put
from litestar.params import FromPath

from engine.control.http_context import Call, HttpRequest, open_call
from engine.control.http_directory import Documents, with_secrets_of, written
from engine.control.http_etag import conditional, expected
from engine.control.http_paging import integer, page_options, page_size, page_words
from engine.control.kazoo_keys import gregorian
from engine.control.openapi import operation
from engine.control.option_schemas import Schema
from engine.control.webhook_address import is_literal, is_public
from engine.control.webhook_payload import ALL, HOOKS, check_hook
from engine.core.errors import RequestInvalid
from engine.store.deliveries import StoredDelivery
from engine.store.document_rules import merged, without_secrets

_MAX_SEQUENCE = 9_999_999_999_999

_READ = operation(errors=(400, 401, 403, 404), conditional=True)
_CREATE = operation(document=True, errors=(400, 401, 403, 404))
_WRITE = operation(document=True, errors=(400, 401, 403, 404, 412))
_ATTEMPTS = operation(
    query={
        **page_options,
        "start_key": (
            {"type": "integer", "minimum": 0, "maximum": _MAX_SEQUENCE},
            "`next_start_key` of the page before",
        ),
        "state": ({"type": "string", "enum": ["waiting", "dead"]}, "Only those in this state"),
    },
    errors=(400, 401, 403, 404),
)
_reenable_body: Schema = {
    "type": "object",
    "required": ["re-enable"],
    "properties": {"re-enable": {"const": True}},
}
_replay_body: Schema = {
    "type": "object",
    "properties": {
        "event_id": {
            "type": "string",
            "description": "Only this delivery, as `event_id` of an attempt names it",
        }
    },
}


@get("/v2/webhooks", tags=["Webhook"], summary="List the hooks", operation_class=_READ)
async def list_hooks(request: HttpRequest) -> Response[bytes]:
    """List what the `hook` of a webhook may be."""
    call = await open_call(request, None)
    return call.succeed(
        [
            {"id": hook, "name": hook.replace("_", " ").title(), "events": sorted(names)}
            for hook, names in HOOKS.items()
            if hook != ALL
        ]
        + [{"id": ALL, "name": "All", "events": sorted(HOOKS[ALL])}]
    )


class WebhookDocuments(Documents):
    """Webhooks of an account."""

    path = "/v2/accounts/{account_id:str}/webhooks"
    tags = ("Webhook",)
    kind = "webhook"

    @put(status_code=201, summary="Create", operation_class=_CREATE)
    async def create_document(
        self, request: HttpRequest, account_id: FromPath[str]
    ) -> Response[bytes]:
        """Create a webhook; the secret its deliveries are signed with is shown this once."""
        call = await open_call(request, account_id)
        document = {"secret": None, **call.required_data}
        _check(call, document)
        created = await call.face.directory.put("webhook", account_id, _keyed(document))
        return written(call, created, created, 201)

    @patch(
        summary="Enable every webhook",
        operation_class=operation(body=_reenable_body, errors=(400, 401, 403, 404)),
    )
    async def enable_all(self, request: HttpRequest, account_id: FromPath[str]) -> Response[bytes]:
        """Enable those that are disabled, and try at once those whose target is down."""
        call = await open_call(request, account_id)
        if call.required_data.get("re-enable") is not True:
            raise RequestInvalid("re-enable", call.required_data.get("re-enable"), "true", "enum")
        directory = call.face.directory
        for webhook in directory.webhooks(account_id):
            if not webhook.enabled:
                await directory.patch("webhook", account_id, webhook.id, {"enabled": True})
        call.face.webhooks.retry_now(account_id)
        return call.succeed(
            [_shown(call, account_id, w.id) for w in directory.webhooks(account_id)]
        )

    @get("/{document_id:str}", summary="Show", operation_class=_READ)
    async def show_document(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Show a webhook, and beside `data` how its deliveries fare."""
        call = await open_call(request, account_id)
        shown = _shown(call, account_id, document_id)
        delivery = call.face.webhooks.status(account_id, document_id)
        return conditional(request, call, shown, delivery=delivery)

    @post("/{document_id:str}", status_code=200, summary="Replace", operation_class=_WRITE)
    async def replace_document(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Replace a webhook; a secret that is left out stays, null makes a new one."""
        call = await open_call(request, account_id)
        given = call.required_data
        return await _update(
            request, call, account_id, document_id, lambda old: with_secrets_of(old, given)
        )

    @patch("/{document_id:str}", summary="Change", operation_class=_WRITE)
    async def change_document(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Merge changes into a webhook; a secret of null makes a new one."""
        call = await open_call(request, account_id)
        given = call.required_data
        return await _update(
            request, call, account_id, document_id, lambda old: merged(old, _keyed(given))
        )

    @get("/attempts", summary="List what failed", operation_class=_ATTEMPTS)
    async def list_attempts(
        self, request: HttpRequest, account_id: FromPath[str]
    ) -> Response[bytes]:
        """List the deliveries of every webhook that failed and wait, or were given up."""
        return await _attempts(request, account_id, None)

    @get("/{document_id:str}/attempts", summary="List what failed", operation_class=_ATTEMPTS)
    async def list_attempts_of(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """List the deliveries of a webhook that failed and wait, or were given up."""
        return await _attempts(request, account_id, document_id)

    @post(
        "/{document_id:str}/replay",
        status_code=200,
        summary="Send again what was given up",
        operation_class=operation(body=_replay_body, errors=(400, 401, 403, 404, 409)),
    )
    async def replay(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Let deliveries that were given up be tried for another day: one, or all."""
        call = await open_call(request, account_id)
        event_id = call.data.get("event_id")
        if event_id is not None and not isinstance(event_id, str):
            raise RequestInvalid("event_id", event_id, "text", "type")
        count = await call.face.webhooks.replay(account_id, document_id, event_id)
        return call.succeed({"replayed": count})


def _check(call: Call, document: Mapping[str, object]) -> None:
    """Check what the store cannot know: which events there are, and where webhooks may go."""
    check_hook(document)
    uri = document.get("uri")
    if call.face.webhooks.private_addresses or not isinstance(uri, str):
        return
    try:
        host = urlsplit(uri).hostname or ""
    except ValueError:
        return
    if is_literal(host) and not is_public(host):
        allowed = "a public address (webhook_private_addresses of the configuration is off)"
        raise RequestInvalid("uri", host, allowed, "format")


def _keyed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with a secret of its own in place of null."""
    if "secret" in document and document["secret"] is None:
        return {**document, "secret": secrets.token_hex(32)}
    return dict(document)


async def _update(
    request: HttpRequest,
    call: Call,
    account_id: str,
    hook_id: str,
    change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Response[bytes]:
    """Change a webhook and show it to its author."""
    check = expected(request)

    def changed(old: Mapping[str, Any]) -> Mapping[str, Any]:
        check(old)
        new = _keyed(change(old))
        _check(call, new)
        return new

    whole = await call.face.directory.update("webhook", account_id, hook_id, changed)
    return written(call, whole, _told(whole, call.required_data))


def _told(whole: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as its author sees it: with the secret only if they set it just now."""
    shown = without_secrets(whole)
    return {**shown, "secret": whole["secret"]} if "secret" in sent else shown


def _shown(call: Call, account_id: str, hook_id: str) -> dict[str, Any]:
    return without_secrets(call.face.directory.document("webhook", account_id, hook_id))


async def _attempts(request: HttpRequest, account_id: str, hook_id: str | None) -> Response[bytes]:
    call = await open_call(request, account_id)
    size = page_size(call.query)
    start = integer(call.query, "start_key", 0, _MAX_SEQUENCE)
    state = call.query.get("state")
    if state not in (None, "waiting", "dead"):
        raise RequestInvalid("state", state[:32], "waiting, dead", "enum")
    dead = None if state is None else state == "dead"
    found = await call.face.webhooks.attempts(account_id, hook_id, dead, size + 1, start or 0)
    page, following = found[:size], [str(one.sequence) for one in found[size:]]
    words = page_words(len(page), call.query.get("start_key"), following[0] if following else None)
    return call.succeed([_attempt(one) for one in page], 200, **words)


def _attempt(delivery: StoredDelivery) -> dict[str, object]:
    """Return a failed delivery in Kazoo's words, and ours where it has none."""
    attempt: dict[str, object] = {
        "hook_id": delivery.hook_id,
        "hook_event": delivery.name.lower(),
        "event_id": delivery.event_id,
        "sequence": delivery.sequence,
        "call_id": delivery.lane,
        "result": "failure",
        "reason": delivery.error,
        "attempts": delivery.attempts,
        "state": "dead" if delivery.dead else "waiting",
        "event_timestamp": gregorian(delivery.at),
    }
    if delivery.status:
        attempt["response_code"] = delivery.status
    if delivery.tried_at:
        attempt["timestamp"] = gregorian(delivery.tried_at)
    return attempt
