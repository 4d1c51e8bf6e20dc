"""`quickcall check`: every question, its answer, and one sentence at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.cli.checks import Finding, Grade, codecs, installation, limits, network, ports
from engine.config import EngineConfig
from engine.config_file import load_config
from engine.config_values import ConfigError

_STYLES = {Grade.GOOD: "green", Grade.WARNING: "yellow", Grade.BROKEN: "bold red"}


def run_check(path: Path | None, destinations: list[str]) -> int:
    """Print every finding; return 0 when nothing is broken, else 1."""
    console = Console(highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    findings = list(_findings(path, destinations))
    for finding in findings:
        style = _STYLES[finding.grade]
        table.add_row(f"[{style}]{finding.grade}[/]", finding.subject, _plain(finding.words))
    console.print(table)
    broken = sum(finding.grade is Grade.BROKEN for finding in findings)
    warnings = sum(finding.grade is Grade.WARNING for finding in findings)
    if broken:
        console.print(f"\n[bold red]{broken} broken[/], {warnings} to look at")
        return 1
    console.print(f"\n[bold green]nothing is broken[/], {warnings} to look at")
    return 0


def _findings(path: Path | None, destinations: list[str]) -> Iterator[Finding]:
    yield from installation()
    try:
        config = load_config(path)
    except ConfigError as error:
        yield Finding(Grade.BROKEN, "configuration", str(error))
        config = EngineConfig()
    else:
        yield Finding(Grade.GOOD, "configuration", f"{path or 'the defaults'} can be used")
    yield from codecs(config)
    yield from limits(config)
    yield from ports(config)
    yield from network(config, destinations)


def _plain(words: str) -> str:
    """Escape what rich would take for markup: a list of allowed values stands in brackets."""
    return words.replace("[", r"\[")
