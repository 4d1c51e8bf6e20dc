"""What is asked of a rule before it is compiled."""

from engine.numbers.pattern import find_fault
from engine.numbers.rules import AFFIX_LIMIT, DialPlanError
from engine.numbers.text import HALF_PAIR, find_half_pair

NUMBER_LIMIT = 128
"""The longest number, in characters."""


def check_regex(where: str, index: int, regex: str) -> None:
    """Raise DialPlanError for a regex longer than 1024 characters or refused by RE2."""
    fault = find_fault(regex)
    if fault is not None:
        raise DialPlanError(where, index, regex, fault.position, fault.reason)


def check_affixes(where: str, index: int, prefix: str, suffix: str) -> None:
    """Raise DialPlanError for a prefix or suffix that is too long or is not Unicode text."""
    for name, text in (("prefix", prefix), ("suffix", suffix)):
        position = find_half_pair(text)
        if len(text) > AFFIX_LIMIT:
            reason = f"is {len(text)} characters long, at most {AFFIX_LIMIT} are allowed"
            raise DialPlanError(f"{where}.{name}", index, text, AFFIX_LIMIT, reason)
        if position is not None:
            raise DialPlanError(f"{where}.{name}", index, text, position, HALF_PAIR)


def check_number(where: str, index: int, number: str, kind: str) -> None:
    """Raise DialPlanError for an empty or too long number, or one that is not Unicode text.

    `kind` is what the number is, with its article: "an extension".
    """
    reason = ""
    if not number:
        reason = f"{kind} cannot be empty"
    elif len(number) > NUMBER_LIMIT:
        reason = f"is {len(number)} characters long, at most {NUMBER_LIMIT} are allowed"
    elif find_half_pair(number) is not None:
        reason = HALF_PAIR
    if reason:
        raise DialPlanError(where, index, number, None, reason)
