"""What events and call records say of the media of a leg: codec, mode, encryption, quality."""

from __future__ import annotations

from engine.control.kazoo_keys import snake_case
from engine.core.media_values import MediaReport
from engine.core.values import LegSnapshot


def media_fields(leg: LegSnapshot) -> dict[str, object]:
    """Return them in Header-Case; empty for a leg without media.

    Kazoo has no fields for most of it; `Media-Recordings` is its own.
    """
    if not leg.codec:
        return {}
    fields: dict[str, object] = {
        "Media": leg.media.value,
        "Media-Codec": leg.codec,
        "Media-Encryption": leg.security,
    }
    if leg.one_way:
        fields["Media-One-Way"] = True
    if leg.recordings:
        fields["Media-Recordings"] = list(leg.recordings)
    if leg.report is not None:
        fields["Media-Quality"] = _quality(leg.report)
    return fields


def media_record(leg: LegSnapshot) -> dict[str, object]:
    """Return them as call records have them."""
    return snake_case(media_fields(leg))


def _quality(report: MediaReport) -> dict[str, object]:
    fields: dict[str, object] = {
        "Packets-Received": report.packets_received,
        "Packets-Sent": report.packets_sent,
        "Bytes-Received": report.bytes_received,
        "Bytes-Sent": report.bytes_sent,
        "Packets-Lost": report.lost,
        "Packets-Lost-By-Peer": report.lost_by_peer,
        "Jitter-MS": round(report.jitter_ms, 2),
    }
    if report.round_trip_ms is not None:
        fields["Round-Trip-MS"] = round(report.round_trip_ms, 2)
    if report.mos is not None:
        fields["MOS"] = round(report.mos, 2)
    return fields
