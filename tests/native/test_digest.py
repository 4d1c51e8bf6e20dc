"""Digest challenges to our requests: which are answered, and how often (RFC 7616, 8760)."""

from __future__ import annotations

import hashlib
import re

import pytest
from msgspec.structs import replace

from engine.core.commands import Reoffer
from engine.core.events import LegAnswered, LegReofferFailed
from engine.core.values import Credentials, LegId, Party
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

PASSWORD = "carrier-secret"
MD5 = 'WWW-Authenticate: Digest realm="carrier", nonce="n1", algorithm=MD5, qop="auth"'


def _challenge(
    nonce: str, algorithm: str = "MD5", *, realm: str = "carrier", more: str = ""
) -> str:
    return f'WWW-Authenticate: Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}{more}'


def _dial(stack: Stack, uri: str) -> LegId:
    leg = stack.next_leg()
    credentials = Credentials("trunk", PASSWORD)
    stack.submit(replace(stack.dial_command(leg, uri), credentials=credentials))
    return leg


def _parts(header: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="?([^",]+)', header))


def _is_right(method: str, header: str) -> bool:
    """Tell whether the response of an Authorization header fits the password (RFC 7616 3.4.1)."""
    said = _parts(header)
    name = {"MD5": "md5", "SHA-256": "sha256"}[said.get("algorithm", "MD5")]

    def digest(*parts: str) -> str:
        return hashlib.new(name, ":".join(parts).encode()).hexdigest()

    secret = digest(said["username"], said["realm"], PASSWORD)
    middle = [said["nonce"]]
    if "qop" in said:
        middle += [said["nc"], said["cnonce"], said["qop"]]
    return said["response"] == digest(secret, *middle, digest(method, said["uri"]))


def _sent(messages: list[SippMessage], method: str) -> list[SippMessage]:
    """Return the requests that the engine sent, in order."""
    return [message for message in messages if message.method == method and not message.sent]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("qop", ["", ', qop="auth"', ', qop="auth-int,auth"'])
async def test_carrier_proxy_and_bye(stack: Stack, algorithm: str, qop: str) -> None:
    keys = {
        "first": _challenge("n1", algorithm, more=qop),
        "second": _challenge("n2", algorithm, realm="proxy", more=qop).replace("WWW", "Proxy"),
        "third": _challenge("n3", algorithm, more=qop),
    }
    async with Sipp("uas-digest", keys=keys) as carrier:
        leg = _dial(stack, carrier.uri)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg, "Q.850;cause=16")
        ended = await stack.ended(leg)
        messages = await carrier.succeeded()
    assert (ended.party, ended.sip_status) == (Party.LOCAL, 200)
    invites, byes = _sent(messages, "INVITE"), _sent(messages, "BYE")
    assert not invites[0].headers("Authorization")
    assert _is_right("INVITE", invites[1].header("Authorization"))
    assert _parts(invites[2].header("Proxy-Authorization"))["realm"] == "proxy"
    assert _is_right("INVITE", invites[2].header("Proxy-Authorization"))
    assert _parts(byes[1].header("Authorization"))["nonce"] == "n3"
    assert _is_right("BYE", byes[1].header("Authorization"))
    assert byes[1].header("Reason") == "Q.850;cause=16"
    numbers = [int(message.header("CSeq").split()[0]) for message in (*invites, *byes)]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


@pytest.mark.parametrize("order", [("MD5", "SHA-256"), ("SHA-256", "MD5"), ("SHA-9", "MD5")])
async def test_the_strongest_of_several_algorithms_is_taken(
    stack: Stack, order: tuple[str, str]
) -> None:
    first = "\r\n".join(_challenge(f"of-{algorithm}", algorithm) for algorithm in order)
    stale = _challenge("n2", "MD5", more=", stale=true")
    async with Sipp("uas-digest-renewed", keys={"first": first, "second": stale}) as carrier:
        leg = _dial(stack, carrier.uri)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        messages = await carrier.succeeded()
    best = "SHA-256" if "SHA-256" in order else "MD5"
    second, third = _sent(messages, "INVITE")[1:]
    assert _parts(second.header("Authorization"))["nonce"] == f"of-{best}"
    assert _is_right("INVITE", second.header("Authorization"))
    assert _parts(third.header("Authorization"))["nonce"] == "n2"
    assert _is_right("INVITE", third.header("Authorization"))


@pytest.mark.parametrize("second", [MD5, MD5.replace("n1", "n2"), _challenge("n2", "SHA-256")])
async def test_a_wrong_password_is_tried_once(stack: Stack, second: str) -> None:
    async with Sipp("uas-digest-rejected", keys={"first": MD5, "second": second}) as carrier:
        ended = await stack.ended(_dial(stack, carrier.uri))
        messages = await carrier.succeeded()
    assert (ended.party, ended.sip_status) == (Party.REMOTE, 401)
    assert len(_sent(messages, "INVITE")) == 2


async def test_a_nonce_that_is_always_stale_is_renewed_once(stack: Stack) -> None:
    keys = {
        "first": MD5,
        "second": _challenge("n2", more=", stale=true"),
        "third": _challenge("n3", more=", stale=true"),
    }
    async with Sipp("uas-digest-stale", keys=keys) as carrier:
        ended = await stack.ended(_dial(stack, carrier.uri))
        messages = await carrier.succeeded()
    assert ended.sip_status == 401
    nonces = [_parts(m.header("Authorization"))["nonce"] for m in _sent(messages, "INVITE")[1:]]
    assert nonces == ["n1", "n2"]


async def test_without_credentials_a_challenge_ends_the_leg(stack: Stack) -> None:
    async with Sipp("uas-digest-unanswered", keys={"first": MD5}) as carrier:
        ended = await stack.ended(stack.dial(carrier.uri))
        messages = await carrier.succeeded()
    assert (ended.party, ended.sip_status) == (Party.REMOTE, 401)
    assert len(_sent(messages, "INVITE")) == 1


async def test_a_challenge_to_an_offer_in_the_call_is_answered(stack: Stack) -> None:
    first = _challenge("n1", realm="proxy").replace("WWW", "Proxy")
    async with Sipp("uas-digest-reoffer", keys={"first": first}) as phone:
        leg = _dial(stack, phone.uri)
        await stack.event(LegAnswered, leg)
        stack.submit(Reoffer(leg, hold=True))
        await phone.saw("ACK", sent=False, count=3)
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert (ended.party, ended.sip_status) == (Party.LOCAL, 200)
    assert "LegReofferFailed" not in stack.story(leg)
    offers = _sent(messages, "INVITE")[1:]
    assert _is_right("INVITE", offers[1].header("Proxy-Authorization"))
    assert all("a=sendonly" in offer.body for offer in offers)


async def test_an_offer_whose_digest_is_rejected_leaves_the_call_as_it_was(stack: Stack) -> None:
    first = _challenge("n1", realm="proxy").replace("WWW", "Proxy")
    keys = {"first": first, "second": first}
    async with Sipp("uas-digest-reoffer-rejected", keys=keys) as phone:
        leg = _dial(stack, phone.uri)
        await stack.event(LegAnswered, leg)
        stack.submit(Reoffer(leg, hold=True))
        failed = await stack.event(LegReofferFailed, leg)
        stack.submit(Reoffer(leg, hold=False))
        await phone.saw("ACK", sent=False, count=4)
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert failed.sip_status == 407
    assert (ended.party, ended.sip_status) == (Party.LOCAL, 200)
    assert "a=sendrecv" in _sent(messages, "INVITE")[-1].body
