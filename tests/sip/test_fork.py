"""Several phones ring at once; the first answer wins and the others are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.engine import SIPP_DIGEST, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def test_the_first_phone_to_answer_wins(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as fast, Sipp("uas-completed-elsewhere") as slow:
        user = await engine.user("Alice")
        await engine.device("desk", "1011", fast.uri, owner_id=user)
        await engine.device("mobile", "1012", slow.uri, owner_id=user)
        await _one_wins(engine, user, "users", fast, slow)


async def test_the_first_contact_to_answer_wins(tmp_path: Path) -> None:
    fast, slow = Sipp("uas-ring-answer"), Sipp("uas-completed-elsewhere")
    async with EngineUnderTest(tmp_path, digest_algorithms=SIPP_DIGEST) as engine:
        device = await engine.device("alice", "1001")
        await engine.register("alice", fast)
        await engine.register("alice", slow)
        async with fast, slow:
            await _one_wins(engine, device, "devices", fast, slow)


async def _one_wins(
    engine: EngineUnderTest, endpoint: str, kind: str, fast: Sipp, slow: Sipp
) -> None:
    """Call the endpoint and require that `fast` gets the call and `slow` is told."""
    async with Sipp("uas-ring-answer-bye", options=("-d", "100")) as bob:
        await engine.device("bob", "1002", bob.uri)
        response = await engine.quickcall(endpoint, "1002", kind=kind)
        end = await engine.end()
        await fast.succeeded()
        await slow.succeeded()
        await bob.succeeded()
    assert response.status_code == 202
    causes = [attempt["Cause"] for attempt in end["Attempts"]]
    assert sorted(causes) == ["LOSE_RACE", "SUCCESS", "SUCCESS"]
    cdrs = await engine.cdrs()
    assert sorted(cdr["hangup_cause"] for cdr in cdrs.values()) == [
        "LOSE_RACE",
        "NORMAL_CLEARING",
        "NORMAL_CLEARING",
    ]
    assert len({cdr["interaction_id"] for cdr in cdrs.values()}) == 1


async def test_one_refusal_leaves_the_others_ringing(engine: EngineUnderTest) -> None:
    async with Sipp("uas-busy-486") as busy, Sipp("uas-ring-answer") as free:
        user = await engine.user("Alice")
        await engine.device("desk", "1011", busy.uri, owner_id=user)
        await engine.device("mobile", "1012", free.uri, owner_id=user)
        response = await engine.quickcall(user, "no-such-number", kind="users")
        end = await engine.end()
        await busy.succeeded()
        await free.succeeded()
    assert response.status_code == 202
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
    assert sorted(a["Cause"] for a in end["Attempts"]) == ["SUCCESS", "USER_BUSY"]


async def test_all_refuse(engine: EngineUnderTest) -> None:
    async with Sipp("uas-busy-486") as busy, Sipp("uas-decline-603") as declining:
        user = await engine.user("Alice")
        await engine.device("desk", "1011", busy.uri, owner_id=user)
        await engine.device("mobile", "1012", declining.uri, owner_id=user)
        response = await engine.quickcall(user, "1002", kind="users")
        end = await engine.end()
        await busy.succeeded()
        await declining.succeeded()
    assert response.json()["data"]["error_message"] == end["Hangup-Cause"]
    assert end["Hangup-Cause"] == "USER_BUSY"
    assert len(end["Attempts"]) == 2


async def test_auto_answer_is_dropped_with_several_phones(engine: EngineUnderTest) -> None:
    async with Sipp("uas-busy-486") as desk, Sipp("uas-busy-486") as mobile:
        user = await engine.user("Alice")
        await engine.device("desk", "1011", desk.uri, owner_id=user)
        await engine.device("mobile", "1012", mobile.uri, owner_id=user)
        await engine.quickcall(user, "1002", kind="users", auto_answer=True)
        await engine.end()
        await desk.succeeded()
        await mobile.succeeded()
