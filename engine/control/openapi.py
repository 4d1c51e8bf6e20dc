"""What the OpenAPI document says beyond what the framework reads from the handlers' signatures.

Handlers read bodies and queries themselves, because an option may stand in either; so what they
take is said here, with the bounds of `kazoo_request`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import msgspec
from litestar import Request
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, Operation, Responses, SecurityScheme

from engine.control.channel_actions import ACTIONS
from engine.control.envelope import API_VERSION
from engine.control.metaflows import MODULES
from engine.control.option_schemas import Schema
from engine.control.request_bounds import MAX_DURATION, MAX_NUMBER
from engine.core.digits import MAX_MS, MIN_MS, USUAL_MS
from engine.core.sound_names import FILE_NAME, MAX_NAME
from engine.core.uri import MAX_TEXT
from engine.store.documents import STRUCTS

CSV = "text/csv"
"""Media type of route tables."""

_TEXT: Schema = {"type": "string", "maxLength": MAX_TEXT}

channel_body: Schema = {
    "type": "object",
    "required": ["action"],
    "properties": {
        "action": {"type": "string", "enum": [*ACTIONS]},
        "target": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_NUMBER,
            "description": "Number to connect the channel to; for transfer",
        },
        "target_id": {
            "type": "string",
            "minLength": 1,
            "description": "Call-ID of the channel to be connected to; for intercept",
        },
        "target_type": {"type": "string", "enum": ["channel"], "description": "For intercept"},
        "Transfer-Type": {"type": "string", "enum": ["blind"], "description": "For transfer"},
        "digits": {
            "type": "string",
            "pattern": "^[0-9*#A-Da-d]{1,64}$",
            "description": "DTMF digits to send to the channel's peer; for dtmf",
        },
        "duration": {
            "type": "integer",
            "minimum": MIN_MS,
            "maximum": MAX_MS,
            "description": f"Milliseconds each digit lasts, {USUAL_MS} unless given; for dtmf",
        },
        "sound": {
            "type": "string",
            "minLength": 1,
            "description": "A country's ringback (de) or other tone (de/busy), a tone as text "
            "(tone:425/1000,0/4000), or a WAV file below sounds_dir; for play",
        },
        "repeat": {
            "type": "boolean",
            "default": False,
            "description": "Begin anew at the end, until it is stopped; for play",
        },
        "media_name": {
            "type": "string",
            "pattern": f"^{FILE_NAME}$",
            "maxLength": MAX_NAME,
            "description": "Name of the file, in the account's folder; for record_start",
        },
        "time_limit": {
            "type": "number",
            "minimum": 0,
            "maximum": MAX_DURATION,
            "default": 0,
            "description": "Seconds to record, 0: until it is stopped or the channel ends; for "
            "record_start",
        },
    },
}

metaflow_body: Schema = {
    "type": "object",
    "required": ["module"],
    "properties": {
        "module": {"type": "string", "enum": [*MODULES]},
        "data": {
            "type": "object",
            "description": "Arguments of the module, in Kazoo's words: `target`, `id`, `action`, "
            "`media_name`, `time_limit`",
        },
    },
}

_REASONS = {
    400: "A value is not allowed, or the body is not an envelope",
    401: "No token, or an unknown one",
    403: "The token is for another account, or lacks the scope",
    404: "No such account, endpoint or object",
    409: "Another object, or a live call, has this unique value; or the call is in another state",
    412: "The document is no longer the one that `If-Match` names",
    413: "The body is too long",
    422: "The idempotency key was used for another request",
    429: "The account has as many calls at once, or asks for them as fast, as it may",
    500: "Ringing the endpoint failed; `data` says why",
    503: "The engine takes no new work now",
}


def operation(
    query: dict[str, tuple[Schema, str]] | None = None,
    headers: dict[str, tuple[Schema, str]] | None = None,
    body: Schema | None = None,
    document: bool = False,
    errors: tuple[int, ...] = (),
    csv_body: bool = False,
    csv_answer: bool = False,
    conditional: bool = False,
) -> type[Operation]:
    """Return an operation class that adds what a handler's signature does not tell.

    `query`, `headers`: name to schema and description. `body`: schema of the envelope's `data`;
    `document`: it is the document that the first tag names. `errors`: statuses that answer with an
    error envelope. `csv_body`, `csv_answer`: what is sent, what is answered may be CSV instead.
    `conditional`: `If-None-Match` may save the answer. With 412 among the errors `If-Match` is
    looked at.
    """
    asked = dict(headers or {})
    if conditional:
        asked["If-None-Match"] = (_TEXT, "Entity tags of what is known already")
    if 412 in errors:
        asked["If-Match"] = (_TEXT, "Entity tag of the document that is meant to be changed")

    @dataclass
    class Documented(Operation):
        def __post_init__(self) -> None:
            parameters = cast(list[Any], self.parameters or [])
            for place, options in (("query", query or {}), ("header", asked)):
                parameters += [_parameter(name, place, *o) for name, o in options.items()]
            self.parameters = parameters or None
            data = _reference((self.tags or [""])[0]) if document else body
            if data is not None:
                self.request_body = cast(Any, _request_body(data, document or csv_body, csv_body))
            status = next(iter(cast(Responses, self.responses)))
            responses = {status: _response("Success", "Success", csv_answer)}
            if conditional:
                responses["304"] = {"description": "It is known already"}
            responses |= {str(code): _response(_REASONS[code], "Error") for code in errors}
            self.responses = cast(Any, responses)

    return Documented


def _parameter(name: str, place: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": place, "required": False, "description": text, "schema": schema}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _request_body(data: Schema, required: bool, csv: bool) -> Schema:
    envelope = {"type": "object", "required": ["data"], "properties": {"data": data}}
    return {"required": required, "content": _content(envelope, csv)}


def _response(text: str, schema: str, csv: bool = False) -> Schema:
    return {"description": text, "content": _content(_reference(schema), csv)}


def _content(schema: Schema, csv: bool) -> Schema:
    content: Schema = {"application/json": {"schema": schema}}
    return content | {CSV: {"schema": {"type": "string"}}} if csv else content


def _envelope(status: str, more: dict[str, Schema]) -> Schema:
    properties: dict[str, Schema] = {
        "data": {},
        "status": {"const": status},
        "request_id": {"type": "string"},
        "node": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "version": {"type": "string"},
        "auth_token": {"type": "string"},
        **more,
    }
    required = ["data", "status", "request_id", "node", "timestamp", "version", *more]
    return {"type": "object", "required": required, "properties": properties}


def _schemas() -> dict[str, Schema]:
    """Return the schemas of the directory's documents and of envelopes."""
    _, found = msgspec.json.schema_components(
        STRUCTS.values(), ref_template="#/components/schemas/{name}"
    )
    schemas: dict[str, Schema] = dict(found)
    for struct in STRUCTS.values():
        schema = schemas[struct.__name__]
        schema["required"] = [name for name in schema["required"] if name != "id"]
        schema["properties"]["id"]["readOnly"] = True
    # As a document it is nothing but its rules.
    schemas["SharedDialPlan"] = schemas["SharedDialPlan"]["properties"]["dial_plan"]
    schemas["Success"] = _envelope("success", {})
    schemas["Error"] = _envelope(
        "error", {"error": {"type": "string"}, "message": {"type": "string"}}
    )
    return schemas


class _Document(JsonRenderPlugin):
    """Serves the document with the schemas of `_schemas`, which the framework does not know."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        components = {**openapi_schema["components"], "schemas": _schemas()}
        return super().render(request, {**openapi_schema, "components": components})


def openapi_config() -> OpenAPIConfig:
    """Return the framework's configuration of the document, served at /openapi.json."""
    schemes = {
        "token": SecurityScheme(type="apiKey", name="X-Auth-Token", security_scheme_in="header"),
        "bearer": SecurityScheme(type="http", scheme="bearer"),
    }
    return OpenAPIConfig(
        title="quickcall",
        version=API_VERSION,
        description="Ring a device or a user; when it answers, connect it to a number.",
        components=Components(security_schemes=cast(Any, schemes)),
        security=[{"token": []}, {"bearer": []}],
        use_handler_docstrings=True,
        # Under this path the framework also serves the name it always uses.
        path="/openapi.json",
        render_plugins=[_Document(path=["/", "/openapi.json"])],
    )
