"""A dial plan as plainly as it can be said: docs/dial_plan.md read out loud, rule by rule.

Slow on purpose.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.numbers.dialplan import CarrierRule, ExtensionRule, RewriteRule
from engine.numbers.numbering import Classifier, Converter
from engine.numbers.route_table import RouteRow
from tests.kit import route_oracle

KEYS = {
    **dict.fromkeys("abc", "2"),
    **dict.fromkeys("def", "3"),
    **dict.fromkeys("ghi", "4"),
    **dict.fromkeys("jkl", "5"),
    **dict.fromkeys("mno", "6"),
    **dict.fromkeys("pqrs", "7"),
    **dict.fromkeys("tuv", "8"),
    **dict.fromkeys("wxyz", "9"),
}
"""The keys that letters stand on (ITU-T E.161)."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A carrier to try: what `engine.numbers.rules.Hop` says, but for the words."""

    resource_id: str
    number: str
    priority: int
    weight: int
    length: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a number goes; `to` is device, user, resource, blocked or restricted.

    `by` is the blocklist or class that refused; `e164` and `classification` are the number's.
    """

    to: str
    id: str
    number: str
    e164: str
    classification: str
    hops: tuple[Hop, ...] = ()
    by: str = ""


def affixed(
    rule: RewriteRule | CarrierRule | Converter, regex: str, number: str, *, last: bool
) -> str:
    """Return prefix + root + suffix, "" when the regex does not match.

    The root of a rewrite is its last group that took part, or the match; that of a carrier is the
    first one, or the number.
    """
    found = route_oracle.search(regex, number)
    if found is None:
        return ""
    groups = [group for group in found.groups() if group is not None]
    whole = found[0] if last else number
    root = (groups[-1] if last else groups[0]) if groups else whole
    return rule.prefix + root + rule.suffix


def rewrite(number: str, rules: Iterable[RewriteRule | Converter]) -> str | None:
    """Return the number by the first rule that matches and leaves something to dial."""
    made = (affixed(rule, rule.regex, number, last=True) for rule in rules)
    return next((result for result in made if result), None)


def press_keys(number: str) -> str:
    """Return digits for the letters of a vanity number, other texts as they are."""
    if len(number) < 7 or not re.fullmatch(r"[0-9+][0-9A-Za-z]*[A-Za-z][0-9A-Za-z]*", number):
        return number
    return "".join(KEYS.get(character.lower(), character) for character in number)


@dataclass
class PlanOracle:
    """A dial plan that asks every rule for every number."""

    extensions: Sequence[ExtensionRule] = ()
    rewrites: Sequence[RewriteRule] = ()
    rows: Sequence[RouteRow] = ()
    carriers: Sequence[CarrierRule] = ()
    converters: Sequence[Converter] = ()
    classifiers: Sequence[Classifier] = ()
    blocked: Mapping[str, Sequence[str]] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.table = route_oracle.RouteOracle(self.rows)

    # --- numbers ----------------------------------------------------------------------------------

    def e164(self, number: str) -> str:
        """Return the E.164 form of a number, or the number."""
        return number if number.startswith("+") else rewrite(number, self.converters) or number

    def classify(self, *forms: str) -> str:
        """Return the class of the first form that has one."""
        for form in forms:
            for classifier in self.classifiers:
                if route_oracle.search(classifier.regex, form):
                    return classifier.name
        return ""

    def blocklist(self, *forms: str) -> str:
        """Return the list that the first form that is on one is on."""
        for form in forms:
            for name, numbers in self.blocked.items():
                for number in numbers:
                    if form in (number, self.e164(press_keys(number))):
                        return name
        return ""

    # --- precedence -------------------------------------------------------------------------------

    def match(self, number: str) -> Answer | None:
        """Return where a number goes, None when nothing takes it."""
        if not number:
            return None
        if by := self.blocklist(number):
            return self.refusal("blocked", by, number)
        if answer := self.extension(number):
            return answer
        rewritten = rewrite(number, self.rewrites)
        if rewritten is not None and (answer := self.extension(rewritten)):
            return answer
        dialled = press_keys(rewritten or number)
        e164 = self.e164(dialled)
        if by := self.blocklist(dialled, e164):
            return self.refusal("blocked", by, dialled)
        for kind, asked in (
            ("pattern", dialled),
            ("pattern", e164),
            ("prefix", e164),
            ("prefix", dialled),
            ("regex", e164),
            ("regex", dialled),
        ):
            if answer := self.row(kind, asked, dialled):
                return answer
        return self.leave(self.offers(e164, dialled), dialled)

    def extension(self, number: str) -> Answer | None:
        """Return the extension of the account, else that of the table."""
        for rule in self.extensions:
            if rule.number == number:
                return self.answer(rule.endpoint_type, rule.endpoint_id, number, number)
        return self.row("extension", number, number)

    def row(self, kind: str, asked: str, number: str) -> Answer | None:
        """Return where the best row of a kind leads, None when it leaves nothing to dial."""
        heads = self.table.winners(asked, kind)
        if not heads:
            return None
        best = self.table.row(heads[0])
        if best.to != "resource":
            dialled = route_oracle.dialled(best, asked)
            return self.answer(best.to, best.id, dialled, number) if dialled else None
        hunted = heads if kind == "prefix" else heads[:1]
        lines = [line for head in hunted for line in self.table.group(head)]
        hops = [self.row_hop(line, asked) for line in lines if self.leads_out(line)]
        hops = [hop for hop in hops if hop.number]
        if hops and (by := self.blocklist(press_keys(number), self.e164(press_keys(number)))):
            return self.refusal("blocked", by, press_keys(number))
        return self.leave(hops, press_keys(number))

    def leads_out(self, line: int) -> bool:
        """Tell whether a row leads to a carrier."""
        return self.table.row(line).to == "resource"

    def row_hop(self, line: int, asked: str) -> Hop:
        """Return a row as a hop."""
        row, hop = self.table.row(line), self.table.hop(line, asked)
        return Hop(row.id, hop.number, row.priority, row.weight, hop.length)

    def offers(self, e164: str, number: str) -> list[Hop]:
        """Return what the carriers would dial, cheapest first."""
        offers = []
        for carrier in sorted(self.carriers, key=lambda each: each.weight_cost):
            for form in (e164, number):
                made = [affixed(carrier, regex, form, last=False) for regex in carrier.rules]
                if dialled := next(filter(None, made), ""):
                    offers.append(
                        Hop(carrier.resource_id, dialled, carrier.weight_cost, 0, 0),
                    )
                    break
        return offers

    # --- what leaves ------------------------------------------------------------------------------

    def leave(self, hops: Sequence[Hop], number: str) -> Answer | None:
        """Return the hops that may be dialled, or why none may."""
        if not hops:
            return None
        e164 = self.e164(number)
        if (found := self.classify(e164, number)) in self.denied:
            return self.refusal("restricted", found, number)
        judged = [(hop, *self.judge(hop.number, e164)) for hop in hops]
        kept = tuple(hop for hop, refusal, _ in judged if not refusal)
        if not kept:
            return self.refusal(judged[0][1], judged[0][2], number)
        return self.answer("resource", kept[0].resource_id, kept[0].number, number, kept)

    def judge(self, sent: str, converted: str) -> tuple[str, str]:
        """Return the refusal of a number that a carrier would be sent, and by whom.

        What converters have made of the number (`converted`) is not converted again: one that is
        not anchored would make something else of it.
        """
        e164 = sent if sent == converted else self.e164(sent)
        if by := self.blocklist(sent, e164):
            return "blocked", by
        found = self.classify(e164, sent)
        return ("restricted", found) if found in self.denied else ("", "")

    def answer(
        self, to: str, to_id: str, dialled: str, number: str, hops: tuple[Hop, ...] = ()
    ) -> Answer:
        """Return an answer; `number` is what the user's number has become."""
        number = press_keys(number)
        e164 = self.e164(number)
        return Answer(to, to_id, dialled, e164, self.classify(e164, number), hops)

    def refusal(self, why: str, by: str, number: str) -> Answer:
        """Return a refusal of what the user's number has become."""
        keys = press_keys(number)
        e164 = self.e164(keys)
        return Answer(why, "", number, e164, self.classify(e164, keys), (), by)
