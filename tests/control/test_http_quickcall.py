"""The quickcall routes on a real server."""

from __future__ import annotations

import asyncio
import logging

import httpx
import msgspec
import pytest

from tests.control.conftest import Tenant
from tests.control.engine import ScriptedEngine

ENVELOPE = {"data", "status", "request_id", "auth_token", "node", "timestamp", "version"}

REQUEST_KEYS = {
    "app_name",
    "app_version",
    "application_data",
    "application_name",
    "continue_on_fail",
    "custom_channel_vars",
    "dial_endpoint_method",
    "endpoints",
    "event_category",
    "event_name",
    "export_custom_channel_vars",
    "ignore_early_media",
    "media",
    "msg_id",
    "node",
    "outbound_callee_id_name",
    "outbound_callee_id_number",
    "outbound_caller_id_name",
    "outbound_caller_id_number",
    "server_id",
    "system_log_id",
    "timeout",
}
"""Keys of the `request` in the quickcall document's example of a failure."""

ENDPOINT_KEYS = {
    "codecs",
    "custom_channel_vars",
    "custom_sip_headers",
    "ignore_completed_elsewhere",
    "invite_format",
    "outbound_call_id",
    "presence_id",
    "to_did",
    "to_realm",
    "to_user",
    "to_username",
}


async def test_get_answers_at_once_with_the_request(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    response = await root.get(tenant.quickcall(), params={"foo": "bar", "timeout": "3"})
    assert response.status_code == 202
    body = response.json()
    assert set(body) == ENVELOPE
    assert body["status"] == "success"
    assert body["node"] == engine.node
    data = body["data"]
    assert data["timeout"] == 3
    assert data["custom_application_vars"] == {"foo": "bar"}
    assert data["application_data"] == {"route": "1002"}
    assert "msg_id" not in data
    assert not engine.handles[0].done.is_set()


async def test_the_request_that_is_told_is_the_one_that_was_made(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    asked = {
        "call_id": "order-17",
        "dial_method": "single",
        "fail_on_single_reject": ["USER_BUSY", "CALL_REJECTED"],
        "ignore_completed_elsewhere": True,
        "endpoint_delay": 0.5,
        "endpoint_timeout": 10,
        "progress_timeout": 4,
        "max_duration": 60,
        "privacy": "full",
        "ignore_early_media": "ring_ready",
    }
    engine.answer_at_once = {}
    response = await root.post(tenant.quickcall(), json={"data": asked})
    assert response.status_code == 202, response.text
    told = response.json()["data"]
    top = {
        "outbound_call_id": "order-17",
        "dial_endpoint_method": "single",
        "fail_on_single_reject": ["CALL_REJECTED", "USER_BUSY"],
        "ignore_completed_elsewhere": True,
        "max_duration": 60.0,
        "privacy_hide_name": True,
        "privacy_hide_number": True,
        "ignore_early_media": "ring_ready",
    }
    assert told.items() >= top.items()
    (endpoint,) = told["endpoints"]
    limits = {"endpoint_delay": 0.5, "endpoint_timeout": 10.0, "endpoint_progress_timeout": 4.0}
    assert endpoint.items() >= {**limits, "ignore_completed_elsewhere": True}.items()


async def test_post_waits_for_the_answer(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    body = {"data": {"timeout": 10, "media": "bypass", "custom_application_vars": {"a": {"b": 1}}}}
    pending = asyncio.create_task(root.post(tenant.quickcall(), json=body))
    await engine.started.wait()
    assert not pending.done()
    engine.handles[0].finish(call_id="0-quickcall")
    response = await pending
    assert response.status_code == 202
    data = response.json()["data"]
    assert data["application_response"] == "SUCCESS"
    assert data["call_id"] == "0-quickcall"
    assert data["endpoints"][0]["outbound_call_id"] == "0-quickcall"
    assert data["media"] == "bypass"
    assert engine.handles[0].request.custom_application_vars == {"a": {"b": 1}}


async def test_a_failed_post_shows_the_cause_and_the_whole_request(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = f"{tenant.url}/devices/{tenant.nobody}/quickcall/1002"
    response = await root.post(url, headers={"X-Request-ID": "req-7"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "req-7"
    body = response.json()
    assert set(body) == ENVELOPE | {"error", "message"}
    assert body["error"] == "500"
    assert body["message"] == "quickcall initiation failed"
    assert body["status"] == "error"
    assert body["request_id"] == "req-7"
    assert set(body["data"]) == {"error_message", "request"}
    assert body["data"]["error_message"] == "DESTINATION_OUT_OF_ORDER"
    request = body["data"]["request"]
    assert set(request) == REQUEST_KEYS
    assert request["app_name"] == "crossbar"
    assert request["msg_id"] == "req-7"
    assert request["custom_channel_vars"] == {
        "account_id": tenant.account,
        "authorizing_id": tenant.nobody,
        "authorizing_type": "device",
        "inherit_codec": "false",
        "retain_cid": "true",
    }
    (endpoint,) = request["endpoints"]
    assert set(endpoint) == ENDPOINT_KEYS
    assert endpoint["custom_sip_headers"] == {
        "x_kazoo_aor": "sip:nobody@example.org",
        "x_kazoo_invite_format": "contact",
    }
    assert endpoint["custom_channel_vars"]["auto_answer"] is False
    assert endpoint["outbound_call_id"].endswith("-quickcall")


async def test_a_filter_that_left_the_number_says_so(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    regex = {"number_filter": "^9(.*)"}
    data = (await root.get(tenant.quickcall("1-002"), params=regex)).json()["data"]
    assert data["number_filter_note"] == "no match"
    assert data["application_data"] == {"route": "1-002"}
    data = (await root.get(tenant.quickcall("91002"), params=regex)).json()["data"]
    assert "number_filter_note" not in data
    assert data["application_data"] == {"route": "1002"}
    assert data["endpoints"][0]["to_did"] == data["outbound_caller_id_number"] == "1002"
    url = f"{tenant.url}/devices/{tenant.nobody}/quickcall/1-002"
    failed = (await root.post(url, params=regex)).json()["data"]
    assert failed["request"]["number_filter_note"] == "no match"
    events = await engine.journal.events(tenant.account)
    payload = msgspec.json.decode(events[-1].payload)
    assert payload["Number-Filter-Note"] == "no match"
    assert payload["Application-Data"] == {"Route": "1-002"}


async def test_get_without_endpoints_is_accepted_and_ends_in_one_event(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    response = await root.get(f"{tenant.url}/devices/{tenant.nobody}/quickcall/1002")
    assert response.status_code == 202
    (event,) = engine.feed.since(0)
    assert event.name == "QUICKCALL_END"
    assert event.payload["Hangup-Cause"] == "DESTINATION_OUT_OF_ORDER"


async def test_a_user_rings_every_device_without_auto_answer(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    second = {"name": "Mobile", "owner_id": tenant.user, "sip": {"username": "alice2"}}
    assert (await root.put(f"{tenant.url}/devices", json={"data": second})).status_code == 201
    url = f"{tenant.url}/users/{tenant.user}/quickcall/1002"
    response = await root.get(url, params={"auto_answer": "true"})
    endpoints = response.json()["data"]["endpoints"]
    assert sorted(e["to_user"] for e in endpoints) == ["alice", "alice2"]
    assert all("auto_answer" not in e["custom_channel_vars"] for e in endpoints)
    assert response.json()["data"]["custom_channel_vars"]["authorizing_type"] == "user"


@pytest.mark.parametrize(
    ("segment", "number"),
    [
        ("%2B14155550100", "+14155550100"),
        ("%252B1", "%2B1"),
        ("+1", "+1"),
        ("1%252F", "1%2F"),
        ("1%2F2", "1/2"),
        ("sip%3A%252A97%2523@h", "sip:%2A97%23@h"),
    ],
)
async def test_the_number_is_decoded_once(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine, segment: str, number: str
) -> None:
    response = await root.get(tenant.quickcall(segment))
    assert response.status_code == 202, response.text
    assert engine.handles[0].request.number == number


async def test_a_number_is_one_segment(root: httpx.AsyncClient, tenant: Tenant) -> None:
    response = await root.get(tenant.quickcall("1/2"))
    assert response.status_code == 404
    assert response.json()["message"] == "not_found"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("query", "field", "text"),
    [
        ({"timeout": "2"}, "timeout", "an integer of seconds, 3 to"),
        ({"timeout": "soon"}, "timeout", "an integer of seconds, 3 to"),
        ({"media": "Bypass"}, "media", "process or bypass"),
        ({"auto_answer": "1"}, "auto_answer", "true or false"),
        ({"cid-name": "a\r\nVia: x"}, "cid-name", "without control characters"),
        ({"cid_number": "9" * 257}, "cid_number", "at most 256"),
        ({"number_filter": "(a"}, "number_filter", "position 0"),
    ],
)
async def test_an_option_out_of_bounds_is_named(
    root: httpx.AsyncClient,
    tenant: Tenant,
    method: str,
    query: dict[str, str],
    field: str,
    text: str,
) -> None:
    response = await root.request(method, tenant.quickcall(), params=query)
    assert response.status_code == 400
    body = response.json()
    assert body["message"] == "validation error"
    assert body["error"] == "400"
    (detail,) = body["data"][field].values()
    assert text in detail["message"]


@pytest.mark.parametrize("segment", ["1%0D%0A2", "%00", "1" * 129, "%FF"])
async def test_a_number_that_could_break_a_header_is_refused(
    root: httpx.AsyncClient, tenant: Tenant, segment: str
) -> None:
    response = await root.get(tenant.quickcall(segment))
    assert response.status_code == 400
    assert "number" in response.json()["data"]


async def test_unknown_names_are_bad_identifiers(root: httpx.AsyncClient, tenant: Tenant) -> None:
    for url in (
        f"/v2/accounts/{'0' * 32}/devices/{tenant.device}/quickcall/1",
        f"{tenant.url}/devices/{'0' * 32}/quickcall/1",
        f"{tenant.url}/users/{tenant.device}/quickcall/1",
    ):
        for method in ("GET", "POST"):
            response = await root.request(method, url)
            assert response.status_code == 404
            assert response.json()["message"] == "bad_identifier"
            assert response.json()["error"] == "404"


async def test_bodies_that_are_no_envelopes(root: httpx.AsyncClient, tenant: Tenant) -> None:
    deep = b'{"data":' + b"[" * 100_000
    for content in (
        b"{",
        b"[]",
        b"\xff",
        b'{"data": {}} x',
        b'{"data": {"cid_name": "\\ud800"}}',
        deep,
    ):
        response = await root.post(tenant.quickcall(), content=content)
        assert response.status_code == 400, content[:20]
        assert response.json()["message"] == "parse_error"
    response = await root.post(tenant.quickcall(), content=b'{"data": []}')
    assert response.json()["data"]["data"]["type"]["message"].endswith("allowed: an object")


async def test_a_body_over_a_mebibyte_is_refused(root: httpx.AsyncClient, tenant: Tenant) -> None:
    response = await root.post(tenant.quickcall(), content=b" " * (1024 * 1024 + 1))
    assert response.status_code == 413
    assert response.json()["message"] == "request_too_large"


async def test_other_methods_and_collections(root: httpx.AsyncClient, tenant: Tenant) -> None:
    response = await root.put(tenant.quickcall())
    assert response.status_code == 405
    assert response.json()["message"] == "invalid_method"
    assert "POST" in response.headers["allow"]
    response = await root.get(f"{tenant.url}/groups/{tenant.user}/quickcall/1")
    assert response.status_code == 404


async def test_a_busy_engine_says_when_to_come_back(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    engine.refused = "the journal is full"
    response = await root.post(tenant.quickcall())
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json()["message"] == "service_unavailable"
    assert (await root.get("/readyz")).status_code == 503
    assert (await root.get("/healthz")).status_code == 200
    engine.refused = ""
    assert (await root.get("/readyz")).json() == {"status": "ready"}


async def test_a_client_that_leaves_does_not_end_the_call(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await root.post(tenant.quickcall(), timeout=httpx.Timeout(5, read=0.2))
    (handle,) = engine.handles
    assert handle.hung_up == 0
    handle.finish()
    assert (await root.get("/healthz")).status_code == 200


async def test_who_may_call(
    client: httpx.AsyncClient, root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = tenant.quickcall()
    for headers in ({}, {"X-Auth-Token": "guess"}, {"Authorization": "Basic x"}):
        response = await client.get(url, headers=headers)
        assert response.status_code == 401
        assert response.json()["message"] == "invalid_credentials"
        assert "auth_token" not in response.json()
    other = engine.tokens.create("f" * 32)
    response = await client.get(url, headers={"X-Auth-Token": other})
    assert response.status_code == 403
    assert response.json()["message"] == "forbidden"
    assert not engine.handles
    for given in (
        {"headers": {"X-Auth-Token": tenant.token}},
        {"headers": {"Authorization": f"Bearer {tenant.token}"}},
        {"params": {"auth_token": tenant.token}},
    ):
        response = await client.get(url, **given)  # type: ignore[arg-type]
        assert response.status_code == 202
        assert response.json()["auth_token"] == tenant.token
    engine.answer_at_once = {}
    response = await client.post(url, json={"auth_token": tenant.token})
    assert response.status_code == 202
    assert len(engine.handles) == 4
    for handle in engine.handles:
        assert handle.request.custom_application_vars == {}


async def test_tokens_are_not_logged(
    client: httpx.AsyncClient,
    tenant: Tenant,
    engine: ScriptedEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="httpx")
    caplog.set_level(logging.WARNING, logger="httpcore")
    caplog.set_level(logging.DEBUG)
    for query in ({"auth_token": tenant.token}, {"auth_token": tenant.token, "timeout": "1"}):
        await client.get(tenant.quickcall(), params=query)
    engine.refused = "closing"
    await client.get(tenant.quickcall(), params={"auth_token": tenant.token})
    assert "closing" in caplog.text
    assert tenant.token not in caplog.text


async def test_a_request_id_is_checked(root: httpx.AsyncClient, tenant: Tenant) -> None:
    response = await root.get(tenant.quickcall(), headers={"X-Request-ID": "x" * 129})
    assert response.status_code == 400
    assert len(response.json()["request_id"]) == 32
