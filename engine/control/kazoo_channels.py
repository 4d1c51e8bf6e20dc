"""A live leg as Kazoo's REST `channels` shows it. Pure."""

from __future__ import annotations

from engine.control.kazoo_events import Switch
from engine.control.kazoo_keys import address, gregorian, snake_case
from engine.core.values import LegSnapshot


def channel_document(leg: LegSnapshot, switch: Switch, now: float) -> dict[str, object]:
    """Return a channel in snake_case; `now` is an epoch time and gives `elapsed_s`."""
    document: dict[str, object] = {
        "uuid": leg.call_id,
        "call_id": leg.call_id,
        "account_id": leg.account_id,
        "answered": leg.answered_at is not None,
        "authorizing_id": leg.channel_vars.get("Authorizing-ID", leg.endpoint_id),
        "authorizing_type": leg.channel_vars.get("Authorizing-Type", leg.endpoint_kind),
        "resource_id": leg.channel_vars.get("Resource-ID", ""),
        "owner_id": leg.owner_id,
        "destination": address(leg.request_uri).partition("@")[0],
        "direction": "outbound",
        "elapsed_s": max(0, int(now - leg.created_at)),
        "from_tag": leg.from_tag,
        "to_tag": leg.to_tag,
        "interaction_id": leg.interaction_id,
        "is_loopback": False,
        "is_onhold": leg.held,
        "leg": leg.role.value,
        "media": leg.media.value,
        "msg_id": leg.originate_id,
        "node": switch.node,
        "other_leg": leg.other_leg_call_id,
        "presence_id": f"{leg.user}@{leg.realm}" if leg.user else "",
        "realm": leg.realm,
        "state": leg.state.value,
        "switch_nodename": switch.node,
        "switch_url": switch.url,
        "timestamp": gregorian(leg.created_at),
        "username": leg.user,
        "custom_channel_vars": snake_case(leg.channel_vars),
        "custom_application_vars": leg.application_vars,
    }
    return {key: value for key, value in document.items() if value != ""}
