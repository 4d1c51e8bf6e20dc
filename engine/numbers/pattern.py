"""Why a user's regex is refused, and where.

Patterns are RE2's: linear time, so no back-references and no look-around. RE2 tells what it
refuses but not where; the place is found by asking RE2 about beginnings of the pattern.
"""

import re
from dataclasses import dataclass

from engine.numbers._number_filter import probe_pattern
from engine.numbers.text import HALF_PAIR, find_half_pair

PATTERN_LIMIT = 1024
"""The longest pattern accepted, in characters."""

# Beginnings of constructs that other regex engines have; longer beginnings before shorter ones.
_FOREIGN = (
    ("(?=", "look-ahead (?=...) is not supported"),
    ("(?!", "negative look-ahead (?!...) is not supported"),
    ("(?<=", "look-behind (?<=...) is not supported"),
    ("(?<!", "negative look-behind (?<!...) is not supported"),
    ("(?<", "a named group is written (?P<name>...)"),
    ("(?P=", "back-reference (?P=name) is not supported"),
    ("(?P>", "subroutine call (?P>name) is not supported"),
    ("(?>", "atomic group (?>...) is not supported"),
    ("(?(", "conditional group (?(...)...) is not supported"),
    ("(?#", "comment group (?#...) is not supported"),
    ("(?|", "branch reset (?|...) is not supported"),
    ("(?R", "recursion (?R) is not supported"),
    ("\\k", "back-reference \\k is not supported"),
    ("\\g", "back-reference \\g is not supported"),
    ("\\Z", "\\Z is not supported, the end of the text is \\z"),
    *((f"\\{digit}", f"back-reference \\{digit} is not supported") for digit in range(1, 10)),
)

_REASONS = {
    "escape": "unknown escape sequence",
    "class": "bad character class",
    "range": "bad character class or range",
    "missing bracket": "character class is not closed with ]",
    "missing parenthesis": "group is not closed with )",
    "unexpected parenthesis": ") closes no group",
    "trailing backslash": "backslash at the end escapes nothing",
    "nothing to repeat": "there is nothing to repeat here",
    "repeat size": "repetition is too large, at most 1000 in all",
    "repeat operator": "repetition of a repetition; possessive quantifiers are not supported",
    "group operator": "unknown or unfinished group operator",
    "group name": "bad group name",
    "too large": "pattern is too large once compiled",
    "other": "not a valid pattern",
}

# One step of RE2's reading: quoted text, an escape, a character class, or one character.
_STEP = re.compile(
    r"\\Q.*?(?:\\E|\Z) | \\. | \[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\] | .", re.DOTALL | re.VERBOSE
)


@dataclass(frozen=True, slots=True)
class PatternFault:
    """A refused pattern.

    Fields: `position`, offset of the offending text in characters, None when the fault is the
    pattern as a whole; `reason`, what is refused.
    """

    position: int | None
    reason: str


def find_fault(pattern: str) -> PatternFault | None:
    r"""Return why a pattern is refused, or None when RE2 takes it.

    Refused beyond RE2's own rules: more than 1024 characters, and \C (one byte), which could cut
    a character in two.
    """
    if len(pattern) > PATTERN_LIMIT:
        reason = f"is {len(pattern)} characters long, at most {PATTERN_LIMIT} are allowed"
        return PatternFault(PATTERN_LIMIT, reason)
    half_pair = find_half_pair(pattern)
    if half_pair is not None:
        return PatternFault(half_pair, HALF_PAIR)
    refused = probe_pattern(pattern)
    if refused is None:
        return _find_single_byte(pattern)
    position = _locate(pattern, *refused)
    return PatternFault(position, _reason(pattern, position, refused[0]))


def _find_single_byte(pattern: str) -> PatternFault | None:
    for step in _STEP.finditer(pattern):
        if step.group() == "\\C":
            return PatternFault(step.start(), "\\C (a single byte) is not supported")
    return None


def _reason(pattern: str, position: int | None, kind: str) -> str:
    if position is not None and kind in ("escape", "group operator"):
        for beginning, reason in _FOREIGN:
            if pattern.startswith(beginning, position):
                return reason
    return _REASONS[kind]


def _locate(pattern: str, kind: str, offender: str) -> int | None:
    if kind in ("too large", "other"):
        return None
    if kind == "trailing backslash":
        return len(pattern) - 1
    if kind == "missing parenthesis":
        return _innermost_open_group(pattern)
    if kind == "missing bracket":
        return len(pattern) - len(offender)
    end = _shortest_refused(pattern, kind, offender)
    if kind == "unexpected parenthesis":
        return end - 1
    position = pattern.rfind(offender, 0, end)
    return None if position < 0 else position


def _innermost_open_group(pattern: str) -> int | None:
    groups: list[int] = []
    for step in _STEP.finditer(pattern):
        if step.group() == "(":
            groups.append(step.start())
        elif step.group() == ")":
            groups.pop()
    return groups[-1] if groups else None


def _shortest_refused(pattern: str, kind: str, offender: str) -> int:
    """Return the length of the shortest beginning that RE2 refuses for the same fault.

    RE2 reads from left to right, so past the fault every beginning has it and bisection works.
    """
    # Of a ) too many RE2 blames all that it was given.
    blamed = None if kind == "unexpected parenthesis" else offender

    def refused(length: int) -> bool:
        found = probe_pattern(pattern[:length])
        return found is not None and found[0] == kind and blamed in (None, found[1])

    low, high = 0, len(pattern)
    while high - low > 1:
        middle = (low + high) // 2
        # A beginning cut inside a good group ("(?P" of "(?P<n>a)") can show the same fault by
        # chance; one character more tells the two apart.
        if refused(middle) and refused(middle + 1):
            high = middle
        else:
            low = middle
    return high
