"""Call records over HTTP: pages, filters, CSV."""

from __future__ import annotations

import csv
import io
from urllib.parse import quote

import httpx
import pytest

from engine.control import kazoo_cdr_csv
from engine.control.kazoo import cdr
from engine.store import cdrs
from tests.control.conftest import Tenant
from tests.control.engine import ScriptedEngine
from tests.control.samples import snapshot


def add(engine: ScriptedEngine, tenant: Tenant, index: int, **changes: object) -> str:
    """Add a record that ended `index` seconds after the others, two to an interaction."""
    more = changes.pop("more", {})
    interaction = f"63610891956-{index // 2}"
    leg = snapshot(
        **{
            "account_id": tenant.account,
            "call_id": f"c{index}",
            "ended_at": 1443672788.0 + index,
            "interaction_id": interaction,
            **changes,
        }
    )
    assert leg.ended_at is not None
    assert isinstance(more, dict)
    return engine.journal.add_cdr(
        leg.account_id,
        leg.call_id,
        leg.interaction_id,
        leg.ended_at,
        {**cdr(leg, engine.switch), **more},
    )


async def test_call_records_are_listed_by_time_and_interaction(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = f"{tenant.url}/cdrs"
    for index in range(3):
        add(engine, tenant, index)
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
    assert await listed(filter_interaction_id="63610891956-0") == ["c1", "c0"]
    middle = str(1443672789 + 62167219200)
    assert await listed(created_from=middle) == ["c2", "c1"]
    assert await listed(created_to=middle) == ["c0"]
    for query in ({"page_size": "0"}, {"page_size": "x"}, {"created_from": "-1"}):
        response = await root.get(url, params=query)
        assert response.status_code == 400
        assert list(response.json()["data"]) == list(query)


async def test_pages_follow_one_another(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    for index in range(5):
        add(engine, tenant, index)
    seen: list[str] = []
    query: dict[str, str] = {"page_size": "2"}
    while True:
        page = (await root.get(f"{tenant.url}/cdrs", params=query)).json()
        assert page["page_size"] == len(page["data"])
        assert page.get("start_key") == query.get("start_key")
        seen += [record["call_id"] for record in page["data"]]
        if "next_start_key" not in page:
            break
        query["start_key"] = page["next_start_key"]
    assert seen == ["c4", "c3", "c2", "c1", "c0"]
    whole = (await root.get(f"{tenant.url}/cdrs", params={"paginate": "false"})).json()
    assert len(whole["data"]) == 5
    rising = (await root.get(f"{tenant.url}/cdrs", params={"ascending": "true"})).json()
    assert [record["call_id"] for record in rising["data"]] == seen[::-1]


async def test_fields_filter_and_legs_are_found_by_interaction(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    vars_of = {"Owner-ID": "someone", "Authorizing-ID": "phone"}
    add(engine, tenant, 0, cause="USER_BUSY", more={"attempts": [{"role": "a"}]})
    add(engine, tenant, 1, owner_id="someone", channel_vars=vars_of)
    add(engine, tenant, 2, more={"attempts": []}, call_id="a/b?")

    async def listed(path: str, **query: str) -> list[str]:
        response = await root.get(f"{tenant.url}/{path}", params=query)
        assert response.status_code == 200, response.text
        return [record["call_id"] for record in response.json()["data"]]

    assert await listed("cdrs", filter_hangup_cause="USER_BUSY") == ["c0"]
    assert await listed("cdrs", filter_not_hangup_cause="USER_BUSY") == ["a/b?", "c1"]
    assert await listed("cdrs", **{"filter_custom_channel_vars.owner_id": "someone"}) == ["c1"]
    assert await listed("cdrs", has_key="attempts", filter_hangup_cause="USER_BUSY") == ["c0"]
    assert await listed("cdrs", key_missing="attempts") == ["c1"]
    assert await listed("users/someone/cdrs") == ["c1"]
    assert await listed("devices/phone/cdrs") == ["c1"]
    assert await listed("cdrs/interaction") == ["a/b?", "c0"]
    assert await listed("cdrs/legs/63610891956-0") == ["c0", "c1"]
    assert await listed(f"cdrs/legs/{quote('63610891956-1', safe='')}") == ["a/b?"]
    assert await listed("cdrs/legs/none%2Fsuch%00") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"page_size": "1001"}, "page_size"),
        ({"start_key": "made-up"}, "start_key"),
        ({"start_key": ""}, "start_key"),
        ({"paginate": "no"}, "paginate"),
        ({"ascending": "1"}, "ascending"),
        ({f"filter_{index}": "x" for index in range(17)}, "filter_"),
    ],
)
async def test_a_bad_query_is_named(
    root: httpx.AsyncClient, tenant: Tenant, query: dict[str, str], field: str
) -> None:
    response = await root.get(f"{tenant.url}/cdrs", params=query)
    assert response.status_code == 400
    assert list(response.json()["data"]) == [field]


@pytest.mark.parametrize("suffix", [True, False])
async def test_records_are_exported_as_csv_in_blocks(
    root: httpx.AsyncClient,
    tenant: Tenant,
    engine: ScriptedEngine,
    monkeypatch: pytest.MonkeyPatch,
    suffix: bool,
) -> None:
    monkeypatch.setattr(cdrs, "BLOCK", 3)
    for index in range(10):
        add(engine, tenant, index, cause="USER_BUSY" if index == 4 else "NORMAL_CLEARING")
    headers = {} if suffix else {"Accept": "text/csv"}
    url = f"{tenant.url}/cdrs" + (".csv" if suffix else "")
    response = await root.get(url, headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["content-disposition"] == 'attachment; filename="cdrs.csv"'
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["call_id"] for row in rows] == [f"c{index}" for index in range(9, -1, -1)]
    assert rows[0]["billing_seconds"] == "39"
    assert rows[0]["custom_application_vars"] == '{"foo":"bar","Order-ID":"7"}'
    busy = await root.get(url, headers=headers, params={"filter_hangup_cause": "USER_BUSY"})
    assert [row["call_id"] for row in csv.DictReader(io.StringIO(busy.text))] == ["c4"]


def test_no_cell_is_a_formula() -> None:
    values = ["=1+1", "@SUM(A1)", "-cmd", "+HYPERLINK()", "\tx", "+4930123", "-1.5", 'a"b,c\nd']
    records = [{"caller_id_name": value} for value in values]
    text = (kazoo_cdr_csv.header() + kazoo_cdr_csv.lines(records)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    shown = [row["caller_id_name"] for row in rows]
    assert shown == [f"'{value}" for value in values[:5]] + values[5:]


async def test_a_record_that_is_known_is_not_sent_again(
    root: httpx.AsyncClient, tenant: Tenant, engine: ScriptedEngine
) -> None:
    url = f"{tenant.url}/cdrs/{add(engine, tenant, 0)}"
    first = await root.get(url)
    tag = first.headers["etag"]
    assert first.json()["revision"] == tag.strip('"')
    again = await root.get(url, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await root.get(url, headers={"If-None-Match": '"other"'})).status_code == 200
