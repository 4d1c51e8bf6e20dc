"""The metrics after calls over the loopback stack, and who may read them."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from engine.sip.loopback import Refuse, Ring
from tests.control.conftest import Tenant
from tests.control.rig import A_URI, Rig, ended


def read(text: str) -> dict[str, float]:
    """Series, labels in braces, and their values."""
    return {
        sample.name + ("{" + ",".join(sample.labels.values()) + "}" if sample.labels else ""):
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }  # fmt: skip


async def test_calls_are_counted_by_how_they_went(rig: Rig) -> None:
    talking = await rig.talk()
    during = read(rig.engine.metrics.text().decode())
    assert during["quickcall_legs_active{answered}"] == 2
    assert during["quickcall_originates_active"] == 1
    assert during["quickcall_rtp_ports_in_use"] == 2
    talking.hang_up()
    await ended(talking)
    rig.sip.script(A_URI, Ring(), Refuse(486))
    assert await ended(rig.start()) == "USER_BUSY"
    after = read(rig.engine.metrics.text().decode())
    assert after["quickcall_legs_active{answered}"] == 0
    assert after["quickcall_originate_requests_total{answered}"] == 1
    assert after["quickcall_originate_requests_total{USER_BUSY}"] == 1
    assert after["quickcall_sip_leg_final_total{486,a}"] == 1
    assert after["quickcall_originate_pdd_seconds_count"] == 3
    assert after["quickcall_originate_answer_seconds_count"] == 2
    assert after["quickcall_originate_setup_seconds_count"] == 1
    assert after["quickcall_number_filter_seconds_count"] == 2
    assert after["quickcall_dialplan_match_seconds_count"] == 1
    assert after["quickcall_zombie_legs_reaped_total"] == 0


async def test_metrics_are_for_tokens_of_all_accounts(
    client: httpx.AsyncClient, root: httpx.AsyncClient, tenant: Tenant
) -> None:
    assert (await client.get("/metrics")).status_code == 401
    mine = await client.get("/metrics", headers={"X-Auth-Token": tenant.token})
    assert mine.status_code == 403
    answer = await root.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "quickcall_originate_pdd_seconds_count" in answer.text
