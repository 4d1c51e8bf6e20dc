"""`quickcall token` on the store of an engine that runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine.cli import app
from engine.control.auth import Forbidden, InvalidCredentials
from engine.control.permissions import Permission
from engine.sip.loopback import LoopbackSip
from tests.control.rig import GUARD_S, Rig


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have an engine of their own; nobody waits a second here."""
    monkeypatch.setattr("engine.runtime.token_watch.POLL_S", 0.05)
    monkeypatch.delenv("QUICKCALL_TOKENS", raising=False)


def invoke(folder: Path, *arguments: str) -> Result:
    """Run the command on the database of a folder."""
    database = f"sqlite+aiosqlite:///{folder / 'quickcall.db'}"
    command = ["token", *arguments, "--database", database]
    return CliRunner().invoke(app, command, env={"COLUMNS": "40"})


def created(done: Result) -> tuple[str, str]:
    """Return the token that was printed, and its id."""
    assert done.exit_code == 0, done.output
    token = re.search(r"token, shown only now:  (\S+)", done.output)
    token_id = re.search(r"to revoke it by: +(\S+)", done.output)
    assert token is not None
    assert token_id is not None
    return token[1], token_id[1]


def row_of(folder: Path, token_id: str, *words: str) -> list[str]:
    """Return the columns of a listed token, which has these words."""
    listed = invoke(folder, "list")
    rows = [line.split() for line in listed.output.splitlines() if token_id in line]
    assert len(rows) == 1, (listed.exit_code, listed.output, listed.exception)
    (row,) = rows
    assert set(words) <= set(row)
    return row


async def until(ready: Callable[[], bool]) -> None:
    """Wait for what another process brings about."""
    async with asyncio.timeout(GUARD_S):
        while not ready():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_running_engine_sees_what_the_command_does(rig: Rig, tmp_path: Path) -> None:
    tokens = rig.engine.tokens
    arguments = ("create", rig.account, "--scope", "calls:read", "--name", "wallboard")
    token, token_id = created(await asyncio.to_thread(invoke, tmp_path, *arguments))

    def accepted() -> bool:
        try:
            return tokens.verify(token).token_id == token_id
        except InvalidCredentials:
            return False

    await until(accepted)
    scope = tokens.authorize(token, rig.account)
    scope.require(Permission.CALLS_READ)
    with pytest.raises(Forbidden):
        scope.require(Permission.CALLS_WRITE)

    assert await asyncio.to_thread(row_of, tmp_path, token_id, "wallboard", rig.account)
    async with asyncio.timeout(GUARD_S):
        while (await asyncio.to_thread(row_of, tmp_path, token_id))[-1] == "never":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await asyncio.to_thread(invoke, tmp_path, "revoke", token_id)).exit_code == 0
    await until(lambda: not accepted())
    assert (await asyncio.to_thread(invoke, tmp_path, "revoke", token_id)).exit_code == 2


async def test_tokens_survive_the_engine_but_not_their_account(tmp_path: Path) -> None:
    async with Rig(tmp_path, LoopbackSip()) as first:
        account = first.account
    mine, _ = created(await asyncio.to_thread(invoke, tmp_path, "create", account))
    root, _ = created(await asyncio.to_thread(invoke, tmp_path, "create", "*", "--expires", "1d"))
    async with Rig(tmp_path, LoopbackSip()) as again:
        tokens = again.engine.tokens
        assert tokens.verify(mine).accounts == {account}
        assert tokens.verify(root).expires_at > 0
        await again.engine.directory.delete("account", account, account)
        with pytest.raises(InvalidCredentials):
            tokens.verify(mine)
        assert tokens.verify(root).is_root


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "nobody"), "no account 'nobody'"),
        (("create", "*", "acme"), "* alone"),
        (("create", "*", "--scope", "everything"), "calls:write"),
        (("create", "*", "--expires", "2001-01-01"), "to come"),
        (("create", "*", "--expires", "soon"), "30d"),
        (("create", "*", "--name", "x" * 129), "128"),
        (("create", "*", "--for-config", "--name", "x"), "neither scopes nor name"),
        (("revoke", "0123"), "no token '0123'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = invoke(tmp_path, *arguments)
    assert done.exit_code == 2, done.output
    assert said in done.output
