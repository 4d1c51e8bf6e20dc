"""What the rows of a route table do with a number, in words."""

from collections.abc import Iterator
from itertools import islice
from typing import Literal

from engine.numbers import wording
from engine.numbers._dialplan import CompiledPlan
from engine.numbers.route_table import RouteTable
from engine.numbers.steps import HOPS_LIMIT, LOST_LIMIT, Decided, Resolution, Step

_Kind = Literal["extension", "pattern", "prefix", "regex"]

_KINDS: tuple[tuple[_Kind, Decided], ...] = (
    ("pattern", Decided.PATTERN_ROW),
    ("prefix", Decided.PREFIX_ROW),
    ("regex", Decided.REGEX_ROW),
)

_LESS = {
    "pattern": "less specific",
    "prefix": "shorter, or leads to no carrier",
    "regex": "a regex before it matches",
}


def extension_row(plan: CompiledPlan, number: str) -> Step | None:
    """Return the step of the extension row that has a number but does not decide."""
    if plan.table is None:
        return None
    for kind, index, _, _ in plan.table.explain(number):
        if kind == "extension":
            rule = wording.row(plan.table, index)
            return Step("extension", number, number, "lost", rule, "leaves nothing to dial")
    return None


def matched_row(plan: CompiledPlan, found: Resolution, kind: _Kind, asked: str) -> Iterator[Step]:
    """Return a step for each row that a number goes to: one that rings, or those hunted."""
    table = plan.table
    if table is None:
        return
    hunted = [*found.hops, *((source, rule, number) for source, rule, number, *_ in found.dropped)]
    for index, _, dialled in hunted[:HOPS_LIMIT] or [(found.index, -1, found.dialled or asked)]:
        row = table.row(index)
        why = f"to {row.to} {row.id}, priority {row.priority}, weight {row.weight}"
        yield Step(kind, asked, dialled, "matched", wording.row(table, index), why)


def row_steps(plan: CompiledPlan, found: Resolution) -> Iterator[Step]:
    """Return the steps of patterns, prefixes and regexes, nothing without a route table."""
    if plan.table is None:
        return
    for kind, stage in _KINDS:
        texts = [found.number, found.e164] if kind == "pattern" else [found.e164, found.number]
        told = found.stage == stage
        if told:
            yield from matched_row(plan, found, kind, found.asked)
        lost = _lost(plan.table, found, kind, stage, list(dict.fromkeys(texts)))
        for step in islice(lost, LOST_LIMIT):
            told = True
            yield step
        if not told and not _decided_before(found, stage):
            yield Step(kind, texts[0], texts[0], "passed", "", f"no {kind} row takes it")


def _lost(
    table: RouteTable, found: Resolution, kind: _Kind, stage: Decided, texts: list[str]
) -> Iterator[Step]:
    """Return the rows of one kind that take the number in either form and do not decide."""
    seen: set[int] = set()
    if found.stage == stage:
        seen = {found.index, *(hop[0] for hop in found.hops), *(hop[0] for hop in found.dropped)}
    for text in texts:
        for row_kind, index, _, _ in table.explain(text):
            if row_kind == kind and index not in seen:
                seen.add(index)
                why = _why(found, kind, stage, text)
                yield Step(kind, text, text, "lost", wording.row(table, index), why)


def _why(found: Resolution, kind: _Kind, stage: Decided, text: str) -> str:
    if found.stage == stage:
        return _LESS[kind] if text == found.asked else f"{found.asked} is asked for first"
    return "an earlier rule decided" if _decided_before(found, stage) else "leaves nothing to dial"


def _decided_before(found: Resolution, stage: Decided) -> bool:
    """Return whether rows of this stage were not asked for any more."""
    return Decided.NOBODY < found.stage < stage
