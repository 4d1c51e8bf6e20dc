"""Routes of dial plans that several dial plans share (`dial_plan.system`).

They belong to no account: only a token for all accounts reads and changes them one by one. An
account sees them all together, under the name Kazoo has for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litestar import Controller, Response, delete, get, patch, post, put
from litestar.params import FromPath

from engine.control.auth import ROOT
from engine.control.http_context import Call, HttpRequest, open_call
from engine.control.http_etag import conditional, expected, tagged
from engine.control.http_paging import page_of, page_options
from engine.control.openapi import operation
from engine.core.errors import Conflict
from engine.store.directory import SHARED
from engine.store.document_rules import merged

_LIST = operation(query=page_options, errors=(400, 401, 403, 404), conditional=True)
_READ = operation(errors=(400, 401, 403, 404), conditional=True)
_REMOVE = operation(errors=(400, 401, 403, 404, 409, 412))
_CREATE = operation(document=True, errors=(400, 401, 403, 404, 409))
_WRITE = operation(document=True, errors=(400, 401, 403, 404, 409, 412))


class SharedDialPlans(Controller):
    """Dial plans that others name under `system`."""

    path = "/v2/dial_plans"
    tags = ("SharedDialPlan",)

    @get(summary="List shared dial plans", operation_class=_LIST)
    async def list_dial_plans(self, request: HttpRequest) -> Response[bytes]:
        """List the names."""
        call = await open_call(request, ROOT)
        plans = {plan.id: {"id": plan.id} for plan in call.face.directory.shared_dial_plans()}
        page, words = page_of(plans, call.query)
        return conditional(request, call, page, **words)

    @put("/{name:str}", status_code=201, summary="Create", operation_class=_CREATE)
    async def create_dial_plan(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Create a shared dial plan under a name that is free."""
        call = await open_call(request, ROOT)
        directory = call.face.directory
        if directory.has("dial_plan", SHARED, name):
            raise Conflict("id", name, "a shared dial plan")
        created = await directory.put("dial_plan", SHARED, call.required_data, name)
        return tagged(call, created, 201)

    @get("/{name:str}", summary="Show", operation_class=_READ)
    async def show_dial_plan(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Show a shared dial plan."""
        call = await open_call(request, ROOT)
        return conditional(request, call, call.face.directory.document("dial_plan", SHARED, name))

    @post("/{name:str}", status_code=200, summary="Replace", operation_class=_WRITE)
    async def replace_dial_plan(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Replace a shared dial plan; calls see it at once."""
        call = await open_call(request, ROOT)
        return await _changed(request, call, name, lambda _: call.required_data)

    @patch("/{name:str}", summary="Change", operation_class=_WRITE)
    async def change_dial_plan(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Merge changes into a shared dial plan; null removes a rule."""
        call = await open_call(request, ROOT)
        return await _changed(request, call, name, lambda old: merged(old, call.required_data))

    @delete("/{name:str}", status_code=200, summary="Delete", operation_class=_REMOVE)
    async def delete_dial_plan(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Delete a shared dial plan that no dial plan names."""
        call = await open_call(request, ROOT)
        check = expected(request)
        return call.succeed(await call.face.directory.delete("dial_plan", SHARED, name, check))


async def _changed(
    request: HttpRequest,
    call: Call,
    name: str,
    make: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Response[bytes]:
    check = expected(request)

    def change(old: Mapping[str, Any]) -> Mapping[str, Any]:
        check(old)
        return make(old)

    return tagged(call, await call.face.directory.update("dial_plan", SHARED, name, change))


@get(
    "/v2/accounts/{account_id:str}/dialplans",
    summary="Show every shared dial plan",
    operation_class=_READ,
)
async def list_account_dial_plans(
    request: HttpRequest, account_id: FromPath[str]
) -> Response[bytes]:
    """Show the shared dial plans an account may name, by name, each with its rules."""
    call = await open_call(request, account_id)
    directory = call.face.directory
    directory.account(account_id)
    plans = {
        plan.id: {**directory.document("dial_plan", SHARED, plan.id), "name": plan.id}
        for plan in directory.shared_dial_plans()
    }
    for plan in plans.values():
        del plan["id"]
    return conditional(request, call, plans)
