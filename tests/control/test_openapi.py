"""The document that describes the routes."""

from __future__ import annotations

import httpx


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
        f"{account}/limits": {"get"},
        f"{account}/blacklists": {"get", "put"},
        f"{account}/dialplans": {"get"},
        "/v2/dial_plans/{name}": {"get", "put", "post", "patch", "delete"},
    }.items():
        assert methods <= set(paths[path]), path
    post = paths[f"{account}/devices/{{endpoint_id}}/quickcall/{{number}}"]["post"]
    data = post["requestBody"]["content"]["application/json"]["schema"]["properties"]["data"]
    assert data["properties"]["timeout"]["minimum"] == 3
    refusals = {"400", "401", "403", "404", "409", "422", "429"}
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
