"""RFC 4475: every torture message to the UDP and TCP listeners, and what the engine says to it.

The statuses are those of an engine that takes no calls: 403 to an INVITE, 405 to what it does not
know, 401 to a REGISTER, 200 to OPTIONS. None: dropped without an answer, which the RFC allows for
what cannot be parsed.
"""

from __future__ import annotations

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.ladder import told, wire
from tests.kit.raw_sip import RawSip
from tests.kit.sipp import Sipp
from tests.torture.messages import message, names

pytestmark = pytest.mark.sip

VALID = {
    "wsinv": 481,  # its To has a tag, of a dialog that is not here
    "intmeth": 405,
    "esc01": 403,
    "escnull": 404,
    "esc02": 405,
    "lwsdisp": 200,
    "longreq": 403,
    "dblreq": 401,
    "semiuri": 200,
    "transports": 200,
    "mpart01": 405,
    "unreason": None,
    "noreason": None,
}
"""3.1.1. The last two are responses, here to nothing that was asked."""

INVALID = {
    "badinv01": None,
    "clerr": 403,
    "ncl": None,
    "scalar02": None,
    "scalarlg": None,
    "quotbal": None,
    "ltgtruri": None,
    "lwsruri": None,
    "lwsstart": 403,
    "trws": 200,
    "escruri": 403,
    "baddate": 403,
    "regbadct": None,
    "badaspec": 200,
    "baddn": 200,
    "badvers": None,
    "mismatch01": 400,
    "mismatch02": 400,
    "bigcode": None,
}
"""3.1.2. Where the RFC lets an element be liberal (lwsstart, trws, escruri, baddate, badaspec,
baddn, and a length that UDP corrects: clerr), this one is."""

TRANSACTION = {"badbranch": 200}
"""3.2."""

APPLICATION = {
    "insuf": None,
    "unkscm": None,
    "novelsc": None,
    "unksm2": 400,
    "bext01": 420,
    "invut": 403,
    "regaut01": None,
    "multi01": 400,
    "mcl01": 400,
    "bcast": None,
    "zeromf": 200,
    "cparam01": 401,
    "cparam02": 401,
    "regescrt": 401,
    "sdp01": 403,
}
"""3.3."""

OLD = {"inv2543": 403}
"""3.4."""

UDP = VALID | INVALID | TRANSACTION | APPLICATION | OLD
TCP = UDP | {"clerr": None, "inv2543": None, "dblreq": 403}
"""A stream waits for the rest of a body that is too short, needs a Content-Length, and has the
second request of dblreq too, which is answered first."""


def test_every_message_of_the_rfc_is_here() -> None:
    assert names() == sorted(UDP)
    assert len(names()) == 49


@pytest.mark.parametrize(("transport", "expected"), [("udp", UDP), ("tcp", TCP)])
async def test_torture_messages_are_answered_or_dropped(
    engine: EngineUnderTest, transport: str, expected: dict[str, int | None]
) -> None:
    address = engine.sip_address(transport)
    said: dict[str, int | None] = {}
    for name, status in expected.items():
        async with RawSip(transport, address) as sender, RawSip(transport, address) as other:
            await sender.send(message(name, sender.via, transport))
            statuses = await sender.statuses(1) if status else []
            # TCP listeners take connections in any order: ask on the same one, when it is in step.
            in_step = transport == "udp" or (status is not None and name != "mcl01")
            assert await (sender if in_step else other).ping() == 200
            said[name] = statuses[0] if statuses else None
            assert status or sender.statuses_now() == ([200] if in_step else []), name
    assert said == expected
    await _a_call_succeeds(engine)


async def test_a_stream_holds_two_messages_where_a_datagram_holds_one(
    engine: EngineUnderTest,
) -> None:
    async with RawSip("tcp", engine.sip_address("tcp")) as stream:
        await stream.send(message("dblreq", stream.via, "tcp"))
        assert sorted(await stream.statuses(2)) == [401, 403]
    async with RawSip("udp", engine.sip_address("udp")) as datagrams:
        await datagrams.send(message("dblreq", datagrams.via, "udp"))
        assert await datagrams.statuses(1) == [401]
        await datagrams.ping()
        assert datagrams.statuses_now() == [401, 200]


async def _a_call_succeeds(engine: EngineUnderTest) -> None:
    """Connect two phones and hang up."""
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-ring-answer-bye") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        assert (await engine.quickcall(device, "1002")).status_code == 202
        await alice.succeeded()
        await bob.succeeded()
        assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"


NOTHING = "X-Nothing: to see"
UNICODE = "SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e"
OK = "SIP/2.0 200 OK"
RESPONSES = {
    "unreason": ("SIP/2.0 183 Session Progress", NOTHING, UNICODE),
    "not-unicode": ("SIP/2.0 183 \udcff\udcfe\udc80", NOTHING, "SIP/2.0 200 \udcc3("),
    "noreason": ("SIP/2.0 100 ", NOTHING, "SIP/2.0 200 "),
    "scalarlg": ("SIP/2.0 503 No", "CSeq: 9292394834772304023312 INVITE", OK),
    "bcast": ("SIP/2.0 603 No", "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23", OK),
    "future": ("SIP/7.0 486 Busy", NOTHING, OK),
}
"""Name -> status line of a first response, a header of it, status line of the answer."""


@pytest.mark.parametrize("name", RESPONSES)
async def test_a_strange_response_does_not_end_a_call(engine: EngineUnderTest, name: str) -> None:
    first, further, answer = RESPONSES[name]
    keys = {"first_line": first, "further": further, "answer_line": answer}
    async with (
        Sipp("uas-strange-response", keys=keys) as alice,
        Sipp("uas-ring-answer-bye") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        assert (await engine.quickcall(device, "1002")).status_code == 202
        await alice.succeeded()
        await bob.succeeded()
        assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"
    assert engine.names(engine.legs()[0]).count("CHANNEL_ANSWER") == 1


@pytest.mark.parametrize(
    "contact", ["X-No: contact", "Contact: *", "Contact: <tel:+4930>", "Contact: <http://h/>"]
)
async def test_an_answer_without_a_contact_to_call_is_answered_where_it_came_from(
    engine: EngineUnderTest, contact: str
) -> None:
    async with (
        Sipp("uas-answer-contact", keys={"contact_line": contact}) as alice,
        Sipp("uas-ring-answer-bye") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        assert (await engine.quickcall(device, "1002")).status_code == 202
        messages = await alice.succeeded()
        await bob.succeeded()
        assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"
    assert wire(messages) == ["INVITE <", "200 >", "ACK <", "BYE <"]
    assert {message.request_uri for message in told(messages, "BYE")} == {alice.uri}
