"""`quickcall routes` and `quickcall route` against a real server: what they print, exit status."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from engine.control.server import HttpServer
from tests.control.conftest import ROOT_TOKEN, Tenant, create

HEADER = "kind,match,to,id,priority,weight,strip,prepend,description\n"


@dataclass
class Cli:
    """Runs the command for an account of the server."""

    url: str
    account: str

    async def run(self, *arguments: str, url: str = "") -> tuple[int, str, str]:
        """Return exit status, standard output and standard error."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from engine.cli import app; app()", *arguments),
            env={
                **os.environ,
                "QUICKCALL_URL": url or self.url,
                "QUICKCALL_TOKEN": ROOT_TOKEN,
                "QUICKCALL_ACCOUNT": self.account,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
def cli(server: HttpServer, tenant: Tenant) -> Cli:
    return Cli(f"http://127.0.0.1:{server.port}", tenant.account)


@pytest.fixture
async def carrier(root: httpx.AsyncClient, tenant: Tenant) -> str:
    document = {"name": "Carrier", "gateways": [{"server": "192.0.2.1"}]}
    return await create(root, f"{tenant.url}/resources", document)


async def test_a_file_is_imported_and_exported(cli: Cli, carrier: str, tmp_path: Path) -> None:
    table = tmp_path / "routes.csv"
    rows = (f'prefix,{n},resource,{carrier},0,1,0,,"row {n}, of many"\n' for n in range(9999))
    table.write_text(HEADER + "".join(rows))
    status, out, err = await cli.run("routes", "import", str(table))
    assert (status, out[:11]) == (0, "9,999 rows,"), err
    assert "sending routes.csv" in err
    assert "compiling" in err
    status, out, err = await cli.run("routes", "export", str(tmp_path / "back.csv"))
    assert (status, out) == (0, f"9,999 rows in {tmp_path / 'back.csv'}\n"), err
    assert (tmp_path / "back.csv").read_bytes() == table.read_bytes()


async def test_json_is_converted_on_the_way(cli: Cli, carrier: str, tmp_path: Path) -> None:
    rows = [
        {"kind": "prefix", "match": str(n), "to": "resource", "id": carrier} for n in range(5000)
    ]
    (tmp_path / "routes.json").write_text(json.dumps(rows))
    assert (await cli.run("routes", "import", str(tmp_path / "routes.json")))[0] == 0
    assert (await cli.run("routes", "export", str(tmp_path / "back.json")))[0] == 0
    assert json.loads((tmp_path / "back.json").read_text()) == rows
    away = tmp_path / "back"
    assert (await cli.run("routes", "export", str(away), "--format", "json"))[0] == 0
    assert json.loads(away.read_text()) == rows
    status, _, err = await cli.run("routes", "import", str(away), "--format", "csv")
    assert (status, "line 1: line '['" in err) == (1, True), err
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".part") == []


async def test_a_fault_is_told_by_its_place(cli: Cli, carrier: str, tmp_path: Path) -> None:
    table = tmp_path / "routes.csv"
    table.write_text(HEADER + f"\npattern,_1[2,resource,{carrier},0,1,0,,\n")
    status, out, err = await cli.run("routes", "import", str(table))
    assert (status, out) == (1, "")
    assert f"quickcall routes import: {table}, line 3: match '_1[2'" in err
    good = {"kind": "prefix", "match": "1", "to": "resource", "id": carrier}
    for bad, words in (({"id": "r9"}, "id 'r9': the account has no"), ({"match": 1}, "match '1'")):
        table = tmp_path / "routes.json"
        table.write_text(json.dumps([good, {**good, **bad}]))
        status, out, err = await cli.run("routes", "import", str(table))
        assert (status, out) == (1, "")
        assert f"{table}, item 2: {words}" in err


async def test_what_cannot_be_done_is_status_2(cli: Cli, carrier: str, tmp_path: Path) -> None:
    status, _, err = await cli.run("routes", "import", str(tmp_path / "missing.csv"))
    assert (status, "No such file" in err) == (2, True)
    old = tmp_path / "old.csv"
    old.write_text("what was there\n")
    status, _, err = await cli.run("routes", "export", str(old))
    assert (status, "404" in err) == (2, True)
    assert old.read_text() == "what was there\n"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    status, _, err = await cli.run("routes", "import", str(old), url=url)
    assert (status, f"no answer from {url}" in err) == (2, True)


async def test_a_route_is_explained_with_its_invites(
    cli: Cli, root: httpx.AsyncClient, tenant: Tenant, carrier: str
) -> None:
    static = {"username": "gate", "invite_format": "route", "route": "sip:gate@192.0.2.7"}
    device = await create(root, f"{tenant.url}/devices", {"name": "Gate", "sip": static})
    rules = {"name": "Acme", "rules": [r"^\+?1(\d{10})$"], "gateways": [{"server": "192.0.2.1"}]}
    carrier = await create(root, f"{tenant.url}/resources", rules)
    status, out, err = await cli.run("route", "1-415-555-0101", "--device", "Gate")
    assert status == 0, err
    words = " ".join(out.split())
    assert "filter 1-415-555-0101 → 14155550101 matched default number filter" in words
    assert f"resource {carrier} is dialled 4155550101 by carrier 'Acme' rule 1" in words
    assert (
        f"first: device {device} at sip:gate@192.0.2.7 INVITE sip:gate@192.0.2.7 SIP/2.0" in words
    )
    assert f"when it has answered: resource {carrier} at sip:4155550101@192.0.2.1" in words
    status, out, _ = await cli.run("route", "1-415-555-0101", "--json")
    told = json.loads(out)
    assert (status, told["target"]) == (0, {"kind": "resource", "id": carrier})
    assert [invite["leg"] for invite in told["invites"]] == ["b"]


async def test_a_number_that_goes_nowhere_is_status_1(cli: Cli) -> None:
    status, out, _ = await cli.run("route", "x-5-y", "--number-filter", "x-(.*)-y")
    assert status == 1
    assert "x-5-y → 5" in out
    assert "NO_ROUTE_DESTINATION" in out


async def test_a_route_that_cannot_be_asked_is_status_2(cli: Cli) -> None:
    status, _, err = await cli.run("route", "5", "--user", "nobody")
    assert (status, f"account {cli.account} has no user 'nobody'" in err) == (2, True)
    status, _, err = await cli.run("route", "5", "--number-filter", "(")
    assert (status, "number_filter" in err) == (2, True)
    status, _, err = await cli.run("route", "5", "--user", "a", "--device", "b")
    assert (status, "not both" in err) == (2, True)
