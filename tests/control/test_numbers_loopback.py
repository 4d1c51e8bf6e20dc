"""Numbers through the whole engine over the loopback stack: refused, explained, changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.core.commands import Dial
from engine.core.errors import NotFound, RequestInvalid
from engine.core.values import EndpointType, LegRole, Party
from engine.sip.loopback import Answer, LoopbackSip
from tests.control.rig import A_URI, B_URI, Rig, ended

CARRIER: dict[str, Any] = {
    "name": "Carrier",
    "rules": [r"^\+?(\d{3,})$"],
    "gateways": [{"server": "192.0.2.20"}, {"server": "192.0.2.21", "prefix": "00"}],
}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """An engine with two phones and a carrier."""
    async with Rig(tmp_path, LoopbackSip()) as rig:
        await rig.engine.directory.put("resource", rig.account, CARRIER, "c1")
        yield rig


async def block(rig: Rig, number: str) -> None:
    """Put a number on a blocklist."""
    document = {"name": "Main", "numbers": {number: {}}}
    await rig.engine.directory.put("blocklist", rig.account, document, "b1")


def dials(rig: Rig) -> list[Dial]:
    """Every INVITE sent so far."""
    return [command for command in rig.sip.submitted if isinstance(command, Dial)]


@pytest.mark.parametrize(
    ("number", "cause", "q850", "status"),
    [
        ("(415) 484-6048", "NUMBER_BLOCKED", 21, 603),
        ("911", "OUTGOING_CALL_BARRED", 52, 403),
        ("1-900-555-0100", "OUTGOING_CALL_BARRED", 52, 403),
    ],
)
async def test_a_refused_number_rings_nobody(
    rig: Rig, number: str, cause: str, q850: int, status: int
) -> None:
    await block(rig, "+14154846048")
    call = rig.start(number)
    outcome = await call.ended()
    assert (outcome.cause, outcome.q850, outcome.sip_status) == (cause, q850, status)
    assert (outcome.party, outcome.answered, outcome.attempts) == (Party.POLICY, False, ())
    assert await call.answered() is outcome
    payload = (await rig.event("QUICKCALL_END")).payload
    assert (payload["Hangup-Cause"], payload["Hangup-Reason"]) == (cause, outcome.reason)
    assert outcome.reason != cause
    assert rig.names == ["QUICKCALL_END"]
    assert rig.sip.submitted == []
    assert call.planned == ()


async def test_a_number_blocked_while_the_phone_rings_is_refused_at_its_answer(rig: Rig) -> None:
    rig.sip.script(A_URI)
    call = rig.start("+14154846048")
    await block(rig, "4154846048")
    await rig.event("CHANNEL_CREATE")
    rig.sip.play(dials(rig)[0].call_id, Answer())
    assert await ended(call) == "NUMBER_BLOCKED"
    assert len(dials(rig)) == 1
    payload = (await rig.event("CHANNEL_DESTROY")).payload
    assert payload["Hangup-Cause"] == "NUMBER_BLOCKED"
    assert "Main" in str(payload["Hangup-Reason"])
    await rig.engine.journal.flush()
    (record,) = await rig.records()
    assert record["hangup_cause"] == "NUMBER_BLOCKED"
    assert record["hangup_reason"] == payload["Hangup-Reason"]


async def test_an_account_that_allows_emergency_numbers_dials_them(rig: Rig) -> None:
    allow = {"call_restriction": {"emergency": {"action": "allow"}}}
    await rig.engine.directory.patch("account", rig.account, rig.account, allow)
    rig.sip.script(A_URI, Answer())
    rig.start("911")
    await rig.event("CHANNEL_CREATE", 2)
    assert dials(rig)[1].request_uri == "sip:911@192.0.2.20"


async def test_a_changed_shared_plan_is_seen_by_the_next_call(rig: Rig) -> None:
    directory = rig.engine.directory
    await directory.put("dial_plan", "", {r"^7(\d+)$": {"prefix": "100"}}, "us")
    names = {"dial_plan": {"system": ["us"]}}
    await directory.patch("account", rig.account, rig.account, names)
    assert rig.engine.explain_route(rig.account, "72").dialled == "1002"
    await directory.put("dial_plan", "", {r"^7(\d+)$": {"prefix": "200"}}, "us")
    assert rig.engine.explain_route(rig.account, "7346").dialled == "200346"


# --- explaining ---


async def test_a_route_is_explained_without_a_call(rig: Rig) -> None:
    report = rig.engine.explain_route(
        rig.account, "1-002", endpoint_type=EndpointType.DEVICE, endpoint_id="d1001"
    )
    assert (report.filter.input, report.filter.output) == ("1-002", "1002")
    assert report.filter.applied == "default"
    assert report.refusal is None
    assert report.target is not None
    assert (report.target.kind, report.target.id, report.dialled) == ("device", "d1002", "1002")
    assert (report.steps[0].stage, report.steps[0].outcome) == ("extension", "matched")
    assert rig.sip.submitted == []
    assert rig.names == []


async def test_the_invites_are_those_a_call_sends(rig: Rig) -> None:
    report = rig.engine.explain_route(
        rig.account, "1-002", endpoint_type=EndpointType.DEVICE, endpoint_id="d1001"
    )
    rig.sip.script(A_URI, Answer())
    rig.sip.script(B_URI, Answer())
    rig.start("1-002")
    await rig.event("CHANNEL_BRIDGE", 2)
    sent = dials(rig)
    assert [invite.leg for invite in report.invites] == [LegRole.A, LegRole.B]
    assert [invite.method_line for invite in report.invites] == [
        f"INVITE {dial.request_uri} SIP/2.0" for dial in sent
    ]
    assert [invite.headers for invite in report.invites] == [
        (("From", dial.from_uri), ("To", dial.to_uri), *dial.headers) for dial in sent
    ]
    assert [invite.destination for invite in report.invites] == [A_URI, B_URI]


async def test_a_hunt_is_explained_carrier_by_carrier(rig: Rig) -> None:
    report = rig.engine.explain_route(rig.account, "4155550100")
    assert [(i.leg, i.group, i.request_uri) for i in report.invites] == [
        (LegRole.B, 1, "sip:14155550100@192.0.2.20"),
        (LegRole.B, 2, "sip:0014155550100@192.0.2.21"),
    ]
    assert (report.e164, report.classification) == ("+14155550100", "did_us")
    assert report.target is not None
    assert (report.target.kind, report.target.id) == ("resource", "c1")


async def test_a_refusal_is_explained(rig: Rig) -> None:
    await block(rig, "1002")
    report = rig.engine.explain_route(
        rig.account, "1002", endpoint_type=EndpointType.DEVICE, endpoint_id="d1001"
    )
    assert report.refusal is not None
    assert report.refusal.cause == "NUMBER_BLOCKED"
    assert (report.target, report.dialled, report.invites) == (None, "", ())
    assert report.steps[-1].outcome == "refused"


async def test_what_has_no_route_rings_the_phone_all_the_same(rig: Rig) -> None:
    report = rig.engine.explain_route(
        rig.account, "*97", endpoint_type=EndpointType.DEVICE, endpoint_id="d1001"
    )
    assert report.refusal is not None
    assert report.refusal.cause == "NO_ROUTE_DESTINATION"
    assert [invite.leg for invite in report.invites] == [LegRole.A]


async def test_who_is_not_registered_is_named(rig: Rig) -> None:
    report = rig.engine.explain_route(
        rig.account, "1002", endpoint_type=EndpointType.DEVICE, endpoint_id="registering"
    )
    assert report.unreachable == ("registering",)
    assert [invite.leg for invite in report.invites] == [LegRole.B]


async def test_what_cannot_be_explained_is_said(rig: Rig) -> None:
    with pytest.raises(NotFound):
        rig.engine.explain_route(
            rig.account, "1", endpoint_type=EndpointType.USER, endpoint_id="nobody"
        )
    with pytest.raises(NotFound):
        rig.engine.explain_route("nobody", "1")
    with pytest.raises(RequestInvalid):
        rig.engine.explain_route(rig.account, "1", number_filter="(")
