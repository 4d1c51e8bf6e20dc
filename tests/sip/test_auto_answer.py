"""Phones that are asked to answer by themselves, and those that are not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.kit.engine import SIPP_DIGEST, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


@pytest_asyncio.fixture
async def registrar(tmp_path: Path) -> AsyncIterator[EngineUnderTest]:
    """An engine that SIPp can register at."""
    async with EngineUnderTest(tmp_path, digest_algorithms=SIPP_DIGEST) as engine:
        yield engine


async def test_a_phone_is_asked_as_its_make_wants(registrar: EngineUnderTest) -> None:
    engine, phone = registrar, Sipp("uas-auto-answer-profile")
    device = await engine.device("alice", "1001")
    await engine.register("alice", phone, agent="yealink SIP-T46S ")
    async with phone, Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob:
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", auto_answer=True, answer_after=3)
        await engine.end()
        await phone.succeeded()
        # The dialled phone fails its scenario if a word of it reaches it.
        await bob.succeeded()


async def test_a_phone_of_unknown_make_gets_the_default_set(registrar: EngineUnderTest) -> None:
    engine, phone = registrar, Sipp("uas-auto-answer")
    device = await engine.device("alice", "1001")
    await engine.register("alice", phone)
    async with phone:
        await engine.quickcall(device, "no-such-number", auto_answer=True)
        await engine.end()
        invite = (await phone.succeeded())[0]
    assert said(engine)["Auto-Answer-Applied"] is True
    assert isinstance(said(engine)["Auto-Answer-Latency-MS"], int)
    assert "Auto-Answer-Honoured" in said(engine)
    assert "intercom" not in invite.request_uri
    assert "require" not in invite.text.lower()


def said(engine: EngineUnderTest) -> dict[str, object]:
    """What the events say of the first phone that answered."""
    answers = (event for event in engine.events if event.name == "CHANNEL_ANSWER")
    payload = next(answers).payload
    return {name: value for name, value in payload.items() if name.startswith("Auto-Answer")}


@pytest.mark.parametrize(
    ("wish", "scenarios"),
    [
        (True, ("uas-ring-answer", "uas-completed-elsewhere")),
        ("force", ("uas-auto-answer", "uas-auto-answer")),
    ],
)
async def test_of_two_contacts_none_is_asked_unless_forced(
    registrar: EngineUnderTest, wish: bool | str, scenarios: tuple[str, str]
) -> None:
    engine, phones = registrar, [Sipp(scenario) for scenario in scenarios]
    device = await engine.device("alice", "1001")
    for phone in phones:
        await engine.register("alice", phone)
    async with phones[0], phones[1]:
        await engine.quickcall(device, "no-such-number", auto_answer=wish)
        await engine.end()
        for phone in phones:
            await phone.succeeded()
    assert said(engine)["Auto-Answer-Applied"] is (wish == "force")
    assert said(engine).get("Auto-Answer-Reason") == (
        None if wish == "force" else "multiple_endpoints"
    )


async def test_an_account_may_forbid_it(engine: EngineUnderTest) -> None:
    path = f"/v2/accounts/{engine.account}"
    changed = await engine.http.patch(path, json={"data": {"allow_auto_answer": False}})
    assert changed.is_success
    async with Sipp("uas-ring-answer") as alice:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.quickcall(device, "no-such-number", auto_answer="force")
        await engine.end()
        await alice.succeeded()
    assert said(engine) == {"Auto-Answer-Applied": False, "Auto-Answer-Reason": "not_allowed"}


TALKING = """
[[phone]]
name = "Told by NOTIFY alone"
user_agents = ["Talker"]
headers = {}
talk = true
"""


async def test_a_phone_that_allows_it_is_told_to_talk(tmp_path: Path) -> None:
    profiles, phone = tmp_path / "phones.toml", Sipp("uas-talk")
    profiles.write_text(TALKING)
    async with EngineUnderTest(
        tmp_path, digest_algorithms=SIPP_DIGEST, phone_profiles=str(profiles)
    ) as engine:
        device = await engine.device("alice", "1001")
        await engine.register("alice", phone, agent="Talker/")
        async with phone:
            await engine.quickcall(device, "no-such-number", auto_answer=True)
            end = await engine.end()
            messages = await phone.succeeded()
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
    assert [message.method for message in messages if message.method] == [
        "INVITE",
        "NOTIFY",
        "ACK",
        "BYE",
    ]
    assert said(engine)["Auto-Answer-Applied"] is True
