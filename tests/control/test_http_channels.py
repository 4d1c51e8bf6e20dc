"""Live channels over HTTP."""

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


async def test_an_unknown_account_is_not_found(root: httpx.AsyncClient, tenant: Tenant) -> None:
    for what in ("channels", "cdrs", "users", "devices", "resources"):
        response = await root.get(f"/v2/accounts/{'0' * 32}/{what}")
        assert response.status_code == 404, what
        assert response.json()["data"]["kind"] == "account"


async def test_channels_are_listed_by_whose_they_are(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    own = {"account_id": tenant.account, "endpoint_id": tenant.device, "owner_id": tenant.user}
    engine.legs = [
        snapshot(**own, call_id="mine"),
        snapshot(account_id=tenant.account, endpoint_id=tenant.nobody, owner_id="", call_id="away"),
    ]

    async def listed(path: str) -> list[str]:
        response = await root.get(f"{tenant.url}/{path}/channels")
        assert response.status_code == 200, response.text
        return [channel["call_id"] for channel in response.json()["data"]]

    assert await listed(f"users/{tenant.user}") == ["mine"]
    assert await listed(f"devices/{tenant.device}") == ["mine"]
    assert await listed(f"devices/{tenant.nobody}") == ["away"]
    for kind in ("users", "devices"):
        response = await root.get(f"{tenant.url}/{kind}/none/channels")
        assert (response.status_code, response.json()["data"]["cause"]) == (404, "none")


async def test_metaflows_do_what_the_actions_do(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    await root.get(tenant.quickcall(), headers={"X-Request-ID": "mine"})
    engine.handles[0].finish()
    url = f"{tenant.url}/channels/mine"

    async def put(module: str, **data: object) -> httpx.Response:
        return await root.put(url, json={"data": {"module": module, "data": data}})

    for module, data in (
        ("hold", {}),
        ("hold_control", {"action": "unhold"}),
        ("transfer", {"target": "1003", "Transfer-Type": "blind"}),
        ("intercept", {"target_id": "mine", "target_type": "channel"}),
        ("play", {"id": "de"}),
        ("break", {}),
        ("record_call", {"action": "start", "media_name": "a.wav", "time_limit": 5}),
        ("record_call", {"action": "stop"}),
    ):
        response = await put(module, **data)
        assert (response.status_code, response.json()["message"]) == (202, "metaflow sent"), module
    wrapped = {"action": "metaflow", "data": {"module": "hangup"}}
    assert (await root.put(url, json={"data": wrapped})).status_code == 202
    assert engine.handles[0].hung_up == 1
    assert engine.asked == [
        ("hold", "mine"),
        ("unhold", "mine"),
        ("transfer", "mine to 1003"),
        ("intercept", "mine with mine"),
        ("play", "de once"),
        ("stop_playing", "mine"),
        ("record", "a.wav for 5 s"),
        ("stop_recording", "mine"),
    ]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"module": "fax"}, "module"),
        ({"module": ["play"]}, "module"),
        ({}, "module"),
        ({"action": "hangup"}, "action"),
        ({"action": "metaflow"}, "data"),
        ({"module": "play", "data": "de"}, "data"),
        ({"module": "hangup", "children": {"_": {}}}, "children"),
        ({"module": "record_call", "data": {"action": "mask"}}, "data.action"),
        ({"module": "transfer", "data": {"Transfer-Type": "attended", "target": "1"}}, "Transfer-"),
        ({"module": "intercept", "data": {"target_id": 7}}, "target_id"),
        ({"module": "intercept", "data": {"target_type": "user"}}, "target_type"),
    ],
)
async def test_a_metaflow_that_cannot_be_is_refused(
    root: httpx.AsyncClient,
    tenant: Tenant,
    engine: ScriptedEngine,
    data: dict[str, object],
    field: str,
) -> None:
    await root.get(tenant.quickcall(), headers={"X-Request-ID": "mine"})
    response = await root.put(f"{tenant.url}/channels/mine", json={"data": data})
    assert response.status_code == 400
    (named,) = response.json()["data"]
    assert named.startswith(field)
    assert engine.asked == []
