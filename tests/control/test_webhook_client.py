"""The client of webhooks: where it may not go, and what hostile targets cannot do to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from engine.control.webhook_address import is_literal, is_public
from engine.control.webhook_client import MAX_ANSWER, WebhookClient
from engine.control.webhook_payload import Posting
from tests.kit.webhook_target import WebhookTarget

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def post(url: str, method: str = "POST") -> Posting:
    return Posting(method, url, {"X-Event-ID": "1"}, b"{}" if method == "POST" else b"")


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[str]:
    """A server that does with every connection what the test says."""

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    await asyncio.gather(*(task for task in serving if task is not None))


@pytest.fixture
async def client() -> AsyncIterator[WebhookClient]:
    made = WebhookClient(private_addresses=True)
    yield made
    await made.close()


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:a00:1", "::10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"),
        *("64:ff9b:1::127.0.0.1", "2001:0:0:0:0:0:f5ff:fffe"),
        *("0177.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "", "1.2.3.4.5"),
    ],
)
def test_private_addresses_are_known_in_every_disguise(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"],
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_numbers_that_stand_for_addresses_are_known() -> None:
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "::1", "1.2.3.4."):
        assert is_literal(host), host
    for host in ("example.org", "1a.example", "3com.com", "localhost"):
        assert not is_literal(host), host


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0177.0.0.1", "2130706433", "127.1", "[::ffff:127.0.0.1]"]
)
async def test_nothing_is_sent_into_private_networks(host: str) -> None:
    client = WebhookClient(private_addresses=False)
    async with WebhookTarget() as target:
        answer = await client.send(post(f"http://{host}:{target.port}/"))
        assert answer.status == 0
        assert answer.error
        assert target.posts == []
    await client.close()


async def test_why_it_is_refused_is_said() -> None:
    client = WebhookClient(private_addresses=False)
    answer = await client.send(post("http://127.0.0.1:9/secret-token"))
    assert answer.error == "127.0.0.1 is not a public address"
    await client.close()


async def test_connections_are_kept(client: WebhookClient) -> None:
    async with WebhookTarget() as target:
        for _ in range(5):
            assert (await client.send(post(target.url))).status == 200
        assert len(target.peers) == 1


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_a_success(client: WebhookClient, status: int) -> None:
    async with WebhookTarget() as target:
        target.answer = lambda _: status
        assert (await client.send(post(target.url))).error == ""


@pytest.mark.parametrize("status", [300, 400, 404, 410, 429, 500, 503])
async def test_anything_else_is_a_failure(client: WebhookClient, status: int) -> None:
    async with WebhookTarget() as target:
        target.answer = lambda _: status
        answer = await client.send(post(target.url))
        assert (answer.status, answer.error) == (status, f"answered {status}")


async def test_redirects_are_not_followed(client: WebhookClient) -> None:
    async with WebhookTarget() as target:

        async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            where = f"HTTP/1.1 302 Found\r\nLocation: {target.url}\r\nContent-Length: 0\r\n\r\n"
            writer.write(where.encode())

        async with listening(talk) as url:
            assert (await client.send(post(url))).error == "answered 302"
        assert target.posts == []


async def test_a_query_is_sent_as_it_was_signed(client: WebhookClient) -> None:
    query = "a=%2B+%20%7e&b%5Bc%5D=%C3%A9&d=;,"
    async with WebhookTarget() as target:
        await client.send(post(f"{target.url}?{query}", "GET"))
        assert (target.posts[0].method, target.posts[0].query) == ("GET", query)


async def _silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def _trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("talk", [_silence, _trickle])
async def test_who_says_nothing_or_too_little_is_given_up(talk: Talk) -> None:
    client = WebhookClient(private_addresses=True, timeout_s=0.3)
    async with listening(talk) as url:
        answer = await client.send(post(url))
        assert answer.error == "no answer within 0.3 s"
        await client.close()


async def test_a_long_answer_is_not_read_to_its_end(client: WebhookClient) -> None:
    sent = 0

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        while sent < 1000 * MAX_ANSWER:
            writer.write(b"x" * MAX_ANSWER)
            sent += MAX_ANSWER
            await writer.drain()

    async with listening(talk) as url:
        assert (await client.send(post(url))).status == 200
    assert sent < 1000 * MAX_ANSWER


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/1.1 99999 Hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_nonsense_is_a_failure_in_words(client: WebhookClient, answer: bytes) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with listening(talk) as url:
        found = await client.send(post(url + "token-of-the-target"))
    assert found.status == 0
    assert 0 < len(found.error) <= 200
    assert found.error.isprintable()
    assert "token-of-the-target" not in found.error


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://name.invalid/", "http://[::1/", "http://exa mple/"]
)
async def test_who_cannot_be_reached_is_a_failure(client: WebhookClient, url: str) -> None:
    answer = await client.send(post(url))
    assert answer.status == 0
    assert answer.error
