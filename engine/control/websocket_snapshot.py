"""What lives at a point of the stream, for who comes back after too long. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.control.face import CallHandle, EngineFace
from engine.control.kazoo_channels import channel_document
from engine.control.kazoo_events import Switch
from engine.control.websocket_frames import Binding, snapshot_frame
from engine.core.values import LegSnapshot

PART = 100
"""Channels, or requests, in one frame."""


def snapshot_frames(
    face: EngineFace, bindings: Sequence[Binding], sequence: int, now: float
) -> Iterator[bytes]:
    """Yield the frames of a snapshot taken now, made as they are asked for; at least one.

    It holds the channels and requests of the bindings' account; with a binding to one call, only
    those of that call.
    """
    account_id = bindings[0].filter.account_id
    calls = {binding.filter.call_id for binding in bindings}
    legs = [leg for leg in face.channels(account_id) if None in calls or leg.call_id in calls]
    requests = [
        handle
        for handle in face.requests(account_id)
        if None in calls or not calls.isdisjoint(one.call_id for one in handle.planned)
    ]
    return _frames(face, bindings, sequence, now, legs, requests)


def _frames(
    face: EngineFace,
    bindings: Sequence[Binding],
    sequence: int,
    now: float,
    legs: Sequence[LegSnapshot],
    requests: Sequence[CallHandle],
) -> Iterator[bytes]:
    switch = Switch(face.node)
    most = max(len(legs), len(requests), 1)
    for start in range(0, most, PART):
        channels = [channel_document(leg, switch, now) for leg in legs[start : start + PART]]
        documents = [_request(handle) for handle in requests[start : start + PART]]
        more = start + PART < most
        yield snapshot_frame(bindings, sequence, channels, documents, more=more)


def _request(handle: CallHandle) -> dict[str, object]:
    request = handle.request
    document: dict[str, object] = {
        "msg_id": handle.originate_id,
        "account_id": request.account_id,
        "number": handle.number,
        "authorizing_type": request.endpoint_type.value,
        "authorizing_id": request.endpoint_id,
        "call_ids": [attempt.call_id for attempt in handle.planned],
        "custom_application_vars": request.custom_application_vars,
    }
    return document
