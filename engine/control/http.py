"""The HTTP application: every route, and one way to show errors."""

from __future__ import annotations

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from engine.control.face import EngineFace
from engine.control.http_auth import exchange_api_key
from engine.control.http_blocklists import Blacklists, Blocklists
from engine.control.http_cdrs import (
    export_cdrs,
    list_cdrs,
    list_cdrs_of_device,
    list_cdrs_of_user,
    list_interactions,
    list_legs,
    show_cdr,
)
from engine.control.http_channels import (
    act_on_channel,
    end_channel,
    list_channels,
    list_channels_of_device,
    list_channels_of_user,
    send_metaflow,
    show_channel,
)
from engine.control.http_context import (
    MAX_BODY,
    on_engine_error,
    on_fault,
    on_http_error,
)
from engine.control.http_dial_plans import SharedDialPlans, list_account_dial_plans
from engine.control.http_directory import Accounts, Devices, Resources, Users
from engine.control.http_limits import show_limits
from engine.control.http_metrics import show_metrics
from engine.control.http_operations import (
    begin_drain,
    cancel_drain,
    healthz,
    readyz,
    show_drain,
)
from engine.control.http_quickcall import quickcall, quickcall_and_wait
from engine.control.http_routes import (
    delete_routes,
    explain_for_endpoint,
    explain_route,
    replace_routes,
    show_routes,
)
from engine.control.http_traces import show_trace
from engine.control.http_webhooks import WebhookDocuments, list_hooks
from engine.control.openapi import openapi_config
from engine.control.websocket import event_stream
from engine.control.websocket_broadcast import Broadcast
from engine.core.errors import EngineError


def make_app(face: EngineFace, broadcast: Broadcast) -> Litestar:
    """Return the ASGI application of an engine; its event stream's sessions join `broadcast`."""
    return Litestar(
        route_handlers=[
            exchange_api_key,
            quickcall,
            quickcall_and_wait,
            Accounts,
            Users,
            Devices,
            Resources,
            show_routes,
            replace_routes,
            delete_routes,
            Blocklists,
            Blacklists,
            SharedDialPlans,
            list_account_dial_plans,
            WebhookDocuments,
            list_hooks,
            explain_route,
            explain_for_endpoint,
            list_channels,
            list_channels_of_user,
            list_channels_of_device,
            show_channel,
            act_on_channel,
            send_metaflow,
            end_channel,
            list_cdrs,
            export_cdrs,
            list_cdrs_of_user,
            list_cdrs_of_device,
            list_interactions,
            list_legs,
            show_cdr,
            show_limits,
            show_metrics,
            show_trace,
            healthz,
            readyz,
            show_drain,
            begin_drain,
            cancel_drain,
            event_stream,
        ],
        state=State({"face": face, "broadcast": broadcast}),
        exception_handlers={
            EngineError: on_engine_error,
            HTTPException: on_http_error,
            Exception: on_fault,
        },
        request_max_body_size=MAX_BODY,
        openapi_config=openapi_config(),
        logging_config=None,
        debug=False,
    )
