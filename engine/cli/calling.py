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

from engine.cli.client import (
    NOT_ASKED,
    Api,
    ApiRefused,
    account_path,
    data_of,
    errors,
    find_account,
    find_endpoint,
)
from engine.cli.following import Follower


@dataclass(frozen=True, slots=True)
class CallOrder:
    """What the command line asks for."""

    api: Api
    kind: str
    """`devices` or `users`."""
    endpoint: str
    """Id or name."""
    number: str
    options: Mapping[str, object]
    variables: Mapping[str, str]
    """Custom application variables."""


def run_call(order: CallOrder) -> int:
    """Place the call, show what happens, return the exit status.

    0: the two were connected; 1: they were not; 2: the call could not be placed.
    """
    try:
        return asyncio.run(_call(order))
    except ApiRefused as error:
        errors.print(f"quickcall call: {error}", markup=False)
    except httpx.HTTPError as error:
        errors.print(f"quickcall call: no answer from {order.api.url}: {error}", markup=False)
    except (OSError, websockets.WebSocketException) as error:
        errors.print(f"quickcall call: the event stream broke: {error}", markup=False)
    return NOT_ASKED


async def _call(order: CallOrder) -> int:
    api = order.api
    async with api.connect() as http:
        account = await find_account(http, api)
        endpoint, name = await find_endpoint(http, account, order.kind, order.endpoint)
        # Subscribed before the call is placed, so that no event is missed.
        url = _socket_url(api.url)
        async with websockets.connect(url, additional_headers=api.headers) as socket:
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
    raise ApiRefused("the engine closed the event stream before the call ended")


def _stop_on_interrupt(http: httpx.AsyncClient, account: str, follower: Follower) -> Any:
    """Hang the call up at the first Ctrl-C; return what takes the handler away again."""
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []

    async def hang_up() -> None:
        # By the request, so that it works before anything has been dialled too.
        await http.delete(f"{account_path(account)}/channels/{follower.request_id}")

    def interrupt() -> None:
        if not tasks:
            follower.say("hanging up")
            tasks.append(loop.create_task(hang_up()))

    async def stop() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        await asyncio.gather(*tasks)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    return stop


async def _place(
    http: httpx.AsyncClient, order: CallOrder, account: str, endpoint: str, request_id: str
) -> dict[str, Any]:
    where = f"{account_path(account)}/{order.kind}/{endpoint}"
    path = f"{where}/quickcall/{quote(order.number, safe='')}"
    query = {name: query_text(value) for name, value in order.options.items()}
    answer = await http.get(
        path, params={**order.variables, **query}, headers={"X-Request-ID": request_id}
    )
    data: dict[str, Any] = data_of(answer)
    return data


def query_text(value: object) -> str:
    """Return an option as the query of a URL has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _socket_url(url: str) -> str:
    return "ws" + url.removeprefix("http") + "/v2/websocket"


async def _subscribe(socket: websockets.ClientConnection, account: str) -> None:
    data = {"account_id": account, "binding": "call.*.*"}
    await socket.send(json.dumps({"action": "subscribe", "data": data}))
    reply = json.loads(await socket.recv())
    if reply.get("status") != "success":
        raise ApiRefused(f"the engine refused the event stream: {reply.get('data')}")


async def _events(socket: websockets.ClientConnection) -> AsyncIterator[dict[str, Any]]:
    async for text in socket:
        frame: dict[str, Any] = json.loads(text)
        if frame.get("action") == "event":
            yield frame
