"""What a dial plan does with a number, step by step, in words: what matched, and what lost.

The decisions are those that `match` takes, told by the same compiled code; what lost is asked
for afterwards.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from engine.numbers import wording
from engine.numbers._dialplan import CompiledPlan
from engine.numbers.explain_rows import extension_row, matched_row, row_steps
from engine.numbers.steps import (
    BLOCKED,
    HOPS_LIMIT,
    LOST_LIMIT,
    STEP_LIMIT,
    Decided,
    Explanation,
    Outcome,
    Resolution,
    Step,
)


def explain(plan: CompiledPlan, number: str) -> Explanation:
    """Return the steps of a number through a plan. Raises NumberError as `match` does."""
    route = plan.match(number)
    steps = _Walk(plan, number).steps() if number else _empty()
    return Explanation(number, tuple(islice(steps, STEP_LIMIT)), route)


def _empty() -> Iterator[Step]:
    yield Step("extension", "", "", "passed", "", "an empty number matches nothing")


class _Walk:
    """A number, the plan, and what the plan decided."""

    def __init__(self, plan: CompiledPlan, number: str) -> None:
        self.plan = plan
        self.number = number
        self.found = Resolution(*plan.resolve(number))
        # After the rewrite, before letters became digits.
        self.rewritten = self.found.spelled or self.found.number
        self.rung = self.found.stage in (Decided.EXTENSION, Decided.EXTENSION_ROW)

    def steps(self) -> Iterator[Step]:
        found = self.found
        yield from self.blocklist(self.number)
        if found.blocked and found.refused == self.number:
            return
        yield from self.extension(self.number, self.rung and found.rewrite < 0)
        yield from self.rewrites()
        if found.rewrite >= 0:
            yield from self.extension(self.rewritten, self.rung)
        if found.normalised:
            yield from self.normal_form()
            for number in dict.fromkeys((found.number, found.e164)):
                if number != self.number:
                    yield from self.blocklist(number)
        if not found.blocked:
            yield from row_steps(self.plan, found)
            yield from self.carriers()
            yield from self.classes()

    def blocklist(self, number: str) -> Iterator[Step]:
        blocked = self.plan.blocked
        if blocked is None:
            return
        if self.found.blocked and self.found.refused == number:
            rule = wording.blocklist(blocked.names[self.found.refused_by])
            yield Step("blocklist", number, number, "refused", rule, "the number is on the list")
        else:
            why = f"on none of the {len(blocked.names)} lists"
            yield Step("blocklist", number, number, "passed", "", why)

    def extension(self, number: str, matched: bool) -> Iterator[Step]:
        extensions, matched = self.plan.extensions, matched and not self.found.blocked
        row = extension_row(self.plan, number)
        if matched and extensions is not None and self.found.stage == Decided.EXTENSION:
            rule = extensions.rules[self.found.index]
            why = f"rings {rule.endpoint_type} {rule.endpoint_id}"
            yield Step("extension", number, number, "matched", wording.extension(rule), why)
            if row:
                yield replace(row, why="an extension of the account comes first")
        elif matched:
            yield from matched_row(self.plan, self.found, "extension", number)
        elif row:
            yield row
        else:
            yield Step("extension", number, number, "passed", "", "is no extension")

    def rewrites(self) -> Iterator[Step]:
        applied, rules = self.found.rewrite, self.plan.rewrites
        if applied >= 0:
            yield Step(
                "rewrite",
                self.number,
                self.rewritten,
                "matched",
                wording.rewrite(applied, rules[applied]),
                "the first rule that matches",
            )
            first = f"rewrite {applied + 1} comes first"
        else:
            first = "an extension comes first"
        others = (index for index in range(len(rules)) if index != applied)
        lost = (index for index in others if self.plan.would_rewrite(index, self.number))
        told = list(islice(lost, LOST_LIMIT))
        for index in told:
            rule = wording.rewrite(index, rules[index])
            yield Step("rewrite", self.number, self.number, "lost", rule, first)
        if applied < 0 and not told and not self.rung:
            why = f"none of {len(rules)} rules matches"
            yield Step("rewrite", self.number, self.number, "passed", "", why)

    def normal_form(self) -> Iterator[Step]:
        found = self.found
        if found.spelled:
            why = "letters stand on the keys of a telephone"
            yield Step("keypad", found.spelled, found.number, "matched", "ITU-T E.161", why)
        if found.converter >= 0:
            rule = self.plan.numbering.converters[found.converter].regex
            why = "the first converter that matches"
            yield Step("e164", found.number, found.e164, "matched", rule, why)
        else:
            why = "begins with +" if found.number.startswith("+") else "no converter matches"
            yield Step("e164", found.number, found.e164, "passed", "", why)

    def carriers(self) -> Iterator[Step]:
        carriers = self.plan.carriers
        offers = self.found.offers
        if carriers is None or not offers:
            if self.found.stage == Decided.NOBODY:
                count = 0 if carriers is None else len(carriers)
                why = f"none of {count} carriers takes it: no route"
                yield Step("carrier", self.found.e164, self.found.e164, "passed", "", why)
            return
        decided = self.found.stage == Decided.CARRIERS
        for source, rule, dialled in offers[: HOPS_LIMIT if decided else LOST_LIMIT]:
            chosen = carriers.rules[source]
            words = wording.carrier(chosen, rule)
            why = f"weight_cost {chosen.weight_cost}" if decided else "another rule comes first"
            outcome: Outcome = "matched" if decided else "lost"
            yield Step("carrier", self.found.e164, dialled, outcome, words, why)

    def classes(self) -> Iterator[Step]:
        """What is to be said against what leaves through a carrier."""
        found, classifiers = self.found, self.plan.numbering.classifiers
        if found.stage == Decided.NOBODY or not (found.hops or found.dropped or found.refusal):
            return
        rule = wording.classifier(classifiers[found.classifier]) if found.classifier >= 0 else ""
        if found.refusal and not found.dropped:
            yield Step("classifier", found.e164, found.e164, "refused", rule, "the class is denied")
            return
        why = "the class is allowed" if rule else "no classifier matches"
        yield Step("classifier", found.e164, found.e164, "passed", rule, why)
        for _, _, dialled, refusal, by in found.dropped[:HOPS_LIMIT]:
            why = "the carrier is not sent this number"
            if refusal == BLOCKED and self.plan.blocked is not None:
                rule = wording.blocklist(self.plan.blocked.names[by])
                yield Step("blocklist", dialled, dialled, "refused", rule, why)
            else:
                rule = wording.classifier(classifiers[by])
                yield Step("classifier", dialled, dialled, "refused", rule, why)
