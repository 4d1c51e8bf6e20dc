"""How the demo looks on a terminal of 80 columns or more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from engine.control.ladder import draw_ladder
from engine.core.events import SipMessageSeen
from scripts.demo_checks import Evidence, Finding, leg_of, said

Document = dict[str, Any]

WIDEST = 120
"""Columns used at most; wider ladders are hard to read."""
COLOURS = {"Alice": "cyan", "Bob": "magenta"}


def make_console() -> Console:
    """Return a console as wide as the terminal, 120 columns at most."""
    console = Console(highlight=False)
    console.width = min(console.width, WIDEST)
    return console


def title(console: Console, text: str) -> None:
    """Start a section."""
    console.print()
    console.rule(f"[bold]{text}", align="left", style="bright_black")


def facts(console: Console, rows: Mapping[str, str]) -> None:
    """Print what is the case, a name and a value a line."""
    width = max(map(len, rows))
    for name, value in rows.items():
        line = Text.assemble((f"  {name:<{width}}  ", "bright_black"), value)
        console.print(line, overflow="ellipsis", no_wrap=True)


def event_line(console: Console, frame: Document, seconds: float) -> None:
    """Print one event as it came, `seconds` after the request."""
    person = next((name for name in COLOURS if leg_of(frame, name)), "")
    line = Text.assemble(
        (f"  {seconds:+7.3f} s  ", "bright_black"),
        (f"{person:<7}", COLOURS.get(person, "")),
        (f"{frame['name']:<17} ", "bold"),
        _detail(frame["name"], frame["data"]),
    )
    console.print(line, overflow="ellipsis", no_wrap=True)


def _detail(name: str, data: Document) -> str:
    if name == "CHANNEL_CREATE":
        number = data.get("caller_id_number", "")
        return f'INVITE, shows "{data["caller_id_name"]}" {number}'
    if name == "CHANNEL_PROGRESS":
        return "it rings"
    if name == "CHANNEL_ANSWER":
        return "answered"
    if name in ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE"):
        return ("with" if name == "CHANNEL_BRIDGE" else "from") + " the other leg"
    cause, code = data.get("hangup_cause", "?"), data.get("hangup_code", "")
    by = f"ended by {data['hangup_party']}" if data.get("hangup_party") else ""
    return ", ".join(part for part in (cause, code, by) if part)


def ladder(
    console: Console, messages: Mapping[str, Sequence[SipMessageSeen]], names: Mapping[str, str]
) -> None:
    """Print the SIP messages of both legs in one ladder, each leg in its colour."""
    every = sorted(
        ((message, person) for person, leg in messages.items() for message in leg),
        key=lambda pair: pair[0].at,
    )
    lines = draw_ladder([message for message, _ in every], names, console.width - 2)
    for line in lines[:2]:
        console.print(Text(f"  {line}", "bold"), no_wrap=True)
    for line, (_, person) in zip(lines[2:], every, strict=True):
        text = Text(f"  {line}")
        text.highlight_regex(r"[<─>]+|(?<=─ ).+(?= ─)", COLOURS.get(person, ""))
        console.print(text, no_wrap=True)


def hearing(console: Console, evidence: Evidence) -> None:
    """Print what each phone sent and recognised."""
    table = _table("", "sent", "heard", "for", "share", "other's tone", "own tone", "codec")
    for person, other in (("Alice", "Bob"), ("Bob", "Alice")):
        heard, answered = (said(evidence, person, event) for event in ("heard", "answered"))
        if heard is None:
            continue
        levels = heard["levels"]
        table.add_row(
            Text(person, COLOURS[person]),
            f"{evidence.tones[person]} Hz",
            Text(f"{heard['freq']} Hz" if heard["freq"] else "nothing", "bold"),
            f"{heard['seconds']:.2f} s",
            f"{heard['ratio']:.0%}",
            f"{levels[str(evidence.tones[other])]:.0f} dB",
            f"{levels[str(evidence.tones[person])]:.0f} dB",
            answered["codec"] if answered else "",
        )
    console.print(Padding(table, (0, 0, 0, 2)))


def call_records(console: Console, cdrs: Sequence[Document]) -> None:
    """Print the CDRs."""
    table = _table("leg", "caller id", "cause", "code", "by", "rang", "billed", "ticket")
    for cdr in cdrs:
        user = cdr["to"].split("@")[0].title()
        table.add_row(
            Text(user, COLOURS.get(user, "")),
            cdr.get("caller_id_number", ""),
            cdr.get("hangup_cause", ""),
            cdr.get("hangup_code", ""),
            cdr.get("hangup_party", ""),
            f"{cdr.get('ringing_seconds', 0)} s",
            f"{cdr.get('billing_seconds', 0)} s",
            str(cdr.get("custom_application_vars", {}).get("ticket", "")),
        )
    console.print(Padding(table, (0, 0, 0, 2)))


def checklist(console: Console, judged: Sequence[Finding], seconds: float) -> None:
    """Print what was and was not observed, and the verdict."""
    for finding in judged:
        mark = ("  ✗ ", "bold red") if finding.problem else ("  ✓ ", "bold green")
        console.print(Text.assemble(mark, finding.text))
        if finding.problem:
            console.print(Text(f"      {finding.problem}", "red"))
    console.print()
    good = sum(not finding.problem for finding in judged)
    verdict = f"  {good} of {len(judged)} observed in {seconds:.1f} s."
    console.print(Text(verdict, "bold green" if good == len(judged) else "bold red"))


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bright_black", padding=(0, 2, 0, 0), pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table
