"""Messages as crossbar's quickcall publishes them (4.2), and what they mean."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from engine.control.kapi_originate import Originate, parse_originate
from engine.core.errors import RequestInvalid
from engine.core.values import Contact, Endpoint

ACCOUNT = "a" * 32
DEVICE = "d" * 32
CALL_ID = "0" * 36 + "-quickcall"


def crossbar_endpoint(
    user: str = "alice",
    realm: str = "test.local",
    call_id: str = CALL_ID,
    /,
    **changes: Any,
) -> dict[str, Any]:
    """An endpoint as kz_endpoint builds it for a device."""
    return {
        "Invite-Format": "contact",
        "To-User": user,
        "To-Username": user,
        "To-Realm": realm,
        "To-DID": "1002",
        "Codecs": ["PCMU", "PCMA"],
        "Presence-ID": f"{user}@{realm}",
        "Outbound-Call-ID": call_id,
        "Ignore-Completed-Elsewhere": False,
        "Custom-SIP-Headers": {
            "X-KAZOO-AOR": f"sip:{user}@{realm}",
            "X-KAZOO-INVITE-FORMAT": "contact",
        },
        "Custom-Channel-Vars": {
            "Account-ID": ACCOUNT,
            "Authorizing-ID": DEVICE,
            "Authorizing-Type": "device",
            "Auto-Answer": True,
            "Media-Encryption-Enforce-Security": False,
            "SIP-Invite-Domain": realm,
        },
        **changes,
    }


def crossbar_request(msg_id: str = "request-1", /, **changes: Any) -> dict[str, Any]:
    """The request of a POST; that of a GET has no `Server-ID`. A change to None removes a key."""
    message = {
        "App-Name": "crossbar",
        "App-Version": "4.0.0",
        "Event-Category": "resource",
        "Event-Name": "originate_req",
        "Msg-ID": msg_id,
        "Node": "crossbar@host",
        "Server-ID": "crossbar-replies",
        "System-Log-ID": "log-1",
        "Application-Name": "transfer",
        "Application-Data": {"Route": "1002"},
        "Continue-On-Fail": False,
        "Custom-Application-Vars": {"foo": "bar"},
        "Custom-Channel-Vars": {
            "Account-ID": ACCOUNT,
            "Retain-CID": "true",
            "Inherit-Codec": "false",
            "Authorizing-Type": "device",
            "Authorizing-ID": DEVICE,
        },
        "Dial-Endpoint-Method": "simultaneous",
        "Endpoints": [crossbar_endpoint()],
        "Export-Custom-Channel-Vars": [
            *("Account-ID", "Authorizing-ID", "Authorizing-Type"),
            *("Outbound-Callee-ID-Name", "Outbound-Callee-ID-Number", "Retain-CID"),
        ],
        "Ignore-Early-Media": True,
        "Media": "process",
        "Outbound-Callee-ID-Name": "Alice",
        "Outbound-Callee-ID-Number": "1001",
        "Outbound-Caller-ID-Name": "Device QuickCall",
        "Outbound-Caller-ID-Number": "1002",
        "Timeout": 30,
        **changes,
    }
    return {key: value for key, value in message.items() if value is not None}


CARRIERS = tuple(
    Endpoint(id=name, kind="resource", contacts=(Contact(f"sip:{host}"),))
    for name, host in (("first", "192.0.2.1"), ("second", "192.0.2.2"))
)


def dialled(account_id: str, number: str) -> tuple[Endpoint, ...]:
    return CARRIERS if (account_id, number) == (ACCOUNT, "+14155550100") else ()


def parsed(**changes: Any) -> Originate:
    ids = count(1)
    return parse_originate(crossbar_request(**changes), lambda: f"made-{next(ids)}", dialled)


def rung(*elements: object, **changes: Any) -> tuple[Endpoint, ...]:
    return parsed(Endpoints=list(elements), **changes).request.endpoints


def one(**changes: Any) -> Endpoint:
    (endpoint,) = rung(crossbar_endpoint(**changes))
    return endpoint


def refused(**changes: Any) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        parsed(**changes)
    return caught.value
