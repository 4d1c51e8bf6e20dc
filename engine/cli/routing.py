"""`quickcall route`: where a number would go, step by step, and the INVITEs it would send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.cli.client import Api, account_path, data_of, find_account, find_endpoint, run

NO_ROUTE = 1
"""Exit status when the number goes nowhere."""

_STYLES = {"matched": "bold green", "lost": "yellow", "passed": "dim", "refused": "bold red"}

_out = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class RouteQuestion:
    """What the command line asks for."""

    number: str
    kind: str
    """`devices` or `users`, empty: the account's dial plan alone."""
    endpoint: str
    """Id or name."""
    number_filter: str | None
    as_json: bool


def run_route(api: Api, question: RouteQuestion) -> int:
    """Print what would become of a number; return the exit status.

    0 it goes somewhere, 1 it is refused or has no route, 2 the engine could not be asked.
    """
    return run("route", api, _route(api, question))


async def _route(api: Api, question: RouteQuestion) -> int:
    async with api.connect() as http:
        account = await find_account(http, api)
        path = account_path(account)
        if question.kind:
            endpoint, _ = await find_endpoint(http, account, question.kind, question.endpoint)
            path += f"/{question.kind}/{quote(endpoint, safe='')}"
        given = question.number_filter
        answer = await http.get(
            f"{path}/route/{quote(question.number, safe='')}",
            params={} if given is None else {"number_filter": given},
        )
        report: Mapping[str, Any] = data_of(answer)
    if question.as_json:
        _out.print_json(data=report)
    else:
        _out.print(_steps(report))
        for line in (Text(), *_verdict(report), *_invites(report)):
            _out.print(line, soft_wrap=True)
    return 0 if report["target"] else NO_ROUTE


def _steps(report: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("step", "number", "", "rule"):
        table.add_column(name, overflow="fold")
    filtered = report["filter"]
    changed = "matched" if filtered["input"] != filtered["output"] else "passed"
    first = {**filtered, "stage": "filter", "outcome": changed}
    first |= {"rule": f"{filtered['applied']} number filter", "why": filtered["note"]}
    for step in (first, *report["steps"]):
        style = _STYLES[step["outcome"]]
        number = step["input"]
        if step["output"] != number:
            number = f"{number} → {step['output']}"
        words = ": ".join(part for part in (step["rule"], step["why"]) if part)
        row = (step["stage"], number, step["outcome"], words)
        table.add_row(*(Text(cell, style=style) for cell in row))
    return table


def _verdict(report: Mapping[str, Any]) -> Iterator[Text]:
    target, refusal = report["target"], report["refusal"]
    if refusal is not None:
        yield Text(f"{refusal['cause']}: {refusal['reason']}", style="bold red")
    elif target is None:
        yield Text(f"no route for {report['number']}", style="bold red")
    else:
        yield Text(f"{target['kind']} {target['id']} is dialled {report['dialled']}", "bold green")
        yield Text(f"  by {report['rule']}")
    if report["classification"] and (target is None or target["kind"] == "resource"):
        yield Text(f"  {report['e164']} is of class {report['classification']}")
    for endpoint in report["unreachable"]:
        yield Text(f"  {endpoint} has no contact now: nobody is registered", style="yellow")


def _invites(report: Mapping[str, Any]) -> Iterator[Text]:
    before: Mapping[str, Any] | None = None
    for invite in report["invites"]:
        place = f"{invite['endpoint_kind']} {invite['endpoint_id']}"
        yield Text()
        yield Text(f"{_when(invite, before)}: {place} at {invite['destination']}", style="bold")
        before = invite
        if invite["fault"]:
            yield Text(f"  cannot be sent: {invite['fault']}", style="bold red")
            continue
        yield Text(f"  {invite['method_line']}", style="cyan")
        for name, value in invite["headers"]:
            yield Text.assemble(f"  {name}: ", (value, "cyan"))


def _when(invite: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    if before is None:
        return "first"
    if invite["leg"] != before["leg"]:
        return "when it has answered"
    return "at the same time" if invite["group"] == before["group"] else "if that fails"
