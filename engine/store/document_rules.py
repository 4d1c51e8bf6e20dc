"""From a client's JSON to a document that can do no harm: types, bounds, clean text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from engine.core.errors import RequestInvalid
from engine.core.media_values import DtmfMethod
from engine.store.dial_rules import check_patterns
from engine.store.document_checks import check_document
from engine.store.documents import STRUCTS, SYSTEM, Blocklist, Document, Kind
from engine.store.webhooks import Webhook

TEXT_LIMIT = 256
"""Characters in a text that can reach a SIP header."""
PATTERN_LIMIT = 1024
"""Characters in a regular expression."""
DOCUMENT_LIMIT = 65536
"""Bytes of a whole document as JSON, fields the engine does not know included."""
BLOCKLIST_LIMIT = 8 * 1024 * 1024
"""The same for a blocklist."""
DEPTH_LIMIT = 32
"""Objects inside objects in a document."""

SECRETS = frozenset({"password", "pvt_password", "secret"})
"""Keys whose values are never shown."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ERROR = re.compile(r"(?P<why>.*?)(?: - at `\$?\.?(?P<path>.*)`)?", re.DOTALL)

_CHOICES = {
    "invite_format": "contact, username, e164, npan, 1npan, strip_plus, route, forward",
    "sip_cid_type": "rpid, pid, none",
    "method": "password, ip",
    "transport": "udp, tcp, tls",
    "channel_selection": "ascending, descending",
    "bypass_media": "true, false, auto",
    "action": "allow, deny, inherit",
    "methods": "srtp, zrtp",
    "dtmf": ", ".join(DtmfMethod),
    "http_verb": "get, post, put",
    "format": "form-data, json",
}


def read_document(
    kind: Kind, raw: Mapping[str, Any], document_id: str
) -> tuple[Document, dict[str, Any]]:
    """Check a document; return its struct, and it whole: unknown fields kept, nulls left out.

    `document_id` becomes its id whatever `raw` says. Raises `RequestInvalid` naming the field by
    its dotted path.
    """
    if _ID.fullmatch(document_id) is None:
        raise RequestInvalid("id", document_id, "1 to 64 of A-Z a-z 0-9 _ -", "pattern")
    whole: dict[str, Any] = {**_without_nulls(raw), "id": document_id}
    if kind == "account" and isinstance(whole.get("realm"), str):
        whole["realm"] = whole["realm"].lower()
    shaped = _shaped(kind, whole)
    try:
        document = msgspec.convert(shaped, STRUCTS[kind], strict=True)
    except msgspec.ValidationError as error:
        raise _type_error(shaped, str(error)) from None
    if isinstance(document, Blocklist):
        # A hundred thousand of them: `check_document` has a faster way with their numbers.
        _check_text("name", document.name)
    elif not isinstance(document, Webhook):
        # None of the texts of a webhook reaches a SIP header; `check_document` has their bounds.
        for path, text in _texts(msgspec.to_builtins(document), ""):
            _check_text(path, text)
    check_document(document)
    check_patterns(document)
    _check_size(whole, BLOCKLIST_LIMIT if kind == "blocklist" else DOCUMENT_LIMIT)
    return document, whole


def _shaped(kind: Kind, whole: dict[str, Any]) -> dict[str, Any]:
    """Return a document in the shape of its struct: a shared dial plan is nothing but rules."""
    if kind != "dial_plan":
        return whole
    if SYSTEM in whole:
        allowed = "rules only: a shared dial plan cannot name others"
        raise RequestInvalid(SYSTEM, str(whole[SYSTEM])[:32], allowed, "propertyNames")
    rules = {regex: rule for regex, rule in whole.items() if regex != "id"}
    return {"id": whole["id"], "dial_plan": rules}


def merged(
    document: Mapping[str, Any], changes: Mapping[str, Any], depth: int = DEPTH_LIMIT
) -> dict[str, Any]:
    """Lay changes over a document: objects merge, null removes, all else replaces (RFC 7396).

    Raises `RequestInvalid` when the changes go deeper than `depth` objects.
    """
    _check_depth(depth)
    result = dict(document)
    for key, value in changes.items():
        old = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            result[key] = merged(old if isinstance(old, Mapping) else {}, value, depth - 1)
        else:
            result[key] = value
    return result


def without_secrets(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without any password, at any depth, to show to a client."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: clean(item) for key, item in value.items() if key not in SECRETS}
        return [clean(item) for item in value] if isinstance(value, list) else value

    result: dict[str, Any] = clean(document)
    return result


def _check_depth(left: int) -> None:
    if left == 0:
        raise RequestInvalid(
            "data", "objects inside objects", f"at most {DEPTH_LIMIT} levels", "maxLength"
        )


def _without_nulls(raw: Mapping[str, Any], depth: int = DEPTH_LIMIT) -> dict[str, Any]:
    _check_depth(depth)
    return {
        key: _without_nulls(value, depth - 1) if isinstance(value, Mapping) else value
        for key, value in raw.items()
        if value is not None
    }


def _type_error(whole: Mapping[str, Any], message: str) -> RequestInvalid:
    match = _ERROR.fullmatch(message)
    why, path = (match["why"], match["path"] or "") if match else (message, "")
    missing = re.search(r"missing required field `(.*)`", why)
    if missing:
        return RequestInvalid(_join(path, missing[1]), None, "a value is required", "required")
    name = path.rpartition(".")[2].partition("[")[0]
    expected = re.search(r"Expected `(.*?)`", why)
    allowed = _CHOICES.get(name) or (expected[1].replace("str", "text") if expected else why)
    value = "***" if name in SECRETS else _value_at(whole, path)
    return RequestInvalid(path or "data", value, allowed, "type" if expected else "enum")


def _value_at(whole: Any, path: str) -> object:
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(whole, Mapping) and step in whole:
            whole = whole[step]
        elif isinstance(whole, list) and step.isdigit():
            whole = whole[int(step)]
        else:
            return None
    return whole


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Walk every text of a struct, keys of objects included, with its dotted path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield _join(path, "key"), key
            yield from _texts(item, _join(path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")


def _check_text(path: str, text: str) -> None:
    limit = PATTERN_LIMIT if path.startswith(("rules[", "dial_plan.")) else TEXT_LIMIT
    secret = path.rpartition(".")[2] in SECRETS
    if len(text) > limit:
        shown = "***" if secret else text[:32] + "..."
        raise RequestInvalid(path, shown, f"at most {limit} characters", "maxLength")
    if _UNSAFE.search(text):
        raise RequestInvalid(
            path, "***" if secret else text, "text without control characters", "pattern"
        )


def _check_size(whole: Mapping[str, Any], limit: int) -> None:
    try:
        size = len(msgspec.json.encode(whole))
    except (UnicodeEncodeError, TypeError, OverflowError) as error:
        raise RequestInvalid("data", str(error), "JSON in UTF-8") from None
    if size > limit:
        raise RequestInvalid("data", f"{size} bytes", f"at most {limit} bytes", "maxLength")
