"""The HTTP API as the commands use it: where it is, finding things by name, errors in words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Console

from engine.core.errors import EngineError

ANSWER_S = 10.0
"""How long the engine may take to answer, seconds."""

NOT_ASKED = 2
"""Exit status when the engine could not be asked, or a file could not be read or written."""

errors = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error."""


@dataclass(frozen=True, slots=True)
class Api:
    """Where the HTTP API is, and for which account."""

    url: str
    """`http://host:port`, without a slash at the end."""
    token: str
    account: str
    """Account id, empty: the only one there is."""

    def __repr__(self) -> str:
        """Show where it is, not the token."""
        return f"Api({self.url}, account {self.account!r})"

    @property
    def headers(self) -> dict[str, str]:
        """What every request needs."""
        return {"X-Auth-Token": self.token}

    def connect(self, timeout: float = ANSWER_S) -> httpx.AsyncClient:
        """Return a client; `timeout` is for each answer, in seconds."""
        return httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=timeout)


class ApiRefused(EngineError):
    """The engine refused what was asked, or is none.

    `details`: of a refused value the field and what is said about it.
    """

    exit_status = NOT_ASKED

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = details or {}


def run(command: str, api: Api, work: Coroutine[Any, Any, int]) -> int:
    """Run a command and return its exit status; failures are said on standard error."""
    try:
        return asyncio.run(work)
    except ApiRefused as error:
        message, status = str(error), error.exit_status
    except httpx.HTTPError as error:
        message = f"no answer from {api.url}: {str(error) or type(error).__name__}"
        status = NOT_ASKED
    except OSError as error:
        message, status = str(error), NOT_ASKED
    errors.print(f"quickcall {command}: {message}", markup=False)
    return status


async def find_account(http: httpx.AsyncClient, api: Api) -> str:
    """Return the id of the account that is meant. Raises `ApiRefused`."""
    if api.account:
        return api.account
    accounts = data_of(await http.get("/v2/accounts"))
    if len(accounts) != 1:
        raise ApiRefused(f"there are {len(accounts)} accounts; name one with --account")
    return str(accounts[0]["id"])


def account_path(account_id: str) -> str:
    """Return the path of an account."""
    return f"/v2/accounts/{quote(account_id, safe='')}"


async def find_endpoint(
    http: httpx.AsyncClient, account_id: str, kind: str, wanted: str
) -> tuple[str, str]:
    """Return id and name of the endpoint with this id, name or SIP username.

    `kind` is `devices` or `users`. Raises `ApiRefused`.
    """
    for document in data_of(await http.get(f"{account_path(account_id)}/{kind}")):
        sip = document.get("sip") or {}
        names = (
            document["id"],
            document.get("name"),
            document.get("username"),
            sip.get("username"),
        )
        if wanted in names:
            return str(document["id"]), str(next((n for n in names[1:] if n), document["id"]))
    raise ApiRefused(f"account {account_id} has no {kind.removesuffix('s')} {wanted!r}")


def data_of(answer: httpx.Response) -> Any:
    """Return the data of an envelope. Raises `ApiRefused` with what an error envelope says."""
    try:
        envelope = answer.json()
    except ValueError:
        raise ApiRefused(f"{answer.url} does not speak the quickcall API") from None
    if answer.is_error:
        details = envelope.get("data")
        words = json.dumps(details, ensure_ascii=False)
        message = f"{answer.status_code} {envelope.get('message', '')}: {words}"
        raise ApiRefused(message, details if isinstance(details, dict) else {})
    return envelope["data"]
