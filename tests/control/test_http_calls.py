"""Channels and call records over HTTP, and the document that describes the routes."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest

from engine.control.kazoo import cdr
from engine.core.values import LegState, OriginateId
from tests.control.conftest import Tenant
from tests.control.engine import ScriptedEngine
from tests.control.samples import snapshot


async def test_channels_are_listed_shown_and_hung_up(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = f"{tenant.url}/channels"
    await root.get(tenant.quickcall(), headers={"X-Request-ID": "mine"})
    (handle,) = engine.handles
    live = snapshot(
        account_id=tenant.account,
        originate_id=OriginateId("mine"),
        call_id="live-1",
        state=LegState.ANSWERED,
        ended_at=None,
        cause="",
    )
    engine.legs = [
        live,
        snapshot(account_id="f" * 32, originate_id=OriginateId("theirs"), call_id="other"),
    ]
    (listed,) = (await root.get(url)).json()["data"]
    assert listed["uuid"] == "live-1"
    assert listed["msg_id"] == "mine"
    assert listed["answered"] is True
    assert listed["other_leg"] == "4567-quickcall"
    assert listed["custom_channel_vars"]["authorizing_type"] == "device"
    assert listed["custom_application_vars"] == {"foo": "bar", "Order-ID": "7"}
    assert (await root.get(f"{url}/live-1")).json()["data"]["state"] == "answered"
    for method in ("GET", "DELETE"):
        response = await root.request(method, f"{url}/other")
        assert response.status_code == 404
        assert response.json()["data"]["kind"] == "channel"
    response = await root.post(f"{url}/live-1", json={"data": {"action": "hangup"}})
    assert response.status_code == 202
    assert response.json()["message"] == "hangup initiated"
    assert (await root.delete(f"{url}/live-1")).json()["data"]["uuid"] == "live-1"
    assert handle.hung_up == 2
    response = await root.post(f"{url}/live-1", json={"data": {"action": "dance"}})
    assert response.status_code == 400
    assert "action" in response.json()["data"]
    assert handle.hung_up == 2


async def test_a_channel_is_held_and_transferred(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    await root.get(tenant.quickcall(), headers={"X-Request-ID": "mine"})
    url = f"{tenant.url}/channels/mine"

    async def act(**data: object) -> httpx.Response:
        return await root.post(url, json={"data": data})

    for action in ("hold", "unhold"):
        response = await act(action=action)
        assert (response.status_code, response.json()["message"]) == (202, f"{action} initiated")
    response = await act(action="transfer", target="1003")
    assert (response.status_code, response.json()["message"]) == (409, "wrong_state")
    assert response.json()["data"]["cause"] == "ringing"
    engine.handles[0].finish()
    assert (await act(action="transfer", target="1003")).status_code == 202
    assert engine.asked == [("hold", "mine"), ("unhold", "mine"), ("transfer", "mine to 1003")]
    wrong: list[dict[str, object]] = [{"action": "transfer", "target": 7}, {"action": []}]
    wrong += [{"action": "transfer"}, {}]
    for data in wrong:
        response = await act(**data)
        assert response.status_code == 400
        assert list(response.json()["data"]) == ["target" if data.get("action") else "action"]
    url = f"{tenant.url}/channels/nothing"
    assert (await act(action="hold")).status_code == 404


async def test_digits_are_sent_to_a_channel(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    await root.get(tenant.quickcall(), headers={"X-Request-ID": "mine"})
    url = f"{tenant.url}/channels/mine"

    async def act(**data: object) -> httpx.Response:
        return await root.post(url, json={"data": {"action": "dtmf", **data}})

    assert (await act(digits="12a#")).json()["message"] == "dtmf initiated"
    assert (await act(digits="0", duration=80)).status_code == 202
    assert engine.asked == [("dtmf", "12A# for 160"), ("dtmf", "0 for 80")]
    for wrong in (None, 5, "", "x", "1" * 65):
        response = await act(digits=wrong)
        assert (response.status_code, list(response.json()["data"])) == (400, ["digits"])
    for wrong in ("80", True, 39, 2001):
        response = await act(digits="1", duration=wrong)
        assert (response.status_code, list(response.json()["data"])) == (400, ["duration"])


async def test_a_channel_is_played_to_and_recorded(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    await root.get(tenant.quickcall(), headers={"X-Request-ID": "mine"})

    async def act(action: str, **data: object) -> httpx.Response:
        body = {"data": {"action": action, **data}}
        return await root.post(f"{tenant.url}/channels/mine", json=body)

    assert (await act("play", sound="de")).status_code == 202
    assert (await act("play", sound="de", repeat=True)).json()["message"] == "play initiated"
    assert (await act("stop_playing")).status_code == 202
    started = await act("record_start", media_name="a.wav", time_limit=2.5)
    assert started.status_code == 202
    assert started.json()["data"]["media_name"] == "/recordings/a.wav"
    assert (await act("record_stop")).status_code == 202
    assert engine.asked == [
        ("play", "de once"),
        ("play", "de again and again"),
        ("stop_playing", "mine"),
        ("record", "a.wav for 2.5 s"),
        ("stop_recording", "mine"),
    ]
    wrong: list[tuple[str, str, object]] = [
        ("play", "sound", "xx"),
        ("play", "repeat", "yes"),
        ("record_start", "time_limit", -1),
        ("record_start", "time_limit", "long"),
        ("record_start", "time_limit", 604_801),
    ]
    for action, field, value in wrong:
        response = await act(action, **{"sound": "de", field: value})
        assert response.status_code == 400
        assert list(response.json()["data"]) == [field]


async def test_a_call_without_a_channel_is_hung_up_by_either_of_its_ids(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    await root.get(tenant.quickcall(), headers={"X-Request-ID": "mine"})
    (handle,) = engine.handles
    (attempt,) = handle.planned
    response = await root.delete(f"{tenant.url}/channels/mine")
    assert (response.status_code, response.json()["data"]) == (202, {"msg_id": "mine"})
    response = await root.delete(f"{tenant.url}/channels/{attempt.call_id}")
    assert response.json()["data"] == {"msg_id": "mine", "call_id": attempt.call_id}
    assert handle.hung_up == 2
    assert (await root.get(f"{tenant.url}/channels/{attempt.call_id}")).status_code == 404
    other = f"/v2/accounts/{'f' * 32}/channels/mine"
    assert (await root.delete(other)).status_code == 404
    assert handle.hung_up == 2


@pytest.mark.parametrize("call_id", ["a/b", "a%2Fb", '?<a>[\\"]{}@`/', "+1 2"])
async def test_a_call_id_is_read_from_the_path_as_it_is(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine, call_id: str
) -> None:
    await root.get(tenant.quickcall(), headers={"X-Request-ID": "mine"})
    engine.legs = [
        snapshot(account_id=tenant.account, originate_id=OriginateId("mine"), call_id=call_id)
    ]
    path = f"{tenant.url}/channels/{quote(call_id, safe='')}"
    assert (await root.get(path)).json()["data"]["call_id"] == call_id
    assert (await root.delete(path)).status_code == 202
    leg = engine.legs[0]
    cdr_id = engine.journal.add_cdr(
        leg.account_id, call_id, leg.interaction_id, 1443672788.0, cdr(leg, engine.switch)
    )
    path = f"{tenant.url}/cdrs/{quote(cdr_id, safe='')}"
    assert (await root.get(path)).json()["data"]["call_id"] == call_id


async def test_call_records_are_listed_by_time_and_interaction(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = f"{tenant.url}/cdrs"
    for index in range(3):
        leg = snapshot(
            account_id=tenant.account,
            call_id=f"c{index}",
            ended_at=1443672788.0 + index,
            interaction_id="one" if index < 2 else "two",
        )
        assert leg.ended_at is not None
        engine.journal.add_cdr(
            leg.account_id, leg.call_id, leg.interaction_id, leg.ended_at, cdr(leg, engine.switch)
        )
    records = (await root.get(url)).json()
    assert [record["call_id"] for record in records["data"]] == ["c2", "c1", "c0"]
    assert records["page_size"] == 3
    record = records["data"][0]
    assert record["id"] == "201510-c2"
    assert record["billing_seconds"] == 32
    assert record["custom_application_vars"] == {"foo": "bar", "Order-ID": "7"}
    assert (await root.get(f"{url}/201510-c2")).json()["data"] == record
    assert (await root.get(f"{url}/201510-none")).status_code == 404

    async def listed(**query: str) -> list[str]:
        response = await root.get(url, params=query)
        return [record["call_id"] for record in response.json()["data"]]

    assert await listed(page_size="1") == ["c2"]
    assert await listed(filter_interaction_id="one") == ["c1", "c0"]
    middle = str(1443672789 + 62167219200)
    assert await listed(created_from=middle) == ["c2", "c1"]
    assert await listed(created_to=middle) == ["c0"]
    for query in ({"page_size": "0"}, {"page_size": "x"}, {"created_from": "-1"}):
        response = await root.get(url, params=query)
        assert response.status_code == 400
        assert list(response.json()["data"]) == list(query)


async def test_an_unknown_account_is_not_found(root: httpx.AsyncClient, tenant: Tenant) -> None:
    for what in ("channels", "cdrs", "users", "devices", "resources"):
        response = await root.get(f"/v2/accounts/{'0' * 32}/{what}")
        assert response.status_code == 404, what
        assert response.json()["data"]["kind"] == "account"


async def test_the_openapi_document_describes_every_route(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    paths = document["paths"]
    account = "/v2/accounts/{account_id}"
    for path, methods in {
        f"{account}/devices/{{endpoint_id}}/quickcall/{{number}}": {"get", "post"},
        f"{account}/users/{{endpoint_id}}/quickcall/{{number}}": {"get", "post"},
        "/v2/accounts": {"get", "put"},
        account: {"get", "post", "patch", "delete"},
        f"{account}/devices/{{document_id}}": {"get", "post", "patch", "delete"},
        f"{account}/channels/{{call_id}}": {"get", "post", "delete"},
        f"{account}/cdrs/{{cdr_id}}": {"get"},
        f"{account}/blocklists/{{document_id}}": {"get", "post", "patch", "delete"},
        f"{account}/blacklists": {"get", "put"},
        f"{account}/dialplans": {"get"},
        "/v2/dial_plans/{name}": {"get", "put", "post", "patch", "delete"},
    }.items():
        assert methods <= set(paths[path]), path
    post = paths[f"{account}/devices/{{endpoint_id}}/quickcall/{{number}}"]["post"]
    data = post["requestBody"]["content"]["application/json"]["schema"]["properties"]["data"]
    assert data["properties"]["timeout"]["minimum"] == 3
    refusals = {"400", "401", "403", "404", "409", "422"}
    assert {"202", *refusals, "500", "503"} == set(post["responses"])
    names = {parameter["name"] for parameter in post["parameters"]}
    assert {"timeout", "cid-name", "number_filter", "target_call_id", "call_id"} <= names
    assert {"Idempotency-Key", "X-Request-ID"} <= names
    references = {r.rsplit("/", 1)[1] for r in _references(document)}
    assert references <= set(document["components"]["schemas"])
    schemas = document["components"]["schemas"]
    assert "id" not in schemas["Device"]["required"]
    assert schemas["Blocklist"]["required"] == ["name"]
    rule = {"$ref": "#/components/schemas/DialPlanRule"}
    assert schemas["SharedDialPlan"]["additionalProperties"] == rule


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in _references(item)]
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    return []
