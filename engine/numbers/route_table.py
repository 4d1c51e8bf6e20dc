"""Routes of a node or an account, up to millions: extensions, patterns, prefixes, regexes.

Compiled once, immutable, usable from any thread. docs/dial_plan.md has the order in which rows are
asked, ext/numbers/literal_set.hpp and tail_automaton.hpp how a number is found.
"""

from engine.numbers._route_table import RouteMatch, RouteTable, RouteTableBuilder
from engine.numbers.route_rows import RouteHop, RouteRow, RouteTableError, RowKind, TargetKind

__all__ = [
    "RouteHop",
    "RouteMatch",
    "RouteRow",
    "RouteTable",
    "RouteTableBuilder",
    "RouteTableError",
    "RowKind",
    "TargetKind",
]
