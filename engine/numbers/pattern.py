"""Why a user's regex is refused, and where.

Patterns are RE2's: linear time, so no back-references and no look-around. RE2 tells what it
refuses but not where. The place is found by asking RE2 about the few parts that can be meant; all
of them together cost no more than the pattern itself, however hostile it is.
"""

import re
from dataclasses import dataclass
from itertools import islice

from engine.numbers._number_filter import probe_pattern
from engine.numbers.text import HALF_PAIR, find_half_pair

PATTERN_LIMIT = 1024
"""The longest pattern accepted, in characters."""

UNICODE_CLASS_LIMIT = 32
"""The most Unicode classes (\\p, \\P) in a pattern: RE2 takes some 50 microseconds to read each."""

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
    "other": "not a valid pattern, \\x{...} needs its }",
}

# One step of RE2's reading: quoted text, an escape, a character class, or one character. A quote or
# a class that is not closed goes on to the end. Nothing is tried twice (possessive quantifiers).
_STEP = re.compile(
    r"""\\Q.*?(?:\\E|\Z) | \\[pP](?:\{[^}]*\}|.) | \\.
      | \[\^?+\]?+(?:\[:\^?\w+:\]|\\.|[^\]\\])*+(?:\]|\\?\Z) | .""",
    re.DOTALL | re.VERBOSE,
)

# One step inside a class.
_CLASS_STEP = re.compile(r"\[:\^?\w+:\] | \\. | .", re.DOTALL | re.VERBOSE)

# Escapes, those inside classes too.
_ESCAPE = re.compile(r"\\Q.*?(?:\\E|\Z) | \\.", re.DOTALL | re.VERBOSE)

# RE2 has no name for this fault.
_UNFINISHED = re.compile(r"\\x\{[0-9A-Fa-f]*\Z")

# Classes cost RE2 a thousand times what a letter costs. What may be repeated does not depend on
# them, so a letter stands for each where only repetitions are asked about.
_COSTLY = ("[", "\\p", "\\P")


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

    Refused beyond RE2's own rules: more than 1024 characters, more than 32 Unicode classes, and
    \C (one byte), which could cut a character in two.
    """
    return find_text_fault(pattern) or diagnose(pattern, probe_pattern(pattern))


def find_text_fault(pattern: str) -> PatternFault | None:
    """Return why a pattern is refused before RE2 reads it: too long, too slow, no Unicode text."""
    if len(pattern) > PATTERN_LIMIT:
        reason = f"is {len(pattern)} characters long, at most {PATTERN_LIMIT} are allowed"
        return PatternFault(PATTERN_LIMIT, reason)
    half_pair = find_half_pair(pattern)
    if half_pair is not None:
        return PatternFault(half_pair, HALF_PAIR)
    if pattern.lower().count("\\p") > UNICODE_CLASS_LIMIT:
        return _find_class_too_many(pattern)
    return None


def _find_class_too_many(pattern: str) -> PatternFault | None:
    found = (text.start() for text in _ESCAPE.finditer(pattern) if text.group() in ("\\p", "\\P"))
    position = next(islice(found, UNICODE_CLASS_LIMIT, None), None)
    if position is None:
        return None
    reason = f"holds more than {UNICODE_CLASS_LIMIT} Unicode classes (\\p, \\P)"
    return PatternFault(position, reason)


def diagnose(pattern: str, refused: tuple[str, str] | None) -> PatternFault | None:
    """Return why RE2 refused a pattern, or why we do though RE2 took it (`refused` is None)."""
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
    match kind:
        case "too large":
            return None
        case "other":
            unfinished = _UNFINISHED.search(pattern)
            return unfinished.start() if unfinished else None
        case "trailing backslash":
            return len(pattern) - 1
        case "missing bracket":
            return len(pattern) - len(offender)
        case "missing parenthesis" | "unexpected parenthesis":
            return _unbalanced(pattern)
        case "escape" | "class" | "range":
            return _bad_character(pattern, (kind, offender))
        case "group operator" | "group name":
            return _bad_group(pattern, (kind, offender))
    return _bad_repetition(pattern, (kind, offender))


def _unbalanced(pattern: str) -> int | None:
    """Return the ) that closes nothing, else the innermost ( that is not closed."""
    groups: list[int] = []
    for step in _STEP.finditer(pattern):
        if step.group() == "(":
            groups.append(step.start())
        elif step.group() == ")":
            if not groups:
                return step.start()
            groups.pop()
    return groups[-1] if groups else None


def _refused_alone(text: str, at: int, refusal: tuple[str, str], opening: str = "") -> bool:
    r"""Tell whether RE2 refuses what stands at an offset for the same reason when it stands alone.

    What follows is shown too: \1 is a back-reference, but \12 is a character in octal.
    """
    end = at + len(refusal[1])
    return text.startswith(refusal[1], at) and (
        probe_pattern(opening + text[at : end + 2]) == refusal
    )


def _bad_character(pattern: str, refusal: tuple[str, str]) -> int | None:
    """Return the place of an escape or a class that RE2 refuses wherever it stands."""
    for step in _STEP.finditer(pattern):
        text, start = step.group(), step.start()
        if text[0] == "[" and refusal[1] in text:
            # The backslash keeps RE2 from compiling a good class; one not closed needs none.
            more = "\\" if step.end() < len(pattern) else ""
            if probe_pattern(text + more) == refusal:
                return _bad_in_class(text, start, refusal)
        if text[0] == "\\" and _refused_alone(pattern, start, refusal):
            return start
    return _first(pattern, refusal[1])


def _first(text: str, part: str) -> int | None:
    position = text.find(part)
    return None if position < 0 else position


def _bad_in_class(text: str, start: int, refusal: tuple[str, str]) -> int:
    places = [step.start() for step in _CLASS_STEP.finditer(text, 1)]
    alone = (at for at in places if _refused_alone(text, at, refusal, "["))
    # A range that begins with - is refused for what stands before it, so not alone.
    return start + next(alone, text.index(refusal[1], 1))


def _bad_group(pattern: str, refusal: tuple[str, str]) -> int | None:
    """Return the place of a group operator or name that RE2 does not know wherever it stands."""
    groups = (step.start() for step in _STEP.finditer(pattern) if step.group() == "(")
    return next((at for at in groups if _refused_alone(pattern, at, refusal)), None)


def _bad_repetition(pattern: str, refusal: tuple[str, str]) -> int | None:
    """Return the place of a repetition that RE2 refuses where it stands.

    RE2 reads from left to right, so beyond the fault every beginning has it and bisection works. A
    backslash at the end keeps RE2 from compiling the beginnings that have no fault.
    """
    steps = [(step.end(), step.group()) for step in _STEP.finditer(pattern)]
    cheap = "".join(
        "a" * len(text) if len(text) > 1 and text.startswith(_COSTLY) else text for _, text in steps
    )
    low, high = 0, len(steps)
    while high - low > 1:
        middle = (low + high) // 2
        if probe_pattern(cheap[: steps[middle - 1][0]] + "\\") == refusal:
            high = middle
        else:
            low = middle
    position = pattern.rfind(refusal[1], 0, steps[high - 1][0])
    return None if position < 0 else position
