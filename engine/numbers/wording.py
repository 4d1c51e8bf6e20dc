"""Rules of a dial plan in words, for routes and explanations."""

from typing import TYPE_CHECKING

from engine.numbers.rules import CarrierRule, ExtensionRule, RewriteRule

if TYPE_CHECKING:
    # numbering.py imports the compiled module, which imports this one.
    from engine.numbers.numbering import Classifier
    from engine.numbers.route_table import RouteTable


def extension(rule: ExtensionRule) -> str:
    """Return "extension 1001"."""
    return f"extension {rule.number}"


def rewrite(index: int, rule: RewriteRule) -> str:
    r"""Return "rewrite 1 'local seven' ^(\d{7})$", counted from 1."""
    name = f" {rule.description!r}" if rule.description else ""
    return f"rewrite {index + 1}{name} {rule.regex}"


def carrier(chosen: CarrierRule, rule: int) -> str:
    r"""Return "carrier 'Acme' rule 1 ^1(\d{10})$", rules counted from 1."""
    return f"carrier {chosen.name!r} rule {rule + 1} {chosen.rules[rule]}"


def row(table: "RouteTable", index: int) -> str:
    """Return "line 17 pattern _NXXNXXXXXX", and the description of the row if it has one."""
    chosen = table.row(index)
    name = f" {chosen.description!r}" if chosen.description else ""
    return f"line {table.line(index)}{name} {chosen.kind} {chosen.match}"


def classifier(chosen: "Classifier") -> str:
    r"""Return "classifier emergency ^911$"."""
    return f"classifier {chosen.name} {chosen.regex}"


def blocklist(name: str) -> str:
    """Return "blocklist 'Main'"."""
    return f"blocklist {name!r}"


def refused(number: str, refuser: str) -> str:
    """Return why a number is refused, from the words for the blocklist or classifier."""
    return f"{number!r} is refused by {refuser}"
