"""The account of the call benchmarks: one device that is rung, one that is dialled."""

from __future__ import annotations

ACCOUNT = {"name": "Load", "realm": "load.local"}
EXTENSION = "1002"
"""Number of the dialled device."""
NO_ROUTE = "999"
"""Number that nothing takes: the rung device is released as soon as it has answered."""


def device(user: str, extension: str, uri: str) -> dict[str, object]:
    """Return the document of a device with a static contact, so that nobody has to register."""
    return {
        "name": user,
        "sip": {"username": user, "invite_format": "route", "route": uri},
        "caller_id": {"internal": {"name": user, "number": extension}},
    }
