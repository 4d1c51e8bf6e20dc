"""The SIP messages of one call: as JSON, as a ladder, as a capture file."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath

from engine.control.http_context import HttpRequest, open_call, segment_in
from engine.control.ladder import draw_ladder
from engine.control.openapi import operation
from engine.control.pcap import MEDIA_TYPE, masked, pcap_file
from engine.core.errors import RequestInvalid
from engine.core.events import SipMessageSeen

TRACE = "/v2/accounts/{account_id:str}/traces/{call_id:path}"

FORMATS = ("json", "ladder", "pcap")
"""What a trace can be asked for as, by `format` in the query."""

_ID_AT = 5
_LADDER_WIDTH = 120


@get(
    TRACE,
    summary="Show the SIP messages of a call",
    operation_class=operation(errors=(400, 401, 403, 404)),
)
async def show_trace(
    request: HttpRequest, account_id: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """Show what was sent and received for all legs of a call, also after its end.

    By Call-ID or request id; `format` is `json`, `ladder` (text) or `pcap`. The engine keeps them
    when its configuration says `trace`. Digest responses and SRTP keys are crossed out.
    """
    call = await open_call(request, account_id)
    name = segment_in(request, _ID_AT, "call_id")
    wanted = call.query.get("format", "json")
    if wanted not in FORMATS:
        raise RequestInvalid("format", wanted[:32], ", ".join(FORMATS), "enum")
    messages = [masked(message) for message in call.face.trace_of(name, account_id)]
    if wanted == "pcap":
        return Response(pcap_file(messages), media_type=MEDIA_TYPE)
    if wanted == "ladder":
        text = "\n".join(draw_ladder(messages, {}, _LADDER_WIDTH)) + "\n"
        return Response(text.encode(), media_type="text/plain; charset=utf-8")
    return call.succeed([_document(message) for message in messages])


def _document(message: SipMessageSeen) -> dict[str, object]:
    return {
        "at": message.at,
        "sent": message.sent,
        "source": message.source,
        "destination": message.destination,
        "transport": message.transport,
        "call_id": message.call_id,
        "text": message.text,
    }
