# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False
"""Dial plans in C++: shared parts, the plan that asks them in order, and the routes it finds."""
cimport cython
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t
from libcpp cimport bool as cbool
from libcpp.memory cimport make_shared, shared_ptr, unique_ptr
from libcpp.string cimport string

from number_text cimport check_number, utf8
from plan_parts cimport (
    CppCarriers,
    CppHop,
    CppNumbering,
    CppTable,
    Groups,
    Judgement,
    NumberIndex,
    Plan,
    PlanParts,
    Resolution,
    Stage,
    Verdict,
    press_keys,
)

from engine.numbers import wording
from engine.numbers.rules import Hop, RouteKind


cdef inline str text(const string& utf8_text):
    return utf8_text.decode("utf-8")


cdef str verdict_word(Verdict verdict):
    if verdict == Verdict.allowed:
        return ""
    return "blocked" if verdict == Verdict.blocked else "restricted"


cdef int accept(cbool added, str what) except -1:
    if not added:
        raise ValueError(f"{what!r} is refused: checked rules are not")
    return 0


cdef shared_ptr[CppTable] shared_table(object capsule) except *:
    """Return the share of a C++ table that RouteTable.capsule() hands out."""
    return (<shared_ptr[CppTable]*> PyCapsule_GetPointer(
        capsule, "quickcall.numbers.RouteTable"
    ))[0]


cdef class CompiledExtensions:
    """Extensions by number; shared by the plans of an account."""

    cdef shared_ptr[NumberIndex] index
    cdef readonly tuple rules

    def __cinit__(self, tuple rules not None):
        cdef int32_t place
        cdef str number
        self.rules = rules
        self.index = make_shared[NumberIndex]()
        for place in range(<int32_t>len(rules)):
            number = rules[place].number
            accept(self.index.get().add(utf8(number), place), number)

    def __len__(self):
        return len(self.rules)


cdef class CompiledNumbering:
    """Converters to E.164 and classifiers; shared by all plans."""

    cdef shared_ptr[CppNumbering] numbering
    cdef readonly tuple converters
    cdef readonly tuple classifiers

    def __cinit__(self, tuple converters not None, tuple classifiers not None):
        self.converters = converters
        self.classifiers = classifiers
        self.numbering = make_shared[CppNumbering]()
        cdef CppNumbering* numbering = self.numbering.get()
        for rule in converters:
            accept(
                numbering.add_converter(utf8(rule.regex), utf8(rule.prefix), utf8(rule.suffix)),
                rule.regex,
            )
        for classifier in classifiers:
            accept(numbering.add_classifier(utf8(classifier.regex)), classifier.regex)
        numbering.prepare()

    def e164(self, str number not None) -> str:
        """Return the E.164 form of a number, letters of a keypad made digits.

        The number itself comes back when it begins with + or no converter takes it. Raises
        NumberError for more than 128 characters and for text that is not Unicode.
        """
        check_number(number)
        cdef string form = string(utf8(number))
        cdef Groups groups
        press_keys(form)
        self.numbering.get().convert(form, groups)
        return text(form)

    def classify(self, str number not None) -> str:
        """Return the name of the first classifier that takes a number as it stands, or "".

        Numbers are classified in their E.164 form: give `e164(number)`. Raises NumberError as
        `e164` does.
        """
        check_number(number)
        cdef Groups groups
        cdef int32_t found = self.numbering.get().classify(utf8(number), groups)
        return self.classifiers[found].name if found >= 0 else ""


cdef class CompiledCarriers:
    """Carriers in hunt order; shared by the plans of an account."""

    cdef shared_ptr[CppCarriers] carriers
    cdef readonly tuple rules

    def __cinit__(self, tuple rules not None):
        self.rules = rules
        self.carriers = make_shared[CppCarriers]()
        cdef CppCarriers* carriers = self.carriers.get()
        for rule in rules:
            carriers.add_carrier(utf8(rule.prefix), utf8(rule.suffix), rule.weight_cost)
            for regex in rule.rules:
                accept(carriers.add_rule(utf8(regex)), regex)
        carriers.prepare()

    def __len__(self):
        return len(self.rules)


cdef class CompiledBlocklists:
    """Blocked numbers, as listed and in their E.164 form; shared by the plans of an account."""

    cdef shared_ptr[NumberIndex] index
    cdef readonly tuple names

    def __cinit__(self, tuple names not None, tuple numbers not None, CompiledNumbering numbering not None):
        cdef int32_t place
        cdef str number, e164
        self.names = names
        self.index = make_shared[NumberIndex]()
        for place in range(<int32_t>len(names)):
            for number in numbers[place]:
                self.index.get().add(utf8(number), place)
                e164 = numbering.e164(number)
                self.index.get().add(utf8(e164), place)


cdef class CompiledPlan:
    """The parts and rules of one plan; `match` asks them in order."""

    cdef unique_ptr[Plan] plan
    cdef readonly CompiledExtensions extensions
    cdef readonly tuple rewrites
    cdef readonly object table
    cdef readonly CompiledCarriers carriers
    cdef readonly CompiledNumbering numbering
    cdef readonly CompiledBlocklists blocked
    cdef readonly frozenset denied

    def __cinit__(
        self,
        CompiledExtensions extensions,
        tuple rewrites not None,
        object table,
        CompiledCarriers carriers,
        CompiledNumbering numbering not None,
        CompiledBlocklists blocked,
        frozenset denied not None,
    ):
        self.extensions = extensions
        self.rewrites = rewrites
        self.table = table
        self.carriers = carriers
        self.numbering = numbering
        self.blocked = blocked
        self.denied = denied
        cdef PlanParts parts
        parts.numbering = numbering.numbering
        if extensions is not None:
            parts.extensions = extensions.index
        if table is not None:
            parts.table = shared_table(table.capsule())
        if carriers is not None:
            parts.carriers = carriers.carriers
        if blocked is not None:
            parts.blocked = blocked.index
        self.plan.reset(new Plan(parts))
        for rule in rewrites:
            accept(
                self.plan.get().add_rewrite(
                    utf8(rule.regex), utf8(rule.prefix), utf8(rule.suffix)
                ),
                rule.regex,
            )
        for place, classifier in enumerate(numbering.classifiers):
            if classifier.name in denied:
                self.plan.get().deny(place)
        self.plan.get().prepare()

    def match(self, str number not None) -> Route | None:
        """Return where a number of at most 128 characters goes, or None when no rule takes it.

        An empty number matches nothing, and a rule that would leave nothing to dial is passed over.
        Raises NumberError for a longer number and for text that is not Unicode.
        """
        check_number(number)
        cdef Route route = Route.__new__(Route)
        self.plan.get().resolve(utf8(number), route.found)
        if route.found.stage == Stage.nobody and route.found.judgement.verdict == Verdict.allowed:
            return None
        route.plan = self
        return route

    def resolve(self, str number not None) -> tuple:
        """Return every decision that `match` takes: what `engine.numbers.steps.Resolution` holds."""
        check_number(number)
        cdef Resolution found
        self.plan.get().resolve(utf8(number), found)
        normalised = found.has_e164
        self.plan.get().classify(found)
        return (
            <int>found.stage,
            found.index,
            text(found.number),
            text(found.spelled),
            found.rewrite,
            normalised,
            text(found.e164),
            found.converter,
            found.classifier,
            found.asked_e164,
            text(found.dialled),
            tuple([self.hop_decision(hop) for hop in found.hops]),
            tuple([
                (*self.hop_decision(drop.hop), <int>drop.judgement.verdict, drop.judgement.by)
                for drop in found.dropped
            ]),
            <int>found.judgement.verdict,
            found.judgement.by,
            text(found.refused),
            tuple([self.hop_decision(hop) for hop in self.plan.get().offers(found)]),
        )

    cdef tuple hop_decision(self, const CppHop& hop):
        return hop.source, hop.rule, text(hop.number)

    def refusal_of(self, str number not None) -> tuple[str, str]:
        """Return why a carrier may not be sent a number: "blocked" or "restricted", and the words.

        Two empty texts when it may. For numbers that are changed after `match`, which has asked
        this of what it says is dialled; any length. Raises UnicodeEncodeError for text that is
        not Unicode.
        """
        cdef string sent = string(utf8(number))
        cdef Judgement found = self.plan.get().judge(sent)
        if found.verdict == Verdict.allowed:
            return "", ""
        return verdict_word(found.verdict), wording.refused(number, self.refuser(found))

    cdef str refuser(self, const Judgement& found):
        if found.verdict == Verdict.blocked:
            return wording.blocklist(self.blocked.names[found.by])
        return wording.classifier(self.numbering.classifiers[found.by])

    def would_rewrite(self, int rule, str number not None) -> bool:
        """Tell whether the rewrite rule at an index takes a number and leaves something to dial."""
        if not 0 <= rule < len(self.rewrites):
            raise IndexError(f"there is no rewrite rule {rule}")
        check_number(number)
        return self.plan.get().would_rewrite(rule, utf8(number))


@cython.final
@cython.freelist(16)
@cython.no_gc
cdef class Route:
    """Where a number goes; immutable, made by `DialPlan.match`.

    Equal routes lead to the same place by the same rule. Fields are made when they are read.
    """

    cdef CompiledPlan plan
    cdef Resolution found

    def __init__(self, *args, **kwargs):
        raise TypeError("routes are made by DialPlan.match")

    @property
    def kind(self):
        """Return the `RouteKind`."""
        if self.found.judgement.verdict != Verdict.allowed:
            return RouteKind.REFUSED
        return RouteKind.EXTENSION if self.found.hops.empty() else RouteKind.GATEWAY

    @property
    def endpoint_type(self) -> str | None:
        """Return "device" or "user" for an extension, else None."""
        if self.found.stage == Stage.extension:
            return self.plan.extensions.rules[self.found.index].endpoint_type
        if self.found.dialled.empty():
            return None
        return self.plan.table.row(self.found.index).to

    @property
    def id(self) -> str:
        """Return the device or user id, or the first carrier's resource id; "" when refused."""
        if self.found.stage == Stage.extension:
            return self.plan.extensions.rules[self.found.index].endpoint_id
        if not self.found.dialled.empty():
            return self.plan.table.row(self.found.index).id
        return self.hop_id(self.found.hops[0]) if self.found.hops.size() else ""

    @property
    def number(self) -> str:
        """Return the number to dial there first; of a refused number what had become of it."""
        if self.found.hops.size():
            return text(self.found.hops[0].number)
        return text(self.found.number if self.found.dialled.empty() else self.found.dialled)

    @property
    def rule(self) -> str:
        """Return which rules decided, in words."""
        if self.found.judgement.verdict != Verdict.allowed:
            words = self.plan.refuser(self.found.judgement)
        elif self.found.stage == Stage.extension:
            words = wording.extension(self.plan.extensions.rules[self.found.index])
        elif not self.found.dialled.empty():
            words = wording.row(self.plan.table, self.found.index)
        else:
            words = self.hop_rule(self.found.hops[0])
        if self.found.rewrite < 0:
            return words
        rewrite = self.plan.rewrites[self.found.rewrite]
        return f"{wording.rewrite(self.found.rewrite, rewrite)}, then {words}"

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Return the carriers to try, in hunt order; empty unless the kind is GATEWAY."""
        return tuple([
            Hop(
                self.hop_id(hop), text(hop.number), hop.priority, hop.weight,
                self.hop_length(hop), self.hop_rule(hop),
            )
            for hop in self.found.hops
        ])

    @property
    def refusal(self) -> str:
        """Return "blocked", "restricted" or "" when the number is not refused."""
        return verdict_word(self.found.judgement.verdict)

    @property
    def reason(self) -> str:
        """Return why the number is refused, in words; "" when it is not."""
        if self.found.judgement.verdict == Verdict.allowed:
            return ""
        return wording.refused(text(self.found.refused), self.plan.refuser(self.found.judgement))

    @property
    def e164(self) -> str:
        """Return the E.164 form of the number, or the number itself when it has none."""
        self.plan.plan.get().classify(self.found)
        return text(self.found.e164)

    @property
    def classification(self) -> str:
        """Return the name of the classifier that takes the number; "" when none does."""
        self.plan.plan.get().classify(self.found)
        found = self.found.classifier
        return self.plan.numbering.classifiers[found].name if found >= 0 else ""

    cdef str hop_id(self, const CppHop& hop):
        if hop.rule < 0:
            return self.plan.table.row(hop.source).id
        return self.plan.carriers.rules[hop.source].resource_id

    cdef int hop_length(self, const CppHop& hop) except -1:
        if self.found.stage == Stage.prefix_row:
            return len(self.plan.table.row(hop.source).match)
        if hop.rule >= 0:
            return 0
        return len(text(self.found.e164 if self.found.asked_e164 else self.found.number))

    cdef str hop_rule(self, const CppHop& hop):
        if hop.rule < 0:
            return wording.row(self.plan.table, hop.source)
        return wording.carrier(self.plan.carriers.rules[hop.source], hop.rule)

    cdef tuple values(self):
        return (
            self.kind, self.endpoint_type, self.id, self.number, self.rule, self.hops,
            self.refusal, self.reason, self.e164, self.classification,
        )

    def __eq__(self, other):
        return self.values() == (<Route>other).values() if type(other) is Route else NotImplemented

    def __hash__(self):
        return hash(self.values())

    def __repr__(self):
        return (
            f"Route(kind={self.kind}, endpoint_type={self.endpoint_type!r}, id={self.id!r}, "
            f"number={self.number!r}, rule={self.rule!r}, hops={self.hops!r}, "
            f"refusal={self.refusal!r}, reason={self.reason!r}, e164={self.e164!r}, "
            f"classification={self.classification!r})"
        )
