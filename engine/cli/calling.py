"""`quickcall call`: place a call through the HTTP API and follow its events over the WebSocket."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import websockets
from rich.console import Console

from engine.cli.following import Follower
from engine.core.errors import EngineError

CANNOT_PLACE = 2
"""Exit status when the call could not be placed."""

_ANSWER_S = 10.0

_err = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class CallOrder:
    """What the command line asks for."""

    url: str
    """`http://host:port`, without a slash at the end."""
    token: str
    account: str
    """Account id, empty: the only one there is."""
    kind: str
    """`devices` or `users`."""
    endpoint: str
    """Id or name."""
    number: str
    options: Mapping[str, object]
    variables: Mapping[str, str]
    """Custom application variables."""

    def __repr__(self) -> str:
        """Show what is called, not the token."""
        return f"CallOrder({self.kind}/{self.endpoint} to {self.number} at {self.url})"


class NotPlaced(EngineError):
    """The call could not be placed: the engine is not there, or refused it."""


def run_call(order: CallOrder) -> int:
    """Place the call, show what happens, return the exit status.

    0: the two were connected; 1: they were not; 2: the call could not be placed.
    """
    try:
        return asyncio.run(_call(order))
    except NotPlaced as error:
        _err.print(f"quickcall call: {error}", markup=False)
    except httpx.HTTPError as error:
        _err.print(f"quickcall call: no answer from {order.url}: {error}", markup=False)
    except (OSError, websockets.WebSocketException) as error:
        _err.print(f"quickcall call: the event stream broke: {error}", markup=False)
    return CANNOT_PLACE


async def _call(order: CallOrder) -> int:
    headers = {"X-Auth-Token": order.token}
    async with httpx.AsyncClient(base_url=order.url, headers=headers, timeout=_ANSWER_S) as http:
        account = order.account or await _only_account(http)
        endpoint, name = await _find(http, account, order.kind, order.endpoint)
        # Subscribed before the call is placed, so that no event is missed.
        async with websockets.connect(_socket_url(order.url), additional_headers=headers) as socket:
            await _subscribe(socket, account)
            request_id = secrets.token_hex(16)
            accepted = await _place(http, order, account, endpoint, request_id)
            follower = Follower(request_id, accepted, name)
            stop = _stop_on_interrupt(http, account, follower)
            try:
                async for event in _events(socket):
                    if follower.take(event["name"], event["data"]):
                        return follower.exit_status
            finally:
                await stop()
    raise NotPlaced("the engine closed the event stream before the call ended")


def _stop_on_interrupt(http: httpx.AsyncClient, account: str, follower: Follower) -> Any:
    """Hang the call up at the first Ctrl-C; return what takes the handler away again."""
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []

    async def hang_up() -> None:
        for call_id in follower.live_calls:
            await http.delete(f"/v2/accounts/{account}/channels/{quote(call_id, safe='')}")

    def interrupt() -> None:
        if not tasks:
            follower.say("hanging up")
            tasks.append(loop.create_task(hang_up()))

    async def stop() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        await asyncio.gather(*tasks)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    return stop


async def _only_account(http: httpx.AsyncClient) -> str:
    accounts = await _get(http, "/v2/accounts")
    if len(accounts) != 1:
        raise NotPlaced(f"there are {len(accounts)} accounts; name one with --account")
    return str(accounts[0]["id"])


async def _find(http: httpx.AsyncClient, account: str, kind: str, wanted: str) -> tuple[str, str]:
    """Return id and name of the endpoint with this id, name or SIP username."""
    found = await _get(http, f"/v2/accounts/{quote(account, safe='')}/{kind}")
    for document in found:
        sip = document.get("sip") or {}
        names = (
            document["id"],
            document.get("name"),
            document.get("username"),
            sip.get("username"),
        )
        if wanted in names:
            return str(document["id"]), str(next((n for n in names[1:] if n), document["id"]))
    raise NotPlaced(f"account {account} has no {kind.removesuffix('s')} {wanted!r}")


async def _get(http: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = _data(await http.get(path))
    return data


async def _place(
    http: httpx.AsyncClient, order: CallOrder, account: str, endpoint: str, request_id: str
) -> dict[str, Any]:
    path = (
        f"/v2/accounts/{account}/{order.kind}/{endpoint}/quickcall/{quote(order.number, safe='')}"
    )
    query = {name: _query_text(value) for name, value in order.options.items()}
    answer = await http.get(
        path, params={**order.variables, **query}, headers={"X-Request-ID": request_id}
    )
    data: dict[str, Any] = _data(answer)
    return data


def _query_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _data(answer: httpx.Response) -> Any:
    try:
        envelope = answer.json()
    except ValueError:
        raise NotPlaced(f"{answer.url} does not speak the quickcall API") from None
    if answer.is_error:
        detail = json.dumps(envelope.get("data"), ensure_ascii=False)
        raise NotPlaced(f"{answer.status_code} {envelope.get('message', '')}: {detail}")
    return envelope["data"]


def _socket_url(url: str) -> str:
    return "ws" + url.removeprefix("http") + "/v2/websocket"


async def _subscribe(socket: websockets.ClientConnection, account: str) -> None:
    data = {"account_id": account, "binding": "call.*.*"}
    await socket.send(json.dumps({"action": "subscribe", "data": data}))
    reply = json.loads(await socket.recv())
    if reply.get("status") != "success":
        raise NotPlaced(f"the engine refused the event stream: {reply.get('data')}")


async def _events(socket: websockets.ClientConnection) -> AsyncIterator[dict[str, Any]]:
    async for text in socket:
        frame: dict[str, Any] = json.loads(text)
        if frame.get("action") == "event":
            yield frame
