"""Kazoo's questions about channels (`kapi_call`) and what channels look like in the answers. Pure.

Answers that list channels have them as Kazoo's REST API shows them (`kazoo_channels`), but for
`query_channels_resp`, whose channels have the keys of the bus.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.control.kapi import Rules, is_boolean, is_list, is_text, validate
from engine.control.kazoo_events import Switch
from engine.control.kazoo_keys import address, gregorian
from engine.core.errors import RequestInvalid
from engine.core.values import LegSnapshot

MAX_NAMES = 256
"""Most user names or ids in one question."""

_ACTIVE = {"Active-Only": is_boolean}


STATUS_REQ = Rules(
    "call_event",
    "channel_status_req",
    frozenset({"Call-ID"}),
    frozenset({"Active-Only"}),
    types={"Call-ID": is_text, **_ACTIVE},
)
AUTH_ID_REQ = Rules(
    "call_event", "query_auth_id_req", frozenset({"Auth-ID"}), types={"Auth-ID": is_text}
)
USER_REQ = Rules(
    "call_event",
    "query_user_channels_req",
    optional=frozenset({"Active-Only", "Authorizing-IDs", "Realm", "Username", "Usernames"}),
    types={
        "Authorizing-IDs": is_list,
        "Realm": is_text,
        "Username": is_text,
        "Usernames": is_list,
        **_ACTIVE,
    },
)
ACCOUNT_REQ = Rules(
    "call_event",
    "query_account_channels_req",
    frozenset({"Account-ID"}),
    frozenset({"Active-Only", "Username", "Usernames"}),
    types={"Account-ID": is_text, "Username": is_text, "Usernames": is_list, **_ACTIVE},
)
CHANNELS_REQ = Rules(
    "call_event",
    "query_channels_req",
    optional=frozenset({"Active-Only", "Call-ID", "Fields"}),
    types=_ACTIVE,
)

QUESTIONS = {
    rules.name: rules for rules in (STATUS_REQ, AUTH_ID_REQ, USER_REQ, ACCOUNT_REQ, CHANNELS_REQ)
}
"""Questions that are answered, by `Event-Name`."""

Body = Mapping[str, object]


class Wanted(msgspec.Struct, frozen=True):
    """Whose channels are asked for."""

    account_id: str | None = None
    """None: those of every account."""
    authorizing_ids: frozenset[str] = frozenset()
    """Ids of devices and carriers."""
    realm: str = ""
    usernames: frozenset[str] = frozenset()
    """Users of the realm, or of the account; empty: all."""

    def takes(self, channel_vars: Mapping[str, object]) -> bool:
        """Return whether a channel with these variables is asked for."""
        if channel_vars.get("Authorizing-ID") in self.authorizing_ids:
            return True
        if channel_vars.get("Username") not in self.usernames:
            return self.account_id is not None and not self.usernames
        realm = str(channel_vars.get("Realm", "")).lower()
        return self.account_id is not None or (bool(self.realm) and realm == self.realm)


def is_active_only(body: Body, *, default: bool) -> bool:
    """Return whether a question is to be left unanswered by who has no such channel."""
    return body.get("Active-Only", default) in (True, "true")


def whose(body: Body) -> Wanted:
    """Return whose channels a question about an auth id, users or an account wants.

    The names of users count in the realm, or the account. Raises `RequestInvalid`.
    """
    match body.get("Event-Name"):
        case "query_auth_id_req":
            return Wanted(authorizing_ids=frozenset({str(body["Auth-ID"])}))
        case "query_account_channels_req":
            return Wanted(account_id=str(body["Account-ID"]), usernames=_usernames(body))
        case _:
            return Wanted(
                authorizing_ids=_names(body, "Authorizing-IDs"),
                realm=str(body.get("Realm", "")).lower(),
                usernames=_usernames(body),
            )


def _usernames(body: Body) -> frozenset[str]:
    one = body.get("Username")
    return frozenset({str(one)}) if one else _names(body, "Usernames")


def _names(body: Body, key: str) -> frozenset[str]:
    names = body.get(key, [])
    allowed = f"a list of at most {MAX_NAMES} names"
    if not isinstance(names, list) or len(names) > MAX_NAMES:
        raise RequestInvalid(key, "...", allowed)
    return frozenset(name for name in names if isinstance(name, str))


def fields_of(body: Body) -> frozenset[str] | None:
    """Return the keys that `query_channels_req` wants of each channel, None: all there are.

    Raises `RequestInvalid`.
    """
    given = body.get("Fields", "all")
    if given == "all" or given == []:
        return None
    if isinstance(given, str):
        return frozenset({given})
    return _names({"Fields": given}, "Fields")


def judged(body: Body) -> Rules:
    """Return which question a message is. Raises `RequestInvalid` when it is none, or a bad one."""
    name = body.get("Event-Name")
    rules = QUESTIONS.get(name) if isinstance(name, str) else None
    if rules is None:
        raise RequestInvalid("Event-Name", str(name)[:64], ", ".join(QUESTIONS), "enum")
    validate(body, rules)
    return rules


def status_of(leg: LegSnapshot, switch: Switch) -> dict[str, object]:
    """Return the answer about a channel that lives."""
    return {
        "Event-Category": "call_event",
        "Event-Name": "channel_status_resp",
        "Call-ID": leg.call_id,
        "Status": "active",
        "Switch-Hostname": switch.hostname,
        "Switch-Nodename": switch.node,
        "Switch-URL": switch.url,
        "Other-Leg-Call-ID": leg.other_leg_call_id,
        "Realm": leg.realm,
        "Username": leg.user,
        "Custom-Channel-Vars": dict(leg.channel_vars),
        "Custom-Application-Vars": dict(leg.application_vars),
        "To-Tag": leg.to_tag,
        "From-Tag": leg.from_tag,
    }


def status_of_unknown(call_id: str) -> dict[str, object]:
    """Return the answer about a channel that is not here."""
    return {
        "Event-Category": "call_event",
        "Event-Name": "channel_status_resp",
        "Call-ID": call_id,
        "Status": "terminated",
        "Error-Msg": f"no node found with channel {call_id}",
    }


def channels_answer(name: str, channels: object) -> dict[str, object]:
    """Return the answer to a question of this `Event-Name`."""
    return {
        "Event-Category": "call_event",
        "Event-Name": f"{name.removesuffix('_req')}_resp",
        "Channels": channels,
    }


def api_channel(
    leg: LegSnapshot, switch: Switch, now: float, fields: frozenset[str] | None = None
) -> dict[str, object]:
    """Return a channel with the keys of the bus, those of `fields` alone when there are any.

    `now` is an epoch time and gives `Elapsed-Seconds`.
    """
    variables = leg.channel_vars
    channel: dict[str, object] = {
        "Account-ID": leg.account_id,
        "Answered": leg.answered_at is not None,
        "Authorizing-ID": str(variables.get("Authorizing-ID", leg.endpoint_id)),
        "Authorizing-Type": str(variables.get("Authorizing-Type", leg.endpoint_kind)),
        "Bridge-ID": str(variables.get("Bridge-ID", "")),
        "Call-Direction": "outbound",
        "Call-ID": leg.call_id,
        "Call-Interaction-ID": leg.interaction_id,
        "Callee-ID-Name": leg.callee_id.name,
        "Callee-ID-Number": leg.callee_id.number,
        "Caller-ID-Name": leg.caller_id.name,
        "Caller-ID-Number": leg.caller_id.number,
        "Custom-Application-Vars": dict(leg.application_vars),
        "Custom-Channel-Vars": dict(variables),
        "Destination": address(leg.request_uri).partition("@")[0],
        "Elapsed-Seconds": max(0, int(now - leg.created_at)),
        "Fetch-ID": str(variables.get("Fetch-ID", "")),
        "From": address(leg.from_uri),
        "From-Tag": leg.from_tag,
        "Is-Loopback": False,
        "Is-On-Hold": leg.held,
        "Media-Node": switch.node,
        "Other-Leg-Call-ID": leg.other_leg_call_id,
        "Owner-ID": leg.owner_id,
        "Presence-ID": f"{leg.user}@{leg.realm}" if leg.user else "",
        "Realm": leg.realm,
        "Resource-ID": str(variables.get("Resource-ID", "")),
        "Switch-URL": switch.url,
        "Timestamp": gregorian(leg.created_at),
        "To": address(leg.to_uri),
        "To-Tag": leg.to_tag,
        "Username": leg.user,
    }
    return {
        key: value
        for key, value in channel.items()
        if value != "" and (fields is None or key in fields)
    }
